"""What a look at a local enclave reads: always what is there now, and never nothing where a read fails."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitopsd.adapters.local import processes
from gitopsd.adapters.local.folders import folders_in, is_folder, names_in, read_if_there, read_json

DEADLINE = 10.0


def test_a_file_is_read_again_whatever_its_stamp_says(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"restarts": 1}')
    stamp = path.stat()
    assert read_json(path)["restarts"] == 1
    path.write_text('{"restarts": 2}')
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert read_json(path)["restarts"] == 2


def test_a_large_file_is_read_as_a_whole(tmp_path: Path) -> None:
    data = os.urandom(100_000)
    (tmp_path / "large").write_bytes(data)
    assert read_if_there(tmp_path / "large") == data


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "\xff"])
def test_a_torn_file_holds_nothing_until_it_is_whole(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(text.encode("latin-1"))
    assert read_json(path) == {}
    path.write_text('{"phase": "running"}')
    assert read_json(path) == {"phase": "running"}


def test_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{}")
    for missing in (tmp_path / "none", tmp_path / "file" / "below"):
        assert read_if_there(missing) == b""
        assert read_json(missing) == {}
        assert names_in(missing) == []
        assert folders_in(missing) == []
        assert not is_folder(missing)


def test_what_cannot_be_read_is_not_taken_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"phase": "running"}')
    assert read_json(tmp_path / "state.json") == {"phase": "running"}
    with _no_descriptors():
        with pytest.raises(OSError, match="Too many open files"):
            read_json(tmp_path / "state.json")
        with pytest.raises(OSError, match="Too many open files"):
            names_in(tmp_path)
    assert read_json(tmp_path / "state.json") == {"phase": "running"}


def test_names_are_sorted_and_folders_told_from_files(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / ".a.lock").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert names_in(tmp_path) == [".a.lock", "a", "b", "c", "link"]
    assert folders_in(str(tmp_path)) == ["a", "b", "c", "link"]


def test_a_process_is_found_by_its_number_whatever_it_is_called(tmp_path: Path) -> None:
    program = os.fsencode(tmp_path) + b"/a) Z \xff ("
    shutil.copy(shutil.which("sleep") or "", program)
    child = subprocess.Popen([program, b"60"])
    try:
        found = processes.find(child.pid)
        assert found is not None
        assert found.alive
        assert processes.find(os.getpid()) != found
    finally:
        child.kill()
    deadline = time.monotonic() + DEADLINE
    while found.alive and time.monotonic() < deadline:  # not waited for: it is a zombie now
        time.sleep(0.01)
    assert Path(f"/proc/{child.pid}").is_dir()
    assert not found.alive
    child.wait()
    assert not found.alive


@contextmanager
def _no_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

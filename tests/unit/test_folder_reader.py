"""A plain folder is read with the confinement of a commit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitopsd.adapters.folder import FolderReader
from gitopsd.errors import Reason, UserError


@pytest.fixture
def reader(tmp_path: Path) -> FolderReader:
    root = tmp_path / "package"
    (root / "lib").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("secret")
    (root / "main.star").write_text("x")
    (root / "lib" / "run.sh").write_text("y")
    (root / "lib" / "run.sh").chmod(0o755)
    (root / "inside").symlink_to("lib/run.sh")
    (root / "outside").symlink_to("../secret")
    (root / "around").symlink_to(".")
    (tmp_path / "secret").write_text("canary")
    os.mkfifo(root / "pipe")
    return FolderReader(str(root), file_bytes=10)


def test_files_and_links_inside_are_read(reader: FolderReader) -> None:
    assert reader.read("main.star") == b"x"
    assert reader.read("./inside") == b"y"
    assert [(file.path, file.mode) for file in reader.files("lib")] == [("run.sh", 0o755)]
    assert [file.path for file in reader.files("lib/run.sh")] == ["run.sh"]
    assert (reader.is_folder("lib"), reader.is_folder("main.star"), reader.exists("none")) == (True, False, False)


@pytest.mark.parametrize(
    "path",
    ["../secret", "/etc/passwd", "outside", "none", ".git/config", ".git", "lib/../../secret", "pipe", "lib", "a\0b"],
)
def test_what_lies_outside_is_refused_as_what_does_not_exist(reader: FolderReader, path: str) -> None:
    with pytest.raises(UserError) as caught:
        reader.read(path)
    assert caught.value.reason is Reason.PATH_REFUSED
    assert caught.value.message.endswith("is no file or folder inside the repository")


def test_a_folder_with_a_link_that_goes_in_circles_is_refused(reader: FolderReader) -> None:
    with pytest.raises(UserError):
        list(reader.files(""))


def test_a_file_that_is_too_large_is_refused(reader: FolderReader, tmp_path: Path) -> None:
    (tmp_path / "package" / "big").write_bytes(b"x" * 11)
    with pytest.raises(UserError, match="is longer than 10 bytes"):
        reader.read("big")

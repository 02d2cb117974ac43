"""Entries of a cache on disk, which several processes share: bounded, and only ever slower when one is lost."""

from __future__ import annotations

import os
import time
from pathlib import Path

from gitopsd.kit import cachefile

KIB = 1024


def entries(folder: Path, *names: str, size: int = 8 * KIB) -> None:
    """Writes entries of which each was used a minute after the one before, the last of them a day ago."""
    for number, name in enumerate(reversed(names)):
        cachefile.write(f"{folder}/{name}", os.urandom(size))
        used = time.time() - 24 * 3600 - number * 60
        os.utime(folder / name, (used, used))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_what_was_not_used_for_longest_goes_until_the_rest_fits(tmp_path: Path) -> None:
    entries(tmp_path, "oldest", "old", "new")
    cachefile.tidy(str(tmp_path), size=16 * KIB)
    assert names(tmp_path) == {"old", "new"}


def test_an_entry_that_is_read_is_used(tmp_path: Path) -> None:
    entries(tmp_path, "read", "old", "new")
    assert cachefile.read(f"{tmp_path}/read")
    os.utime(tmp_path / "read", (time.time(), (tmp_path / "read").stat().st_mtime))  # not every mount notes a read
    cachefile.tidy(str(tmp_path), size=16 * KIB)
    assert names(tmp_path) == {"read", "new"}


def test_a_cache_that_fits_is_left_alone(tmp_path: Path) -> None:
    entries(tmp_path, "one", "two")
    cachefile.tidy(str(tmp_path), size=16 * KIB)
    assert names(tmp_path) == {"one", "two"}


def test_it_is_looked_through_once_an_hour_whoever_asks(tmp_path: Path) -> None:
    cachefile.tidy(str(tmp_path), size=KIB)
    entries(tmp_path, "one", "two")
    cachefile.tidy(str(tmp_path), size=KIB)
    assert names(tmp_path) == {"one", "two"}
    (stamp,) = (path for path in tmp_path.iterdir() if path.name.startswith("."))
    os.utime(stamp, (time.time(), time.time() - 2 * 3600))
    cachefile.tidy(str(tmp_path), size=KIB)
    assert names(tmp_path) == set()


def test_what_is_being_read_stays_readable_and_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    entries(tmp_path, "one")
    with (tmp_path / "one").open("rb") as open_entry:
        cachefile.tidy(str(tmp_path), size=0)
        assert len(open_entry.read()) == 8 * KIB
    cachefile.tidy(str(tmp_path / "nowhere"), size=0)
    assert cachefile.read(f"{tmp_path}/one") is None

"""Entries of a cache on disk, a file each: one that cannot be read or written only makes things slower.

A worker reads a hundred of them before it does anything, so pathlib, which takes long to import, is left out.
"""

from __future__ import annotations

import os
import time

_TIDIED = ".tidied"
_EVERY = 3600.0
"""Seconds between two looks through a cache."""
_BLOCK = 512


def read(path: str) -> bytes | None:
    """The content of an entry; None when it is not there."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return None


def write(path: str, content: bytes) -> None:
    """Writes an entry whole or not at all; its folder must be there."""
    begun = f"{path}.{os.getpid()}"
    try:
        with open(begun, "xb") as file:
            file.write(content)
        os.replace(begun, path)
    except OSError:
        return


def tidy(folder: str, *, size: int) -> None:
    """Bounds a cache to ``size`` bytes on the disk: what was not used for longest goes. At most once an hour, whoever
    asks; an entry that goes while it is being read stays readable, and one that is lost is made again."""
    stamp = f"{folder}/{_TIDIED}"
    try:
        if os.path.exists(stamp) and time.time() - os.stat(stamp).st_mtime < _EVERY:
            return
        with open(stamp, "wb"):
            os.utime(stamp)
        with os.scandir(folder) as entries:
            found = [(entry.stat(follow_symlinks=False), entry.path) for entry in entries if entry.name != _TIDIED]
    except OSError:
        return
    left = sum(stat.st_blocks for stat, _ in found) * _BLOCK
    for stat, path in sorted(found, key=lambda item: max(item[0].st_atime, item[0].st_mtime)):
        if left > size and _removed(path):
            left -= stat.st_blocks * _BLOCK


def _removed(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True

"""Entries of a cache on disk, a file each: one that cannot be read or written only makes things slower.

A worker reads a hundred of them before it does anything, so pathlib, which takes long to import, is left out.
"""

from __future__ import annotations

import os


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

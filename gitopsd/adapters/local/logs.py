"""Lines of a service's output, which its shim rotates."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

_PAUSE = 0.1


def lines(folder: Path, *, tail: int, follow: bool, gone: Callable[[], bool]) -> Iterator[str]:
    """The last ``tail`` lines that a shim kept below ``folder``, oldest first; with ``follow`` those that come as
    well, until ``gone`` says that no more will or the caller closes the iterator."""
    path = folder / "output.log"
    kept: deque[str] = deque(maxlen=max(tail, 0))
    for file in (*reversed(sorted(folder.glob("output.log.*"))), path):
        data = _read(file, 0)
        kept.extend(_text(line) for line in data.splitlines())
    position = len(data)
    inode = _inode(path)
    yield from kept
    rest = b""
    while follow:
        now = _inode(path)
        if now != inode:
            rest += _read(path.with_name("output.log.1"), position)
            inode, position = now, 0
        data = _read(path, position)
        position += len(data)
        *whole, rest = (rest + data).split(b"\n")
        yield from map(_text, whole)
        if not data:
            if gone():
                return
            time.sleep(_PAUSE)


def _read(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read()
    except FileNotFoundError:
        return b""


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")

"""Files out of a private view: one process reads them there, as the service's user, and sends them through a pipe;
another, outside, writes them down. Neither trusts a path of the other. Imports the standard library alone.

A frame is a line of JSON ``{"path", "mode", "size"}`` and ``size`` bytes; the last is ``{"end": ""}`` or
``{"end": "<what was wrong>"}``; ``{"missing": true}`` tells that the path is not there.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from typing import IO, Any

_CHUNK = 1 << 20
_PLACES = 100_000


class Refused(Exception):
    """A path that cannot be taken; the text says why."""


def send(path: str, out: IO[bytes]) -> None:
    """Sends the contents of a folder, or one file under its own name; a final ``/*`` is the folder."""
    top = os.path.realpath(path[:-1] if path.endswith("/*") else path)
    try:
        found = os.stat(top)
        if stat.S_ISDIR(found.st_mode):
            for name, real in _walk(top, top, ()):
                _send_file(name, real, out)
        else:
            _send_file(os.path.basename(path.rstrip("/")), top, out)
        _line(out, {"end": ""})
    except FileNotFoundError:
        _line(out, {"missing": True} if not os.path.exists(top) else {"end": f"{path} changed meanwhile"})
    except (OSError, Refused) as error:
        _line(out, {"end": f"{path}: {error}"})


def _walk(folder: str, top: str, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Relative name and real path of every file; a link counts as what it points to, which must lie below top."""
    real_folder = os.path.realpath(folder)
    if real_folder in above:
        raise Refused(f"{folder} is a symbolic link to a folder that holds it")
    for name in sorted(os.listdir(folder)):
        path = f"{folder}/{name}"
        real = os.path.realpath(path)
        if real != top and not real.startswith(top.rstrip("/") + "/"):
            raise Refused(f"{path} is a symbolic link that leaves {top}")
        kind = os.stat(real).st_mode
        if stat.S_ISDIR(kind):
            yield from _walk(path, top, (*above, real_folder))
        elif stat.S_ISREG(kind):
            yield os.path.relpath(path, top), real
        else:
            raise Refused(f"{path} is neither a file nor a folder")


def _send_file(name: str, path: str, out: IO[bytes]) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise Refused(f"{path} is neither a file nor a folder")
        data = file.read()
    _line(out, {"path": name, "mode": found.st_mode & 0o777, "size": len(data)})
    out.write(data)


def _line(out: IO[bytes], data: dict[str, Any]) -> None:
    out.write(json.dumps(data).encode() + b"\n")
    out.flush()


def receive(source: IO[bytes], folder: str, *, limit: int) -> str | None:
    """Writes what arrives below a new folder. Returns None when all is there, ``missing``, or what was wrong."""
    os.makedirs(folder, mode=0o700)
    size = places = 0
    while True:
        line = source.readline(1 << 16)
        try:
            frame = json.loads(line)
        except ValueError:
            return "the process that reads the files ended too early"
        if "end" in frame:
            return str(frame["end"]) or None
        if "missing" in frame:
            return "missing"
        size, places = size + int(frame["size"]), places + 1
        if size > limit or places > _PLACES:
            return f"more than {limit} bytes or {_PLACES} files"
        problem = _write(source, folder, frame)
        if problem:
            return problem


def _write(source: IO[bytes], folder: str, frame: dict[str, Any]) -> str | None:
    parts = str(frame["path"]).split("/")
    if not all(parts) or any(part in (".", "..") for part in parts):
        return f"{frame['path']!r} is no path of an artifact"
    path = "/".join((folder, *parts))
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700 if frame["mode"] & 0o111 else 0o600)
        with os.fdopen(descriptor, "wb") as file:
            left = int(frame["size"])
            while left:
                data = source.read(min(left, _CHUNK))
                if not data:
                    return "the process that reads the files ended too early"
                file.write(data)
                left -= len(data)
        return None
    return f"{frame['path']!r} came twice"

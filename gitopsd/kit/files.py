"""Files that are replaced as a whole, for their owner alone, and names that are safe as a path."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from pathlib import Path
from urllib.parse import quote

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def folder_name(name: str) -> str:
    """A name as one path component that no other name gets; long or odd names become a digest."""
    if _PLAIN.fullmatch(name):
        return name
    quoted = quote(name, safe="", errors="surrogatepass")
    if len(quoted) <= 120 and not quoted.startswith("."):
        return quoted
    return "%" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def make_folder(path: Path) -> Path:
    """Makes a folder and its parents, mode 0700."""
    if not path.is_dir():
        for parent in reversed((path, *path.parents)):
            with contextlib.suppress(FileExistsError):
                parent.mkdir(mode=0o700)
    return path


def sync_folder(path: Path) -> None:
    """Makes a rename inside a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Replaces a file as a whole, mode 0600; ``durable`` waits until the disk has it."""
    temporary = path.with_name(f".{path.name[:60]}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)

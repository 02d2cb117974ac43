"""Content digests: SHA-256 over sorted paths, modes and bytes, never over archive bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def content_digest(files: Iterable[tuple[str, int, bytes]]) -> str:
    """The digest (hex) of files given as ``(path, mode, bytes)``; only the executable bit of a mode counts."""
    whole = hashlib.sha256()
    for path, mode, data in sorted(files, key=lambda item: item[0]):
        kind = b"x" if mode & 0o111 else b"-"
        name = path.encode("utf-8", "surrogateescape")
        whole.update(b"%d:%s%s%s" % (len(name), name, kind, hashlib.sha256(data).digest()))
    return whole.hexdigest()

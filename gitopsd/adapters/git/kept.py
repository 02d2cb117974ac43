"""Files of pinned commits, kept on disk as they were read: a commit never changes, so a worker that finds here all
that it reads loads no Git library, which would be a fifth of its time."""

from __future__ import annotations

import hashlib

from gitopsd.kit import cachefile

_LARGEST = 1024 * 1024


class KeptFiles:
    """Keeps the files that one evaluation reads of its dependencies, in a folder of mode 0700 ("": keeps nothing)."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def get(self, url: str, commit: str, path: str) -> bytes | None:
        """The content of a file of a repository at a commit; None when it is not kept."""
        return cachefile.read(self._entry(url, commit, path)) if self._folder else None

    def keep(self, url: str, commit: str, path: str, content: bytes) -> None:
        """Keeps a file, and none above 1 MiB."""
        if self._folder and len(content) <= _LARGEST:
            cachefile.write(self._entry(url, commit, path), content)

    def _entry(self, url: str, commit: str, path: str) -> str:
        key = hashlib.sha256("\0".join((url, commit, path)).encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._folder}/file-{key}"

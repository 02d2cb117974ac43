"""Reads files of a plain folder, uncommitted ones included, confined to it: what ``gitopsd plan DIR`` evaluates.

The same rules as for a commit (``adapters/git/reader.py``): what lies outside is refused with one message, the same
whether or not anything is there. ``.git`` does not exist for a package.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from gitopsd.errors import Reason, UserError
from gitopsd.model.package import Missing, Pin, TreeFile

if TYPE_CHECKING:  # a worker reads folders, and pays for what it imports
    from pathlib import Path

    from gitopsd.model.environment import Commit, Source
    from gitopsd.ports import Git

_SHOWN = 200


class FolderReader:
    """The files below ``folder``. ``file_bytes`` of one file, ``total_bytes`` and ``most_files`` of one read.

    Every read raises UserError PATH_REFUSED for a path outside and LIMIT_EXCEEDED beyond the limits.
    """

    def __init__(
        self,
        folder: str,
        *,
        file_bytes: int = 64 * 1024 * 1024,
        total_bytes: int = 512 * 1024 * 1024,
        most_files: int = 20_000,
    ) -> None:
        self._root = os.path.realpath(folder)
        self._file_bytes = file_bytes
        self._total_bytes = total_bytes
        self._most_files = most_files
        self._folders: dict[str, str] = {}

    def read(self, path: str) -> bytes:
        """The bytes of one file; symbolic links inside the folder are followed."""
        return self._content(self._place(path), path)

    def exists(self, path: str) -> bool:
        """Whether a path names a file or folder inside."""
        try:
            self._find(path)
        except UserError:
            return False
        return True

    def is_folder(self, path: str) -> bool:
        """Whether a path names a folder inside."""
        try:
            return os.path.isdir(self._find(path))
        except UserError:
            return False

    def files(self, path: str) -> Iterator[TreeFile]:
        """The files below a folder, with paths relative to it, sorted, or the one file under its own name."""
        top = self._find(path)
        if not os.path.isdir(top):
            yield self._tree_file(path.rstrip("/").rpartition("/")[2], top, path)
            return
        left, count = self._total_bytes, 0
        for name, place in self._below(top, path, (top,)):
            found = self._tree_file(name, place, f"{path}/{name}")
            left, count = left - len(found.content), count + 1
            if left < 0 or count > self._most_files:
                what = f"{self._total_bytes} bytes" if left < 0 else f"{self._most_files} files"
                raise _exceeded(path, f"holds more than {what}")
            yield found

    def _below(self, folder: str, path: str, chain: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for name in sorted(os.listdir(folder)):
            if name == ".git":
                continue
            place = self._find(os.path.relpath(os.path.join(folder, name), self._root))
            if not os.path.isdir(place):
                yield name, place
            elif place in chain:
                raise _refused(f"{path}/{name}")
            else:
                for inner, found in self._below(place, f"{path}/{name}", (*chain, place)):
                    yield f"{name}/{inner}", found

    def _tree_file(self, name: str, place: str, path: str) -> TreeFile:
        mode = 0o755 if os.stat(place).st_mode & 0o111 else 0o644
        return TreeFile(path=name, mode=mode, content=self._content(place, path))

    def _find(self, path: str) -> str:
        place = self._place(path)
        if not os.path.exists(place):
            raise _refused(path)
        return place

    def _place(self, path: str) -> str:
        """Where a path inside the folder really is; nothing need be there."""
        if "\0" in path or path.startswith("/") or ".." in path.split("/"):
            raise _refused(path)
        folder, _, name = path.rpartition("/")
        place = f"{self._resolved(folder)}/{name}"
        if name in ("", ".") or os.path.islink(place):
            place = os.path.realpath(place)
        root = self._root.rstrip("/")
        inside = place == self._root or place.startswith(f"{root}/")
        if not inside or ".git" in place[len(root) :].split("/"):
            raise _refused(path)
        return place

    def _resolved(self, folder: str) -> str:
        """Where a folder really is. Each is looked up once: a package has many files in few folders."""
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(os.path.join(self._root, folder))
        return self._folders[folder]

    def _content(self, place: str, path: str) -> bytes:
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            raise _refused(path) from None
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise _refused(path)
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            if found.st_size > self._file_bytes:
                raise _exceeded(path, f"is longer than {self._file_bytes} bytes")
            return stream.read(found.st_size)


class FolderGit:
    """The port ``Git`` over one plain folder, as the repository ``file://<folder>`` whose only commit has the id "".

    ``others`` gives the Git for repositories that a package names; it is asked for when one is needed.
    """

    def __init__(self, folder: Path, others: Callable[[], Git]) -> None:
        self.url = f"file://{folder.resolve()}"
        self._folder = str(folder.resolve())
        self._reader = FolderReader(self._folder)
        self._others = others

    def head(self, source: Source) -> Commit:
        from gitopsd.model.environment import Commit

        return Commit(url=self.url, ref=source.ref, id="") if source.url == self.url else self._others().head(source)

    def pin(self, missing: Missing, *, environment: str) -> Pin:
        return self._others().pin(missing, environment=environment)

    def read(self, url: str, commit: str, path: str) -> bytes:
        return self._reader.read(path) if self._is_own(url, commit) else self._others().read(url, commit, path)

    def files(self, url: str, commit: str, path: str) -> tuple[TreeFile, ...]:
        if self._is_own(url, commit):
            return tuple(self._reader.files(path))
        return self._others().files(url, commit, path)

    def commits(self, source: Source, *, limit: int = 50) -> tuple[Commit, ...]:
        return () if source.url == self.url else self._others().commits(source, limit=limit)

    def rewrote(self, url: str, before: str, after: str) -> bool:
        return False

    def mirror(self, url: str) -> str:
        return self._folder if url == self.url else self._others().mirror(url)

    def _is_own(self, url: str, commit: str) -> bool:
        return url == self.url and not commit


def _shown(path: str) -> str:
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in path[:_SHOWN])
    return f"'{text}'" + ("…" if len(path) > _SHOWN else "")


def _refused(path: str) -> UserError:
    return UserError(
        Reason.PATH_REFUSED,
        f"{_shown(path)} is no file or folder inside the repository",
        hint="paths are relative to it and must not leave it, links included; submodules are not read",
    )


def _exceeded(path: str, what: str) -> UserError:
    return UserError(Reason.LIMIT_EXCEEDED, f"{_shown(path)} {what}", hint="the operator sets this limit")

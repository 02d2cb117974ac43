"""Reads files of one commit from a bare mirror, confined to its tree; never writes, never connects.

What lies outside is refused with one message, the same whether or not anything is there: symbolic links that leave
the tree, ``..``, absolute paths, NUL, submodules, and also what simply does not exist.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pygit2

from gitopsd.errors import Reason, UserError

if TYPE_CHECKING:
    from gitopsd.model.package import TreeFile

_LINK, _SUBMODULE, _FOLDER, _EXECUTABLE = 0o120000, 0o160000, 0o040000, 0o100755
_LONGEST_PATH = 4096
_LONGEST_LINK = 4096
_MOST_LINKS = 40
_MOST_FOLDERS_DEEP = 200
_LARGEST_TREE = 8 * 1024 * 1024
_MOST_CACHED = 1000
_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """``file_bytes`` of one file; ``files`` and ``total_bytes`` of one folder that is read with all below it."""

    file_bytes: int = 64 * 1024 * 1024
    files: int = 20_000
    total_bytes: int = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: int
    id: pygit2.Oid
    way: tuple[str, ...]


class _OutsideError(Exception):
    """The path names nothing inside the tree."""


class TreeReader:
    """The files of one commit of the bare repository in ``mirror_folder``.

    Raises UserError REF_MISSING when the mirror does not hold the commit. Every read raises UserError PATH_REFUSED
    for a path outside the tree and LIMIT_EXCEEDED beyond the limits.
    """

    def __init__(self, mirror_folder: str, commit: str, limits: ReadLimits | None = None) -> None:
        self._limits = limits or ReadLimits()
        self._trees: dict[pygit2.Oid, dict[str, tuple[int, pygit2.Oid]]] = {}
        try:
            self._repository = pygit2.Repository(mirror_folder, pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
            found = self._repository[pygit2.Oid(hex=commit)].peel(pygit2.Commit)
            self._root = found.tree_id
        except (pygit2.GitError, KeyError, ValueError, OSError):
            raise UserError(
                Reason.REF_MISSING,
                f"the commit {commit[:40]} is not in the mirror",
                hint="it may have vanished from its repository by a force-push: follow another commit",
            ) from None

    def read(self, path: str) -> bytes:
        """The bytes of one file; symbolic links inside the tree are followed."""
        try:
            entry = self._find(path)
        except _OutsideError:
            raise _refused(path) from None
        if entry.mode == _FOLDER:
            raise _refused(path)
        return self._content(entry, path, self._limits.file_bytes)

    def exists(self, path: str) -> bool:
        """Whether a path names a file or folder inside the tree."""
        try:
            self._find(path)
        except _OutsideError:
            return False
        return True

    def is_folder(self, path: str) -> bool:
        """Whether a path names a folder inside the tree."""
        try:
            return self._find(path).mode == _FOLDER
        except _OutsideError:
            return False

    def files(self, path: str) -> Iterator[TreeFile]:
        """The files below a folder, with paths relative to it, or the one file under its own name.

        Links to files and folders inside the tree are followed; a folder that holds a link which leaves the tree, names
        nothing or goes in circles is refused as a whole. A submodule has no files, as in a clone that does not ask
        for those of other repositories.
        """
        from gitopsd.model.package import TreeFile

        try:
            entry = self._find(path)
        except _OutsideError:
            raise _refused(path) from None
        names = [(path.rstrip("/").rpartition("/")[2], entry)] if entry.mode != _FOLDER else self._below(entry, path)
        left = self._limits.total_bytes
        for count, (name, item) in enumerate(names):
            if count >= self._limits.files:
                raise _exceeded(path, f"holds more than {self._limits.files} files")
            content = self._content(item, f"{path}/{name}" if entry.mode == _FOLDER else path, self._limits.file_bytes)
            left -= len(content)
            if left < 0:
                raise _exceeded(path, f"holds more than {self._limits.total_bytes} bytes")
            yield TreeFile(path=name, mode=0o755 if item.mode == _EXECUTABLE else 0o644, content=content)

    def _content(self, entry: _Entry, path: str, limit: int) -> bytes:
        try:
            kind, size = self._repository.odb.read_header(entry.id)
            if kind != pygit2.enums.ObjectType.BLOB:
                raise _refused(path)
            if size > limit:
                raise _exceeded(path, f"is {size} bytes long, more than {limit}")
            return bytes(self._repository.odb.read(entry.id)[1])
        except (KeyError, pygit2.GitError):
            raise _refused(path) from None

    def _below(self, top: _Entry, path: str) -> Iterator[tuple[str, _Entry]]:
        """Walks depth first; a folder that is entered through a link must not be one of those that lead to it."""
        stack: list[tuple[str, _Entry, tuple[pygit2.Oid, ...]]] = [("", top, (top.id,))]
        folders = 0
        while stack:
            prefix, folder, chain = stack.pop()
            folders += 1
            if folders > self._limits.files or len(chain) > _MOST_FOLDERS_DEEP:
                raise _exceeded(path, "holds too many folders")
            inner: list[tuple[str, _Entry, tuple[pygit2.Oid, ...]]] = []
            for name, found in self._listed(folder, f"{path}/{prefix}").items():
                if found[0] == _SUBMODULE:
                    continue
                shown = f"{path}/{prefix}{name}"
                try:
                    entry = self._follow(_Entry(*found, (*folder.way, name)), [_MOST_LINKS])
                except _OutsideError:
                    raise _refused(shown) from None
                if entry.mode != _FOLDER:
                    yield f"{prefix}{name}", entry
                elif entry.id in chain:
                    raise _refused(shown)
                else:
                    inner.append((f"{prefix}{name}/", entry, (*chain, entry.id)))
            stack.extend(reversed(inner))

    def _listed(self, folder: _Entry, path: str) -> dict[str, tuple[int, pygit2.Oid]]:
        try:
            return self._entries(folder.id)
        except _OutsideError:
            raise _refused(path) from None

    def _find(self, path: str) -> _Entry:
        if len(path) > _LONGEST_PATH or "\0" in path or path.startswith("/"):
            raise _OutsideError
        if ".." in path.split("/"):
            raise _OutsideError
        return self._walk((), path, [_MOST_LINKS])

    def _walk(self, way: tuple[str, ...], path: str, links: list[int]) -> _Entry:
        """The entry at ``path`` as seen from the folder ``way``, itself free of links. ``links`` counts down."""
        current = self._plain(way)
        for part in path.split("/"):
            if part in ("", "."):
                continue
            if current.mode != _FOLDER:
                raise _OutsideError
            if part == "..":
                if not current.way:
                    raise _OutsideError
                current = self._plain(current.way[:-1])
                continue
            current = self._follow(self._child(current, part), links)
        return current

    def _follow(self, entry: _Entry, links: list[int]) -> _Entry:
        if entry.mode == _SUBMODULE:
            raise _OutsideError
        if entry.mode != _LINK:
            return entry
        links[0] -= 1
        if links[0] < 0:
            raise _OutsideError
        try:
            target = os.fsdecode(self._content(entry, "", _LONGEST_LINK))
        except UserError:
            raise _OutsideError from None
        if not target or target.startswith("/") or "\0" in target:
            raise _OutsideError
        return self._walk(entry.way[:-1], target, links)

    def _plain(self, way: tuple[str, ...]) -> _Entry:
        current = _Entry(_FOLDER, self._root, ())
        for part in way:
            current = self._child(current, part)
        return current

    def _child(self, folder: _Entry, name: str) -> _Entry:
        found = self._entries(folder.id).get(name)
        if found is None:
            raise _OutsideError
        return _Entry(*found, (*folder.way, name))

    def _entries(self, tree_id: pygit2.Oid) -> dict[str, tuple[int, pygit2.Oid]]:
        known = self._trees.get(tree_id)
        if known is None:
            known = self._load(tree_id)
            if len(self._trees) < _MOST_CACHED:
                self._trees[tree_id] = known
        return known

    def _load(self, tree_id: pygit2.Oid) -> dict[str, tuple[int, pygit2.Oid]]:
        try:
            if self._repository.odb.read_header(tree_id)[1] > _LARGEST_TREE:
                raise _OutsideError
            tree = self._repository[tree_id]
        except (KeyError, pygit2.GitError):
            raise _OutsideError from None
        if not isinstance(tree, pygit2.Tree):
            raise _OutsideError
        return {_name(item.raw_name or b""): (_mode(item), item.id) for item in tree}


def _name(raw: bytes) -> str:
    """A tree is data of strangers: Git itself would never write these names."""
    name = os.fsdecode(raw)
    if name in ("", ".", "..") or "/" in name or name.lower() == ".git":
        raise _OutsideError
    return name


def _mode(item: pygit2.Object) -> int:
    mode = int(item.filemode)
    if mode in (_LINK, _SUBMODULE, _FOLDER):
        return mode
    return _EXECUTABLE if mode & 0o111 else 0o100644


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

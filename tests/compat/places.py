"""Packages from git directories that may lack some objects: a work tree written file by file, and mirrors that borrow.

A snapshot of a public repository need not be complete (large images are left out), and Git refuses to transfer from
one that is not. So nothing is transferred: the root package becomes a folder without the files that are not there, and
each dependency a mirror in gitopsd's own cache that reads the objects where they are (``objects/info/alternates`` of
gitrepository-layout(5)), with the refs where gitopsd looks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pygit2

from gitopsd.adapters.git.mirrors import GitMirrors
from gitopsd.adapters.git.refs import local_name

_LINK, _SUBMODULE, _EXECUTABLE = 0o120000, 0o160000, 0o100755


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A package on the disk: its folder, the commit that it is at with its day, and the files that were not there."""

    folder: Path
    commit: str
    day: str
    missing: tuple[str, ...]


def opened(packages: Path, repository: str) -> pygit2.Repository | None:
    """The repository ``owner/name`` below ``packages``; None when it is not there."""
    folder = packages / repository
    return pygit2.Repository(str(folder.resolve())) if folder.exists() else None


def check_out(packages: Path, repository: str, folder: Path) -> Checkout | None:
    """Writes the newest commit of a repository to a folder; None when the repository is not there."""
    source = opened(packages, repository)
    if source is None:
        return None
    commit = source.head.peel(pygit2.Commit)
    missing = []
    for path, entry in _files(source, commit.tree, ""):
        if entry.id not in source:
            missing.append(path)
            continue
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        content = source[entry.id].read_raw()
        if entry.filemode == _LINK:
            target.symlink_to(content.decode())
        else:
            target.write_bytes(content)
            target.chmod(0o755 if entry.filemode == _EXECUTABLE else 0o644)
    day = f"{datetime.fromtimestamp(commit.commit_time, UTC):%Y-%m-%d}"
    return Checkout(folder=folder, commit=str(commit.id), day=day, missing=tuple(missing))


def _files(source: pygit2.Repository, tree: pygit2.Tree, prefix: str) -> Iterator[tuple[str, pygit2.Object]]:
    for entry in tree:
        if isinstance(entry, pygit2.Tree):
            yield from _files(source, entry, f"{prefix}{entry.name}/")
        elif entry.filemode != _SUBMODULE:
            yield f"{prefix}{entry.name}", entry


def borrow(packages: Path, cache: Path) -> None:
    """Prepares the mirrors of all repositories below ``packages`` in the cache of ``gitopsd plan``."""
    mirrors = GitMirrors(cache / "git")
    for folder in sorted(packages.glob("*/*")):
        source = pygit2.Repository(str(folder.resolve()))
        mirror = pygit2.init_repository(
            mirrors.mirror(f"https://github.com/{folder.parent.name}/{folder.name}"), bare=True
        )
        objects = Path(source.path) / "objects"
        (Path(mirror.path) / "objects" / "info").mkdir(parents=True, exist_ok=True)
        (Path(mirror.path) / "objects" / "info" / "alternates").write_text(f"{objects}\n")
        _write_refs(source, Path(mirror.path))


def _write_refs(source: pygit2.Repository, mirror: Path) -> None:
    lines = ["# pack-refs with: sorted \n"]
    named = {name: str(source.references[name].resolve().target) for name in source.references}
    named["HEAD"] = str(source.head.target)
    lines += sorted(f"{target} {local_name(name)}\n" for name, target in named.items())
    (mirror / "packed-refs").write_text("".join(lines[:1] + sorted(lines[1:], key=lambda line: line.split()[1])))

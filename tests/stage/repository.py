"""Real Git repositories to push to: bare ones of whole trees, and checkouts with their files in a folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pygit2

AUTHOR = pygit2.Signature("Ann", "ann@example.test", 1_700_000_000, 0)
MESSAGE = "Change things\n\nbody"
Content = bytes | tuple[int, object]
"""Bytes of a plain file, or a mode with the bytes (link target, executable) or the object id (submodule)."""


class Repository:
    """A bare repository that commits are written into, each with the whole tree that it shall have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git = pygit2.init_repository(str(folder), bare=True)
        self.git.set_head("refs/heads/main")

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def tree(self, files: Mapping[str, Content]) -> pygit2.Oid:
        builder = self.git.TreeBuilder()
        folders: dict[str, dict[str, Content]] = {}
        for path, content in files.items():
            head, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(head, {})[rest] = content
            elif isinstance(content, bytes):
                builder.insert(path, self.git.create_blob(content), 0o100644)
            else:
                mode, what = content
                builder.insert(path, self.git.create_blob(what) if isinstance(what, bytes) else what, mode)
        for name, inner in folders.items():
            builder.insert(name, self.tree(inner), 0o040000)
        return builder.write()

    def commit(
        self,
        files: Mapping[str, Content],
        *,
        branch: str = "main",
        new_root: bool = False,
        author: pygit2.Signature = AUTHOR,
        message: str = MESSAGE,
    ) -> str:
        """The id of a commit that holds ``files`` alone; the same commits in the same order have the same ids."""
        return _committed(self.git, self.tree(files), branch, author, message, new_root=new_root)

    def commit_delta_bomb(self, size: int) -> None:
        """A commit of two large blobs, the second kept as a delta of the first."""
        self.commit({f"f{index}": bytes(size - 1) + bytes([index]) for index in range(2)})
        command = ["git", "-C", str(self.folder), "-c", "core.bigFileThreshold=4g", "-c", "pack.threads=1"]
        subprocess.run(
            [*command, "-c", "safe.directory=*", "repack", "-adfq"], check=True, env={"PATH": os.environ["PATH"]}
        )

    def tag(self, name: str, commit: str, *, annotated: bool = True) -> None:
        if annotated:
            oid = pygit2.Oid(hex=commit)
            self.git.create_tag(name, oid, pygit2.enums.ObjectType.COMMIT, AUTHOR, "a tag")
        else:
            self.git.references.create(f"refs/tags/{name}", pygit2.Oid(hex=commit), force=True)


class Checkout:
    """A repository as a person has it, with its files in a folder: what a push does not name stays as it was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git = pygit2.init_repository(str(folder), initial_head="main")

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def write(self, files: Mapping[str, str]) -> None:
        """Writes files without committing them."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, message: str = MESSAGE, *, new_root: bool = False) -> str:
        """The id of a commit of all that lies in the folder."""
        self.git.index.add_all()
        self.git.index.write()
        author = pygit2.Signature(AUTHOR.name, AUTHOR.email)
        return _committed(self.git, self.git.index.write_tree(), "main", author, message, new_root=new_root)

    def push(self, files: Mapping[str, str], *, new_root: bool = False) -> str:
        """Writes files and commits."""
        self.write(files)
        return self.commit(new_root=new_root)


def _committed(
    git: pygit2.Repository, tree: pygit2.Oid, branch: str, author: pygit2.Signature, message: str, *, new_root: bool
) -> str:
    name = f"refs/heads/{branch}"
    parents = [] if new_root or name not in git.references else [git.references[name].target]
    made = git.create_commit(None, author, author, message, tree, parents)
    git.references.create(name, made, force=True)
    return str(made)

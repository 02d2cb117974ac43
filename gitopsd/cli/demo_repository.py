"""The scratch repository of the demo: the bundled sample, with real commits."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pygit2

BRANCH = "main"
_AUTHOR = ("gitopsd demo", "demo@example.com")


def sample_folder() -> Path:
    """The bundled environment repository: inside the installed package, or at the top of a checkout.

    FileNotFoundError when this installation has none.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_sample", package.parent / "sample-repo"):
        if (folder / "gitopsd.yaml").is_file():
            return folder
    raise FileNotFoundError(f"{package / '_sample'}: the bundled sample repository is missing; install gitopsd again")


@dataclass(frozen=True, slots=True)
class DemoRepository:
    """A repository with a working tree at ``folder``; every commit goes to ``main``."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> DemoRepository:
        """Copies the sample into a new repository; nothing is committed yet."""
        shutil.copytree(sample_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
        pygit2.init_repository(folder, initial_head=BRANCH)
        return cls(folder)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replaces a text that stands once in a file. ValueError when it does not."""
        file = self.folder / path
        text = file.read_text("utf-8")
        if text.count(old) != 1:
            raise ValueError(f"{path} holds {old!r} {text.count(old)} times, expected once")
        file.write_text(text.replace(old, new), "utf-8")

    def commit(self, subject: str) -> str:
        """Commits the working tree and returns the commit's id."""
        repository = pygit2.Repository(str(self.folder))
        repository.index.add_all()
        repository.index.write()
        return self._write(repository, subject, repository.index.write_tree())

    def revert(self, commit: str) -> str:
        """What ``git revert`` does: a commit that takes another one back. ValueError when it does not apply."""
        repository = pygit2.Repository(str(self.folder))
        undone = repository[commit].peel(pygit2.Commit)
        head = repository.head.peel(pygit2.Commit)
        index = repository.merge_trees(undone.tree, head.tree, undone.parents[0].tree)
        if index.conflicts is not None:
            raise ValueError(f"commit {commit[:7]} cannot be taken back: later commits changed the same lines")
        made = self._write(repository, f'Revert "{undone.message.strip()}"', index.write_tree(repository))
        repository.reset(repository.head.target, pygit2.enums.ResetMode.HARD)
        return made

    @staticmethod
    def _write(repository: pygit2.Repository, subject: str, tree: pygit2.Oid) -> str:
        parents = [] if repository.head_is_unborn else [repository.head.target]
        author = pygit2.Signature(*_AUTHOR)
        return str(repository.create_commit("HEAD", author, author, subject, tree, parents))

"""Files artifacts: folders named by their content digest, each written once and never changed."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from gitopsd.adapters.local.folders import names_in, remove_tree
from gitopsd.errors import Reason, StepError
from gitopsd.kit.content import content_digest
from gitopsd.kit.files import make_folder, sync_folder
from gitopsd.model.package import TreeFile

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Artifacts:
    """The artifacts of one enclave below a folder. Equal contents are kept once."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    def digests(self) -> tuple[str, ...]:
        """Content digests of everything that is kept, sorted."""
        return tuple(filter(_is_digest, names_in(self._folder)))

    def put(self, files: Iterable[TreeFile]) -> str:
        """Keeps files and returns their digest. StepError PATH_REFUSED for a path that leaves the artifact,
        LIMIT_EXCEEDED when it is too large."""
        kept = sorted(files, key=lambda file: file.path)
        size = sum(len(file.content) for file in kept)
        if size > self._limit:
            raise StepError(Reason.LIMIT_EXCEEDED, f"an artifact of {size} bytes; the limit is {self._limit}")
        for file in kept:
            check_path(file.path)
        digest = content_digest((file.path, file.mode, file.content) for file in kept)
        if not (self._folder / digest).is_dir():
            self._write(digest, kept)
        return digest

    def _write(self, digest: str, files: list[TreeFile]) -> None:
        temporary = make_folder(self._folder / f".{secrets.token_hex(8)}")
        try:
            for file in files:
                path = temporary / file.path
                make_folder(path.parent)
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
                with os.fdopen(descriptor, "wb") as out:
                    os.fchmod(descriptor, 0o700 if file.mode & 0o111 else 0o600)
                    out.write(file.content)
                    out.flush()
                    os.fsync(descriptor)
            try:
                temporary.rename(self._folder / digest)
            except OSError:
                if not (self._folder / digest).is_dir():
                    raise
            sync_folder(self._folder)
        finally:
            remove_tree(temporary)

    def get(self, digest: str) -> tuple[TreeFile, ...]:
        """The files of a digest, sorted by path. StepError ARTIFACT_MISSING when they are not there, or were
        changed by another hand."""
        files = read_tree(self.path(digest))
        if content_digest((file.path, file.mode, file.content) for file in files) != digest:
            raise StepError(
                Reason.ARTIFACT_MISSING,
                f"the artifact {digest[:12]} was changed by another hand",
                hint=f"delete its folder {digest} below 'artifacts' of the enclave; what made it must run again",
            )
        return files

    def path(self, digest: str) -> Path:
        """The folder of a digest. StepError ARTIFACT_MISSING when there is none."""
        folder = self._folder / digest
        if not _is_digest(digest) or not folder.is_dir():
            raise StepError(Reason.ARTIFACT_MISSING, f"the artifact {digest[:12]} is not in the enclave")
        return folder

    def copy(self, digests: Iterable[str], target: Path, *, owner: int | None) -> None:
        """Copies artifacts, merged in order, to the new folder ``target`` for somebody to mount, writable by the
        user id ``owner``."""
        remove_tree(target)
        make_folder(target)
        for digest in digests:
            for root, _, names in os.walk(self.path(digest)):
                place = target / Path(root).relative_to(self.path(digest))
                place.mkdir(exist_ok=True)
                for name in names:
                    source = Path(root, name)
                    _clear(place / name)
                    shutil.copyfile(source, place / name, follow_symlinks=False)
                    (place / name).chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)
        for root, folders, names in os.walk(target):
            give(Path(root), owner)
            for name in names:
                give(Path(root, name), owner)
            for name in folders:
                Path(root, name).chmod(0o755)
        target.chmod(0o755)


def _clear(path: Path) -> None:
    if path.is_dir():
        remove_tree(path)


def give(path: Path, owner: int | None) -> None:
    """Makes a user id the owner of a file or folder; None leaves it."""
    if owner is not None:
        os.chown(path, owner, owner, follow_symlinks=False)


def read_tree(folder: Path) -> tuple[TreeFile, ...]:
    """The regular files below a folder, sorted by path; symbolic links are not followed and not listed."""
    found: list[TreeFile] = []
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                relative = path.relative_to(folder).as_posix()
                found.append(TreeFile(path=relative, mode=0o755 if mode & 0o100 else 0o644, content=path.read_bytes()))
    return tuple(sorted(found, key=lambda file: file.path))


def check_path(path: str) -> None:
    """StepError PATH_REFUSED unless ``path`` is relative, normal and stays inside its folder."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or "\0" in path or ".." in pure.parts or str(pure) != path or path == ".":
        raise StepError(
            Reason.PATH_REFUSED, f"{path!r} is no path of an artifact", hint="a relative path without '..' is"
        )


def _is_digest(name: str) -> bool:
    return _DIGEST.fullmatch(name) is not None

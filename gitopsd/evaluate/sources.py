"""What a package reads: modules, files and uploads, from Git trees at pinned commits and never from the network."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from gitopsd.errors import GitopsdError, Reason
from gitopsd.evaluate.engine import HostError, MissingSource, SourceFile
from gitopsd.kit.content import content_digest
from gitopsd.kit.ignore import uploaded
from gitopsd.kit.locators import (
    LocatorError,
    Place,
    is_absolute,
    is_download,
    parse_absolute,
    published,
    resolve,
    shown,
)
from gitopsd.model.package import Lock, Missing, Package, TreeFile

T = TypeVar("T")

_INSIDE = b"-_"
_BETWEEN = bytes(code if (chr(code).isalnum() and code < 128) or code in _INSIDE else 32 for code in range(256))
"""For each byte itself, or a blank where it cannot be in a word."""
_TEXT_FILE = 256 * 1024
_TEXT_IN_ALL = 1024 * 1024


class Trees(Protocol):
    """Reads commits in local mirrors; confined to the tree. Both raise UserError for what is not there."""

    def read(self, url: str, commit: str, path: str) -> bytes:
        """The content of one file."""

    def files(self, url: str, commit: str, path: str) -> tuple[TreeFile, ...]:
        """The files below a folder, or the one file, sorted by path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What ``upload_files`` names: its locator (or URL), where to read it again (``git <url> <commit> <path>`` or
    ``download <url>``), the content digest, and the words of the texts in it, up to a limit."""

    locator: str
    source: str
    content: str
    words: frozenset[str] = frozenset()


def words_of(text: bytes) -> frozenset[str]:
    """The words of a text in UTF-8: ASCII letters, digits, ``-`` and ``_`` within."""
    words = {word.strip(_INSIDE) for word in set(text.translate(_BETWEEN).split())}
    return frozenset(word.decode() for word in words if word)


class Sources:
    """The sources of one evaluation: the package, its pins and downloads. ``missing`` maps the locator of each
    MissingSource that was raised to what has to be fetched."""

    def __init__(self, package: Package, trees: Trees, tried: tuple[Missing, ...] = ()) -> None:
        self._package = package
        self._trees = trees
        self._commits = {(pin.root, pin.ref): (pin.url, pin.commit) for pin in package.pins}
        self._commits.setdefault((package.locator, ""), (package.url, package.commit))
        self._content_by_url = {item.url: item.content for item in package.downloads}
        self._read: set[tuple[str, str]] = set()
        self._uploaded: set[str] = set()
        self._place_by_path: dict[str, Place] = {}
        self._file_by_place: dict[Place, SourceFile] = {}
        self._tried = frozenset(tried)
        self.missing: dict[str, Missing] = {}

    @property
    def untried(self) -> tuple[Missing, ...]:
        """What is missing and was not tried to be fetched before this evaluation."""
        return tuple(item for item in self.missing.values() if item not in self._tried)

    def main_file(self) -> SourceFile:
        """The file that the package begins in. Raises HostError when there is none."""
        path = posixpath.join(self._package.path, self._package.main_file)
        return self._file(Place(root=self._package.locator, path=path))

    def read(self, locator: str, calling_file: str) -> SourceFile:
        """What ``import_module`` or ``read_file`` names. Raises HostError and MissingSource."""
        return self._file(self._resolved(locator, calling_file), named=is_absolute(locator))

    def upload(self, locator: str, calling_file: str) -> Upload:
        """What ``upload_files`` names: a file, a folder's contents, a repository, or a web address."""
        if is_download(locator):
            if locator not in self._content_by_url:
                self.missing[locator] = Missing(locator=locator, url=locator)
                raise MissingSource(f"{shown(locator)} was not downloaded yet", locator=locator)
            self._uploaded.add(locator)
            return Upload(locator=locator, source=f"download {locator}", content=self._content_by_url[locator])
        place = self._resolved(locator, calling_file)
        try:
            place, files = self._first(place, self._trees.files, named=is_absolute(locator))
            files = uploaded(files)
        except GitopsdError as error:
            raise HostError(f"cannot upload {shown(locator)}: {error.message}") from error
        if not files:
            raise HostError(f"cannot upload {shown(locator)}: there are no files in it")
        content = content_digest((item.path, item.mode, item.content) for item in files)
        url, commit = self._commit(place)
        source = f"git {url} {commit} {place.path}"
        return Upload(locator=str(place), source=source, content=content, words=_words(files))

    def build(self, folder: str, file: str, calling_file: str) -> str:
        """The content digest of a folder that an image is built from, and of ``file``, which is named from there.
        Raises HostError and MissingSource."""
        place = self._resolved(folder, calling_file)
        try:
            place, files = self._first(place, self._trees.files, named=is_absolute(folder))
            file = posixpath.normpath(file)
            if file.startswith("../"):
                path = posixpath.normpath(posixpath.join(place.path, file))
                files += tuple(replace(item, path=file) for item in self._trees.files(*self._commit(place), path))
        except GitopsdError as error:
            raise HostError(f"cannot build from {shown(folder)}: {error.message}") from error
        if file not in {item.path for item in files}:
            raise HostError(f"cannot build from {shown(folder)}: there is no file {shown(file)} in it")
        return content_digest((item.path, item.mode, item.content) for item in files)

    def lock(self) -> Lock:
        """The pins and downloads of the package that were read."""
        return Lock(
            pins=tuple(pin for pin in self._package.pins if (pin.root, pin.ref) in self._read),
            downloads=tuple(item for item in self._package.downloads if item.url in self._uploaded),
        )

    def display(self, path: str) -> str:
        """The file of a position as people know it: within the package's own repository its path there."""
        own = self._package.locator + "/"
        place = self._place_by_path.get(path)
        return path[len(own) :] if path.startswith(own) and not (place and place.ref) else path

    def _resolved(self, locator: str, calling_file: str) -> Place:
        try:
            caller = self._place_by_path.get(calling_file) or parse_absolute(calling_file)
            return resolve(locator, caller, self._package)
        except LocatorError as error:
            raise HostError(str(error)) from error

    def _file(self, place: Place, *, named: bool = False) -> SourceFile:
        if (known := self._file_by_place.get(place)) is not None:
            return known
        try:
            found, content = self._first(place, self._trees.read, named=named)
        except GitopsdError as error:
            whole = f"it names a whole repository, expected a file in it, such as {shown(f'{place.root}/main.star')}"
            told = error.message if place.path else whole
            raise HostError(f"cannot read {shown(self.display(str(place)))}: {told}") from error
        self._place_by_path.setdefault(str(found), found)
        self._file_by_place[found] = SourceFile(path=str(found), content=content)
        return self._file_by_place[found]

    def _first(self, place: Place, read: Callable[[str, str, str], T], *, named: bool) -> tuple[Place, T]:
        """A place with what it holds; one whose repository was named, and is not the one at hand, may be there."""
        try:
            return place, read(*self._commit(place), place.path)
        except GitopsdError as error:
            elsewhere = published(place, self._package) if named and not self._package.located else None
            if error.reason is not Reason.PATH_REFUSED or elsewhere is None:
                raise
        return elsewhere, read(*self._commit(elsewhere), elsewhere.path)

    def _commit(self, place: Place) -> tuple[str, str]:
        found = self._commits.get((place.root, place.ref))
        if found is None:
            locator = f"{place.root}@{place.ref}" if place.ref else place.root
            self.missing[locator] = Missing(locator=place.root, ref=place.ref)
            raise MissingSource(f"the repository {shown(locator)} was not fetched yet", locator=locator)
        self._read.add((place.root, place.ref))
        return found


def _words(files: tuple[TreeFile, ...]) -> frozenset[str]:
    found: set[str] = set()
    left = _TEXT_IN_ALL
    for item in files:
        if len(item.content) <= min(left, _TEXT_FILE) and b"\0" not in item.content:
            left -= len(item.content)
            found |= words_of(item.content)
    return frozenset(found)

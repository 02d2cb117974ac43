"""Packages: a closed, pinned set of sources, and the arguments that go with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gitopsd.model.codec import canonical, digest, dumps
from gitopsd.model.values import Frozen, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A repository at one commit. ``root`` is the locator of the repository's root (``github.com/owner/repo``),
    ``ref`` what the package asked for (empty: the default branch)."""

    root: str
    ref: str
    url: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What an ``http(s)://`` upload held when it was fetched: its content digest."""

    url: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What an environment's package was last evaluated with: a repository that it names without a commit, and what a
    web address held, stay as they are here until somebody asks to move them."""

    pins: tuple[Pin, ...] = ()
    downloads: tuple[Download, ...] = ()

    def with_(self, other: Lock) -> Lock:
        """Both, the entries of ``other`` before those of this lock for the same place."""
        pins = {(pin.root, pin.ref): pin for pin in (*self.pins, *other.pins)}
        downloads = {item.url: item for item in (*self.downloads, *other.downloads)}
        return Lock(
            pins=tuple(pins[key] for key in sorted(pins)), downloads=tuple(downloads[url] for url in sorted(downloads))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A dependency that moved: ``source`` as the package names it, and its commits (content digests of a download)."""

    source: str
    before: str
    after: str


def moves(before: Lock, after: Lock) -> tuple[Move, ...]:
    """What both locks hold, at different commits or contents."""
    commits = {(pin.root, pin.ref): pin.commit for pin in before.pins}
    contents = {item.url: item.content for item in before.downloads}
    found = [(_name(pin), commits.get((pin.root, pin.ref), pin.commit), pin.commit) for pin in after.pins]
    found += [(item.url, contents.get(item.url, item.content), item.content) for item in after.downloads]
    return tuple(Move(source=name, before=old, after=new) for name, old, new in found if old != new)


def _name(pin: Pin) -> str:
    return f"{pin.root}@{pin.ref}" if pin.ref else pin.root


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package at one commit, with its pinned dependencies.

    ``url`` and ``commit`` name the repository that holds it, ``path`` its folder there ("" for the root),
    ``locator`` the root of that repository as locators name it; ``replace`` is the package's own map. It begins with
    ``main_function`` of ``main_file``, which is relative to its folder.
    """

    locator: str
    url: str
    commit: str
    path: str = ""
    name: str = ""
    replace: Frozen[str] = Frozen()
    pins: tuple[Pin, ...] = ()
    downloads: tuple[Download, ...] = ()
    main_file: str = "main.star"
    main_function: str = "run"

    @property
    def digest(self) -> str:
        """Of everything that an evaluation may read; equal digests give equal plans for equal arguments."""
        return digest(self)

    @property
    def located(self) -> bool:
        """Whether the locator is where the package was read from; a repository of another host has none but the one
        that its package gives it."""
        return self.locator in self.url.replace(":", "/")

    def locked(self, lock: Lock) -> Package:
        """The package with the dependencies of a lock, and no others."""
        return replace(self, pins=lock.pins, downloads=lock.downloads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What an evaluation asked for that is not there yet: a repository (at a ref), or a download; and where it did,
    as :class:`~gitopsd.errors.GitopsdError` tells it."""

    locator: str
    ref: str = ""
    url: str = ""
    position: str = field(default="", compare=False)
    stack: tuple[tuple[str, int, str], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The decoded argument object and where it was written, for messages."""

    values: Frozen[Json] = Frozen()
    origin: str = ""

    @property
    def digest(self) -> str:
        """Of the values alone, and of the order of their keys where it is not the sorted one, since a package sees it;
        secrets take part by name."""
        written = dumps(self.values)
        return digest(self.values if written == canonical(self.values) else written)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """What an evaluation is a function of. ``mirrors`` maps repository URLs to folders of bare mirrors; ``tried`` are
    sources that were looked for before: what is still not there of them is asked for no more unless it is needed."""

    package: Package
    arguments: Arguments
    cluster_type: str
    constants: Frozen[str] = Frozen()
    mirrors: Frozen[str] = Frozen()
    downloads: str = ""
    tried: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFile:
    """A file of a commit: ``path`` relative to the folder that was asked for, ``mode`` 0o644 or 0o755."""

    path: str
    mode: int
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlDocument:
    """A YAML text as data. ``marks`` maps a path such as ``environments.dev.policy`` (list items by index) to
    ``(line, column)``, both 1-based; a key's own mark has the path with ``#key`` appended. ``duplicates`` are paths of
    keys given twice."""

    data: Json
    marks: Frozen[tuple[int, int]] = Frozen()
    duplicates: tuple[str, ...] = ()

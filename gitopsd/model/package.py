"""Packages: a closed, pinned set of sources, and the arguments that go with it."""

from __future__ import annotations

from dataclasses import dataclass

from gitopsd.model.codec import digest
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
class Package:
    """A package at one commit, with its pinned dependencies.

    ``url`` and ``commit`` name the repository that holds it, ``path`` its folder there ("" for the root),
    ``locator`` the root of that repository as locators name it; ``replace`` is the package's own map.
    """

    locator: str
    url: str
    commit: str
    path: str = ""
    name: str = ""
    replace: Frozen[str] = Frozen()
    pins: tuple[Pin, ...] = ()
    downloads: tuple[Download, ...] = ()

    @property
    def digest(self) -> str:
        """Of everything that an evaluation may read; equal digests give equal plans for equal arguments."""
        return digest(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What an evaluation asked for that is not there yet: a repository (at a ref), or a download."""

    locator: str
    ref: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The decoded argument object and where it was written, for messages."""

    values: Frozen[Json] = Frozen()
    origin: str = ""

    @property
    def digest(self) -> str:
        """Of the values alone; secrets take part by name."""
        return digest(self.values)

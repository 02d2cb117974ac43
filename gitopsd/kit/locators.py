"""Locators: how a package names files, folders and repositories.

The forms are those of ``starlark-api.md`` section 4.2, the map ``replace`` that of section 4.3. Everything here is
text: nothing is read and nothing is fetched, so whether a place exists plays no part in what is refused.

A place whose ``root`` is the root package's and whose ``ref`` is empty lies at the commit of the root package; any
other place lies at the commit that is pinned for its ``(root, ref)``.

The root package may be in a folder of a repository of another name, where somebody copied it to. What its name says of
its own repository then holds for that folder: ``/`` is where that repository's root would be, and its name is it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

HOST = "github.com"
_FOREIGN_HOSTS = ("gitlab.com", "bitbucket.org", "codeberg.org", "git.sr.ht", "www.github.com")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,100}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_REF_REFUSED = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)")
_VERSION = re.compile(r"v?\d[\w.+-]*|[0-9a-f]{7,40}|main|master|develop|HEAD")
_ELEMENTS = 3
"""Of the name of a repository: the host, an owner and a name."""
_LONGEST_LOCATOR = 4096
_LONGEST_REF = 244
_SHOWN = 200


class LocatorError(ValueError):
    """A locator that names no place, with what was expected instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A file or folder of a repository.

    ``root`` names the repository (``github.com/owner/repo``), ``ref`` the branch, tag or commit that was asked for
    ("": see the module), ``path`` the file or folder in it ("" for the whole repository). ``base`` is the folder
    that stands for the repository's root: not empty only below a local ``replace``.
    """

    root: str
    ref: str = ""
    path: str = ""
    base: str = ""

    def __str__(self) -> str:
        where = f"{self.root}/{self.path}" if self.path else self.root
        return f"{where}@{self.ref}" if self.ref else where


class RootPackage(Protocol):
    """What has to be known of the package that is evaluated; ``gitopsd.model.package.Package`` is one."""

    @property
    def locator(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def replace(self) -> Mapping[str, str]: ...


def is_download(text: str) -> bool:
    """Whether a locator is an ``http(s)://`` address, which ``upload_files`` alone accepts."""
    return text.startswith(("http://", "https://"))


def is_absolute(text: str) -> bool:
    """Whether a locator begins with the host of a repository."""
    return text == HOST or text.startswith(f"{HOST}/")


def resolve(text: str, caller: Place, package: RootPackage) -> Place:
    """The place that ``text`` names when it stands in the file ``caller`` of a package or of its dependency.

    Raises LocatorError for an empty locator, an unknown form, another host, one that leaves its repository, and for
    an absolute locator of the root package inside the root package itself.
    """
    _check_text(text)
    if is_download(text):
        raise LocatorError(
            f"{shown(text)} is a web address: only upload_files reads those, expected {HOST}/owner/repo/…"
        )
    if text.startswith("/"):
        return _beside(_inside(caller, _top(caller, package), text[1:], text), package)
    if not is_absolute(text):
        _refuse_foreign_host(text)
        folder = caller.path.rpartition("/")[0]
        return _beside(_inside(caller, folder, text, text), package)
    target = parse_absolute(text)
    if _in_root_package(caller, package) and text.startswith(tuple(filter(None, (_name(package), package.name)))):
        raise LocatorError(
            f"{shown(text)} begins with the name of the package that it stands in: use a relative path for what is in "
            "the package"
        )
    if target.ref:
        return target
    return _replaced(target, package) or _versioned(target, caller) or _own(target, package) or target


def parse_absolute(text: str) -> Place:
    """The place of ``github.com/owner/repo[/path]`` with an optional ``@ref`` behind the path or the repository.

    When the text behind ``@`` has slashes its last segment counts as a file name if it has a dot, unless the path
    before the ``@`` names a file already. Directly behind the repository, a first segment that looks like a version
    (``v1.2``, a commit, ``main``) is the ref and the rest the path. Raises LocatorError.
    """
    _check_text(text)
    before, _, after = text.partition("@")
    place = _parse_plain(before, text)
    if "@" not in text:
        return place
    ref, path = _split_ref(after, place.path)
    return Place(root=place.root, ref=check_ref(ref), path=_clean("", path, text))


def parse_package(text: str) -> Place:
    """The place of a package: ``github.com/owner/repo[/path][@ref]``, all behind the ``@`` being the ref; so an
    environment names its package, and so is a value of ``replace`` written. Raises LocatorError."""
    _check_text(text)
    before, at, ref = text.partition("@")
    place = _parse_plain(before, text)
    return Place(root=place.root, path=place.path, ref=check_ref(ref)) if at else place


def path_inside(text: str) -> str:
    """A path relative to a repository's root, in its shortest form ("" for the root). Raises LocatorError for an
    absolute one, one that leaves the repository, and what is an address rather than a path."""
    _check_text(text)
    if text.startswith("/"):
        raise LocatorError(f"{shown(text)} is absolute: expected a path relative to the repository's root")
    _refuse_foreign_host(text)
    return _clean("", text, text)


def check_ref(ref: str) -> str:
    """The same branch, tag or commit name when Git would allow it (``git check-ref-format``). Raises LocatorError."""
    wrong = (
        not ref
        or len(ref.encode("utf-8", "surrogatepass")) > _LONGEST_REF
        or ref[0] in "-/."
        or ref[-1] in "/."
        or ref == "@"
        or _REF_REFUSED.search(ref) is not None
    )
    if wrong:
        raise LocatorError(f"{shown(ref)} is no valid branch, tag or commit name")
    return ref


def check_replace(replace: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What is wrong in a ``replace`` map, as pairs of a key and a message; empty when all is well."""
    wrong: list[tuple[str, str]] = []
    for key, value in replace.items():
        try:
            if parse_package(key).ref:
                raise LocatorError(f"{shown(key)} has a ref: a key of replace is a locator without one")
            if not value.startswith((".", "/")):
                parse_package(value)
            _check_text(value)
        except LocatorError as error:
            wrong.append((key, str(error)))
    return tuple(wrong)


def name_mismatch(name: str, package: RootPackage) -> str:
    """A warning when a package's ``name`` differs from where it was fetched, else "". Upstream refuses to run such
    a package, so a fork that keeps its name could not be run; the location is what counts here."""
    if not name or name == _name(package):
        return ""
    return f"kurtosis.yml names {shown(name)}, but the package was read from {_name(package)}"


def shown(text: str) -> str:
    """A text in quotes, shortened and without control characters, for messages."""
    clean = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return f"'{clean}'" if len(clean) <= _SHOWN else f"'{clean[:_SHOWN]}…' ({len(text)} characters)"


def _check_text(text: str) -> None:
    if not text:
        raise LocatorError(f"the locator is empty: expected a relative path or {HOST}/owner/repo/path")
    if len(text) > _LONGEST_LOCATOR:
        raise LocatorError(f"the locator {shown(text)} is longer than {_LONGEST_LOCATOR} characters")
    if _CONTROL.search(text):
        raise LocatorError(f"the locator {shown(text)} holds control characters")


def _refuse_foreign_host(text: str) -> None:
    if "://" in text or text.split("/", 1)[0].lower() in _FOREIGN_HOSTS:
        raise LocatorError(f"{shown(text)}: only repositories of {HOST} can be named, as {HOST}/owner/repo/path")


def _parse_plain(text: str, whole: str) -> Place:
    host, *rest = text.rstrip("/").split("/")
    if host != HOST:
        raise LocatorError(f"{shown(whole)}: only repositories of {HOST} can be named, as {HOST}/owner/repo/path")
    if len(rest) < 2:
        raise LocatorError(f"{shown(whole)} lacks a repository: expected {HOST}/owner/repo, with a path if needed")
    for part in rest[:2]:
        if not _SEGMENT.fullmatch(part) or part in (".", "..") or part.startswith("-"):
            raise LocatorError(f"{shown(whole)}: {shown(part)} is no name of an owner or a repository")
    return Place(root=f"{HOST}/{rest[0]}/{rest[1]}", path=_clean("", "/".join(rest[2:]), whole))


def _split_ref(after: str, path: str) -> tuple[str, str]:
    first, slash, rest = after.partition("/")
    if not slash or "." in path.rpartition("/")[2]:
        return after, path
    if not path and _VERSION.fullmatch(first) and "." in rest.rpartition("/")[2]:
        return first, rest
    head, _, last = after.rpartition("/")
    return (head, f"{path}/{last}") if "." in last else (after, path)


def _inside(caller: Place, folder: str, path: str, text: str) -> Place:
    if caller.base and _within(folder, caller.base):
        inner = _clean(folder[len(caller.base) :].strip("/"), path, text)
        joined = f"{caller.base}/{inner}" if inner else caller.base
    else:
        joined = _clean(folder, path, text)
    return Place(root=caller.root, ref=caller.ref, path=joined, base=caller.base)


def _clean(folder: str, path: str, text: str) -> str:
    parts = [part for part in folder.split("/") if part]
    for part in path.split("/"):
        if part == "..":
            if not parts:
                raise LocatorError(f"{shown(text)} leaves its repository: paths must stay inside")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _name(package: RootPackage) -> str:
    return f"{package.locator}/{package.path}" if package.path else package.locator


def _within(place: str, folder: str) -> bool:
    return bool(folder) and (place.rstrip("/") == folder or place.startswith(f"{folder}/"))


def _in_root_package(caller: Place, package: RootPackage) -> bool:
    if caller.root != package.locator or caller.ref or caller.base:
        return False
    return not package.path or _within(caller.path, package.path)


def _versioned(target: Place, caller: Place) -> Place | None:
    """A dependency that names itself means itself, at the version that it was imported with."""
    if target.root != caller.root or not caller.ref:
        return None
    return Place(root=target.root, ref=caller.ref, path=target.path)


def _own(target: Place, package: RootPackage) -> Place | None:
    """What lies in the root package, or beside it in the repository that its name tells of."""
    named, (home, base) = f"{target.root}/{target.path}", _home(package)
    if not home or not _within(named, home):
        return None
    return Place(root=package.locator, path=_clean(base, named[len(home) :], named))


def published(place: Place, package: RootPackage) -> Place | None:
    """Where a place beside the root package is published if it is not in the repository at hand, to which the package
    may have been copied alone; None for a place that is the package's own, or of another repository."""
    home, base = _home(package)
    if place.root != package.locator or place.ref or place.base or not package.path:
        return None
    if _within(place.path, package.path) or (base and not _within(place.path, base)):
        return None
    return Place(root=home, ref="HEAD", path=place.path[len(base) :].strip("/"))


def _home(package: RootPackage) -> tuple[str, str]:
    """What a package's name says of where it is, as the name of a repository (or of a folder of one) and the folder
    of the package's repository that stands for it: the repository's root, if the package lies as its name says."""
    parts = package.name.split("/")
    root, inner = "/".join(parts[:_ELEMENTS]), "/".join(parts[_ELEMENTS:])
    if not inner:
        return root, package.path if root else ""
    if package.path == inner or package.path.endswith(f"/{inner}"):
        return root, package.path[: -len(inner)].rstrip("/")
    return package.name, package.path


def _top(caller: Place, package: RootPackage) -> str:
    """The folder that ``/`` is for a file: the root of its repository, or what stands for it."""
    if caller.root != package.locator or caller.ref or caller.base:
        return caller.base
    base = _home(package)[1]
    return base if _within(caller.path, base) else ""


def _beside(target: Place, package: RootPackage) -> Place:
    """A relative locator is looked up as well; a version that the caller was imported with stays."""
    if target.ref or target.base:
        return target
    return _replaced(target, package) or target


def _replaced(target: Place, package: RootPackage) -> Place | None:
    """Keys are looked up by cutting the last element, so a whole repository never matches its own key; unless its
    value is a folder, which stands where the repository would. A locator with a ref is not looked up at all."""
    parts = f"{target.root}/{target.path}".rstrip("/").split("/")
    for end in range(len(parts), _ELEMENTS - 1, -1):
        value = package.replace.get("/".join(parts[:end]))
        if value is not None and (end < len(parts) or value.startswith((".", "/"))):
            return _replacement(value, "/".join(parts[end:]), package)
    return None


def _replacement(value: str, rest: str, package: RootPackage) -> Place:
    if not value.startswith((".", "/")):
        place = parse_package(value)
        return Place(root=place.root, ref=place.ref, path=_clean(place.path, rest, value))
    base = _clean(_home(package)[1] if value.startswith("/") else package.path, value, value)
    return Place(root=package.locator, path=_clean(base, rest, value), base=base)

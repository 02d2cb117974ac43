"""Where a package is, what it needs, and at which commits."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace

from gitopsd.errors import GitopsdError, Reason, UserError
from gitopsd.kit.locators import LocatorError, Place, is_absolute, parse_package, path_inside
from gitopsd.model.environment import Commit, Environment
from gitopsd.model.package import Lock, Missing, Package, Pin
from gitopsd.ports import Downloads, Evaluator, Git
from gitopsd.resolve.manifest import Manifest, read_manifest

_MOST_PINS = 256
_MOST_DOWNLOADS = 256
_NO_LOCK = Lock()
_GITHUB = re.compile(
    r"(?:https://|ssh://(?:[A-Za-z0-9._-]+@)?|[A-Za-z0-9._-]+@)github\.com[/:]([^/]+)/([^/]+?)(?:\.git)?/?"
)


def resolve(
    environment: Environment, commit: Commit, git: Git, evaluator: Evaluator, *, lock: Lock = _NO_LOCK
) -> Package:
    """The package of an environment: a folder of the commit itself, or a locator's repository at its ref; with the
    dependencies of ``lock``, each of them in its mirror.

    Raises UserError PACKAGE_INVALID for a package without a correct ``kurtosis.yml`` or ``main.star``, and what
    fetching raises.
    """
    try:
        if is_absolute(environment.package):
            keep_present(lock, environment, git)
            package = _elsewhere(environment, parse_package(environment.package), git, evaluator, lock=lock)
        else:
            package = _inside(environment, commit, git, evaluator, lock=lock)
    except LocatorError as error:
        raise UserError(Reason.PACKAGE_INVALID, f"package: {error}", position=environment.position) from None
    return replace(package, main_file=environment.main_file, main_function=environment.main_function)


def _inside(environment: Environment, commit: Commit, git: Git, evaluator: Evaluator, *, lock: Lock) -> Package:
    path = path_inside(environment.package)
    manifest = _manifest(environment, (commit.url, commit.id, path), git, evaluator)
    keep_present(lock, environment, git)
    return Package(
        locator=_own_locator(commit.url, manifest.name, path),
        url=commit.url,
        commit=commit.id,
        path=path,
        name=manifest.name,
        replace=manifest.replace,
    ).locked(lock)


def keep_present(lock: Lock, environment: Environment, git: Git) -> None:
    """Fetches the commits of a lock that their mirrors do not hold, and that the environment may read. Raises
    UserError for a commit that its host does not give any more."""
    for pin in lock.pins:
        if pin.ref != pin.commit:
            _at_commit(pin, environment, git)


def _at_commit(pin: Pin, environment: Environment, git: Git) -> None:
    try:
        git.pin(Missing(locator=pin.root, ref=pin.commit), environment=environment.name)
    except UserError as error:
        named = f"{pin.root}@{pin.ref}" if pin.ref else pin.root
        raise UserError(
            error.reason,
            f"the package was locked to {pin.commit[:7]} of {named}: {error.message}",
            position=environment.position,
            hint="`gitopsd sync --update` moves it to where its ref is now",
        ) from None


def own_pin(environment: Environment, package: Package) -> tuple[Pin, ...]:
    """The pin of a package that the environment names by a locator; none for a folder of its own repository."""
    if not is_absolute(environment.package):
        return ()
    place = parse_package(environment.package)
    return (Pin(root=place.root, ref=place.ref, url=package.url, commit=package.commit),)


def complete(
    package: Package, missing: tuple[Missing, ...], environment: Environment, git: Git, downloads: Downloads
) -> Package:
    """The package with a pin for each repository and each download that was missing.

    Raises UserError LIMIT_EXCEEDED for a package that names too many, and what fetching raises.
    """
    pins = {(pin.root, pin.ref): pin for pin in package.pins}
    kept = {download.url: download for download in package.downloads}
    repositories = {(item.locator, item.ref): item for item in missing if not item.url}
    urls = {item.url: item for item in missing if item.url}
    if len(pins.keys() | repositories.keys()) > _MOST_PINS or len(kept.keys() | urls.keys()) > _MOST_DOWNLOADS:
        raise UserError(
            Reason.LIMIT_EXCEEDED,
            f"the package names more than {_MOST_PINS} repositories or {_MOST_DOWNLOADS} downloads",
            position=environment.position,
        )
    for key in repositories.keys() - pins.keys():
        pins[key] = _pin(repositories[key], environment, git)
    for url in urls.keys() - kept.keys():
        with _needing(urls[url], environment):
            kept[url] = downloads.fetch(url)
    return replace(
        package,
        pins=tuple(pins[key] for key in sorted(pins)),
        downloads=tuple(kept[url] for url in sorted(kept)),
    )


def _pin(item: Missing, environment: Environment, git: Git) -> Pin:
    with _needing(item, environment):
        return git.pin(item, environment=environment.name)


@contextlib.contextmanager
def _needing(item: Missing, environment: Environment) -> Iterator[None]:
    """Lets an error say what was needed, and where."""
    try:
        yield
    except GitopsdError as error:
        named = item.url or (f"{item.locator}@{item.ref}" if item.ref else item.locator)
        error.message = f"the package needs {named}: {error.message.removeprefix(f'{named} ')}"
        error.position, error.stack = item.position or environment.position, item.stack
        raise


def _elsewhere(environment: Environment, place: Place, git: Git, evaluator: Evaluator, *, lock: Lock) -> Package:
    held = (pin for pin in lock.pins if (pin.root, pin.ref) == (place.root, place.ref))
    pin = next(held, None) or _pin(Missing(locator=place.root, ref=place.ref), environment, git)
    manifest = _manifest(environment, (pin.url, pin.commit, place.path), git, evaluator)
    return Package(
        locator=place.root,
        url=pin.url,
        commit=pin.commit,
        path=place.path,
        name=manifest.name,
        replace=manifest.replace,
    ).locked(lock)


def _manifest(environment: Environment, where: tuple[str, str, str], git: Git, evaluator: Evaluator) -> Manifest:
    url, commit, path = where
    file = f"{path}/kurtosis.yml" if path else "kurtosis.yml"
    try:
        text = git.read(url, commit, file)
    except UserError as error:
        if error.reason is not Reason.PATH_REFUSED:
            raise
        at = f" at {commit[:7]}" if commit else ""
        raise UserError(
            Reason.PACKAGE_INVALID,
            f"the package {environment.package!r} of {environment.name} has no file {file}{at}",
            position=environment.position,
            hint="a package is a folder with kurtosis.yml and main.star",
        ) from None
    return read_manifest(text, file, evaluator)


def _own_locator(url: str, name: str, path: str) -> str:
    """How locators name the repository that holds a package given as a path: by its address on GitHub, else by what
    the package says of itself, since other hosts cannot be named in locators; by its whole name where it does not lie
    as that says, since the rest of the repository that it tells of is not here."""
    found = _GITHUB.fullmatch(url)
    if found:
        return f"github.com/{found[1]}/{found[2]}"
    inner = "/".join(name.split("/")[3:])
    return name if inner and not f"/{path}".endswith(f"/{inner}") else "/".join(name.split("/")[:3])

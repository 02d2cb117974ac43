"""The port ``Git`` over bare mirrors: one folder per repository address, one conversation at a time for each."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pygit2
from pygit2.enums import RepositoryOpenFlag, SortMode

from gitopsd.adapters.git import remote as remotes
from gitopsd.adapters.git.reader import ReadLimits, TreeReader
from gitopsd.adapters.git.refs import EVERYTHING, Wanted, choose, local_name, watched_names
from gitopsd.adapters.git.remote import Credential, NotThereError, Remote, TransferLimits
from gitopsd.adapters.git.transfer import transfer
from gitopsd.adapters.git.urls import parse_address, rewrite, variants
from gitopsd.errors import GitopsdError, Reason, UserError
from gitopsd.kit.locators import LocatorError, check_ref, parse_absolute
from gitopsd.kit.redact import redact_urls
from gitopsd.model.environment import Commit, Source
from gitopsd.model.package import Missing, Pin, TreeFile

_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Where the credential of a name may be used, and nowhere else.

    ``url`` is the address of one repository, or a prefix that ends in ``/``. A watched repository is read with it
    when its source names the credential. Packages of ``environments`` (globs of names) may name it in locators.
    """

    url: str
    credential: str
    environments: tuple[str, ...] = ()

    def covers(self, url: str) -> bool:
        """Whether an address is the bound one (with or without ``.git``), or below the bound prefix."""
        if self.url.endswith("/"):
            return url.startswith(self.url)
        return url.rstrip("/").removesuffix(".git") == self.url.removesuffix(".git")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitRules:
    """What the operator allows: ``rewrites`` from prefixes of addresses to others (the longest wins), credentials
    with their bindings, the text of an OpenSSH known_hosts file, and limits."""

    rewrites: Mapping[str, str] = field(default_factory=dict)
    credentials: tuple[Credential, ...] = ()
    bindings: tuple[Binding, ...] = ()
    known_hosts: str = ""
    transfer: TransferLimits = field(default_factory=TransferLimits)
    reading: ReadLimits = field(default_factory=ReadLimits)


class GitMirrors:
    """Repositories at commits, over mirrors in ``folder`` (made with mode 0700). Safe to use from several threads.

    Refs move in a mirror as they moved at the host, a force-push included; objects are never deleted, so the commits
    of earlier runs stay readable. A mirror of another host's private repository is not a way around its credential:
    a commit is given to an environment only after the host let its own credential in once.
    """

    def __init__(self, folder: Path, rules: GitRules | None = None) -> None:
        self._rules = rules or GitRules()
        self._folder = folder / "mirrors"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder.chmod(0o700)
        self._credentials = {item.name: item for item in self._rules.credentials}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._variant: dict[str, str] = {}
        self._home = folder / "home"
        remotes.prepare_libgit2(self._home, known_hosts=self._rules.known_hosts, limits=self._rules.transfer)

    def head(self, source: Source) -> Commit:
        """The newest commit of the watched ref: one look at the host's refs, a fetch only when it moved.

        Raises UserError SOURCE_REFUSED, REF_MISSING, SOURCE_EMPTY or LIMIT_EXCEEDED, TransientError
        SOURCE_UNREACHABLE.
        """
        ref = _checked_ref(source.ref)
        credential = self._bound(source.credential, source.url) if source.credential else None
        with self._locked(source.url):
            mirror = self._open(source.url)
            commit = self._newest(mirror, source.url, Wanted(ref=ref), credential)
        if str(commit.tree_id) == _EMPTY_TREE:
            raise UserError(
                Reason.SOURCE_EMPTY,
                f"the commit {str(commit.id)[:7]} of {redact_urls(source.url)} holds no files at all",
                hint="nothing is removed because of it; push a commit with files, or destroy the environment",
            )
        return _commit(commit, source)

    def pin(self, missing: Missing, *, environment: str) -> Pin:
        """The commit of a locator's repository at a ref: a tag, else a branch, else a commit of 40 digits."""
        try:
            root = parse_absolute(missing.locator).root
        except LocatorError as error:
            raise UserError(Reason.SOURCE_REFUSED, str(error)) from None
        url = f"https://{root}"
        ref = _checked_ref(missing.ref) if missing.ref else "HEAD"
        credential = self._bound_for(environment, url)
        with self._locked(url):
            mirror = self._open(url)
            commit = self._newest(mirror, url, Wanted(ref=ref, tags_first=True), credential)
        return Pin(root=root, ref=missing.ref, url=url, commit=str(commit.id))

    def read(self, url: str, commit: str, path: str) -> bytes:
        return self.reader(url, commit).read(path)

    def files(self, url: str, commit: str, path: str) -> tuple[TreeFile, ...]:
        return tuple(sorted(self.reader(url, commit).files(path), key=lambda file: file.path))

    def exists(self, url: str, commit: str, path: str) -> bool:
        """Whether a path names a file or folder of a commit."""
        return self.reader(url, commit).exists(path)

    def reader(self, url: str, commit: str) -> TreeReader:
        """A reader of one commit, from the mirror alone."""
        return TreeReader(self.mirror(url), commit, self._rules.reading)

    def commits(self, source: Source, *, limit: int = 50) -> tuple[Commit, ...]:
        with contextlib.suppress(pygit2.GitError, KeyError, ValueError):
            mirror = pygit2.Repository(self.mirror(source.url), RepositoryOpenFlag.NO_SEARCH)
            tip = _local_commit(mirror, _checked_ref(source.ref))
            if tip is not None:
                walker = mirror.walk(tip.id, SortMode.TOPOLOGICAL)
                return tuple(_commit(found, source) for found, _ in zip(walker, range(limit), strict=False))
        return ()

    def mirror(self, url: str) -> str:
        digest = hashlib.sha256(url.rstrip("/").removesuffix(".git").encode()).hexdigest()
        return str(self._folder / f"{digest[:40]}.git")

    def rewrote(self, url: str, before: str, after: str) -> bool:
        """Whether ``after`` does not descend from ``before``: the ref was moved by force in between. False when the
        mirror holds only one of them."""
        with contextlib.suppress(pygit2.GitError, KeyError, ValueError):
            mirror = pygit2.Repository(self.mirror(url), RepositoryOpenFlag.NO_SEARCH)
            one, other = pygit2.Oid(hex=before), pygit2.Oid(hex=after)
            return one != other and not mirror.descendant_of(other, one)
        return False

    # --- the mirror ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self, url: str) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(self.mirror(url), threading.Lock())
        with lock:
            yield

    def _open(self, url: str) -> pygit2.Repository:
        """The mirror, made when it is not there and made anew when it cannot be opened."""
        folder = Path(self.mirror(url))
        if folder.exists():
            try:
                return pygit2.Repository(str(folder), RepositoryOpenFlag.NO_SEARCH)
            except pygit2.GitError:
                shutil.rmtree(folder)
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=self._folder))
        repository = pygit2.init_repository(str(fresh), bare=True)
        # "false" lets libgit2 follow redirects within one host only.
        repository.config["http.followRedirects"] = "false"
        fresh.rename(folder)
        return pygit2.Repository(str(folder), RepositoryOpenFlag.NO_SEARCH)

    def _newest(
        self, mirror: pygit2.Repository, url: str, wanted: Wanted, credential: Credential | None
    ) -> pygit2.Commit:
        admitted = Path(mirror.path) / f"admitted-{hashlib.sha256(_audience(credential)).hexdigest()[:16]}"
        if wanted.is_commit and admitted.exists():
            known = _as_commit(mirror, wanted.ref)
            if known is not None:
                return known
        remote, refs = self._list(mirror, url, credential)
        admitted.touch()
        if not refs and not wanted.is_commit:
            raise UserError(Reason.SOURCE_EMPTY, f"{redact_urls(url)} holds no commit", hint="push a first commit")
        name = choose(refs, wanted)
        if name is None and not wanted.is_commit:
            raise _ref_missing(url, wanted.ref)
        return self._fetched(mirror, remote, wanted, (name, refs))

    def _fetched(
        self, mirror: pygit2.Repository, remote: Remote, wanted: Wanted, found: tuple[str | None, Mapping[str, str]]
    ) -> pygit2.Commit:
        name, refs = found
        if name is None:
            self._fetch_commit(mirror, remote, wanted.ref)
            commit = _as_commit(mirror, wanted.ref)
        else:
            local = local_name(name)
            if not _holds(mirror, local, refs[name]):
                self._fetch(mirror, remote, [f"+{name}:{local}"])
            commit = _as_commit(mirror, local)
        if commit is None:
            raise _ref_missing(remote.address.text, wanted.ref)
        return commit

    def _fetch_commit(self, mirror: pygit2.Repository, remote: Remote, commit: str) -> None:
        """Some hosts give a commit that no ref names; others have to be asked for everything."""
        if _as_commit(mirror, commit) is not None:
            return
        try:
            self._fetch(mirror, remote, [f"{commit}:refs/gitopsd/commits/{commit}"])
        except GitopsdError as error:
            if error.reason is Reason.LIMIT_EXCEEDED:
                raise
            for name in [name for name in mirror.references if name.startswith(EVERYTHING)]:
                mirror.references.delete(name)
            refspecs = [f"+refs/{kind}/*:{EVERYTHING}{kind}/*" for kind in ("heads", "tags")]
            self._fetch(mirror, remote, refspecs)

    def _fetch(self, mirror: pygit2.Repository, remote: Remote, refspecs: list[str]) -> None:
        """Fetches in another process; libgit2 looks for new objects by itself when it misses one."""
        transfer(Path(mirror.path), self._home, remote, refspecs, self._rules.transfer)

    # --- the host -----------------------------------------------------------------------------------------

    def _list(
        self, mirror: pygit2.Repository, url: str, credential: Credential | None
    ) -> tuple[Remote, dict[str, str]]:
        """The refs of the first variant of the address that is a repository."""
        known = self._variant.get(url)
        tried: UserError | None = None
        for variant in (known, *(item for item in variants(url) if item != known)):
            if variant is None:
                continue
            remote = self._remote(variant, url, credential)
            try:
                refs = remotes.list_refs(mirror, remote)
            except NotThereError as error:
                tried = tried or error.error
                continue
            self._variant[url] = variant
            return remote, refs
        raise tried or UserError(Reason.SOURCE_REFUSED, f"{redact_urls(url)} is no repository")

    def _remote(self, variant: str, url: str, credential: Credential | None) -> Remote:
        """A rewritten address gets the credential only when it is on the same server, or is bound itself."""
        target = rewrite(variant, self._rules.rewrites)
        address = parse_address(target, by_operator=True)
        if credential is not None and target != variant:
            same = parse_address(url, by_operator=True).server == address.server
            if not same and not self._is_bound(credential.name, target):
                credential = None
        return Remote(address=address, credential=credential)

    def _bound(self, name: str, url: str) -> Credential:
        credential = self._credentials.get(name)
        if credential is None or not self._is_bound(name, url):
            raise UserError(
                Reason.SOURCE_REFUSED,
                f"the credential {name!r} is not bound to {redact_urls(url)}",
                hint="the operator lists the addresses that it is for",
            )
        return credential

    def _is_bound(self, name: str, url: str) -> bool:
        return any(item.credential == name and item.covers(url) for item in self._rules.bindings)

    def _bound_for(self, environment: str, url: str) -> Credential | None:
        for item in self._rules.bindings:
            if item.covers(url) and any(fnmatchcase(environment, glob) for glob in item.environments):
                return self._credentials.get(item.credential)
        return None


def _audience(credential: Credential | None) -> bytes:
    return b"anyone" if credential is None else f"credential {credential.name}".encode()


def _checked_ref(ref: str) -> str:
    try:
        return check_ref(ref)
    except LocatorError as error:
        raise UserError(Reason.REF_MISSING, str(error)) from None


def _ref_missing(url: str, ref: str) -> UserError:
    return UserError(
        Reason.REF_MISSING,
        f"{redact_urls(url)} has no branch, tag or commit '{ref}'",
        hint="what runs is left as it is; push the ref again, or follow another one",
    )


def _holds(mirror: pygit2.Repository, local: str, listed: str) -> bool:
    try:
        return str(mirror.references[local].target) == listed and pygit2.Oid(hex=listed) in mirror
    except KeyError:
        return False


def _local_commit(mirror: pygit2.Repository, ref: str) -> pygit2.Commit | None:
    for name in watched_names(ref):
        found = _as_commit(mirror, local_name(name))
        if found is not None:
            return found
    return _as_commit(mirror, ref) if Wanted(ref=ref).is_commit else None


def _as_commit(mirror: pygit2.Repository, name: str) -> pygit2.Commit | None:
    """The commit that a local ref or a commit id names; None when there is none, or it is another kind of object."""
    try:
        oid = mirror.references[name].target if name.startswith("refs/") else pygit2.Oid(hex=name)
        return mirror[oid].peel(pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError):
        return None


def _commit(found: pygit2.Commit, source: Source) -> Commit:
    message = found.message if isinstance(found.message, str) else ""
    return Commit(
        url=source.url,
        ref=source.ref,
        id=str(found.id),
        subject=message.strip().split("\n", 1)[0][:200],
        author=(found.author.name or "")[:100] if found.author else "",
        when=found.commit_time,
    )

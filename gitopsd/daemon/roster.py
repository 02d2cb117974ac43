"""Which environments there are, and what is wrong with their definitions."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from gitopsd.errors import Reason, UserError
from gitopsd.model.environment import Commit, Environment, Source
from gitopsd.model.plan import Problem

Watched = tuple[str, str]
"""A distinct (url, ref): one check for all who follow it."""


def watched(source: Source) -> Watched:
    """What of a source a check is for."""
    return (source.url, source.ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An environment as it was last defined, the (url, ref) that defined it, and the commit to follow: None as long
    as a ref of its own was not asked for.

    ``vanished``: its definition left the repository. ``problems`` are those of its newest definition, which then is
    not this one.
    """

    environment: Environment
    origin: Watched
    commit: Commit | None = None
    vanished: bool = False
    problems: tuple[Problem, ...] = ()

    def require(self) -> None:
        """Raises UserError for an environment that its repository does not define, or defines wrongly."""
        if self.vanished:
            raise UserError(
                Reason.ENVIRONMENT_UNKNOWN,
                f"{self.environment.name} is not defined any more",
                hint="put it back into gitopsd.yaml, or end it with gitopsd destroy",
            )
        if self.problems:
            raise self.problems[0].error()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a check saw. ``defines``: environments are defined there, not only followed. ``problems`` are those of its
    last check or of its environments file."""

    source: Source
    defines: bool = True
    commit: Commit | None = None
    checked_at: datetime | None = None
    failures: int = 0
    problems: tuple[Problem, ...] = ()


class Roster:
    """Environments by name and what is watched; may be shared by threads."""

    def __init__(self, sources: tuple[Source, ...]) -> None:
        self._lock = threading.RLock()
        self._members: dict[str, Member] = {}
        self._broken: dict[Watched, Mapping[str, tuple[Problem, ...]]] = {}
        self._seen = {watched(source): Seen(source=source) for source in sources}

    # --- what checks see ------------------------------------------------------------------------------------

    def recall(self, environment: Environment, commit: Commit) -> None:
        """An environment that was followed before this start, as long as nothing newer is known."""
        source = environment.source
        with self._lock:
            homes = (key for key, seen in self._seen.items() if (seen.source.name, key[0]) == (source.name, source.url))
            origin = next(homes, watched(source))
            self._members.setdefault(environment.name, Member(environment=environment, origin=origin, commit=commit))

    def seen(self, key: Watched) -> Seen | None:
        """What the last check saw; None for what is not watched."""
        with self._lock:
            return self._seen.get(key)

    def all_seen(self) -> tuple[Seen, ...]:
        with self._lock:
            return tuple(self._seen.values())

    def note(self, key: Watched, seen: Seen) -> None:
        """What a check saw."""
        with self._lock:
            self._seen[key] = seen

    def update(self, key: Watched, defined: tuple[Environment, ...], broken: Mapping[str, tuple[Problem, ...]]) -> None:
        """Takes over what a repository defines now.

        An environment of this repository that is neither defined nor broken has vanished. A name or an enclave that
        another repository has already stays with that one, see :meth:`refused` and :meth:`claimed`.
        """
        with self._lock:
            self._broken[key] = broken
            for environment in defined:
                if self._owner(environment.name) not in (None, key) or self._holder(key, environment):
                    continue
                known = self._members.get(environment.name)
                same = known is not None and watched(known.environment.source) == watched(environment.source)
                commit = known.commit if known is not None and same else None
                self._members[environment.name] = Member(environment=environment, origin=key, commit=commit)
            names = {environment.name for environment in defined}
            for name, member in list(self._members.items()):
                if member.origin == key and name not in names:
                    problems = broken.get(name, ())
                    self._members[name] = replace(member, vanished=name not in broken, problems=problems)

    def follow(self, name: str, commit: Commit) -> None:
        """An environment follows a commit from now on."""
        with self._lock:
            if name in self._members:
                self._members[name] = replace(self._members[name], commit=commit)

    def refused(self, key: Watched, defined: tuple[Environment, ...]) -> tuple[str, ...]:
        """Names that another repository has already."""
        with self._lock:
            return tuple(item.name for item in defined if self._owner(item.name) not in (None, key))

    def claimed(self, key: Watched, defined: tuple[Environment, ...]) -> tuple[tuple[str, str, str], ...]:
        """Environments whose enclave is that of another repository's environment: name, enclave, the other's name."""
        with self._lock:
            held = ((item, self._holder(key, item)) for item in defined)
            return tuple((item.name, item.enclave, holder) for item, holder in held if holder)

    def _holder(self, key: Watched, environment: Environment) -> str:
        """The environment of another repository that has the enclave; its services may still be there when its
        definition is not."""
        place = (environment.backend, environment.enclave)
        for name, member in self._members.items():
            known = (member.environment.backend, member.environment.enclave)
            if known == place and name != environment.name and member.origin != key and member.origin in self._seen:
                return name
        return ""

    def _owner(self, name: str) -> Watched | None:
        member = self._members.get(name)
        if member is None or member.vanished:
            return None
        return member.origin if member.origin in self._seen else None

    def own_refs(self) -> tuple[tuple[Source, ...], tuple[Watched, ...]]:
        """Refs that environments follow and that are not watched yet, and those that nobody follows any more. Both
        are as good as done after this call."""
        with self._lock:
            followed = {
                watched(item.environment.source): item.environment.source
                for item in self._members.values()
                if not item.vanished and item.origin in self._seen
            }
            new = tuple(source for key, source in followed.items() if key not in self._seen)
            old = tuple(key for key, seen in self._seen.items() if not seen.defines and key not in followed)
            for source in new:
                self._seen[watched(source)] = Seen(source=source, defines=False)
            for key in old:
                del self._seen[key]
            return new, old

    def forget(self, name: str) -> None:
        """An environment that was destroyed and is not defined any more."""
        with self._lock:
            self._members.pop(name, None)

    # --- what people ask -----------------------------------------------------------------------------------

    def member(self, name: str) -> Member | None:
        with self._lock:
            return self._members.get(name)

    def members(self) -> tuple[Member, ...]:
        """By name."""
        with self._lock:
            return tuple(self._members[name] for name in sorted(self._members))

    def broken(self) -> dict[str, tuple[Problem, ...]]:
        """Problems of environments that never had a definition that could be used."""
        with self._lock:
            return {
                name: problems
                for broken in self._broken.values()
                for name, problems in broken.items()
                if name not in self._members
            }

"""Which environments there are, what is wrong with their definitions, and which a person has suspended."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gitopsd.model.environment import Commit, Environment, Source
from gitopsd.model.plan import Problem

Watched = tuple[str, str]
"""A distinct (url, ref): one check for all who follow it."""


def watched(source: Source) -> Watched:
    """What of a source a check is for."""
    return (source.url, source.ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An environment as it was last defined, and the commit that defined it.

    ``vanished``: its definition left the repository. ``problems`` are those of its newest definition, which then is
    not this one.
    """

    environment: Environment
    commit: Commit
    vanished: bool = False
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a check of a repository saw. ``problems`` are those of its last check or of its environments file."""

    source: Source
    commit: Commit | None = None
    checked_at: datetime | None = None
    failures: int = 0
    problems: tuple[Problem, ...] = ()


class Roster:
    """Environments by name and repositories by what is watched; may be shared by threads.

    Suspensions by a person are kept in a file of the state directory, so that they outlive the daemon.
    """

    def __init__(self, sources: tuple[Source, ...], *, suspended_file: Path) -> None:
        self._lock = threading.RLock()
        self._members: dict[str, Member] = {}
        self._broken: dict[Watched, Mapping[str, tuple[Problem, ...]]] = {}
        self._seen = {watched(source): Seen(source=source) for source in sources}
        self._file = suspended_file
        self._suspended: dict[str, str] = _load(suspended_file)

    # --- what checks see ------------------------------------------------------------------------------------

    def recall(self, environment: Environment, commit: Commit) -> None:
        """An environment that was followed before this start, as long as nothing newer is known."""
        with self._lock:
            self._members.setdefault(environment.name, Member(environment=environment, commit=commit))

    def seen(self, key: Watched) -> Seen:
        with self._lock:
            return self._seen[key]

    def all_seen(self) -> tuple[Seen, ...]:
        with self._lock:
            return tuple(self._seen.values())

    def note(self, key: Watched, seen: Seen) -> None:
        """What a check of a repository saw."""
        with self._lock:
            self._seen[key] = seen

    def update(
        self, key: Watched, commit: Commit, defined: tuple[Environment, ...], broken: Mapping[str, tuple[Problem, ...]]
    ) -> tuple[Environment, ...]:
        """Takes over what a commit defines; returns the environments that it may be followed for.

        An environment of this repository that is neither defined nor broken has vanished. A name that another
        repository defines already is refused: the first one keeps it.
        """
        with self._lock:
            self._broken[key] = broken
            accepted = tuple(environment for environment in defined if self._owner(environment.name) in (None, key))
            for environment in accepted:
                self._members[environment.name] = Member(environment=environment, commit=commit)
            names = {environment.name for environment in defined}
            for name, member in list(self._members.items()):
                if watched(member.environment.source) == key and name not in names:
                    problems = broken.get(name, ())
                    self._members[name] = replace(member, vanished=name not in broken, problems=problems)
            return accepted

    def refused(self, key: Watched, defined: tuple[Environment, ...]) -> tuple[str, ...]:
        """Names that another repository has already."""
        with self._lock:
            return tuple(item.name for item in defined if self._owner(item.name) not in (None, key))

    def _owner(self, name: str) -> Watched | None:
        member = self._members.get(name)
        if member is None or member.vanished:
            return None
        owner = watched(member.environment.source)
        return owner if owner in self._seen else None

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

    def suspension(self, name: str) -> str:
        """Why a person suspended an environment; empty when nobody did."""
        with self._lock:
            return self._suspended.get(name, "")

    def suspend(self, name: str, why: str) -> None:
        with self._lock:
            self._suspended[name] = why
            _save(self._file, self._suspended)

    def resume(self, name: str) -> None:
        with self._lock:
            if self._suspended.pop(name, None) is not None:
                _save(self._file, self._suspended)

    def is_suspended(self, environment: Environment) -> bool:
        """Whether a person or the environment's own policy suspends it."""
        return environment.policy.suspend or bool(self.suspension(environment.name))


def _load(file: Path) -> dict[str, str]:
    try:
        data = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return {str(name): str(why) for name, why in data.items()}


def _save(file: Path, suspended: Mapping[str, str]) -> None:
    """Whole or not at all, also over a crash."""
    fresh = file.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as stream:
        json.dump(dict(suspended), stream)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)

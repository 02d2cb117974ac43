"""Checks of repositories: asks for a ref's commit, and hands each environment that it may concern to the queue."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from gitopsd.daemon.roster import Roster, Seen, Watched, watched
from gitopsd.daemon.work import Asked, Work
from gitopsd.errors import GitopsdError, Reason, TransientError
from gitopsd.fetch import Fetched, read_environments
from gitopsd.kit.backoff import Backoff
from gitopsd.model.environment import Commit, Environment, Source
from gitopsd.model.plan import Problem
from gitopsd.world import World

BACKOFF = Backoff(first=2.0, factor=2.0, limit=300.0, spread=0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A check that waits; ``tickets`` are those who wait for it."""

    tickets: tuple[Future[None], ...] = ()


def merge_asking(waiting: Asking, new: Asking) -> Asking:
    """One check for all who wait."""
    return Asking(tickets=waiting.tickets + new.tickets)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckParts:
    """What a check works with. ``put`` queues work for an environment, ``delay`` puts the next check off,
    ``drift`` begins drift checks of an environment, ``watch`` and ``unwatch`` begin and end the checks of a ref."""

    world: World
    roster: Roster
    put: Callable[[Work], None]
    delay: Callable[[Watched, float], None]
    drift: Callable[[str], None]
    watch: Callable[[Source], None]
    unwatch: Callable[[Watched], None]
    log: Any


class Checker:
    """One check at a time per (url, ref). An unchanged head costs one request and nothing else; whatever fails
    leaves every environment as it is."""

    def __init__(self, parts: CheckParts) -> None:
        self._parts = parts

    def check(self, key: Watched, asking: Asking) -> None:
        """Looks at (url, ref) once; those who wait get to know how it went."""
        try:
            self._look(key)
        except GitopsdError as error:
            self._failed(key, error)
            for ticket in asking.tickets:
                ticket.set_exception(error)
        except BaseException as error:
            for ticket in asking.tickets:
                ticket.set_exception(error)
            raise
        else:
            for ticket in asking.tickets:
                ticket.set_result(None)

    def _look(self, key: Watched) -> None:
        parts, seen = self._parts, self._parts.roster.seen(key)
        if seen is None:
            return  # nobody follows it any more
        commit = parts.world.git.head(seen.source)
        if seen.failures:
            parts.log.info("answers again", repository=seen.source.name, commit=commit.short)
        now = replace(
            seen, commit=commit, checked_at=parts.world.clock.now(), failures=0, problems=_of_file(seen.problems)
        )
        if seen.commit is not None and seen.commit.id == commit.id:
            parts.roster.note(key, now)
            return
        if seen.defines:
            try:
                fetched = read_environments(seen.source, commit, parts.world.git, parts.world.evaluator)
            except TransientError:
                raise
            except GitopsdError as error:
                problems = (Problem.of(error, "fetch"),)
                parts.roster.note(key, replace(now, problems=problems))
                parts.log.warning(str(error), repository=seen.source.name, commit=commit.short)
                mine = [item for item in parts.roster.members() if item.origin == key and not item.vanished]
                self._tell_invalid(commit, {item.environment.name: problems for item in mine})
                return
            now = replace(now, problems=self._problems(key, fetched))
            self._define(key, now, fetched)
            self._tell_invalid(commit, fetched.broken)
        parts.roster.note(key, now)
        self._follow(key, commit)

    def _tell_invalid(self, commit: Commit, broken: Mapping[str, tuple[Problem, ...]]) -> None:
        """A commit that defines an environment wrongly gets its final status as well."""
        for name, problems in broken.items():
            self._parts.world.refused(name, commit, problems)

    def _problems(self, key: Watched, fetched: Fetched) -> tuple[Problem, ...]:
        refused = tuple(
            Problem(
                stage="fetch",
                reason=Reason.ENVIRONMENT_INVALID,
                message=f"another repository defines an environment {name!r} already, which stays",
                hint="names of environments are unique in one gitopsd",
            )
            for name in self._parts.roster.refused(key, fetched.environments)
        )
        claimed = tuple(
            Problem(
                stage="fetch",
                reason=Reason.ENVIRONMENT_INVALID,
                message=f"{name}: the enclave {enclave!r} is that of {holder}, which another repository defines",
                hint=f"give {name} an enclave of its own, or end the other with gitopsd destroy {holder}",
            )
            for name, enclave, holder in self._parts.roster.claimed(key, fetched.environments)
        )
        return fetched.problems + refused + claimed

    def _define(self, key: Watched, seen: Seen, fetched: Fetched) -> None:
        """Takes definitions over; an environment with a ref of its own whose definition changed follows it anew."""
        parts = self._parts
        before = {member.environment.name: member for member in parts.roster.members()}
        parts.roster.update(key, fetched.environments, fetched.broken)
        new, old = parts.roster.own_refs()
        for source in new:
            parts.watch(source)
        for gone in old:
            parts.unwatch(gone)
        for problem in (*seen.problems, *(item for items in fetched.broken.values() for item in items)):
            parts.log.warning(str(problem), repository=seen.source.name)
        for member in parts.roster.members():
            known, environment = before.get(member.environment.name), member.environment
            if member.vanished and known is not None and not known.vanished:
                text = "is not defined any more; its enclave is left as it is (gitopsd destroy ends it)"
                parts.log.warning(text, environment=environment.name)
            if known is not None and (left := _left(known.environment, environment)):
                parts.log.warning(left, environment=environment.name)
            elsewhere = member.origin == key != watched(environment.source)
            changed = known is not None and known.environment != environment
            if elsewhere and changed and member.commit is not None and not member.problems:
                parts.put(Work(asked=Asked.COMMIT, environment=environment, commit=member.commit))

    def _follow(self, key: Watched, commit: Commit) -> None:
        """Hands every environment that follows (url, ref) to the queue. After a restart on the same commit only what
        was interrupted has to be done."""
        parts = self._parts
        for member in parts.roster.members():
            environment = member.environment
            if watched(environment.source) != key or member.vanished or member.problems:
                continue
            same = member.commit is not None and member.commit.id == commit.id
            parts.roster.follow(environment.name, commit)
            parts.drift(environment.name)
            parts.put(Work(asked=Asked.START if same else Asked.COMMIT, environment=environment, commit=commit))

    def _failed(self, key: Watched, error: GitopsdError) -> None:
        parts, seen = self._parts, self._parts.roster.seen(key)
        if seen is None:
            return
        failures = seen.failures + 1
        retry_after = error.retry_after if isinstance(error, TransientError) else None
        wait = BACKOFF.wait(failures, chance=random.random(), retry_after=retry_after)
        parts.delay(key, wait)
        problems = (*_of_file(seen.problems), Problem.of(error, "check"))
        parts.roster.note(key, replace(seen, failures=failures, checked_at=parts.world.clock.now(), problems=problems))
        if failures == 1 or str(error) != str(seen.problems[-1] if seen.problems else ""):
            parts.log.warning(str(error), repository=seen.source.name, reason=error.reason.value, next_in=round(wait))


def _of_file(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Problems of the environments file, without those of asking for it."""
    return tuple(problem for problem in problems if problem.stage != "check")


def _left(before: Environment, after: Environment) -> str:
    """What a definition that names another enclave leaves behind; empty when it names the same."""
    old, new = (f"{item.enclave!r} on {item.backend}" for item in (before, after))
    if old == new:
        return ""
    return f"its enclave is {new} now; what runs in {old} is left as it is (name it again, and gitopsd destroy ends it)"

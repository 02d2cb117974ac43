"""The commands as a daemon answers them: the one implementation behind the socket, the direct use and the pages."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from gitopsd import pipeline
from gitopsd.daemon.output import masked, service_logs
from gitopsd.daemon.progress import Progress
from gitopsd.daemon.roster import Member, Roster, Seen, Watched, watched
from gitopsd.daemon.schedule import Schedule
from gitopsd.daemon.work import Asked, Work
from gitopsd.errors import GitopsdError, Reason, UserError
from gitopsd.kit.text import suggestion
from gitopsd.model import head as heads
from gitopsd.model.environment import Commit, Environment
from gitopsd.model.head import Suspension
from gitopsd.model.plan import Problem
from gitopsd.model.run import SHUTDOWN, Follow, Run, Trigger, Verdict
from gitopsd.web.commands import (
    Answer,
    DestroyRequest,
    EnvironmentStatus,
    HistoryAnswer,
    HistoryRequest,
    LogsRequest,
    PlanAnswer,
    PlanRequest,
    RepositoryStatus,
    Request,
    Result,
    ResumeRequest,
    RollbackRequest,
    RunAnswer,
    StatusAnswer,
    StatusRequest,
    SuspendRequest,
    SyncRequest,
    Told,
    VersionAnswer,
    VersionRequest,
    WhyAnswer,
    WhyRequest,
)
from gitopsd.world import World

HEARTBEAT = 1.0
"""Seconds between empty lines while nothing happens, so that a client which went away is noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorParts:
    """What commands work with. ``check`` asks a repository now, ``put`` queues work, ``working`` and ``waiting`` give
    what is being done and what waits for an environment; ``scheduled``: whether this is a daemon that follows by
    itself."""

    world: World
    roster: Roster
    progress: Progress
    schedule: Schedule
    check: Callable[[Watched], Future[None]]
    put: Callable[[Work], None]
    working: Callable[[str], Work | None]
    waiting: Callable[[str], Work | None]
    started_at: datetime
    version: str
    scheduled: bool = True


class Operator:
    """Implements :class:`~gitopsd.web.commands.Commands`."""

    def __init__(self, parts: OperatorParts) -> None:
        self._parts = parts

    def ask(self, request: Request) -> Iterator[Answer]:
        """Does what is asked; see the Protocol."""
        match request:
            case StatusRequest():
                yield Result(value=self._status(request))
            case HistoryRequest():
                yield Result(value=self._history(request))
            case PlanRequest():
                yield from self._plan(request)
            case LogsRequest():
                yield from self._logs(request)
            case WhyRequest():
                yield Result(value=self._why(request.environment))
            case VersionRequest():
                parts = self._parts
                yield Result(value=VersionAnswer(version=parts.version, pid=os.getpid(), started_at=parts.started_at))
            case _:
                yield from self._act(request)

    # --- what changes something -----------------------------------------------------------------------------

    def _act(
        self, request: SyncRequest | RollbackRequest | SuspendRequest | ResumeRequest | DestroyRequest
    ) -> Iterator[Answer]:
        name = request.environment
        member = yield from self._newest(name, ask=isinstance(request, (SyncRequest, ResumeRequest)))
        match request:
            case SyncRequest():
                member.require()
                yield from self._work(member, Asked.UPDATE if request.update else Asked.SYNC)
            case RollbackRequest():
                yield from self._work(member, Asked.ROLLBACK)
            case SuspendRequest():
                world = self._parts.world
                suspension = Suspension(reason="suspended", by="a person", since=world.clock.now())
                world.ledger_of(member.environment).amend(partial(heads.suspended, suspension=suspension))
                yield from self._work(member, Asked.COMMIT, message=f"{name} is suspended; its services run on")
            case ResumeRequest():
                self._refuse_policy(member)
                self._parts.world.ledger_of(member.environment).amend(heads.resumed)
                member.require()
                yield from self._work(member, Asked.RESUME)
            case DestroyRequest():
                yield from self._work(member, Asked.DESTROY, message=f"{name} is destroyed")

    def _refuse_policy(self, member: Member) -> None:
        if member.environment.policy.suspend:
            raise UserError(
                Reason.SUSPENDED,
                f"{member.environment.name} is suspended by its own `suspend: true`",
                position=member.environment.position,
                hint="take it out of gitopsd.yaml",
            )

    def _newest(self, name: str, *, ask: bool) -> Generator[Told, None, Member]:
        """The environment as its repository defines it now; ``ask``: look there first."""
        member = self._parts.roster.member(name)
        if member is not None and not ask:
            return member
        if member is None and self._parts.scheduled:
            return self._member(name)
        for seen in self._asked(member):
            yield Told(text=f"asking {seen.source.name} for its newest commit", environment=name)
            yield from self._await(self._parts.check(watched(seen.source)), name)
        member = self._member(name)
        own = self._parts.roster.seen(watched(member.environment.source))
        if own is not None and own.commit is None:
            yield from self._await(self._parts.check(watched(member.environment.source)), name)
        return self._member(name)

    def _asked(self, member: Member | None) -> tuple[Seen, ...]:
        """What has to be asked for the newest state of an environment: where it is defined, then what it follows."""
        if member is None:
            return self._parts.roster.all_seen()
        keys = dict.fromkeys((member.origin, watched(member.environment.source)))
        found = tuple(seen for key in keys if (seen := self._parts.roster.seen(key)) is not None)
        if not found:
            raise UserError(
                Reason.ENVIRONMENT_UNKNOWN,
                f"the repository of {member.environment.name} is not watched any more",
                hint="put it back into the daemon's configuration, or end it with gitopsd destroy",
            )
        return found

    def _work(self, member: Member, asked: Asked, *, message: str = "") -> Iterator[Answer]:
        ticket: Future[Run | None] = Future()
        work = Work(asked=asked, environment=member.environment, commit=_commit(member), tickets=(ticket,))
        with self._parts.progress.listen(work.environment.name) as feed:
            ticket.add_done_callback(lambda _: feed.wake())
            self._parts.put(work)
            while not ticket.done():
                lines = feed.take(HEARTBEAT)
                yield from lines or (Told(text=""),)
            yield from feed.take(0)
        run = ticket.result()
        if run is not None and run.superseded_by == SHUTDOWN:
            message = "the daemon stopped meanwhile; its next start goes on with it"
        yield Result(value=RunAnswer(run=run, message=message))

    def _await(self, ticket: Future[None], name: str) -> Iterator[Told]:
        """Waits for a check; a repository that cannot be asked is an error, a wrong file in it is not."""
        with self._parts.progress.listen(name) as feed:
            ticket.add_done_callback(lambda _: feed.wake())
            while not ticket.done():
                yield from feed.take(HEARTBEAT) or (Told(text=""),)
        ticket.result()

    # --- what only looks ------------------------------------------------------------------------------------

    def _member(self, name: str) -> Member:
        member = self._parts.roster.member(name)
        if member is not None:
            return member
        broken = self._parts.roster.broken()
        if name in broken:
            raise broken[name][0].error()
        near = suggestion(name, [item.environment.name for item in self._parts.roster.members()])
        raise UserError(
            Reason.ENVIRONMENT_UNKNOWN,
            f"there is no environment {name!r}",
            hint=near or "gitopsd status lists them",
        )

    def _plan(self, request: PlanRequest) -> Iterator[Answer]:
        member = yield from self._newest(request.environment, ask=True)
        member.require()
        yield Told(text=f"evaluating {member.environment.package}", environment=request.environment)
        trigger = Trigger.UPDATE if request.update else Trigger.COMMIT
        asked = Follow(environment=member.environment, commit=_commit(member), trigger=trigger)
        planned = pipeline.plan(asked, self._parts.world)
        yield Result(value=PlanAnswer(evaluation=planned.evaluation, diff=planned.diff))

    def _history(self, request: HistoryRequest) -> HistoryAnswer:
        self._member(request.environment)
        limit = 10_000 if request.run_id else max(1, min(request.limit, 1000))
        runs = self._parts.world.store.runs(request.environment, limit=limit)
        if request.run_id:
            runs = tuple(run for run in runs if run.id.startswith(request.run_id))
            if not runs:
                hint = f"gitopsd history {request.environment} lists them"
                raise UserError(Reason.ENVIRONMENT_UNKNOWN, f"there is no run {request.run_id!r}", hint=hint)
        return HistoryAnswer(runs=runs)

    def _logs(self, request: LogsRequest) -> Iterator[Answer]:
        environment = self._member(request.environment).environment
        backend = self._parts.world.backend_of(environment)
        lines = service_logs(backend, environment.enclave, request)
        yield from masked(lines, self._parts.world.secrets, environment.name)
        yield Result()

    def _status(self, request: StatusRequest) -> StatusAnswer:
        roster = self._parts.roster
        if request.environment:
            found = [self._environment(self._member(request.environment), live=request.live)]
        else:
            found = [self._environment(member, live=request.live) for member in roster.members()]
            found += [EnvironmentStatus(name=name, problems=items) for name, items in roster.broken().items()]
        repositories = tuple(
            RepositoryStatus(
                name=seen.source.name,
                url=seen.source.url,
                ref=seen.source.ref,
                commit=seen.commit.id if seen.commit else "",
                checked_at=seen.checked_at,
                failures=seen.failures,
                problems=seen.problems,
            )
            for seen in roster.all_seen()
        )
        ordered = tuple(sorted(found, key=lambda item: item.name))
        return StatusAnswer(environments=ordered, repositories=repositories, daemon=self._parts.scheduled)

    def _environment(self, member: Member, *, live: bool = False) -> EnvironmentStatus:
        parts, environment = self._parts, member.environment
        world, name = parts.world, environment.name
        last = next(iter(world.store.runs(name, limit=1)), None)
        suspension, unread = self._suspension(environment)
        status = EnvironmentStatus(
            name=name,
            package=environment.package,
            repository=environment.source.name,
            ref=environment.source.ref,
            backend=environment.backend,
            enclave=environment.enclave,
            commit=member.commit.id if member.commit else "",
            subject=member.commit.subject if member.commit else "",
            condition=world.store.condition(name),
            doing=self._doing(name),
            suspended=environment.policy.suspend or suspension is not None,
            vanished=member.vanished,
            problems=(*member.problems, *unread),
            last_run=last.id if last else "",
            last_verdict=last.verdict if last else None,
            ended_at=last.ended_at if last else None,
        )
        if not live or environment.backend not in world.backends:
            return status
        services = world.backend_of(environment).observe(environment.enclave).services
        return replace(status, services=tuple(services[key] for key in sorted(services)))

    def _suspension(self, environment: Environment) -> tuple[Suspension | None, tuple[Problem, ...]]:
        """Why a person had it left alone, and why that cannot be said: what is wrong with one record hides no other
        environment."""
        try:
            return self._parts.world.suspension_of(environment), ()
        except GitopsdError as error:
            return None, (Problem.of(error, "record", environment.position),)

    def _doing(self, name: str) -> str:
        working, waiting = self._parts.working(name), self._parts.waiting(name)
        if working is not None:
            return working.asked.value
        return f"{waiting.asked.value} waits for a place" if waiting is not None else ""

    def _why(self, name: str) -> WhyAnswer:
        parts, member = self._parts, self._member(name)
        status, doing = self._environment(member), parts.progress.doing(name)
        problem = self._last_problem(member)
        condition = status.condition
        since = doing[0].since if doing else condition.since if condition else None
        retry_at = parts.schedule.retry_at(name)
        waiting, next_at = self._waiting_for(member, retry_at)
        return WhyAnswer(
            status=status, doing=doing, waiting=waiting, since=since, last_problem=problem, next_at=next_at
        )

    def _waiting_for(self, member: Member, retry_at: datetime | None) -> tuple[str, datetime | None]:
        parts, environment = self._parts, member.environment
        seen = parts.roster.seen(watched(environment.source))
        check_at = parts.schedule.check_at(watched(environment.source))
        suspension, _ = self._suspension(environment)
        if member.vanished:
            return f"its definition to come back, or for gitopsd destroy {environment.name}", None
        if suspension:
            return f"gitopsd resume {environment.name} (it was {suspension})", None
        if environment.policy.suspend:
            return "a commit that takes back its own policy suspend", None
        if not parts.scheduled:
            return "a daemon, as none runs", None
        if parts.working(environment.name) is not None:
            return "the steps in progress", None
        if retry_at is not None:
            return "the next attempt", retry_at
        if seen is not None and seen.failures:
            return f"{seen.source.name} to answer", check_at
        return "the next commit", check_at

    def _last_problem(self, member: Member) -> Problem | None:
        if member.problems:
            return member.problems[0]
        for key in (member.origin, watched(member.environment.source)):
            seen = self._parts.roster.seen(key)
            if seen is not None and seen.problems:
                return seen.problems[-1]
        for run in self._parts.world.store.runs(member.environment.name, limit=1):
            if run.problems and run.verdict is not Verdict.SUPERSEDED:
                return run.problems[0]
        return None


def _commit(member: Member) -> Commit:
    if member.commit is None:
        raise UserError(
            Reason.REF_MISSING,
            f"the ref {member.environment.source.ref!r} of {member.environment.name} was not read yet",
            hint=f"gitopsd why {member.environment.name} says what it waits for",
        )
    return member.commit

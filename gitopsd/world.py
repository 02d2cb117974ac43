"""The world that runs work in: every port, wired once by the composition root, and those of one environment."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from gitopsd.errors import Reason, StepError, TransientError, UserError
from gitopsd.kit.redact import SHORTEST, masked
from gitopsd.kit.text import one_line, suggestion
from gitopsd.model import head as heads
from gitopsd.model.diff import Diff
from gitopsd.model.ends import End, Failed, Invalid, Superseded, Suspended, run_of
from gitopsd.model.environment import Commit, Environment, InterruptedPolicy
from gitopsd.model.head import Head, Suspension
from gitopsd.model.plan import Problem
from gitopsd.model.record import Recorded, headed
from gitopsd.model.run import SHUTDOWN, Follow, Run, Start, Trigger, Verdict, condition_after
from gitopsd.model.values import Frozen, Value, starlark_repr
from gitopsd.ports import (
    Backend,
    Chat,
    Clock,
    Downloads,
    Evaluator,
    Forge,
    Git,
    Heads,
    Journal,
    Reports,
    Secrets,
    Store,
)
from gitopsd.session import Session, Sessions

T = TypeVar("T")
Newer = Callable[[], str]
"""What wants a run's place: the id of a commit or what else was asked for, "" for nothing."""


def nothing_newer() -> str:
    """For runs that nothing pre-empts."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """``backends`` and ``records`` have the same keys."""

    git: Git
    downloads: Downloads
    evaluator: Evaluator
    backends: Mapping[str, Backend]
    records: Mapping[str, Sessions]
    heads: Heads
    store: Store
    reports: Reports
    forges: tuple[Forge, ...] = ()
    chat: Chat | None = None
    secrets: Secrets
    clock: Clock
    journal: Journal
    constants: Frozen[str] = Frozen()

    def backend_of(self, environment: Environment) -> Backend:
        """UserError ENVIRONMENT_INVALID for a backend that is not configured."""
        return _named(self.backends, environment)

    def ledger_of(self, environment: Environment) -> Ledger:
        """The record of an environment, not claimed yet. What is asked of it raises UserError ENVIRONMENT_INVALID as
        above."""
        return Ledger(self, environment)

    def suspension_of(self, environment: Environment) -> Suspension | None:
        """Why a person had an environment left alone; raises what reading its record does."""
        return self.ledger_of(environment).recorded.head.suspension(self.clock.now())

    def refused(self, environment: str, commit: Commit, problems: tuple[Problem, ...]) -> None:
        """Tells people that a commit defines an environment wrongly; there may be none of that name."""
        now = self.clock.now()
        run = Run(
            id=_new_run_id(), environment=environment, commit=commit, trigger=Trigger.COMMIT,
            verdict=Verdict.INVALID, problems=problems, started_at=now, ended_at=now,
        )  # fmt: skip
        self.reports.ended(run)

    def site(self, asked: Follow, newer: Newer = nothing_newer) -> Site:
        """The environment that a run is for, with its ports."""
        ledger = self.ledger_of(asked.environment)
        return Site(world=self, asked=asked, newer=newer, ledger=ledger, id=_new_run_id(), started_at=self.clock.now())


class Ledger:
    """The record of one environment: looked at without a claim; prepared and claimed at its first write.

    As long as there is none, what has to be kept of the head is kept with the daemon. May be shared by threads.
    """

    def __init__(self, world: World, environment: Environment) -> None:
        self._world = world
        self._environment = environment
        self._session: Session | None = None
        self._lock = threading.Lock()

    @property
    def _sessions(self) -> Sessions:
        return _named(self._world.records, self._environment)

    @property
    def recorded(self) -> Recorded:
        """What is recorded now; never stale once something was written. Raises as the ports do: a read that fails is
        no empty record."""
        if self._session is not None:
            return self._session.recorded
        found, kept = self._sessions.peek(self._environment.enclave), self._kept()
        return self._joined(found or Recorded(), kept)

    def change(self, step: Callable[[Recorded], Recorded]) -> Recorded:
        """Stores what ``step`` makes of the record; the first time the enclave is prepared and the record claimed."""
        return self._opened().change(step)

    def amend(self, change: Callable[[Head], Head]) -> None:
        """Changes the head where it is kept: with the enclave, or with the daemon while there is no record."""
        if self._sessions.peek(self._environment.enclave) is not None:
            self.change(partial(headed, change=change))
        else:
            self._keep(change(self._kept() or self._named(Head())))

    def destroy(self, *, defined: bool) -> None:
        """Ends everything of the enclave and deletes it with its record. Of an environment that is still ``defined`` a
        head stays with the daemon: it does not come back by itself."""
        world, environment = self._world, self._environment
        if defined:
            gone = Suspension(reason="destroyed", by="a person", since=world.clock.now())
            self._keep(heads.suspended(self._named(Head()), gone))
        world.backend_of(environment).destroy(environment.enclave)
        if self._sessions.peek(environment.enclave) is not None:
            self._sessions.open(environment.enclave).delete()
        self._sessions.close(environment.enclave)
        if not defined:
            world.heads.drop(environment.name)

    def _opened(self) -> Session:
        with self._lock:
            if self._session is None:
                environment = self._environment
                self._world.backend_of(environment).prepare(environment.enclave, environment.owner)
                session, kept = self._sessions.open(environment.enclave), self._kept()
                session.change(lambda found: self._joined(found, kept))
                if kept is not None:
                    self._world.heads.drop(environment.name)
                self._session = session
            return self._session

    def _joined(self, recorded: Recorded, kept: Head | None) -> Recorded:
        return headed(recorded, lambda head: self._named(heads.joined(head, kept)))

    def _named(self, head: Head) -> Head:
        owner = self._environment.owner
        return heads.named(head, environment=owner.environment, repository=owner.repository)

    def _kept(self) -> Head | None:
        return self._world.heads.load(self._environment.name)

    def _keep(self, head: Head) -> None:
        if head == self._named(Head()):
            self._world.heads.drop(self._environment.name)
        else:
            self._world.heads.keep(self._environment.name, head)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What one run works with: an environment, its ports and its record. On a way back ``back_to`` is the commit that
    steps bear as theirs, and no persistent data is deleted."""

    world: World
    asked: Follow
    newer: Newer
    ledger: Ledger
    id: str
    started_at: datetime
    back_to: str = ""

    # --- what there is ------------------------------------------------------------------------------------

    @property
    def environment(self) -> Environment:
        """The environment; a person who asks for a run has decided about what was interrupted."""
        environment = self.asked.environment
        if not self.asked.trigger.personal:
            return environment
        return replace(environment, policy=replace(environment.policy, interrupted=InterruptedPolicy.RERUN))

    @property
    def enclave(self) -> str:
        return self.asked.environment.enclave

    @property
    def backend(self) -> Backend:
        return self.world.backend_of(self.asked.environment)

    @property
    def commit(self) -> str:
        """The id that steps bear as theirs."""
        return self.back_to or self.asked.commit.id

    @property
    def recorded(self) -> Recorded:
        """See :attr:`Ledger.recorded`."""
        return self.ledger.recorded

    @property
    def head(self) -> Head:
        return self.recorded.head

    def returning(self, commit: str) -> Site:
        """The same site on the way back to a commit."""
        return replace(self, back_to=commit)

    def rewrote(self) -> bool:
        """Whether the commit does not descend from the one that was followed before."""
        commit = self.asked.commit
        return self.world.git.rewrote(commit.url, self.head.commit, commit.id)

    # --- what is written ----------------------------------------------------------------------------------

    def change(self, step: Callable[[Recorded], Recorded]) -> Recorded:
        """See :meth:`Ledger.change`."""
        return self.ledger.change(step)

    def move(self, change: Callable[[Head], Head]) -> Recorded:
        """Changes the head of the record."""
        return self.change(partial(headed, change=change))

    # --- what people hear ---------------------------------------------------------------------------------

    def run(self, verb: Callable[[Site], End]) -> Run:
        """Does what ``verb`` does and ends. An error outside of ``apply`` is an end as well: nothing that was live has
        been touched by it."""
        try:
            end = verb(self)
        except (UserError, StepError) as error:
            end = Invalid(problems=(Problem.of(error, "pipeline", self.asked.environment.position),))
        except TransientError as error:
            end = Failed(problems=(Problem.of(error, "pipeline"),))
        return self.ended(end)

    def ended(self, end: End) -> Run:
        """The run that ended so, kept in the history; the condition that follows from it, kept as well; and people are
        told, unless the daemon goes down and its next start goes on."""
        world = self.world
        run = run_of(end, run_id=self.id, asked=self.asked, started_at=self.started_at, ended_at=world.clock.now())
        before = world.store.condition(run.environment)
        now = condition_after(run, before, suspended=isinstance(end, Suspended))
        turned = before is not None and now is not None and before.state is not now.state
        if turned or not (run.verdict is Verdict.NOOP and run.trigger is Trigger.DRIFT):
            world.store.save_run(run)
        if now is not None and now != before:
            world.store.save_condition(now)
        if turned and run.verdict in (Verdict.NOOP, Verdict.SUCCEEDED):
            for problem in run.problems:
                world.journal.problem(run.environment, problem)
        if run.superseded_by != SHUTDOWN:
            world.reports.ended(run)
        return run

    def announce(self) -> None:
        """Tells people that the commit is looked at, after the end of one before it whose end they never heard, since
        a daemon went down in between. Kept before it is told."""
        asked, head = self.asked, self.head
        if head.announced != asked.commit.id:
            if head.announced not in ("", head.commit):
                self.world.reports.ended(self._overtaken(head.announced))
            self.ledger.amend(partial(heads.announced, commit=asked.commit.id))
        self.tell(None)

    def tell(self, diff: Diff | None) -> None:
        """Tells people that a diff is about to be applied; without one, that the commit is being evaluated."""
        asked, run_id = self.asked, self.id if diff is not None else ""
        self.world.reports.began(
            Start(run_id=run_id, environment=asked.environment.name, commit=asked.commit, diff=diff)
        )

    def _overtaken(self, commit: str) -> Run:
        """The end of a commit that another one followed before people heard of its own."""
        asked = replace(self.asked, commit=replace(self.asked.commit, id=commit, subject="", author="", when=0))
        end, now = Superseded(by=self.asked.commit.id), self.world.clock.now()
        return run_of(end, run_id=_new_run_id(), asked=asked, started_at=now, ended_at=now)

    # --- secrets ------------------------------------------------------------------------------------------

    def secret_values(self) -> dict[str, str]:
        """Values of the secrets that the environment may use, by name; those that cannot be read, or are so short
        that they would match by chance, are left out."""
        found = {}
        for name in self.world.secrets.names(self.environment.name):
            try:
                found[name] = self.world.secrets.reveal(self.environment.name, name)
            except UserError:
                continue
        return {name: value for name, value in found.items() if len(value) >= SHORTEST}

    def masked(self, text: str) -> str:
        """A text with the names of secrets in place of their values. To be called before a text is cut."""
        return masked(text, self.secret_values())

    def shown(self, value: Value, *, limit: int = 0) -> str:
        """A value on one line of a message, secrets masked, at most ``limit`` characters long (0: any)."""
        return one_line(self.masked(starlark_repr(value)), limit=limit)


def _new_run_id() -> str:
    return uuid.uuid4().hex[:12]


def _named(things: Mapping[str, T], environment: Environment) -> T:
    if environment.backend not in things:
        raise UserError(
            Reason.ENVIRONMENT_INVALID,
            f"{environment.name}: there is no backend {environment.backend!r}",
            position=environment.position,
            hint=suggestion(environment.backend, things) or f"configured: {', '.join(sorted(things))}",
        )
    return things[environment.backend]

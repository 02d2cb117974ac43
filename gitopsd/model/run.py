"""Runs: one attempt to apply a diff, with an outcome per change; and what people are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gitopsd.errors import Reason
from gitopsd.kit.text import one_line
from gitopsd.model.diff import Action, Diff, Drift, Why
from gitopsd.model.environment import Commit, Environment
from gitopsd.model.plan import Problem
from gitopsd.model.values import Value


class Done(StrEnum):
    """How one change ended. ``kept``: nothing had to be done, also after a RECHECK."""

    APPLIED = "applied"
    KEPT = "kept"
    FAILED = "failed"
    SKIPPED = "skipped"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``action`` is what was really done (a settled RECHECK is KEEP, RUN, UPDATE or REPLACE); ``held_by`` names the
    failed changes that a skipped one waited for; ``text`` is what a ``print`` said."""

    id: str
    done: Done
    action: Action
    why: Why = Why.NONE
    problem: Problem | None = None
    held_by: tuple[str, ...] = ()
    text: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Verdict(StrEnum):
    """How a run ended. NOOP: nothing to do. HELD: stopped on purpose, a person or a new commit has to decide."""

    NOOP = "no-op"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ROLLED_BACK = "rolled-back"
    ROLLBACK_FAILED = "rollback-failed"
    SUPERSEDED = "superseded"
    HELD = "held"
    INVALID = "invalid"


class Trigger(StrEnum):
    """Why there is a run. UPDATE is a SYNC that also moves dependencies to where their refs are now."""

    COMMIT = "commit"
    DRIFT = "drift"
    ROLLBACK = "rollback"
    SYNC = "sync"
    UPDATE = "update"
    RESUME = "resume"

    @property
    def personal(self) -> bool:
        """Whether a person asked to follow all the same: what is held is tried again."""
        return self in (Trigger.SYNC, Trigger.UPDATE)


SHUTDOWN = "shutdown"
"""What takes the place of a run when the daemon ends; the next start goes on with it, and nobody is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """What a run is for: an environment, the commit that it is to follow, and why now."""

    environment: Environment
    commit: Commit
    trigger: Trigger = Trigger.COMMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A run that begins. ``diff`` is what it is about to do, None as long as that is not known."""

    run_id: str
    environment: str
    commit: Commit
    trigger: Trigger = Trigger.COMMIT
    diff: Diff | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What ``apply`` gives back for one diff: outcomes by change, in the order they ended. ``preempted``: stopped
    between steps because something newer wants its place. ``output`` is what the package returned, with the values
    that it got in the end."""

    diff: Diff
    outcomes: tuple[Outcome, ...] = ()
    preempted: bool = False
    output: Value = None

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(item for item in self.outcomes if item.done is Done.FAILED)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why its changes failed."""
        return tuple(item.problem for item in self.failed if item.problem)

    @property
    def ok(self) -> bool:
        """Whether every change ended well."""
        return not self.preempted and all(item.done in (Done.APPLIED, Done.KEPT) for item in self.outcomes)

    @property
    def left(self) -> tuple[Drift, ...]:
        """What is not as it should be and is left so. What left the package and is not pruned is no part of it."""
        return tuple(item for item in self.diff.drift if not item.healed and item.why is not Why.REMOVED)

    @property
    def crashed(self) -> tuple[Problem, ...]:
        """The services among it that ended, as problems."""
        return tuple(
            Problem(
                stage="pipeline",
                reason=Reason.SERVICE_CRASHED,
                message=f"{item.service}: {item.detail}",
                hint="`gitopsd logs` shows why",
                severity="warning",
            )
            for item in self.left
            if item.why is Why.UNHEALTHY
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt to make an environment follow a commit, with the rollback that it led to."""

    id: str
    environment: str
    commit: Commit
    trigger: Trigger
    verdict: Verdict
    applied: Applied | None = None
    rollback: Applied | None = None
    restored: str = ""
    problems: tuple[Problem, ...] = ()
    superseded_by: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


class ConditionState(StrEnum):
    PENDING = "pending"
    READY = "ready"
    DEGRADED = "degraded"
    HELD = "held"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Where an environment stands; set in ``Site.ended`` only. ``since`` moves on a transition only."""

    environment: str
    state: ConditionState
    message: str = ""
    commit: str = ""
    since: datetime | None = None


_CONDITIONS = {
    Verdict.NOOP: ConditionState.READY,
    Verdict.SUCCEEDED: ConditionState.READY,
    Verdict.FAILED: ConditionState.DEGRADED,
    Verdict.INVALID: ConditionState.DEGRADED,
    Verdict.ROLLED_BACK: ConditionState.HELD,
    Verdict.ROLLBACK_FAILED: ConditionState.DEGRADED,
    Verdict.HELD: ConditionState.HELD,
}


def condition_after(run: Run, before: Condition | None, *, suspended: bool) -> Condition | None:
    """The condition that follows from a run; None when it says nothing about it.

    What a commit is held or degraded for outlasts drift checks that find the last good plan as it should be. A run that
    went well has problems where a service ends again and again by itself.
    """
    state = _CONDITIONS.get(run.verdict)
    if state is None or (run.trigger is Trigger.DRIFT and run.applied is None):
        return None
    if before and run.trigger is Trigger.DRIFT and state is ConditionState.READY:
        another = before.state is ConditionState.DEGRADED and before.commit != run.commit.id
        if another or before.state is ConditionState.HELD:
            return None
    if run.problems and state is ConditionState.READY:
        state = ConditionState.DEGRADED
    if run.problems and run.problems[0].reason is Reason.SUSPENDED and suspended:
        state = ConditionState.SUSPENDED
    back = f"it was rolled back to {run.restored[:7]}" if run.restored else ""
    message = one_line(run.problems[0].message, limit=300) if run.problems else back
    since = before.since if before and before.state is state else run.ended_at
    return Condition(environment=run.environment, state=state, message=message, commit=run.commit.id, since=since)


class ReportState(StrEnum):
    """State of a commit status: ``pending``, then exactly one of the others. ``superseded``: a newer commit took its
    place before it was done; forges without such a state show their nearest."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What people are told about a run: ``line`` in a sentence, ``details`` a few lines. ``key`` makes sending
    idempotent; ``silent`` ones (no-ops) go to the forge but not to chat."""

    key: str
    environment: str
    commit: Commit
    state: ReportState
    line: str
    details: tuple[str, ...] = ()
    run_id: str = ""
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A report that waits to be sent. ``channel`` is ``forge`` or ``chat``; entries of one ``stream`` are sent in
    order; ``attempts`` failed so far, and the next one is due at ``due_at`` (None: now)."""

    key: str
    channel: str
    stream: str
    report: Report
    attempts: int = 0
    due_at: datetime | None = None
    queued_at: datetime | None = None

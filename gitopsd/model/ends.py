"""How a run may end: a class an outcome, before it becomes a :class:`~gitopsd.model.run.Run`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from gitopsd.errors import Reason
from gitopsd.model.head import LastGood
from gitopsd.model.plan import Problem
from gitopsd.model.run import Applied, Follow, Run, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Achieved:
    """The plan is live. With an empty diff nothing had to be done for it."""

    applied: Applied


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToCheck:
    """A drift check that found nothing to compare with: no good plan, or one that is half-way on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """It did not come to its end. ``plan`` is the digest of the plan that is to blame, "" when none is; ``back_to`` the
    good plan that the enclave returns to, None when it stays as it is; ``applied`` is None when nothing was begun."""

    problems: tuple[Problem, ...]
    applied: Applied | None = None
    plan: str = ""
    back_to: LastGood | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """There is no plan; nothing was touched."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Stopped on purpose: a person or a new commit has to decide."""

    problems: tuple[Problem, ...]
    applied: Applied | None = None

    @classmethod
    def because(cls, reason: Reason, message: str, hint: str) -> Held:
        """Nothing was done, and people are told why."""
        problem = Problem(stage="pipeline", reason=reason, message=message, hint=hint, severity="warning")
        return cls(problems=(problem,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """Something newer took its place: the id of a commit, or what else was asked for."""

    by: str
    applied: Applied | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """A person, or the environment's own policy, has it left alone."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        message, hint = "the environment is suspended", "resume it to follow commits again"
        return Held.because(Reason.SUSPENDED, message, hint).problems


@dataclass(frozen=True, slots=True, kw_only=True)
class WentBack:
    """The way back to a good plan, and how that went. ``failed`` is why; None when a person asked, or when the reason
    was told before a restart."""

    good: LastGood
    rollback: Applied
    failed: Failed | None = None


End = Achieved | NothingToCheck | Failed | Invalid | Held | Suspended | Superseded | WentBack


def run_of(end: End, *, run_id: str, asked: Follow, started_at: datetime, ended_at: datetime) -> Run:
    """The run that ended so."""
    run = Run(
        id=run_id, environment=asked.environment.name, commit=asked.commit, trigger=asked.trigger,
        verdict=_verdict(end), started_at=started_at, ended_at=ended_at,
    )  # fmt: skip
    match end:
        case Achieved(applied=applied):
            return replace(run, applied=applied, problems=applied.crashed)
        case NothingToCheck():
            return run
        case Superseded(applied=applied, by=by):
            return replace(run, applied=applied, superseded_by=by)
        case WentBack(failed=failed, rollback=rollback, good=good):
            failed = failed or Failed(problems=())
            problems = (*failed.problems, *rollback.problems)
            return replace(run, applied=failed.applied, rollback=rollback, restored=good.commit, problems=problems)
        case Invalid(problems=problems) | Suspended(problems=problems):
            return replace(run, problems=problems)
        case Failed(problems=problems, applied=applied) | Held(problems=problems, applied=applied):
            return replace(run, applied=applied, problems=problems)


def _verdict(end: End) -> Verdict:
    match end:
        case Achieved(applied=applied):
            return Verdict.NOOP if applied.diff.empty else Verdict.SUCCEEDED
        case NothingToCheck():
            return Verdict.NOOP
        case Superseded():
            return Verdict.SUPERSEDED
        case WentBack(rollback=rollback):
            return Verdict.ROLLED_BACK if rollback.ok else Verdict.ROLLBACK_FAILED
        case Invalid():
            return Verdict.INVALID
        case Failed():
            return Verdict.FAILED
        case Held() | Suspended():
            return Verdict.HELD

"""Whether a commit is followed at all, and whether its plan is applied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gitopsd.decide.back import pending_return
from gitopsd.errors import Reason
from gitopsd.model.diff import Diff
from gitopsd.model.ends import Held, Suspended
from gitopsd.model.head import Head, LastGood
from gitopsd.model.package import Lock
from gitopsd.model.plan import Plan
from gitopsd.model.run import Follow, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """The diff is to be applied; an empty one only moves the commit on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoBack:
    """A way back that was cut off is to be finished."""

    good: LastGood


def held(head: Head, asked: Follow, *, now: datetime, rewrote: Callable[[], bool]) -> Held | Suspended | GoBack | None:
    """Why a commit is not followed: the environment is suspended, a person rolled it back, or its history was
    rewritten (which ``rewrote`` tells, asked only where it matters). A person's rollback that was cut off is finished.
    None when it is followed. A person who asks for it has decided otherwise."""
    if asked.trigger.personal:
        return None
    if asked.environment.policy.suspend or head.suspension(now):
        return Suspended()
    if head.pinned == asked.commit.id and (good := pending_return(head)) is not None:
        return GoBack(good=good)
    if head.pinned == asked.commit.id:
        message = "a person rolled this commit back"
        return Held.because(Reason.SUSPENDED, message, "push a new commit, or apply it again with `gitopsd sync`")
    if asked.trigger is Trigger.COMMIT and rewrote():
        ref, before = asked.environment.source.ref, head.commit[:7]
        message = f"{ref} was moved by force: {asked.commit.short} does not descend from {before}"
        return Held.because(Reason.HISTORY_REWRITTEN, message, "look at it, then follow it with `gitopsd sync`")
    return None


def lock_of(head: Head, asked: Follow) -> Lock:
    """The dependencies that an evaluation starts with: those of before, unless they are to move."""
    return Lock() if asked.trigger is Trigger.UPDATE else head.lock


def decide(plan: Plan, diff: Diff, head: Head, asked: Follow) -> Apply | Held | GoBack:
    """What becomes of a plan. One that failed before is not tried again by itself, and nothing is done while a result
    that only a one-shot could make is gone."""
    if head.bad_plans and not asked.trigger.personal and plan.digest in head.bad_plans:
        if (good := pending_return(head)) is not None and good is head.good:
            return GoBack(good=good)
        message = "this plan failed before and is not tried again by itself"
        return Held.because(Reason.BAD_PLAN, message, "push another plan, or try it again with `gitopsd sync`")
    if diff.lost and not diff.empty:
        return Held.because(Reason.RESULT_LOST, diff.lost, "restore it, or run the step again by changing its text")
    return Apply()

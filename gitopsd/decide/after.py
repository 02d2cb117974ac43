"""What an apply that came to its end means."""

from __future__ import annotations

from dataclasses import replace

from gitopsd.errors import PASSING, Reason
from gitopsd.model import head as heads
from gitopsd.model.diff import Diff
from gitopsd.model.ends import Achieved, Failed, Held, Superseded
from gitopsd.model.environment import Policy, RollbackPolicy
from gitopsd.model.head import SCHEME, Head
from gitopsd.model.plan import Plan
from gitopsd.model.record import Recorded, headed
from gitopsd.model.run import Applied

HOLDING = (Reason.INTERRUPTED, Reason.RESULT_LOST)
"""Reasons that wait for a person instead of leading to a rollback."""


def judge(
    applied: Applied, plan: Plan, head: Head, policy: Policy, *, newer: str
) -> Achieved | Failed | Held | Superseded:
    """How following ends. ``plan`` is what the package asked for, before its steps were paired; ``newer`` what took the
    run's place, if something did.

    What may pass by itself is tried again, and the last good plan that fails again is not to blame: the enclave stays
    as it is. Every other failure is the plan's, and leads back to the last good one if the policy says so.
    """
    end = judge_check(applied, newer=newer)
    if not isinstance(end, Failed):
        return end
    problems = applied.problems
    if any(problem.reason in HOLDING for problem in problems):
        return Held(applied=applied, problems=problems)
    passing = all(problem.reason in PASSING for problem in problems)
    good = head.good
    if passing or (good is not None and good.digest == applied.diff.plan_digest):
        return end
    back_to = None if policy.rollback is RollbackPolicy.NONE else good
    return replace(end, plan=plan.digest, back_to=back_to)


def judge_check(applied: Applied, *, newer: str) -> Achieved | Failed | Superseded:
    """How a drift check ends: healing that fails blames no plan."""
    if applied.preempted:
        return Superseded(applied=applied, by=newer)
    if applied.ok:
        return Achieved(applied=applied)
    return Failed(applied=applied, problems=applied.problems)


def adopted(recorded: Recorded, diff: Diff) -> Recorded:
    """The record of an older release as this one writes it, once an empty diff has found that it holds."""
    if recorded.head.scheme >= SCHEME or not diff.empty:
        return recorded
    taken = {
        change.id: replace(change.before, instruction=change.after)
        for change in diff.changes
        if change.before is not None and change.after is not None
    }
    return headed(replace(recorded, steps=recorded.steps.with_(taken)), heads.adopted)

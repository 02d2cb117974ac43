"""Which good plan an enclave is checked against or returns to."""

from __future__ import annotations

from dataclasses import replace

from gitopsd.errors import Reason
from gitopsd.model.diff import Action, Diff
from gitopsd.model.ends import Held
from gitopsd.model.environment import Policy, PrunePolicy
from gitopsd.model.head import Head, LastGood, Returning, Settled, Under


def checked_plan(head: Head) -> LastGood | None:
    """The plan that a drift check compares with: the last good one, unless another plan is half-way on purpose, where
    nothing is drift."""
    match head.course:
        case Settled():
            return head.good
        case Returning() if pending_return(head) is head.good:
            return head.good
        case Under(plan=plan) if head.good is not None and plan == head.good.digest:
            return head.good  # the last good plan itself failed when it was applied again
        case _:
            return None


def pending_return(head: Head) -> LastGood | None:
    """The good plan that the enclave was returning to when the way back was cut off; None when it is on none."""
    if not isinstance(head.course, Returning):
        return None
    return next((good for good in head.goods if good.digest == head.course.good), None)


def recall(head: Head) -> LastGood | Held:
    """The plan that a person's rollback returns to: the newest good one that is not that of the recorded commit."""
    found = next((good for good in head.goods if good.commit != head.commit), None)
    if found is None:
        return Held.because(Reason.ROLLBACK_FAILED, "there is no good plan to go back to", "push a fix")
    return found


def policy_back(policy: Policy) -> Policy:
    """The policy that a way back is compared under: what was added since is deleted, also where nothing is pruned."""
    return replace(policy, prune=PrunePolicy.ON) if policy.prune is PrunePolicy.OFF else policy


def completed(diff: Diff, good: LastGood, policy: Policy) -> Diff:
    """A diff that rolls back completely: what was added since is deleted, and what pruning had left in place before
    stays there."""
    if policy.prune is not PrunePolicy.OFF:
        return diff
    return diff.without({c.id for c in diff.changes if c.action is Action.DELETE and c.id in good.serials})

"""The diff: what separates an enclave from a plan. Pure: no clock, no I/O, no randomness.

Input: the desired plan, the record, what is live, the policy and a few facts. Output: a :class:`Diff`.

Invariants: comparing again after a whole apply gives an empty diff; equal spec and equal inputs are KEEP wherever the
instruction moved; nothing is deleted for an empty plan; a record of an older scheme for the same commit gives an empty
diff; what the diff cannot know is RECHECK, and :func:`settle` decides it from the inputs alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gitopsd.compare.align import align, candidates
from gitopsd.compare.comparison import Comparison, choose
from gitopsd.compare.inputs import Reading, is_told, read
from gitopsd.compare.judge import Sight, Verdict, judge_inputs
from gitopsd.compare.lives import End, Life, lives_of
from gitopsd.compare.prune import order_needs, pruned
from gitopsd.compare.seeing import Facts, incarnation_of_volumes
from gitopsd.model.codec import same
from gitopsd.model.diff import Action, Change, Diff, Why
from gitopsd.model.environment import Policy
from gitopsd.model.head import SCHEME, Head, Settled
from gitopsd.model.ops import AddService, Kind, SetService, kind_of
from gitopsd.model.plan import Plan
from gitopsd.model.record import LiveEnclave, Recorded, Step
from gitopsd.model.values import Value

__all__ = ["Facts", "Reading", "compare", "incarnation_of_volumes", "read", "settle"]


def compare(plan: Plan, recorded: Recorded, live: LiveEnclave, policy: Policy, facts: Facts) -> Diff:
    """What to do so that the enclave is what ``plan`` asks for; see the module's invariants."""
    if (good := recorded.head.good) is None or not same(plan.asked, good.plan.asked):
        plan = align(plan, recorded)  # the last good plan bears the ids that it was paired with
    if _is_older(recorded.head, facts.commit):
        return Diff(enclave=live.name, plan=plan, changes=_adopted(plan, recorded))
    reading, lives = read(plan, policy), lives_of(plan)
    up, recent = frozenset[str](), frozenset[str]()
    while True:
        found = Comparison(
            plan=plan,
            reading=reading,
            lives=lives,
            recorded=recorded,
            live=live,
            policy=policy,
            facts=facts,
            up=up,
            recent=recent,
        )
        found.run()
        more = frozenset(life.id for life in lives.values() if life.id not in up and _must_be_up(life, found.changes))
        if not more:
            break
        recalled = {life for life in more - recent if found.changes[life].why is Why.RECALLED}
        recent, up = recent | recalled, up if recalled else up | more
    deletes, orphans = pruned(plan, recorded, live, policy)
    changes = order_needs((*found.changes.values(), *deletes), plan, reading)
    return Diff(enclave=live.name, plan=plan, changes=changes, drift=(*found.drift, *orphans))


def _is_older(head: Head, commit: str) -> bool:
    """Whether an older release made this very commit live, and nothing has been begun since."""
    live = head.good is not None and head.good.commit == head.commit == commit
    return head.scheme < SCHEME and live and isinstance(head.course, Settled)


def _must_be_up(life: Life, changes: Mapping[str, Change]) -> bool:
    """Whether an ended life has to be brought up: one of its steps may run, or it shall be stopped for the first
    time."""
    if life.end is End.RUNNING:
        return False
    first_stop = life.end is End.STOPPED and any(changes[move].why is Why.NEW for move in life.moves)
    return first_stop or any(changes[step].action is not Action.KEEP for step in life.steps)


def _adopted(plan: Plan, recorded: Recorded) -> tuple[Change, ...]:
    """A record of an older scheme for this very commit: taken over as it is."""
    found: Iterable[Change] = (
        Change(id=item.id, action=Action.KEEP, before=recorded.steps[item.id], after=item)
        for item in plan.instructions
        if item.id in recorded.steps and is_told(item.op) and not isinstance(item.op, SetService)
    )
    return tuple(found)


def settle(change: Change, inputs: Mapping[str, Value], incarnation: str, recorded: Recorded) -> Change:
    """What a RECHECK comes to when all its inputs are known: equal ones are KEEP after all.

    ``incarnation`` is that of the service that it acts on, "" for none. Any other change is returned as it is.
    """
    if change.action is not Action.RECHECK or change.after is None:
        return change
    op = change.after.op
    if isinstance(op, AddService):
        return _settle_service(change, inputs)
    found = candidates(change.id, recorded)
    if kind_of(op) not in (Kind.ONE_SHOT, Kind.CAPTURE):
        found = tuple(step for step in found if step is recorded.steps.get(change.id))
    held = choose(found, change.after, Sight(inputs=inputs, incarnation=incarnation))
    if isinstance(held, Step):
        why = Why.NONE if held is recorded.steps.get(change.id) else Why.RECALLED
        return replace(change, action=Action.KEEP, why=why, before=held, fields=())
    return replace(change, action=Action.RUN)


def _settle_service(change: Change, inputs: Mapping[str, Value]) -> Change:
    assert change.before is not None
    sight = Sight(inputs=inputs, incarnation=change.before.incarnation)
    if judge_inputs(change.before, sight) is not Verdict.HOLDS:
        return replace(change, action=Action.REPLACE, why=Why.UPSTREAM)
    if change.why in (Why.DRIFTED, Why.UNHEALTHY):
        return replace(change, action=Action.UPDATE)
    return replace(change, action=Action.KEEP, why=Why.NONE, fields=())

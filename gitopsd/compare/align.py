"""Pairs the nameless steps of a plan with those of the record, so that equal things have equal ids.

A nameless id is ``<kind>/<subject>@<ordinal>``. Per kind and subject, steps of equal shape are paired first (the
recorded ones, then results of the past), the rest in order, and what is left gets an ordinal that nobody used.
The shape of an op has each reference to a nameless step reduced to that step's kind and subject.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import replace

from gitopsd.model.codec import canonical, same
from gitopsd.model.ops import Op
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.record import Recorded, Step
from gitopsd.model.values import Ref, StepResult, map_refs


def align(plan: Plan, recorded: Recorded) -> Plan:
    """The same plan in which each nameless step bears the id of the recorded step that it is paired with."""
    wanted = _grouped(item for item in plan.instructions)
    active = _grouped(step.instruction for step in recorded.steps.values())
    past = _grouped(step.instruction for step in recorded.past)
    new_ids: dict[str, str] = {}
    for group, items in wanted.items():
        known = sorted(active.get(group, []), key=_ordinal)
        new_ids |= _pair(group, items, known, past.get(group, []))
    if all(old == new for old, new in new_ids.items()):
        return plan
    return replace(plan, instructions=tuple(rename(item, new_ids) for item in plan.instructions))


def _grouped(items: Iterable[Instruction]) -> dict[str, list[Instruction]]:
    groups: dict[str, list[Instruction]] = defaultdict(list)
    for item in items:
        if "@" in item.id:
            groups[_group(item.id)].append(item)
    return groups


def _group(step: str) -> str:
    return step.rpartition("@")[0] if "@" in step else step


def _ordinal(item: Instruction) -> int:
    return int(item.id.rpartition("@")[2])


def _pair(group: str, items: list[Instruction], known: list[Instruction], past: list[Instruction]) -> dict[str, str]:
    if [item.id for item in items] == [item.id for item in known] and all(
        same(item.op, step.op) for item, step in zip(items, known, strict=True)
    ):
        return {item.id: item.id for item in items}
    chosen: dict[str, str] = {}
    free = [item.id for item in known]
    _pair_equal(items, known, chosen, free)
    active = {item.id for item in known}
    remembered = [item for item in past if item.id not in active or item.id in free]
    _pair_equal(items, remembered, chosen, free)
    taken = {*chosen.values(), *free, *(item.id for item in past)}
    left = [item for item in items if item.id not in chosen]
    for item, step in zip(left, free, strict=False):
        chosen[item.id] = step
    ordinal = 0
    for item in items:
        if item.id in chosen:
            continue
        while f"{group}@{ordinal}" in taken:
            ordinal += 1
        chosen[item.id] = f"{group}@{ordinal}"
        taken.add(chosen[item.id])
    return chosen


def _pair_equal(items: list[Instruction], known: list[Instruction], chosen: dict[str, str], free: list[str]) -> None:
    """Adds pairs of equal shape to ``chosen`` and takes them out of ``free``; earlier ones first."""
    taken, by_shape = set(chosen.values()), defaultdict[str, deque[str]](deque)
    for item in known:
        by_shape[shape(item.op)].append(item.id)
    for item in items:
        equal = by_shape.get(shape(item.op), deque()) if item.id not in chosen else deque()
        while equal and equal[0] in taken:
            equal.popleft()
        if equal:
            chosen[item.id] = equal.popleft()
            taken.add(chosen[item.id])
    free[:] = [step for step in free if step not in taken]


def shape(op: Op) -> str:
    """The canonical text of an op whose references to nameless steps name only their kind and subject."""

    def reduce(ref: Ref) -> Ref:
        return StepResult(step=_group(ref.step), field=ref.field) if isinstance(ref, StepResult) else ref

    return canonical(map_refs(op, reduce))


def rename(item: Instruction, new_ids: dict[str, str]) -> Instruction:
    """An instruction whose own id, needs and references follow ``new_ids``."""

    def follow(ref: Ref) -> Ref:
        return StepResult(step=new_ids.get(ref.step, ref.step), field=ref.field) if isinstance(ref, StepResult) else ref

    return replace(
        item,
        id=new_ids.get(item.id, item.id),
        op=map_refs(item.op, follow),
        needs=tuple(new_ids.get(need, need) for need in item.needs),
    )


def candidates(step: str, recorded: Recorded) -> tuple[Step, ...]:
    """Results that a step of this id may take over: the current one first, then those of the past, newest first."""
    current = recorded.steps.get(step)
    return (*((current,) if current else ()), *(item for item in recorded.past if item.id == step))

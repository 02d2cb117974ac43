"""What left the package, and what may not stand side by side during a change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gitopsd.compare.inputs import Reading, is_told, sources_of
from gitopsd.model.diff import Action, Change, Drift, Why
from gitopsd.model.environment import Policy, PrunePolicy
from gitopsd.model.ops import AddService, RemoveService, StartService, StopService, service_of
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.record import LiveEnclave, Recorded, Step


def pruned(
    plan: Plan, recorded: Recorded, live: LiveEnclave, policy: Policy
) -> tuple[tuple[Change, ...], tuple[Drift, ...]]:
    """Deletes for recorded steps that the plan lacks, and a word on what is left alone.

    An empty plan deletes nothing. Only a service that lives is an effect; the other steps are forgotten by the record,
    which keeps their results.
    """
    wanted = {item.id for item in plan.instructions if is_told(item.op)}
    names = {item.op.name for item in plan.instructions if isinstance(item.op, AddService)}
    gone = [step for step in recorded.steps.values() if step.id not in wanted]
    deletes: list[Change] = []
    orphans: list[Drift] = []
    for step in gone:
        op = step.instruction.op
        orphan = isinstance(op, AddService) and op.name in live.services and op.name not in names
        if orphan and (policy.prune is PrunePolicy.OFF or not plan.instructions):
            detail = "the package no longer has it" if plan.instructions else "the package is empty: nothing is pruned"
            orphans.append(Drift(service=step.id, why=Why.REMOVED, detail=detail, healed=False))
        elif plan.instructions:
            deletes.append(Change(id=step.id, action=Action.DELETE, why=Why.REMOVED, before=step))
    known = names | {
        step.instruction.op.name for step in recorded.steps.values() if isinstance(step.instruction.op, AddService)
    }
    orphans.extend(
        Drift(service=name, why=Why.NEW, detail="nobody asked for it", healed=False)
        for name in live.services
        if name not in known
    )
    return tuple(deletes), tuple(orphans)


def order_needs(changes: Iterable[Change], plan: Plan, reading: Reading) -> tuple[Change, ...]:
    """Every change with its needs among the changes of the diff.

    They are the instruction's needs, the steps that its inputs come from, and what else may not be overtaken on a
    service. A new process that wants a persistent directory or a fixed port that another service gives up, by its
    DELETE or by its own change, needs that: also where it comes later in the plan. The lives of one service follow
    each other anyway.
    """
    found = tuple(changes)
    ids = {change.id for change in found}
    turns = _turns(plan)
    given_up = [(change, _claims(change.before) - _claims(change.after)) for change in found if _acts(change)]
    ordered = []
    for change in found:
        needs: list[str] = []
        if change.after:
            sources = sources_of(reading, change.id)
            needs = [need for need in (*change.after.needs, *sources, *turns[change.id]) if need in ids]
        if change.after and _acts(change) and (wanted := _claims(change.after)):
            needs += [other.id for other, claims in given_up if claims & wanted and not _follow(change, other)]
        ordered.append(replace(change, needs=tuple(dict.fromkeys(need for need in needs if need != change.id))))
    return tuple(ordered)


def _turns(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Whose turn is before whose on one service: ``start``, ``stop`` and ``remove`` come after everything earlier that
    acts on it, and everything later after them."""
    since: dict[str, list[str]] = {}
    last: dict[str, list[str]] = {}
    turns: dict[str, tuple[str, ...]] = {}
    for item in plan.instructions:
        name = service_of(item.op)
        turns[item.id] = ()
        if name is None:
            continue
        turns[item.id] = tuple(last.get(name, ()))
        if isinstance(item.op, (StartService, StopService, RemoveService)):
            turns[item.id] += tuple(since.pop(name, ()))
            last[name] = [item.id]
        else:
            since.setdefault(name, []).append(item.id)
    return turns


def _follow(one: Change, other: Change) -> bool:
    """Whether both are lives of one service in the plan."""
    return one.after is not None and other.after is not None and service_of(one.after.op) == service_of(other.after.op)


def _acts(change: Change) -> bool:
    return change.action is not Action.KEEP


def _claims(of: Step | Instruction | None) -> frozenset[str]:
    """What two workloads may not hold at once: persistent directories and fixed ports."""
    op = of.instruction.op if isinstance(of, Step) else of.op if of else None
    if not isinstance(op, AddService):
        return frozenset()
    keys = {f"directory {key}" for key in op.spec.persistent_keys()}
    return frozenset(keys | {f"port {port.number}/{port.transport}" for port in op.spec.public_ports.values()})

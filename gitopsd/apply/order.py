"""When each change may start. Pure; says of every waiting change what holds it.

A change starts when everything in its edges has ended well. Edges are its needs, followed through changes that are
kept anyway, and what the order mode adds: ``staged`` puts every earlier barrier (one-shots, captures, checks, start,
stop and remove) before it and everything earlier before a barrier, ``serial`` the change before it, ``graph`` nothing.
Deletes that no other change needs come last. A need may point ahead, to what gives up a directory or a port; it is
left out where it would close a ring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitopsd.model.diff import Action, Change, Diff
from gitopsd.model.environment import OrderMode
from gitopsd.model.ops import is_barrier
from gitopsd.model.run import Done

Edges = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """``ready`` may start now, ``skipped`` never will (each with the failed changes it waited for), ``held`` waits
    (each with what it waits for)."""

    ready: tuple[str, ...] = ()
    skipped: Mapping[str, tuple[str, ...]]
    held: Mapping[str, tuple[str, ...]]


def edges(diff: Diff, mode: OrderMode) -> Edges:
    """What must have ended well before each change starts; kept changes have no edges and are nobody's."""
    by_id = {change.id: change for change in diff.changes}
    found: dict[str, frozenset[str]] = {}
    through: dict[str, frozenset[str]] = {}
    before: list[str] = []
    barrier: str | None = None
    ahead = _ahead(diff)
    for change in diff.changes:
        needs = frozenset(_effective(change, by_id, through)) - ahead.get(change.id, frozenset())
        through[change.id] = needs
        if change.action is Action.KEEP:
            found[change.id] = frozenset()
            continue
        if change.action is not Action.DELETE:
            extra, barrier = _mode_edges(change, mode, before, barrier)
            needs |= extra
            before.append(change.id)
        found[change.id] = needs
    wanted = frozenset().union(*found.values()) if found else frozenset()
    for change in diff.changes:
        if change.action is Action.DELETE and change.id not in wanted:
            found[change.id] |= frozenset(before)
    for name, later in ahead.items():
        for need in sorted(later):
            if not _leads_to(found, need, name):
                found[name] |= {need}
    return found


def _ahead(diff: Diff) -> dict[str, frozenset[str]]:
    """Needs that point to changes which come later: what those give up. Where that would be a ring (two services
    swap, or a barrier stands between them), the plan's own order decides."""
    place = {change.id: index for index, change in enumerate(diff.changes)}
    acting = {change.id for change in diff.changes if change.action not in (Action.KEEP, Action.DELETE)}
    found = {
        change.id: frozenset(need for need in change.needs if need in acting and place[need] > place[change.id])
        for change in diff.changes
        if change.id in acting
    }
    return {name: later for name, later in found.items() if later}


def _leads_to(found: Edges, start: str, end: str) -> bool:
    """Whether ``start`` waits for ``end``, directly or over others."""
    seen, stack = set[str](), [start]
    while stack:
        name = stack.pop()
        if name == end:
            return True
        if name not in seen:
            seen.add(name)
            stack.extend(found[name])
    return False


def _effective(change: Change, by_id: Mapping[str, Change], through: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Needs with kept changes replaced by what they need themselves."""
    found: set[str] = set()
    for need in change.needs:
        if by_id[need].action is Action.KEEP:
            found |= through.get(need, frozenset())
        else:
            found.add(need)
    return frozenset(found)


def _mode_edges(
    change: Change, mode: OrderMode, before: list[str], barrier: str | None
) -> tuple[frozenset[str], str | None]:
    """The edges that the mode adds, and the last barrier after this change."""
    if mode is OrderMode.SERIAL:
        return frozenset(before[-1:]), barrier
    if mode is OrderMode.GRAPH:
        return frozenset(), barrier
    if is_barrier(change.instruction.op):
        return frozenset(before), change.id
    return frozenset({barrier} if barrier else ()), barrier


def next_changes(graph: Edges, ended: Mapping[str, Done], started: frozenset[str]) -> Next:
    """What may start, what never will and what waits, given how changes ended and which ones run."""
    ready: list[str] = []
    skipped: dict[str, tuple[str, ...]] = {}
    held: dict[str, tuple[str, ...]] = {}
    for change, needs in graph.items():
        if change in ended or change in started:
            continue
        failed = tuple(sorted(need for need in needs if ended.get(need) in (Done.FAILED, Done.SKIPPED, Done.HELD)))
        waits = tuple(sorted(need for need in needs if need not in ended))
        if failed:
            skipped[change] = failed
        elif waits:
            held[change] = waits
        else:
            ready.append(change)
    return Next(ready=tuple(ready), skipped=skipped, held=held)

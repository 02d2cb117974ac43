"""Counting: what a diff would do, and what a run did, in words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from gitopsd.model.diff import Action, Change, Diff, Why
from gitopsd.model.ops import Kind, SetService, kind_of
from gitopsd.model.run import Applied, Done, Outcome

_DONE = {
    Action.CREATE: "added",
    Action.UPDATE: "changed",
    Action.REPLACE: "replaced",
    Action.RUN: "run",
    Action.DELETE: "removed",
    Action.KEEP: "unchanged",
}
_PLANNED = {
    Action.CREATE: "to add",
    Action.UPDATE: "to change",
    Action.REPLACE: "to replace",
    Action.RUN: "to run",
    Action.RECHECK: "known after apply",
    Action.DELETE: "to remove",
    Action.KEEP: "unchanged",
}
_ENDS = {Done.FAILED: "failed", Done.SKIPPED: "skipped", Done.HELD: "held"}
_ORDER = (*_DONE.values(), *_ENDS.values())


def counts(change: Change) -> bool:
    """Whether a change counts as a thing: a ``print`` does not, nor a ``set_service``, which is part of its service."""
    op = change.instruction.op
    return kind_of(op) is not Kind.PURE and not isinstance(op, SetService)


def planned(diff: Diff) -> dict[str, int]:
    """How many changes of a diff there are per word (``to add``, …), in a fixed order, without zeros."""
    found = Counter(_PLANNED[change.action] for change in diff.changes if counts(change))
    return {word: found[word] for word in _PLANNED.values() if found[word]}


def done(applied: Applied) -> dict[str, int]:
    """How many changes ended how, per word (``added``, …), in a fixed order, without zeros."""
    outcomes = {outcome.id: outcome for outcome in applied.outcomes}
    found = Counter(_ending(change, outcomes.get(change.id)) for change in applied.diff.changes if counts(change))
    return {word: found[word] for word in _ORDER if found[word]}


def _ending(change: Change, outcome: Outcome | None) -> str:
    if outcome is None:
        return _DONE[Action.KEEP] if change.action is Action.KEEP else _ENDS[Done.SKIPPED]
    if outcome.done in _ENDS:
        return _ENDS[outcome.done]
    if outcome.done is Done.KEPT:
        return _DONE[Action.KEEP]
    return _DONE.get(outcome.action, _DONE[Action.RUN])


def sentence(found: Mapping[str, int]) -> str:
    """``3 added, 1 changed, 12 unchanged``; ``no changes, 12 unchanged`` when that is all."""
    parts = [f"{count} {word}" for word, count in found.items()]
    if set(found) <= {"unchanged"}:
        parts.insert(0, "no changes")
    return ", ".join(parts)


_WHY = {
    Why.NEW: "new",
    Why.CHANGED: "changed",
    Why.UPSTREAM: "something that it needs changed",
    Why.REMOVED: "no longer in the package",
    Why.DRIFTED: "changed by another hand",
    Why.MISSING: "missing",
    Why.UNHEALTHY: "not healthy",
    Why.FORCED: "forced",
    Why.RECALLED: "recalled from an earlier run",
    Why.NONE: "",
}


def why_text(why: Why) -> str:
    """Why something happens, in words; empty for no reason."""
    return _WHY[why]

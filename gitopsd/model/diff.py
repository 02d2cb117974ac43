"""What to do about the difference. An empty diff is the no-op, never an error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from gitopsd.model.package import Move
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.record import Step


class Action(StrEnum):
    """KEEP: nothing to do (``before`` holds). CREATE, REPLACE: a service starts anew, with a new incarnation unless
    its data is persistent. UPDATE: converged in place. RUN: the effect takes place. RECHECK: known after apply,
    settled by ``compare.settle`` when what it reads is done. DELETE: removed."""

    KEEP = "keep"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    RUN = "run"
    RECHECK = "recheck"
    DELETE = "delete"


class Why(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    UPSTREAM = "upstream"
    REMOVED = "removed"
    DRIFTED = "drifted"
    MISSING = "missing"
    UNHEALTHY = "unhealthy"
    FORCED = "forced"
    RECALLED = "recalled"
    NONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field before and after: a free value, or a part of an op; ``known`` is False where the value is known only
    after apply."""

    path: str
    before: Any = None
    after: Any = None
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to one instruction.

    ``before`` is the recorded step (for KEEP: the step that holds, recalled from the past when ``why`` says so);
    ``after`` the instruction asked for, None for a DELETE. ``needs`` are ids of other changes of the same diff.
    """

    id: str
    action: Action
    why: Why = Why.NONE
    before: Step | None = None
    after: Instruction | None = None
    fields: tuple[FieldChange, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def instruction(self) -> Instruction:
        """The instruction that it is about. Raises ValueError for a change without any."""
        if self.after is not None:
            return self.after
        if self.before is not None:
            return self.before.instruction
        raise ValueError(f"{self.id}: a change without before and after")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A difference between what was recorded and what is live; ``healed`` when the diff mends it."""

    service: str
    why: Why
    detail: str
    healed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What separates an enclave from a plan. ``plan`` is the desired plan with its nameless steps paired: its
    instructions bear the ids that the record uses. ``moved`` are dependencies that the plan has at another commit."""

    enclave: str
    plan: Plan
    changes: tuple[Change, ...] = ()
    drift: tuple[Drift, ...] = ()
    moved: tuple[Move, ...] = ()

    @property
    def plan_digest(self) -> str:
        return self.plan.digest

    @property
    def empty(self) -> bool:
        """Whether nothing has to be done."""
        return all(change.action is Action.KEEP and change.why is Why.NONE for change in self.changes)

    def without(self, ids: set[str]) -> Diff:
        """The same diff with some of its changes left out."""
        kept = (change for change in self.changes if change.id not in ids)
        changes = (replace(change, needs=tuple(need for need in change.needs if need not in ids)) for change in kept)
        return replace(self, changes=tuple(changes))

    @property
    def lost(self) -> str:
        """Content that only a one-shot could make and that is gone; "" when nothing is."""
        lost = (item for item in self.drift if item.why is Why.MISSING and not item.healed and "/" in item.service)
        return "; ".join(item.detail for item in lost)

"""Lives: a service name that is removed and added again has several, and each has an end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gitopsd.model.ops import AddService, RemoveService, StartService, StopService, life_of
from gitopsd.model.parts import ServiceSpec
from gitopsd.model.plan import Plan


class End(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """``id`` is that of the ``add_service``; ``steps`` are what acts on it and ``moves`` what starts, stops and removes
    it, in order; ``last`` tells that the live service of this name, if there is one, is this life's."""

    id: str
    name: str
    spec: ServiceSpec
    end: End
    steps: tuple[str, ...]
    moves: tuple[str, ...]
    last: bool


def lives_of(plan: Plan) -> dict[str, Life]:
    """The lives of all services of a plan, by id."""
    ends: dict[str, End] = {}
    steps: dict[str, list[str]] = {}
    moves: dict[str, list[str]] = {}
    adds: dict[str, AddService] = {}
    last: dict[str, str] = {}
    for item in plan.instructions:
        if isinstance(item.op, AddService):
            adds[item.id], ends[item.id], last[item.op.name] = item.op, End.RUNNING, item.id
            steps[item.id], moves[item.id] = [], []
            continue
        life = life_of(item.op)
        if life is None or life not in adds:
            continue
        end = _ENDS.get(type(item.op))
        if end is None:
            steps[life].append(item.id)
        else:
            ends[life] = end
            moves[life].append(item.id)
    return {
        life: Life(
            id=life,
            name=op.name,
            spec=op.spec,
            end=ends[life],
            steps=tuple(steps[life]),
            moves=tuple(moves[life]),
            last=last[op.name] == life,
        )
        for life, op in adds.items()
    }


_ENDS: dict[type, End] = {RemoveService: End.ABSENT, StopService: End.STOPPED, StartService: End.RUNNING}

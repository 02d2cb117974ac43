"""What an instruction would read if it ran now, as far as it is known before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gitopsd.compare.inputs import (
    AddressOf,
    CommitOf,
    ContentOf,
    Origin,
    Reading,
    ResultOf,
    SecretOf,
    SerialOf,
    bound,
    secrets_in,
)
from gitopsd.compare.judge import Fact, Known, Sight, look
from gitopsd.compare.lives import Life
from gitopsd.model.codec import same
from gitopsd.model.diff import Action, Change, Drift
from gitopsd.model.environment import Policy
from gitopsd.model.ops import Kind, RemoveService, StartService, StopService, UploadFiles, kind_of, life_of
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.record import LiveEnclave, Recorded, Step
from gitopsd.model.values import Frozen

MOVES = (StartService, StopService, RemoveService)
NEW_PROCESS = (Action.CREATE, Action.REPLACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a comparison knows beside plan, record and live state: the commit, and keyed digests of secrets."""

    commit: str = ""
    secrets: Frozen[str] = Frozen()


@dataclass(kw_only=True)
class Seen:
    """One pass over a plan so far: ``changes`` of the instructions before the one that is looked at. ``up`` are ended
    lives that must be brought up again, ``recent`` those whose steps do not hold for the one of then."""

    plan: Plan
    reading: Reading
    lives: Mapping[str, Life]
    recorded: Recorded
    live: LiveEnclave
    policy: Policy
    facts: Facts
    up: frozenset[str]
    recent: frozenset[str] = frozenset()
    changes: dict[str, Change] = field(default_factory=dict)
    drift: list[Drift] = field(default_factory=list)

    @cached_property
    def recorded_moves(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the starts, stops and removals that the record holds, by the life that they act on."""
        moves: dict[str, tuple[str, ...]] = {}
        for item in (step.instruction for step in self.recorded.steps.values()):
            if isinstance(item.op, MOVES):
                moves[item.op.life] = (*moves.get(item.op.life, ()), item.id)
        return moves

    def sight(self, item: Instruction) -> Sight:
        """What an instruction would read, as far as it is known before anything is done."""
        inputs = look(self.reading.origins[item.id], self._lookup)
        life = life_of(item.op) if kind_of(item.op) in (Kind.ONE_SHOT, Kind.CAPTURE) else None
        return Sight(inputs=inputs, incarnation=self._incarnation(life) if life else "")

    def _lookup(self, origin: Origin) -> Known:
        match origin:
            case CommitOf():
                return self.facts.commit
            case SecretOf(name=name):
                return self.facts.secrets.get(name, Fact.UNKNOWN)
            case AddressOf(life=life):
                return self._address(life)
            case ResultOf(step=step, field=name):
                return self._result(step, name)
            case ContentOf(step=step, artifact=name):
                return self._content(step, name)
            case SerialOf(step=step):
                return self._serial(step)

    def _result(self, step: str, name: str) -> Known:
        kept = self._kept(step)
        if kept is None:
            return Fact.UNKNOWN
        value = kept.output.values.get(name)
        digests = {secret: self.facts.secrets.get(secret) for secret in secrets_in(value)}
        return Fact.UNKNOWN if None in digests.values() else bound(value, digests)

    def _kept(self, step: str) -> Step | None:
        change = self.changes.get(step)
        return change.before if change and change.action is Action.KEEP else None

    def _content(self, step: str, artifact: str) -> Known:
        change = self.changes[step]
        if change.after and isinstance(change.after.op, UploadFiles):
            return change.after.op.content
        kept = self._kept(step)
        return kept.output.artifacts.get(artifact, "") if kept else Fact.UNKNOWN

    def _serial(self, step: str) -> Known:
        change = self.changes.get(step)
        if change is None:
            return ""
        if change.action is Action.RECHECK:
            return Fact.UNKNOWN
        return change.before.serial if change.action is Action.KEEP and change.before else Fact.FRESH

    def _address(self, life: str) -> Known:
        change = self.changes[life]
        before = change.before.output.values.get("ip_address") if change.before else Fact.UNKNOWN
        if change.action is Action.KEEP:  # readers get what is recorded: nothing will be recorded anew
            return before
        service = self.live.services.get(self.lives[life].name) if self.lives[life].last else None
        if change.action is Action.CREATE or service is None:
            return Fact.UNKNOWN
        if not service.address:
            return before
        moved = isinstance(before, Fact) or not same(before, service.address)
        return Fact.UNKNOWN if moved and change.action is Action.RECHECK else service.address

    def _incarnation(self, life: str) -> Known:
        spec, change = self.lives[life].spec, self.changes[life]
        if change.action is Action.KEEP and change.before:
            return change.before.incarnation
        if keys := spec.persistent_keys():
            return incarnation_of_volumes(keys, self.live.volumes) or Fact.FRESH
        if change.action in NEW_PROCESS or change.before is None:
            return Fact.FRESH
        return Fact.UNKNOWN if change.action is Action.RECHECK else change.before.incarnation


def incarnation_of_volumes(keys: tuple[str, ...], volumes: Frozen[str]) -> str:
    """The incarnation of a service with persistent directories; "" when one of them is not there yet."""
    if any(key not in volumes for key in keys):
        return ""
    return "volumes:" + ",".join(f"{key}={volumes[key]}" for key in keys)

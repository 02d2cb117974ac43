"""One pass over a plan, in its order, against the record and what is live."""

from __future__ import annotations

from dataclasses import dataclass, field

from gitopsd.compare.align import candidates
from gitopsd.compare.fields import input_fields, needs_restart, op_fields
from gitopsd.compare.inputs import (
    AddressOf,
    CommitOf,
    ContentOf,
    Origin,
    Reading,
    ResultOf,
    SecretOf,
    SerialOf,
    is_told,
    step_policy,
)
from gitopsd.compare.judge import Fact, Known, Sight, Verdict, judge, look
from gitopsd.compare.lives import End, Life
from gitopsd.model.codec import same
from gitopsd.model.diff import Action, Change, Drift, FieldChange, Why
from gitopsd.model.environment import DriftPolicy, Policy, StepPolicy
from gitopsd.model.ops import (
    AddService,
    Kind,
    RemoveService,
    SetService,
    StartService,
    StopService,
    UploadFiles,
    kind_of,
    life_of,
)
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.record import LiveEnclave, LiveService, RecordedEnclave, State, Step
from gitopsd.model.values import Frozen

NEW_PROCESS = (Action.CREATE, Action.REPLACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a comparison knows beside plan, record and live state: the commit, and keyed digests of secrets."""

    commit: str = ""
    secrets: Frozen[str] = Frozen()


@dataclass(kw_only=True)
class Comparison:
    """The state of one pass. ``up`` are ended lives that must be brought up again."""

    plan: Plan
    reading: Reading
    lives: dict[str, Life]
    recorded: RecordedEnclave
    live: LiveEnclave
    policy: Policy
    facts: Facts
    up: frozenset[str]
    changes: dict[str, Change] = field(default_factory=dict)
    drift: list[Drift] = field(default_factory=list)
    last_move: dict[str, Action] = field(default_factory=dict)

    def run(self) -> None:
        """Fills ``changes`` and ``drift``."""
        for item in self.plan.instructions:
            if is_told(item.op) and not isinstance(item.op, SetService):
                self.changes[item.id] = self._change(item)

    def _change(self, item: Instruction) -> Change:
        if isinstance(item.op, AddService):
            return self._service(item, self.lives[item.id])
        if isinstance(item.op, (StartService, StopService, RemoveService)):
            return self._move(item, self.lives[item.op.life])
        return self._step(item)

    # --- what an instruction would read -------------------------------------------------------------------

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
                kept = self._kept(step)
                return kept.output.values.get(name) if kept else Fact.UNKNOWN
            case ContentOf(step=step, artifact=name):
                return self._content(step, name)
            case SerialOf(step=step):
                return self._serial(step)

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
        if change.action is Action.CREATE:
            return Fact.UNKNOWN
        over = self.lives[life].end is End.ABSENT and change.action is Action.KEEP
        service = self.live.services.get(self.lives[life].name) if self.lives[life].last and not over else None
        if service and service.address:
            return service.address
        return change.before.output.values.get("ip_address") if change.before else Fact.UNKNOWN

    def _incarnation(self, life: str) -> Known:
        spec, change = self.lives[life].spec, self.changes[life]
        if keys := spec.persistent_keys():
            return incarnation_of_volumes(keys, self.live.volumes) or Fact.FRESH
        if change.action in NEW_PROCESS or change.before is None:
            return Fact.FRESH
        return Fact.UNKNOWN if change.action is Action.RECHECK else change.before.incarnation

    # --- services -----------------------------------------------------------------------------------------

    def _service(self, item: Instruction, life: Life) -> Change:
        step = self._former(item.id, life)
        live = self.live.services.get(life.name) if life.last else None
        if step is None or not step.serial:
            return Change(id=item.id, action=Action.CREATE, why=Why.NEW, before=step, after=item)
        sight = self.sight(item)
        change = self._service_spec(item, step, sight)
        if life.end is not End.RUNNING:
            change = self._ended(change, life, live)
            if change.action is Action.KEEP and step is not self.recorded.steps.get(item.id):
                return _with(change, Action.KEEP, Why.RECALLED)
            return change
        return self._drifted(change, live)

    def _former(self, step: str, life: Life) -> Step | None:
        """The step to compare a service with: the current one. A life that is over by its end is a result, so on the
        way back to the last good plan it is the one of then."""
        good = self.recorded.last_good
        ended = life.end is not End.RUNNING and life.id not in self.up
        if ended and good and good.plan.digest == self.plan.digest:
            serial = good.serials.get(step)
            for past in self.recorded.past:
                if past.id == step and past.serial == serial:
                    return past
        return self.recorded.steps.get(step)

    def _service_spec(self, item: Instruction, step: Step, sight: Sight) -> Change:
        before, after = step.instruction.op, item.op
        assert isinstance(before, AddService) and isinstance(after, AddService)
        fields = op_fields(before, after)
        if fields:
            action = Action.REPLACE if needs_restart(before, after) else Action.UPDATE
            fields += input_fields(step.inputs, sight.known(), frozenset())
            return Change(id=item.id, action=action, why=Why.CHANGED, before=step, after=item, fields=fields)
        # a service's own incarnation is no input of it
        verdict = judge(step, item, Sight(inputs=sight.inputs, incarnation=step.incarnation))
        if verdict is Verdict.HOLDS:
            return Change(id=item.id, action=Action.KEEP, before=step, after=item)
        fields = input_fields(step.inputs, {**step.inputs, **sight.known()}, sight.unknown())
        if verdict is Verdict.OPEN:
            return Change(id=item.id, action=Action.RECHECK, why=Why.UPSTREAM, before=step, after=item, fields=fields)
        forced = after.force_update and not same(step.inputs.get("commit"), sight.inputs.get("commit"))
        why = Why.FORCED if forced else Why.UPSTREAM
        return Change(id=item.id, action=Action.REPLACE, why=why, before=step, after=item, fields=fields)

    def _ended(self, change: Change, life: Life, live: LiveService | None) -> Change:
        """A life that ends absent or stopped: brought up only when one of its steps has to run."""
        if change.action is not Action.KEEP and life.id not in self.up:
            return change if not life.steps else _with(change, Action.CREATE)
        if life.id not in self.up:
            return change
        assert change.before is not None
        if live is None or live.incarnation != change.before.incarnation:
            return _with(change, Action.CREATE)
        if change.action is Action.KEEP and _difference(change, live):
            return _with(change, Action.UPDATE)
        return change

    def _drifted(self, change: Change, live: LiveService | None) -> Change:
        """Desired against live as well: what is missing, stopped or changed by another hand."""
        found = _difference(change, live)
        if found is None:
            return change
        why, detail, fields = found
        touched = change.action not in (Action.KEEP, Action.RECHECK)
        heal = self.policy.drift is DriftPolicy.HEAL or touched
        name = change.id.removeprefix("service/")
        if self.policy.drift is not DriftPolicy.IGNORE or touched:
            self.drift.append(Drift(service=name, why=why, detail=detail, healed=heal))
        if not heal:
            return change
        if why is Why.MISSING:
            return _with(change, Action.CREATE, why if not touched else change.why, fields)
        if touched:
            return change
        action = Action.RECHECK if change.action is Action.RECHECK else Action.UPDATE
        return _with(change, action, why, (*change.fields, *fields))

    # --- start, stop, remove ------------------------------------------------------------------------------

    def _move(self, item: Instruction, life: Life) -> Change:
        """``start``, ``stop`` and ``remove``: done when the life was brought up, or when its end is not what is
        live."""
        step = self.recorded.steps.get(item.id)
        up = self.changes[life.id].action
        moved = self.last_move.get(life.id)
        if step is None:
            change = Change(id=item.id, action=Action.RUN, why=Why.NEW, after=item)
        elif up in NEW_PROCESS or up is Action.UPDATE or moved is Action.RUN:
            change = Change(id=item.id, action=Action.RUN, why=Why.UPSTREAM, before=step, after=item)
        elif item.id == life.moves[-1] and self._not_at_end(life):
            change = Change(id=item.id, action=Action.RUN, why=Why.DRIFTED, before=step, after=item)
        elif up is Action.RECHECK:
            change = Change(id=item.id, action=Action.RECHECK, why=Why.UPSTREAM, before=step, after=item)
        else:
            change = Change(id=item.id, action=Action.KEEP, before=step, after=item)
        self.last_move[life.id] = change.action
        return change

    def _not_at_end(self, life: Life) -> bool:
        live = self.live.services.get(life.name) if life.last else None
        if live is None or self.policy.drift is not DriftPolicy.HEAL:
            return False
        return life.end is End.ABSENT or (life.end is End.STOPPED) == (live.state is not State.STOPPED)

    # --- everything else ----------------------------------------------------------------------------------

    def _step(self, item: Instruction) -> Change:
        found = candidates(item.id, self.recorded)
        current = self.recorded.steps.get(item.id)
        sight = self.sight(item)
        kind = kind_of(item.op)
        if kind is Kind.ONE_SHOT and found and step_policy(item.id, self.policy) is StepPolicy.ONCE:
            return Change(id=item.id, action=Action.KEEP, before=found[0], after=item)
        if kind not in (Kind.ONE_SHOT, Kind.CAPTURE):
            found = (current,) if current else ()
        held = choose(found, item, sight)
        if isinstance(held, Step):
            if (lost := self._lost(item, held)) is not None:
                return lost
            why = Why.NONE if held is current else Why.RECALLED
            return Change(id=item.id, action=Action.KEEP, why=why, before=held, after=item)
        return self._unheld(item, current, sight, held)

    def _unheld(self, item: Instruction, current: Step | None, sight: Sight, verdict: Verdict) -> Change:
        action = Action.RECHECK if verdict is Verdict.OPEN else Action.RUN
        if current is None:
            return Change(id=item.id, action=action, why=Why.NEW, after=item)
        fields = op_fields(current.instruction.op, item.op)
        why = Why.CHANGED if fields else Why.UPSTREAM
        fields += input_fields(current.inputs, {**current.inputs, **sight.known()}, sight.unknown())
        if sight.incarnation is Fact.FRESH or sight.incarnation is Fact.UNKNOWN:
            fields += (FieldChange(path="incarnation", before=current.incarnation, known=False),)
        return Change(id=item.id, action=action, why=why, before=current, after=item, fields=fields)

    def _lost(self, item: Instruction, held: Step) -> Change | None:
        """Content that a step made and that is no longer there: made again where that is the same, else reported."""
        lost = [name for name, content in held.output.artifacts.items() if content not in self.live.artifacts]
        if not lost:
            return None
        if kind_of(item.op) is Kind.DESIRED:
            return Change(id=item.id, action=Action.RUN, why=Why.MISSING, before=held, after=item)
        detail = f"the content of artifact {', '.join(lost)} is gone, and only {item.id} could make it"
        self.drift.append(Drift(service=item.id, why=Why.MISSING, detail=detail, healed=False))
        return None


def choose(found: tuple[Step, ...], item: Instruction, sight: Sight) -> Step | Verdict:
    """The first candidate that holds; else OPEN when one may hold after apply, else DIFFERS."""
    verdicts = [judge(step, item, sight) for step in found]
    for step, verdict in zip(found, verdicts, strict=True):
        if verdict is Verdict.HOLDS:
            return step
    return Verdict.OPEN if Verdict.OPEN in verdicts else Verdict.DIFFERS


def incarnation_of_volumes(keys: tuple[str, ...], volumes: Frozen[str]) -> str:
    """The incarnation of a service with persistent directories; "" when one of them is not there yet."""
    if any(key not in volumes for key in keys):
        return ""
    return "volumes:" + ",".join(f"{key}={volumes[key]}" for key in keys)


def _with(
    change: Change, action: Action, why: Why | None = None, fields: tuple[FieldChange, ...] | None = None
) -> Change:
    return Change(
        id=change.id,
        action=action,
        why=why if why is not None else (change.why if change.why is not Why.NONE else Why.UPSTREAM),
        before=change.before,
        after=change.after,
        fields=change.fields if fields is None else fields,
    )


def _difference(change: Change, live: LiveService | None) -> tuple[Why, str, tuple[FieldChange, ...]] | None:
    step = change.before
    if step is None:
        return None
    if live is None:
        return Why.MISSING, "it is not there", ()
    if live.state is State.STOPPED:
        return Why.DRIFTED, "it is stopped", (FieldChange(path="state", before="running", after="stopped"),)
    if live.state is State.CRASHED:
        detail = f"it exited with code {live.exit_code}" if live.exit_code is not None else "it crashed"
        return Why.UNHEALTHY, detail, (FieldChange(path="state", before="running", after="crashed"),)
    address = step.output.values.get("ip_address")
    if live.address and not same(address, live.address):
        return Why.DRIFTED, "its address changed", (FieldChange(path="address", before=address, after=live.address),)
    if live.incarnation != step.incarnation or (step.config_digest and live.config_digest != step.config_digest):
        return Why.DRIFTED, "it was changed by another hand", (FieldChange(path="live configuration", known=False),)
    return None

"""One pass over a plan, in its order, against the record and what is live."""

from __future__ import annotations

from dataclasses import dataclass

from gitopsd.compare.align import candidates
from gitopsd.compare.fields import input_fields, op_fields
from gitopsd.compare.inputs import is_told, step_policy
from gitopsd.compare.judge import Fact, Sight, Verdict, judge
from gitopsd.compare.seeing import Seen
from gitopsd.compare.services import move, service
from gitopsd.model.diff import Action, Change, Drift, FieldChange, Why
from gitopsd.model.environment import StepPolicy
from gitopsd.model.ops import AddService, Kind, RemoveService, SetService, StartService, StopService, kind_of
from gitopsd.model.plan import Instruction
from gitopsd.model.record import Step


@dataclass(kw_only=True)
class Comparison(Seen):
    """A pass that decides."""

    def run(self) -> None:
        """Fills ``changes`` and ``drift``."""
        for item in self.plan.instructions:
            if is_told(item.op) and not isinstance(item.op, SetService):
                self.changes[item.id] = self._change(item)

    def _change(self, item: Instruction) -> Change:
        if isinstance(item.op, AddService):
            return service(self, item, self.lives[item.id])
        if isinstance(item.op, (StartService, StopService, RemoveService)):
            return move(self, item, self.lives[item.op.life])
        return self._step(item)

    def _step(self, item: Instruction) -> Change:
        found = candidates(item.id, self.recorded)
        current = self.recorded.steps.get(item.id)
        sight = self.sight(item)
        kind = kind_of(item.op)
        if found and step_policy(item, self.policy) is StepPolicy.ONCE:
            why = Why.NONE if found[0] is current else Why.RECALLED
            return Change(id=item.id, action=Action.KEEP, why=why, before=found[0], after=item)
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
        if current and kind_of(item.op) is Kind.DESIRED and self._gone(current):
            action = Action.RUN  # equal inputs would not bring its content back
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
        lost = self._gone(held)
        if not lost:
            return None
        if kind_of(item.op) is Kind.DESIRED:
            return Change(id=item.id, action=Action.RUN, why=Why.MISSING, before=held, after=item)
        detail = f"the content of artifact {', '.join(lost)} is gone, and only {item.id} could make it"
        self.drift.append(Drift(service=item.id, why=Why.MISSING, detail=detail, healed=False))
        return None

    def _gone(self, step: Step) -> list[str]:
        return [name for name, content in step.output.artifacts.items() if content not in self.live.artifacts]


def choose(found: tuple[Step, ...], item: Instruction, sight: Sight) -> Step | Verdict:
    """The first candidate that holds; else OPEN when one may hold after apply, else DIFFERS."""
    verdicts = [judge(step, item, sight) for step in found]
    for step, verdict in zip(found, verdicts, strict=True):
        if verdict is Verdict.HOLDS:
            return step
    return Verdict.OPEN if Verdict.OPEN in verdicts else Verdict.DIFFERS

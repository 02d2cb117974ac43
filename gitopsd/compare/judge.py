"""Whether what was done still holds: the one question behind every change.

A step holds when its spec is equal, every input is known and equal, and (for what acts on a service) the service has
the same incarnation. :func:`judge` answers for the recorded step and for results of the past alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from gitopsd.compare.inputs import RAN, Origin
from gitopsd.model.codec import same
from gitopsd.model.ops import spec_of
from gitopsd.model.plan import Instruction
from gitopsd.model.record import Step
from gitopsd.model.values import Value


class Fact(Enum):
    """In place of a value: it is known only after apply, or it is sure to differ from every earlier one."""

    UNKNOWN = "unknown"
    FRESH = "fresh"


class Verdict(Enum):
    HOLDS = "holds"
    OPEN = "open"
    DIFFERS = "differs"


Known = Value | Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What an instruction would read if it ran: inputs by name and the incarnation it would act on ("" for none)."""

    inputs: Mapping[str, Known]
    incarnation: Known = ""

    def known(self) -> dict[str, Value]:
        """The inputs whose values are known."""
        return {name: value for name, value in self.inputs.items() if not isinstance(value, Fact)}

    def unknown(self) -> frozenset[str]:
        return frozenset(name for name, value in self.inputs.items() if isinstance(value, Fact))


def look(origins: Mapping[str, Origin], lookup: Callable[[Origin], Known]) -> dict[str, Known]:
    """The inputs of an instruction by name, each as ``lookup`` answers."""
    return {name: lookup(origin) for name, origin in origins.items()}


def judge(step: Step, wanted: Instruction, sight: Sight) -> Verdict:
    """Whether ``step`` holds for ``wanted``; OPEN when that depends on what is known only after apply.

    An input that the record does not name was not known to the release that wrote it and counts as equal: a new
    release restarts nothing. But for ``commit``, and for an execution that was not there then.
    """
    if not same(spec_of(step.instruction.op), spec_of(wanted.op)):
        return Verdict.DIFFERS
    return judge_inputs(step, sight)


def judge_inputs(step: Step, sight: Sight) -> Verdict:
    """Like :func:`judge`, of inputs and incarnation alone."""
    verdict = Verdict.HOLDS
    facts: list[tuple[Value, Known]] = [(step.incarnation, sight.incarnation)]
    facts += [(step.inputs.get(n), v) for n, v in sight.inputs.items() if _counts(n, v, step)]
    for before, now in facts:
        if now is Fact.UNKNOWN:
            verdict = Verdict.OPEN
        elif now is Fact.FRESH or not same(before, now):
            return Verdict.DIFFERS
    return verdict


def _counts(name: str, now: Known, step: Step) -> bool:
    """Whether an input takes part: a release records all executions that a step comes after, or none."""
    if name in step.inputs or name == "commit":
        return True
    return name.startswith(RAN) and (now is Fact.FRESH or any(other.startswith(RAN) for other in step.inputs))

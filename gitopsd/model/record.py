"""What we believe we did (recorded) and what is there now (live)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from gitopsd.model.head import Head
from gitopsd.model.ops import Kind, kind_of
from gitopsd.model.plan import Instruction
from gitopsd.model.values import Frozen, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutput:
    """The result of a step.

    ``values`` are what references to it resolve to (``code``, ``output``, ``body``, ``extract.<key>``,
    ``ip_address``, ``hostname``); a text in which a secret stood holds a reference in its place. ``artifacts``
    maps the artifacts that it made to content digests.
    """

    values: Frozen[Value] = Frozen()
    artifacts: Frozen[str] = Frozen()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A finished step: the instruction, what its references and artifacts were when it ran, and what came out.

    ``inputs`` maps a readable name of each input to its value; see ``compare/inputs.py`` for the names.
    ``incarnation`` is that of the service (of its own for an ``add_service``). ``serial`` is unique to this
    execution: who must run again when this one ran has it among its inputs; it is empty for a service whose creation
    was begun and not finished. ``config_digest`` is what the backend
    called the live configuration of a service after it was converged.
    """

    instruction: Instruction
    inputs: Frozen[Value] = Frozen()
    output: StepOutput = StepOutput()
    incarnation: str = ""
    serial: str = ""
    config_digest: str = ""
    when: datetime | None = None

    @property
    def id(self) -> str:
        return self.instruction.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A one-shot that is about to take effect, written before it does.

    ``key`` makes the effect idempotent; its last part counts attempts. ``failed`` tells that the attempt ended badly:
    the next one is an effect of its own.
    """

    id: str
    key: str
    failed: bool = False
    when: datetime | None = None


PAST_RESULTS = 8
"""Earlier results of one-shots and captures that are kept per id, beside every step that a good plan needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What we believe we did in an enclave: a superset of what exists.

    ``steps`` are the current ones by instruction id, in the order in which they finished; ``past`` are earlier results
    of one-shots and captures, newest first, which a rollback or a reverted revert may recall; ``intents`` are effects
    that were begun and have no result yet.
    """

    head: Head = Head()
    steps: Frozen[Step] = Frozen()
    past: tuple[Step, ...] = ()
    intents: Frozen[Intent] = Frozen()

    @property
    def serials(self) -> Frozen[str]:
        """The executions that the current steps come from, by id."""
        return Frozen({item: step.serial for item, step in self.steps.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A record as it is kept: ``generation`` counts the claims, each of which fences the writer before."""

    generation: int
    recorded: Recorded


class State(StrEnum):
    """State of a live service. FINISHED: its process ended with code 0, and nobody waits for anything else of it; it
    is as it should be and is not started again."""

    RUNNING = "running"
    STARTING = "starting"
    FINISHED = "finished"
    STOPPED = "stopped"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveService:
    """A service as the backend sees it. ``ready`` tells open ports (not ready conditions); ``address`` is what
    other services reach it at; ``config_digest`` changes when another hand edits it; ``restarts`` counts what the
    platform did by itself; ``crashes`` how often the service ended since it was last steady, while the platform goes on
    to start it again (0: it is steady, or nobody starts it)."""

    name: str
    state: State
    incarnation: str = ""
    config_digest: str = ""
    address: str = ""
    ready: bool = True
    exit_code: int | None = None
    restarts: int = 0
    crashes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEnclave:
    """What is there now. ``volumes`` maps persistent keys to an identity that a re-created directory changes;
    ``artifacts`` are the content digests that are stored."""

    name: str
    exists: bool
    services: Frozen[LiveService] = Frozen()
    volumes: Frozen[str] = Frozen()
    artifacts: tuple[str, ...] = ()
    observed_at: datetime | None = None


# --- transitions --------------------------------------------------------------------------------------------


def headed(recorded: Recorded, change: Callable[[Head], Head]) -> Recorded:
    """The record with another head; results that no good plan needs any more go."""
    head = change(recorded.head)
    if head == recorded.head:
        return recorded
    past = recorded.past if head.goods == recorded.head.goods else kept_past(recorded.past, head)
    return replace(recorded, head=head, past=past)


def intended(recorded: Recorded, intent: Intent) -> Recorded:
    """The record before an effect takes place."""
    return replace(recorded, intents=recorded.intents.with_({intent.id: intent}))


def finished(recorded: Recorded, step: Step) -> Recorded:
    """The record after a step: its intent cleared, what it takes the place of in the past when that is of use."""
    before = recorded.steps.get(step.id)
    past = tuple(item for item in recorded.past if item.serial != step.serial or item.id != step.id)
    if before is not None and before.serial and before.serial != step.serial:
        past = (before, *past)
    return replace(
        recorded,
        steps=recorded.steps.with_({step.id: step}),
        past=kept_past(past, recorded.head),
        intents=recorded.intents.without(step.id),
    )


def forgotten(recorded: Recorded, ids: tuple[str, ...]) -> Recorded:
    """The record without steps of these ids; what is of use moves to the past."""
    gone = tuple(recorded.steps[item] for item in ids if item in recorded.steps)
    past = (*gone, *recorded.past)
    return replace(
        recorded,
        steps=recorded.steps.without(*ids),
        past=kept_past(past, recorded.head),
        intents=recorded.intents.without(*ids),
    )


def kept_past(past: tuple[Step, ...], head: Head) -> tuple[Step, ...]:
    """The results of the past (newest first) that a record keeps."""
    if not past:
        return past
    needed = frozenset(serial for good in head.goods for serial in good.serials.values())
    seen: dict[str, int] = {}
    kept = []
    for step in past:
        seen[step.id] = seen.get(step.id, 0) + 1
        if step.serial in needed or (_is_result(step) and seen[step.id] <= PAST_RESULTS):
            kept.append(step)
    return tuple(kept)


def _is_result(step: Step) -> bool:
    return kind_of(step.instruction.op) in (Kind.ONE_SHOT, Kind.CAPTURE)

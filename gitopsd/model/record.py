"""What we believe we did (recorded) and what is there now (live)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from gitopsd.model.ops import Kind, kind_of
from gitopsd.model.package import Lock
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.values import Frozen, Value

SCHEME = 1
"""Number of the record's format. Newer releases read older numbers; older releases refuse newer ones."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LastGood:
    """The last plan that was applied whole. ``serials`` are those of its steps, by id: their results are kept for a
    way back as long as this is the last good plan. Sources are pinned inside the plan's ops; ``lock`` is what later
    plans go on with after a way back."""

    commit: str
    plan: Plan
    serials: Frozen[str] = Frozen()
    when: datetime | None = None
    lock: Lock = Lock()


PAST_RESULTS = 8
"""Earlier results of one-shots and captures that are kept per id, beside every step that a good plan needs."""


STUCK = "stuck"
"""In place of a digest: a way back failed, so that the enclave is as no plan describes it."""

EARLIER_GOODS = 4
"""Good plans before the last one that are kept."""


def kept_past(past: tuple[Step, ...], recorded: RecordedEnclave) -> tuple[Step, ...]:
    """The results of the past (newest first) that a record keeps."""
    goods = (*((recorded.last_good,) if recorded.last_good else ()), *recorded.earlier)
    needed = frozenset(serial for good in goods for serial in good.serials.values())
    seen: dict[str, int] = {}
    kept = []
    for step in past:
        seen[step.id] = seen.get(step.id, 0) + 1
        if step.serial in needed or (_is_result(step) and seen[step.id] <= PAST_RESULTS):
            kept.append(step)
    return tuple(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEnclave:
    """What we believe we did in an enclave: a superset of what exists.

    ``steps`` are the current ones by instruction id; ``past`` are earlier results of one-shots and captures,
    newest first, which a rollback or a reverted revert may recall. ``bad_plans`` are digests of plans whose apply
    failed. ``earlier`` are the good plans before the last one, newest first, for a person's rollback. ``pinned`` holds
    a commit that a person rolled back, until a new commit or ``sync``. ``lock`` holds the dependencies of the plan
    that was evaluated last. ``unfinished`` is the digest of a plan that was begun, forward or on the way back, and has
    not come to its end: until then what differs from the last good plan is nobody's drift; :data:`STUCK` after a way
    back that failed.
    """

    name: str
    scheme: int = SCHEME
    environment: str = ""
    commit: str = ""
    plan_digest: str = ""
    steps: Frozen[Step] = Frozen()
    past: tuple[Step, ...] = ()
    intents: Frozen[Intent] = Frozen()
    last_good: LastGood | None = None
    earlier: tuple[LastGood, ...] = ()
    bad_plans: tuple[str, ...] = ()
    pinned: str = ""
    unfinished: str = ""
    lock: Lock = Lock()
    generation: int = 0

    def artifacts(self) -> dict[str, str]:
        """Content digest of every artifact that a current step made, by name; the later step wins."""
        return {name: content for step in self.steps.values() for name, content in step.output.artifacts.items()}


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


def finished(recorded: RecordedEnclave, step: Step) -> RecordedEnclave:
    """The record after a step: its intent cleared, what it takes the place of in the past when that is of use."""
    before = recorded.steps.get(step.id)
    past = tuple(item for item in recorded.past if item.serial != step.serial or item.id != step.id)
    if before is not None and before.serial and before.serial != step.serial:
        past = (before, *past)
    return replace(
        recorded,
        steps=recorded.steps.with_({step.id: step}),
        past=kept_past(past, recorded),
        intents=recorded.intents.without(step.id),
    )


def forgotten(recorded: RecordedEnclave, ids: tuple[str, ...]) -> RecordedEnclave:
    """The record without steps of these ids; what is of use moves to the past."""
    gone = tuple(recorded.steps[item] for item in ids if item in recorded.steps)
    past = (*gone, *recorded.past)
    return replace(
        recorded,
        steps=recorded.steps.without(*ids),
        past=kept_past(past, recorded),
        intents=recorded.intents.without(*ids),
    )


def _is_result(step: Step) -> bool:
    return kind_of(step.instruction.op) in (Kind.ONE_SHOT, Kind.CAPTURE)

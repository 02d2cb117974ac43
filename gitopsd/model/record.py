"""What we believe we did (recorded) and what is there now (live)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

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
    """The last plan that was applied whole, with everything that a way back needs."""

    commit: str
    plan: Plan
    steps: Frozen[Step]
    pins: tuple[str, ...] = ()
    when: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEnclave:
    """What we believe we did in an enclave: a superset of what exists.

    ``steps`` are the current ones by instruction id; ``past`` are earlier results of one-shots and captures,
    newest first, which a rollback or a reverted revert may recall. ``bad_plans`` are digests of plans whose apply
    failed. ``pinned`` holds a commit that a person rolled back to, until a new commit or ``sync``.
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
    bad_plans: tuple[str, ...] = ()
    pinned: str = ""
    generation: int = 0

    def artifacts(self) -> dict[str, str]:
        """Content digest of every artifact that a current step made, by name; the later step wins."""
        return {name: content for step in self.steps.values() for name, content in step.output.artifacts.items()}


class State(StrEnum):
    """State of a live service."""

    RUNNING = "running"
    STARTING = "starting"
    STOPPED = "stopped"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveService:
    """A service as the backend sees it. ``ready`` tells open ports (not ready conditions); ``address`` is what
    other services reach it at; ``config_digest`` changes when another hand edits it; ``restarts`` counts what the
    platform did by itself."""

    name: str
    state: State
    incarnation: str = ""
    config_digest: str = ""
    address: str = ""
    ready: bool = True
    exit_code: int | None = None
    restarts: int = 0


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

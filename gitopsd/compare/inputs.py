"""What an instruction reads: its inputs by a readable name, and where each comes from.

The names are what the record keeps and what people see in a diff:

========================  =====================================================================
``task/seed.output``      a field of another step's result
``service/web.address``   the address of a service
``secret:NAME``           a keyed digest of a secret
``artifact/genesis``      the content digest of an artifact
``ran:exec/web@0``        the serial of another step's execution (captures, checks, ``start``, ``stop``, ``remove``)
``commit``                the commit (``force_update``, steps with the policy ``always``)
========================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gitopsd.model.environment import Policy, StepPolicy
from gitopsd.model.ops import (
    AddService,
    Kind,
    Op,
    Print,
    RemoveService,
    Request,
    StartService,
    StopService,
    artifacts_made_by,
    artifacts_used_by,
    kind_of,
    life_of,
)
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.values import Address, Frozen, Secret, StepResult, Value, refs_in

RAN = "ran:"
"""What the names of executions among the inputs begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultOf:
    step: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressOf:
    life: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretOf:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentOf:
    step: str
    artifact: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialOf:
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitOf:
    pass


Origin = ResultOf | AddressOf | SecretOf | ContentOf | SerialOf | CommitOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Where the inputs of every instruction of a plan come from.

    ``origins`` maps instruction ids to inputs by name, ``makers`` to the step that made each artifact it uses, and
    ``lives`` service names to the life that each instruction sees.
    """

    origins: Frozen[Frozen[Origin]]
    makers: Frozen[Frozen[str]]
    lives: Frozen[Frozen[str]]


def read(plan: Plan, policy: Policy) -> Reading:
    """The inputs of every instruction of a plan: pure, in one pass."""
    origins: dict[str, Frozen[Origin]] = {}
    makers: dict[str, Frozen[str]] = {}
    lives: dict[str, Frozen[str]] = {}
    maker_by_artifact: dict[str, str] = {}
    life_by_service: dict[str, str] = {}
    seen = Frozen[str]()
    acted: dict[str, list[str]] = {}
    moved: dict[str, list[str]] = {}
    for item in plan.instructions:
        if isinstance(item.op, AddService):
            life_by_service[item.op.name] = item.id
            seen = Frozen(life_by_service)
        used = {name: maker_by_artifact[name] for name in artifacts_used_by(item.op) if name in maker_by_artifact}
        makers[item.id] = Frozen(used)
        lives[item.id] = seen
        found = _references(item.op, life_by_service)
        found |= {f"artifact/{name}": ContentOf(step=maker, artifact=name) for name, maker in used.items()}
        found |= _executions(item, acted, moved)
        if _each_commit(item, policy):
            found["commit"] = CommitOf()
        origins[item.id] = Frozen(found)
        maker_by_artifact |= dict.fromkeys(artifacts_made_by(item.op), item.id)
        if (life := life_of(item.op)) and kind_of(item.op) is Kind.ONE_SHOT:
            acted.setdefault(life, []).append(item.id)
        if isinstance(item.op, (StartService, StopService, RemoveService)):
            moved[item.op.life] = [item.id]
    return Reading(origins=Frozen(origins), makers=Frozen(makers), lives=Frozen(lives))


def sources_of(reading: Reading, step: str) -> tuple[str, ...]:
    """The steps that an instruction's inputs come from."""
    found: list[str] = []
    for origin in reading.origins[step].values():
        match origin:
            case ResultOf(step=source) | ContentOf(step=source) | SerialOf(step=source) | AddressOf(life=source):
                found.append(source)
            case _:
                pass
    return tuple(dict.fromkeys(found))


def _references(op: Op, life_by_service: dict[str, str]) -> dict[str, Origin]:
    found: dict[str, Origin] = {}
    for ref in refs_in(op):
        match ref:
            case StepResult(step=step, field=field):
                found[f"{step}.{field}"] = ResultOf(step=step, field=field)
            case Address(service=service, field="ip_address") if service in life_by_service:
                found[f"service/{service}.address"] = AddressOf(life=life_by_service[service])
            case Secret(name=name):
                found[f"secret:{name}"] = SecretOf(name=name)
            case _:  # a hostname is the service's name: known, and never different
                pass
    return found


def _executions(item: Instruction, acted: dict[str, list[str]], moved: dict[str, list[str]]) -> dict[str, Origin]:
    """Executions that make a capture, a check, or a start, stop or removal of a service be done again."""
    kind = kind_of(item.op)
    if isinstance(item.op, (StartService, StopService, RemoveService)):
        ids = [item.op.life, *moved.get(item.op.life, [])]
    elif kind is Kind.CAPTURE:
        life = life_of(item.op) or ""
        ids = [life, *acted.get(life, []), *(ref.step for ref in refs_in(item.op) if isinstance(ref, StepResult))]
    elif kind is Kind.CHECK:
        ids = list(item.needs)
    else:
        ids = []
    return {f"{RAN}{step}": SerialOf(step=step) for step in ids}


def _each_commit(item: Instruction, policy: Policy) -> bool:
    if isinstance(item.op, AddService):
        return item.op.force_update
    return step_policy(item, policy) is StepPolicy.ALWAYS


def step_policy(item: Instruction, policy: Policy) -> StepPolicy:
    """How often a one-shot or a request runs: the first rule whose glob matches its id, else per incarnation."""
    if kind_of(item.op) is Kind.ONE_SHOT or isinstance(item.op, Request):
        for rule in policy.steps:
            if fnmatchcase(item.id, rule.glob):
                return rule.policy
    return StepPolicy.PER_INCARNATION


def secrets_in(value: Value) -> tuple[str, ...]:
    """Names of the secrets that stand in a result."""
    return tuple(dict.fromkeys(ref.name for ref in refs_in(value) if isinstance(ref, Secret)))


def bound(value: Value, digests: Mapping[str, str | None]) -> Value:
    """A result as an input: with the keyed digests of the secrets in it, so that a rotated one makes it another."""
    return Frozen({"value": value, "secrets": Frozen(digests)}) if digests else value


def is_told(op: Op) -> bool:
    """Whether an op takes part in a diff: every class but the pure ones, of which only ``print`` has an effect."""
    return kind_of(op) is not Kind.PURE or isinstance(op, Print)

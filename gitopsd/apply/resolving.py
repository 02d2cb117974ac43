"""References become values: inputs of a step, ops with plain values, results without secrets in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

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
from gitopsd.errors import Reason, StepError
from gitopsd.kit.redact import masked, spelled, spellings
from gitopsd.model.ops import AddService, Op
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.record import Recorded, Step
from gitopsd.model.values import (
    Address,
    Frozen,
    Json,
    Ref,
    Secret,
    StepResult,
    Text,
    Value,
    describe_text,
    join_parts,
    map_refs,
    plain_text,
    refs_in,
)
from gitopsd.ports import Secrets
from gitopsd.world import Site

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known while a diff is applied: finished steps by id, and the reading of the plan."""

    site: Site
    reading: Reading
    steps: Mapping[str, Step]

    def inputs(self, item: Instruction) -> Frozen[Value]:
        """The inputs of an instruction, all known now. Raises StepError ARTIFACT_MISSING, or SECRET_MISSING's
        UserError from the secrets."""
        return Frozen({name: self._input(origin) for name, origin in self.reading.origins[item.id].items()})

    def _input(self, origin: Origin) -> Value:
        match origin:
            case ResultOf(step=step, field=name):
                value = self._result(step, name)
                return bound(value, {secret: self._secret(secret) for secret in secrets_in(value)})
            case AddressOf(life=life):
                return self._result(life, "ip_address")
            case SecretOf(name=name):
                return self._secret(name)
            case ContentOf(step=step, artifact=name):
                return self.content(step, name)
            case SerialOf(step=step):
                return self.steps[step].serial if step in self.steps else ""
            case CommitOf():
                return self.site.commit

    def _secret(self, name: str) -> str:
        secrets = self.site.world.secrets
        return secrets.keyed_digest(secrets.reveal(self.site.environment.name, name))

    def _result(self, step: str, name: str) -> Value:
        values = self.steps[step].output.values if step in self.steps else Frozen({})
        if name not in values:
            raise StepError(Reason.RESULT_LOST, f"{step} has no result {name!r}", hint="run the step again with `sync`")
        return values[name]

    def content(self, step: str, artifact: str) -> str:
        """The content digest of an artifact that a step made."""
        found = self.steps[step].output.artifacts.get(artifact) if step in self.steps else None
        if found is None:
            raise StepError(Reason.ARTIFACT_MISSING, f"{step} made no artifact {artifact!r}")
        return found

    def artifacts(self, item: Instruction) -> Frozen[str]:
        """Content digests of the artifacts that an instruction uses, by name."""
        makers = self.reading.makers[item.id]
        return Frozen({name: self.content(step, name) for name, step in makers.items()})

    def resolve(self, op: T, lives: Mapping[str, str]) -> T:
        """An op (or a part of one) with every reference replaced by its value; ``lives`` maps service names to the
        life that the instruction sees."""

        def value(ref: Ref) -> Value:
            match ref:
                case StepResult(step=step, field=name):
                    return map_refs(self._result(step, name), value)
                case Address(service=service, field="hostname"):
                    return service
                case Address(service=service):
                    return self._result(lives.get(service, f"service/{service}"), "ip_address")
                case Secret(name=name, form=form):
                    return _spelled(self.site.world.secrets.reveal(self.site.environment.name, name), form)

        return map_refs(op, value)

    def op_of(self, item: Instruction) -> Op:
        """The instruction's op with plain values."""
        return self.resolve(item.op, self.reading.lives[item.id])

    def output(self, plan: Plan) -> Value:
        """What the package returned, with results and addresses in it as the texts that the package took them for.
        Secrets stay references, and so does what has no value any more."""
        lives = {item.op.name: item.id for item in plan.instructions if isinstance(item.op, AddService)}

        def told(ref: Ref) -> Value:
            try:
                match ref:
                    case StepResult(step=step, field=name):
                        value = self._result(step, name)
                        return value if isinstance(value, (Text, Secret)) else plain_text(value)
                    case Address(service=service, field="hostname"):
                        return service
                    case Address(service=service):
                        return self._result(lives.get(service, f"service/{service}"), "ip_address")
                    case Secret():
                        return ref
            except StepError:
                return ref

        return map_refs(plan.output, told)

    def secret_values(self) -> dict[str, str]:
        """See :meth:`Site.secret_values`."""
        return self.site.secret_values()


def _spelled(value: str, form: str) -> str:
    """A secret as a recorded result spelled it."""
    try:
        return spelled(value, form)
    except (KeyError, ValueError, IndexError):
        message = f"a recorded result holds a secret in the form {form!r}, which its value of today does not have"
        raise StepError(Reason.RESULT_LOST, message, hint="run the step again by changing its text") from None


def conceal(value: Json, secrets: Mapping[str, str]) -> Value:
    """A result in which every text that a secret stands in refers to the secret instead. A key of a mapping cannot
    refer to anything: it gets the secret's name."""
    if isinstance(value, str):
        return _conceal_text(value, secrets)
    if isinstance(value, tuple):
        return tuple(conceal(item, secrets) for item in value)
    if isinstance(value, Frozen):
        return Frozen({masked(key, secrets): conceal(item, secrets) for key, item in value.items()})
    return value


def _conceal_text(text: str, secrets: Mapping[str, str]) -> Value:
    parts: list[str | Ref] = [text]
    forms = [
        (spelling, Secret(name=name, form=form))
        for name, value in secrets.items()
        for spelling, form in spellings(value).items()
        if spelling in text
    ]
    for spelling, secret in sorted(forms, key=lambda item: -len(item[0])):
        split: list[str | Ref] = []
        for part in parts:
            if not isinstance(part, str):
                split.append(part)
                continue
            pieces = part.split(spelling)
            for index, piece in enumerate(pieces):
                if index:
                    split.append(secret)
                if piece or len(pieces) == 1:
                    split.append(piece)
        parts = split
    found = join_parts(parts)
    if isinstance(found, Text) and len(found.parts) == 1 and not isinstance(found.parts[0], str):
        return found.parts[0]
    return found


def shown(value: Value) -> str:
    """A value as text for people; references stay readable names, so no secret shows."""
    return describe_text(value) if isinstance(value, (Text, StepResult, Address, Secret)) else plain_text(value)


def secret_digests(plan: Plan, recorded: Recorded, secrets: Secrets, environment: str) -> Frozen[str]:
    """Keyed digests of the secrets that a plan names, and of those that stand in recorded results and still exist.

    Raises UserError SECRET_MISSING for one that the plan names and that is not bound to the environment.
    """
    named = {ref.name for item in plan.instructions for ref in refs_in(item.op) if isinstance(ref, Secret)}
    told = {ref.name for step in recorded.steps.values() for ref in refs_in(step.output) if isinstance(ref, Secret)}
    names = named | (told & set(secrets.names(environment)) if told else set())
    return Frozen({name: secrets.keyed_digest(secrets.reveal(environment, name)) for name in sorted(names)})

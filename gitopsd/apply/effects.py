"""One-shots, captures, artifacts and checks: each once, its result as data."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

from gitopsd.apply.patience import Patience
from gitopsd.apply.recipes import check_code, holds, run_exec, run_request, tail, until
from gitopsd.apply.resolving import Known, conceal, shown
from gitopsd.errors import Reason, StepError, UserError
from gitopsd.kit.ignore import uploaded
from gitopsd.model.calls import CommandResult, TaskSpec
from gitopsd.model.codec import digest
from gitopsd.model.environment import InterruptedPolicy
from gitopsd.model.ops import (
    AddService,
    Exec,
    Kind,
    Print,
    RenderTemplates,
    Request,
    RunPython,
    RunSh,
    StoreServiceFiles,
    UploadFiles,
    Verify,
    Wait,
    kind_of,
)
from gitopsd.model.package import Download, TreeFile
from gitopsd.model.parts import Port
from gitopsd.model.plan import Instruction
from gitopsd.model.record import Intent, Step, StepOutput, intended
from gitopsd.model.values import Frozen, Json, Value, plain_text
from gitopsd.world import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a step did: its values and artifacts, and the text of a ``print``."""

    values: Mapping[str, Json] = Frozen()
    artifacts: Mapping[str, str] = Frozen()
    text: str = ""


def perform(item: Instruction, known: Known, inputs: Frozen[Value], patience: Patience) -> tuple[Step, str]:
    """Does what an instruction asks for; the finished step and what it says.

    A one-shot has its intent written first and is run by its key, so that a crash in between is joined or recovered,
    never repeated. Raises StepError when it fails.
    """
    incarnation = _incarnation(item, known)
    if kind_of(item.op) is Kind.ONE_SHOT:
        effect = _once(
            item, known, _Attempt(inputs=inputs, incarnation=incarnation, intents=known.site.recorded.intents), patience
        )
    else:
        effect = _plain(item, known, patience)
    secrets = known.secret_values()
    values = Frozen({name: conceal(value, secrets) for name, value in effect.values.items()})
    step = Step(
        instruction=item,
        inputs=inputs,
        output=StepOutput(values=values, artifacts=Frozen(effect.artifacts)),
        incarnation=incarnation,
        serial=uuid.uuid4().hex,
        when=known.site.world.clock.now(),
    )
    return step, effect.text


def _incarnation(item: Instruction, known: Known) -> str:
    """That of the service that a one-shot or capture acts on."""
    if isinstance(item.op, (Exec, Request, StoreServiceFiles)) and item.op.life in known.steps:
        return known.steps[item.op.life].incarnation
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    inputs: Frozen[Value]
    incarnation: str
    intents: Mapping[str, Intent]

    def key(self, item: Instruction) -> tuple[str, Intent | None]:
        """The key of this attempt, and the intent of an attempt that was interrupted."""
        base = digest((item.id, item.op, self.inputs, self.incarnation))[:40]
        earlier = self.intents.get(item.id)
        if earlier is None or not earlier.key.startswith(base):
            return f"{base}-0", None
        if earlier.failed:
            return f"{base}-{int(earlier.key.rpartition('-')[2]) + 1}", None
        return earlier.key, earlier


def _once(item: Instruction, known: Known, attempt: _Attempt, patience: Patience) -> Effect:
    site = known.site
    key, interrupted = attempt.key(item)
    hold = site.environment.policy.interrupted is InterruptedPolicy.HOLD
    traced = not isinstance(item.op, Request) and site.backend.has_trace(site.enclave, key)
    if interrupted and hold and not traced:
        message = f"{item.id} was interrupted and left no trace of how far it came"
        raise UserError(Reason.INTERRUPTED, message, hint="`gitopsd sync` runs it again")
    while True:
        site.change(partial(intended, intent=Intent(id=item.id, key=key, when=site.world.clock.now())))
        try:
            return _one_shot(item, known, key, patience)
        except StepError:
            failed = Intent(id=item.id, key=key, failed=True, when=site.world.clock.now())
            site.change(partial(intended, intent=failed))
            if interrupted or not traced:
                raise
        # an old failure that the record no longer knew of is not this attempt's
        base, _, number = key.rpartition("-")
        key = f"{base}-{int(number) + 1}"
        traced = site.backend.has_trace(site.enclave, key)


def _one_shot(item: Instruction, known: Known, key: str, patience: Patience) -> Effect:
    op = known.op_of(item)
    match op:
        case Exec():
            return Effect(values=run_exec(known.site, op, key=key, patience=patience))
        case Request():
            return Effect(values=run_request(known.site, op, ports_of(op.life, known), patience))
        case RunSh() | RunPython():
            return _task(item, op, known, key, patience)
        case _:
            raise TypeError(f"no one-shot: {type(op).__name__}")


def ports_of(life: str, known: Known) -> Mapping[str, Port]:
    """The ports of a service as its step recorded them."""
    return cast("AddService", known.steps[life].instruction.op).spec.ports


def _task(item: Instruction, op: RunSh | RunPython, known: Known, key: str, patience: Patience) -> Effect:
    contents = known.artifacts(item)
    run = plain_text(op.run)
    python = isinstance(op, RunPython)
    arguments = tuple(plain_text(part) for part in op.args) if isinstance(op, RunPython) else ()
    task = TaskSpec(
        name=op.name,
        command=("python3", "-u", "-c", run, *arguments) if python else ("/bin/sh", "-c", run),
        image=op.image.name,
        env=Frozen({name: plain_text(value) for name, value in op.env.items()}) if isinstance(op, RunSh) else Frozen(),
        files=Frozen({path: tuple(contents[name] for name in mount.names) for path, mount in op.files.items()}),
        store=tuple(store.src for store in op.store),
        timeout=patience.remaining(op.wait),
        packages=op.packages if isinstance(op, RunPython) else (),
    )
    done = known.site.backend.run_task(known.site.enclave, task, key=key)
    told = tail(known.site, done.output)
    check_code(done.code, op.codes, op.any_code, f"{op.name} exited with code {done.code}: {told}")
    return Effect(values={"code": done.code, "output": done.output}, artifacts=_stored(op, done))


def _stored(op: RunSh | RunPython, done: CommandResult) -> dict[str, str]:
    found = {}
    for store, content in zip(op.store, done.stored, strict=True):
        if not content:
            message = f"{op.name} left nothing at {store.src!r}, which it should store as {store.name!r}"
            raise StepError(Reason.ARTIFACT_MISSING, message)
        found[store.name] = content
    return found


def _plain(item: Instruction, known: Known, patience: Patience) -> Effect:
    op, site = item.op, known.site
    match op:
        case UploadFiles():
            return Effect(artifacts={op.name: _upload(op, known)})
        case RenderTemplates():
            return Effect(artifacts={op.name: _render(cast("RenderTemplates", known.op_of(item)), known)})
        case StoreServiceFiles():
            return Effect(artifacts={op.name: site.backend.capture(site.enclave, op.service, op.src)})
        case Request():
            request = cast("Request", known.op_of(item))
            return Effect(values=run_request(site, request, ports_of(op.life, known), patience))
        case Wait():
            probe = cast("Wait", known.op_of(item)).probe
            return Effect(values=until(site, op.service, probe, ports_of(op.life, known), patience))
        case Verify():
            _verify(cast("Verify", known.op_of(item)), known.site)
            return Effect()
        case Print():
            return Effect(text=_message(item, known))
        case _:
            raise TypeError(f"no effect: {type(op).__name__}")


def _upload(op: UploadFiles, known: Known) -> str:
    """Puts an uploaded tree into the enclave. ``source`` is ``git <url> <commit> <path>`` or ``download <url>``."""
    site = known.site
    kind, _, rest = op.source.partition(" ")
    if kind == "git":
        url, commit, path = rest.split(" ", 2)
        files = uploaded(site.world.git.files(url, commit, path))
    else:
        files = site.world.downloads.files(Download(url=rest, content=op.content))
    content = site.backend.put_artifact(site.enclave, files)
    if content != op.content:
        message = f"artifact {op.name!r}: {rest} no longer holds what the plan was made from"
        raise StepError(Reason.ARTIFACT_MISSING, message, hint="a new commit makes a new plan")
    return content


def _render(op: RenderTemplates, known: Known) -> str:
    site = known.site
    texts = {path: (plain_text(item.text), cast("Json", item.data)) for path, item in op.files.items()}
    rendered = site.world.evaluator.render(texts)
    files = [TreeFile(path=path, mode=0o644, content=content) for path, content in rendered.items()]
    return site.backend.put_artifact(site.enclave, files)


def _verify(op: Verify, site: Site) -> None:
    if not holds(op.value, op.assertion, op.target, show=site.shown):
        value, target = site.shown(op.value, limit=200), site.shown(op.target, limit=200)
        raise StepError(Reason.CHECK_FAILED, f"{value} {op.assertion} {target} does not hold")


def _message(item: Instruction, known: Known) -> str:
    """What a ``print`` says; secrets stay names."""
    op = cast("Print", known.op_of(item))
    return shown(conceal(cast("Json", op.message), known.secret_values()))

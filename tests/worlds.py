"""A devnet in memory: plans written by hand, compared and applied by the real stages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from gitopsd.adapters.memory import Fuse, MemoryBackend, MemoryRecord
from gitopsd.apply import Site, apply
from gitopsd.compare import Facts, compare
from gitopsd.errors import Reason, UserError
from gitopsd.kit.content import content_digest
from gitopsd.model.diff import Diff
from gitopsd.model.environment import Environment, Policy, Source
from gitopsd.model.ops import (
    AddService,
    Exec,
    Op,
    RemoveService,
    RenderTemplates,
    Request,
    RunSh,
    StartService,
    StopService,
    Store,
    StoreServiceFiles,
    Template,
    UploadFiles,
    Verify,
    life_of,
)
from gitopsd.model.package import EvaluationRequest, TreeFile, YamlDocument
from gitopsd.model.parts import Artifacts, ExecRecipe, HttpRecipe, Image, Mount, Persistent, Port, ServiceSpec
from gitopsd.model.plan import Evaluation, Instruction, Plan, Problem
from gitopsd.model.record import LastGood, RecordedEnclave
from gitopsd.model.run import Applied
from gitopsd.model.values import Address, Frozen, Json, Ref, StepResult, Text, Value, refs_in, thaw

ENCLAVE = "devnet"


class SteppingClock:
    """Every look at it is a millisecond later; sleeping moves it on at once."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        self.seconds += 0.001
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Uploads:
    """Git with nothing but trees to upload: ``git <url> <commit> <path>`` by its path."""

    def __init__(self) -> None:
        self.trees: dict[str, tuple[TreeFile, ...]] = {}

    def files(self, url: str, commit: str, path: str) -> tuple[TreeFile, ...]:
        return self.trees[path]


class PlainEvaluator:
    """Templates become their text and data; jq is not needed here."""

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        raise AssertionError("plans are written by hand here")

    def render(self, files: Mapping[str, tuple[str, Json]]) -> dict[str, bytes]:
        return {path: (text + json.dumps(thaw(data), sort_keys=True)).encode() for path, (text, data) in files.items()}

    def extract(self, program: str, document: Json) -> tuple[Json, ...]:
        raise AssertionError("no recipe extracts anything here")

    def load_yaml(self, text: bytes, origin: str) -> YamlDocument:
        raise AssertionError("nothing is parsed here")


@dataclass
class BoundSecrets:
    """Secrets by name, the same for every environment."""

    values: dict[str, str] = field(default_factory=dict)

    def names(self, environment: str) -> tuple[str, ...]:
        return tuple(self.values)

    def reveal(self, environment: str, name: str) -> str:
        if name not in self.values:
            raise UserError(Reason.SECRET_MISSING, f"no secret {name!r} is bound to {environment}")
        return self.values[name]

    def keyed_digest(self, value: str) -> str:
        return content_digest([("secret", 0, b"key" + value.encode())])


class Silence:
    """A journal that nobody reads."""

    def step(self, environment: str, instruction: Instruction, text: str) -> None:
        pass

    def problem(self, environment: str, problem: Problem) -> None:
        pass


# --- plans ------------------------------------------------------------------------------------------------


@dataclass
class Script:
    """Records instructions as the evaluation does: ids by identity, needs by reference, artifact and service."""

    items: list[Instruction] = field(default_factory=list)
    lives: dict[str, str] = field(default_factory=dict)
    born: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    makers: dict[str, str] = field(default_factory=dict)

    def add(self, step: str, op: Op, *, description: str = "", uses: Iterable[str] = ()) -> str:
        needs = [ref.step for ref in refs_in(op) if isinstance(ref, StepResult)]
        needs += [self.lives[ref.service] for ref in refs_in(op) if isinstance(ref, Address)]
        needs += [self.makers[name] for name in uses]
        if life := life_of(op):
            needs.append(life)
        self.items.append(Instruction(id=step, op=op, needs=tuple(dict.fromkeys(needs)), description=description))
        return step

    def ordinal(self, group: str) -> str:
        number = self.counts.get(group, 0)
        self.counts[group] = number + 1
        return f"{group}@{number}"

    def service(
        self,
        name: str,
        *,
        image: str = "app:1",
        cmd: tuple[Value, ...] = (),
        env: Mapping[str, Value] | None = None,
        artifacts: Mapping[str, str] | None = None,
        data: str = "",
        labels: Mapping[str, str] | None = None,
        fixed_port: int = 0,
        force: bool = False,
        description: str = "",
    ) -> Address:
        mounts: dict[str, Mount] = {path: Artifacts(names=(item,)) for path, item in (artifacts or {}).items()}
        if data:
            mounts["/data"] = Persistent(key=data)
        spec = ServiceSpec(
            image=Image(name=image),
            cmd=cmd,
            env=Frozen(env or {}),
            files=Frozen(mounts),
            labels=Frozen(labels or {}),
            ports=Frozen({"http": Port(number=80, wait=2.0)}),
            public_ports=Frozen({"p2p": Port(number=fixed_port)}) if fixed_port else Frozen(),
        )
        self.born[name] = self.born.get(name, 0) + 1
        life = f"service/{name}" + (f"#{self.born[name]}" if self.born[name] > 1 else "")
        self.lives[name] = life
        op = AddService(name=name, spec=spec, force_update=force)
        self.add(life, op, description=description, uses=(artifacts or {}).values())
        return Address(service=name, field="ip_address")

    def exec(self, service: str, *command: Value) -> StepResult:
        op = Exec(service=service, life=self.lives[service], recipe=ExecRecipe(command=command))
        return StepResult(step=self.add(self.ordinal(f"exec/{service}"), op), field="output")

    def request(self, service: str, method: str, endpoint: str) -> StepResult:
        recipe = HttpRecipe(method=method, port="http", endpoint=endpoint)
        op = Request(service=service, life=self.lives[service], recipe=recipe, any_code=True)
        return StepResult(step=self.add(self.ordinal(f"request/{service}"), op), field="body")

    def task(
        self, name: str, run: Value, *, files: Mapping[str, str] | None = None, store: Mapping[str, str] | None = None
    ) -> StepResult:
        op = RunSh(
            name=name,
            run=run,
            image=Image(name="tool:1"),
            files=Frozen({path: Artifacts(names=(item,)) for path, item in (files or {}).items()}),
            store=tuple(Store(src=src, name=item) for item, src in (store or {}).items()),
        )
        step = self.add(f"task/{name}", op, uses=(files or {}).values())
        self.makers |= dict.fromkeys(store or {}, step)
        return StepResult(step=step, field="output")

    def template(self, name: str, text: str, data: Value = None) -> str:
        op = RenderTemplates(name=name, files=Frozen({"file": Template(text=text, data=data)}))
        self.makers[name] = self.add(f"artifact/{name}", op)
        return name

    def upload(self, name: str, tree: str, content: bytes, uploads: Uploads) -> str:
        files = (TreeFile(path="file", mode=0o644, content=content),)
        uploads.trees[tree] = files
        digest = content_digest((item.path, item.mode, item.content) for item in files)
        op = UploadFiles(name=name, source=f"git url commit {tree}", content=digest)
        self.makers[name] = self.add(f"artifact/{name}", op)
        return name

    def capture(self, service: str, src: str, name: str) -> str:
        op = StoreServiceFiles(service=service, life=self.lives[service], src=src, name=name)
        self.makers[name] = self.add(f"artifact/{name}", op)
        return name

    def verify(self, value: Value, assertion: str, target: Value) -> None:
        self.add(self.ordinal("verify"), Verify(value=value, assertion=assertion, target=target))

    def remove(self, name: str) -> None:
        self.add(self.ordinal(f"remove/{name}"), RemoveService(name=name, life=self.lives[name]))

    def stop(self, name: str) -> None:
        self.add(self.ordinal(f"stop/{name}"), StopService(name=name, life=self.lives[name]))

    def start(self, name: str) -> None:
        self.add(self.ordinal(f"start/{name}"), StartService(name=name, life=self.lives[name]))

    def plan(self) -> Plan:
        return Plan(package_digest="p", args_digest="a", instructions=tuple(self.items))


def plan_of(write: Callable[[Script], None]) -> Plan:
    """The plan that a function writes."""
    script = Script()
    write(script)
    return script.plan()


def text(*parts: str | Ref) -> Text:
    return Text(parts=parts)


# --- the devnet -------------------------------------------------------------------------------------------


@dataclass
class Devnet:
    """One enclave in memory and the stages that work on it."""

    fuse: Fuse = field(default_factory=Fuse)
    policy: Policy = Policy()
    secrets: BoundSecrets = field(default_factory=BoundSecrets)
    uploads: Uploads = field(default_factory=Uploads)

    def __post_init__(self) -> None:
        self.backend = MemoryBackend(fuse=self.fuse)
        self.record = MemoryRecord(fuse=self.fuse)
        self.clock = SteppingClock()

    @property
    def recorded(self) -> RecordedEnclave:
        return self.record.load(ENCLAVE)

    def facts(self, commit: str) -> Facts:
        return Facts(
            commit=commit, secrets=Frozen({n: self.secrets.keyed_digest(v) for n, v in self.secrets.values.items()})
        )

    def compare(self, plan: Plan, commit: str = "c1") -> Diff:
        return compare(plan, self.recorded, self.backend.observe(ENCLAVE), self.policy, self.facts(commit))

    def apply(self, diff: Diff, commit: str = "c1", *, rollback: bool = False) -> Applied:
        return apply(diff, self.site(commit, rollback=rollback), lambda: "")

    def site(self, commit: str, *, rollback: bool = False) -> Site:
        source = Source(name="repo", url="https://example.invalid/repo")
        environment = Environment(name="dev", source=source, package=".", enclave=ENCLAVE, policy=self.policy)
        return Site(
            environment=environment,
            backend=self.backend,
            record=self.record,
            evaluator=PlainEvaluator(),
            secrets=self.secrets,
            git=self.uploads,  # type: ignore[arg-type]  # only files() is reached here
            downloads=self.uploads,  # type: ignore[arg-type]
            clock=self.clock,
            journal=Silence(),
            commit=commit,
            rollback=rollback,
        )

    def deploy(self, plan: Plan, commit: str = "c1") -> Applied:
        """Compares and applies; a whole apply becomes the last good one, as in a run."""
        diff = self.compare(plan, commit)
        applied = self.apply(diff, commit)
        if applied.ok:
            self.remember(diff.plan, commit)
        return applied

    def remember(self, plan: Plan, commit: str) -> None:
        recorded = self.recorded
        serials = Frozen({name: step.serial for name, step in recorded.steps.items()})
        good = LastGood(commit=commit, plan=plan, serials=serials)
        head = replace(recorded, commit=commit, plan_digest=plan.digest, last_good=good)
        self.record.save_head(ENCLAVE, head)

    def go_back(self) -> Applied:
        good = self.recorded.last_good
        assert good is not None
        return self.apply(self.compare(good.plan, good.commit), good.commit, rollback=True)

    def effects_since(self, mark: int, *verbs: str) -> list[tuple[str, str]]:
        return [effect for effect in self.backend.effects[mark:] if not verbs or effect[0] in verbs]


def lines_of(diff: Diff) -> list[str]:
    """A diff as short lines: action, id, why, and the fields that differ."""
    lines = []
    for change in diff.changes:
        fields = ", ".join(item.path + ("" if item.known else " (known after apply)") for item in change.fields)
        why = f" ({change.why})" if change.why else ""
        lines.append(f"{change.action:<8} {change.id}{why}" + (f": {fields}" if fields else ""))
    lines += [f"drift    {item.service} ({item.why}): {item.detail}" for item in diff.drift]
    return lines

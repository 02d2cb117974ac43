"""Plans written step by step, for the stages that compare and apply them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gitopsd.kit.content import content_digest
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
from gitopsd.model.package import TreeFile
from gitopsd.model.parts import Artifacts, ExecRecipe, HttpRecipe, Image, Mount, Persistent, Port, ServiceSpec
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.values import Address, Frozen, Ref, StepResult, Text, Value, refs_in
from tests.stage.ports import Uploads


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

"""Plans written step by step, for the stages that compare and apply them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gitopsd.evaluate.checks import check
from gitopsd.evaluate.needs import with_needs
from gitopsd.evaluate.recorder import Recorder
from gitopsd.evaluate.references import References
from gitopsd.evaluate.sources import Sources, words_of
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
)
from gitopsd.model.package import Package, TreeFile
from gitopsd.model.parts import Artifacts, ExecRecipe, HttpRecipe, Image, Mount, Persistent, Port, ServiceSpec
from gitopsd.model.plan import Plan
from gitopsd.model.values import Address, Frozen, Ref, StepResult, Text, Value
from tests.stage.ports import Uploads
from tests.stage.scripted import LOCATOR, URL, MemoryTrees


class Script:
    """Records instructions with the recorder of the evaluation, and lets the evaluation find what they need."""

    def __init__(self) -> None:
        sources = Sources(Package(locator=LOCATOR, url=URL, commit="c" * 40), MemoryTrees({}))
        self.recorder = Recorder(References(), sources, "docker")

    def add(self, step: str, op: Op, description: str = "") -> str:
        self.recorder.begin(f"{LOCATOR}/main.star", len(self.recorder.instructions) + 1, description)
        self.recorder.add(step, op)
        return step

    def count(self, group: str) -> int:
        """How many nameless steps of a method on a service there are, as ``exec/web``."""
        return sum(item.id.startswith(f"{group}@") for item in self.recorder.instructions)

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
        op = AddService(name=name, spec=spec, force_update=force)
        self.add(self.recorder.new_life(name), op, description)
        return Address(service=name, field="ip_address")

    def exec(self, service: str, *command: Value) -> StepResult:
        op = Exec(service=service, life=self.recorder.life(service), recipe=ExecRecipe(command=command))
        return StepResult(step=self.add(self.recorder.nameless_id("exec", service), op), field="output")

    def request(self, service: str, method: str, endpoint: str) -> StepResult:
        recipe = HttpRecipe(method=method, port="http", endpoint=endpoint)
        op = Request(service=service, life=self.recorder.life(service), recipe=recipe, any_code=True)
        return StepResult(step=self.add(self.recorder.nameless_id("request", service), op), field="body")

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
        return StepResult(step=self.add(self.recorder.named_id("task", name), op), field="output")

    def template(self, name: str, text: str, data: Value = None) -> str:
        op = RenderTemplates(name=name, files=Frozen({"file": Template(text=text, data=data)}))
        self.add(self.recorder.named_id("artifact", name), op)
        return name

    def upload(self, name: str, tree: str, content: bytes, uploads: Uploads) -> str:
        files = (TreeFile(path="file", mode=0o644, content=content),)
        uploads.trees[tree] = files
        digest = content_digest((item.path, item.mode, item.content) for item in files)
        op = UploadFiles(name=name, source=f"git url commit {tree}", content=digest)
        self.recorder.words_by_id[self.add(self.recorder.named_id("artifact", name), op)] = words_of(content)
        return name

    def capture(self, service: str, src: str, name: str) -> str:
        op = StoreServiceFiles(service=service, life=self.recorder.life(service), src=src, name=name)
        self.add(self.recorder.named_id("artifact", name), op)
        return name

    def verify(self, value: Value, assertion: str, target: Value) -> None:
        self.add(self.recorder.nameless_id("verify"), Verify(value=value, assertion=assertion, target=target))

    def remove(self, name: str) -> None:
        self.add(self.recorder.nameless_id("remove", name), RemoveService(name=name, life=self.recorder.life(name)))

    def stop(self, name: str) -> None:
        self.add(self.recorder.nameless_id("stop", name), StopService(name=name, life=self.recorder.life(name)))

    def start(self, name: str) -> None:
        self.add(self.recorder.nameless_id("start", name), StartService(name=name, life=self.recorder.life(name)))

    def plan(self) -> Plan:
        """What was recorded so far, as the evaluation concludes it."""
        instructions = tuple(self.recorder.instructions)
        assert check(instructions) == ()
        needed = with_needs(instructions, self.recorder.words_by_id)
        return Plan(package_digest="p", args_digest="a", instructions=needed)


def plan_of(write: Callable[[Script], None]) -> Plan:
    """The plan that a function writes."""
    script = Script()
    write(script)
    return script.plan()


def text(*parts: str | Ref) -> Text:
    return Text(parts=parts)

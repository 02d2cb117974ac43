"""A package of two services, a task and some steps, followed over an enclave in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gitopsd.adapters.memory import MemoryBackend
from gitopsd.model.calls import Workload
from gitopsd.model.environment import Commit
from tests.stage import records
from tests.stage.repository import Checkout
from tests.stage.world import Site

PACKAGE = """
def run(plan, level="info", password="", broken="", wait="1s"):
    genesis = plan.run_sh(name="genesis", run="make-genesis", store=[StoreSpec(src="/out", name="genesis")])
    plan.upload_files(src="./static", name="static")
    db = plan.add_service("db", ServiceConfig(
        image="db:1",
        ports={"sql": PortSpec(5432, wait="2s")},
        files={"/data": Directory(persistent_key="db"), "/genesis": genesis.files_artifacts[0], "/static": "static"},
        env_vars={"PASSWORD": password},
    ))
    plan.exec("db", ExecRecipe(command=["init"]))
    plan.add_service("web", ServiceConfig(
        image="web:1" if not broken else broken,
        cmd=["--level", level, "--db", db.ip_address],
        ports={"http": PortSpec(80, wait=wait)},
    ))
    answer = plan.exec("db", ExecRecipe(command=["count"]))
    plan.print("rows: " + answer["output"])
    plan.verify(answer["code"], "==", 0)
"""
ENVIRONMENTS = """
environments:
  dev:
    package: chain
    args: {args}
    {more}
"""


class Chain(Site):
    """The environment ``dev`` of that package: ``answers`` are the exit codes of commands by their last word, ``ready``
    says which services get ready."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: dict[str, int] = {}
        self.ready: Callable[[Workload], bool] = lambda workload: workload.spec.image.name != "broken:1"
        backend = MemoryBackend(answer=self.answer, ready=self.is_ready)
        super().__init__(folder / "state", Checkout(folder / "repo"), backend, records.in_memory())

    def is_ready(self, workload: Workload) -> bool:
        return self.ready(workload)

    def answer(self, subject: str, command: tuple[str, ...]) -> tuple[int, str]:
        return self.answers.get(command[-1], 0), f"output of {command[-1]}\n"

    def push(
        self, args: str = "{}", *, package: str = PACKAGE, more: str = "", extra: str = "", force: bool = False
    ) -> Commit:
        files = {
            "gitopsd.yaml": ENVIRONMENTS.format(args=args, more=more),
            "chain/kurtosis.yml": "name: github.com/acme/devnets/chain\n",
            "chain/main.star": package,
            "chain/static/file.txt": "static",
            "README.md": extra,
        }
        self.repository.push(files, new_root=force)
        return self.head()

    def ran(self, verb: str) -> list[str]:
        return [what for name, what in self.backend.effects if name == verb]

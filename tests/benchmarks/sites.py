"""Where benchmarks happen: a repository to push to, and the real stages over it in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gitopsd import pipeline
from gitopsd.adapters.clock import SystemClock
from gitopsd.adapters.downloads import HttpDownloads
from gitopsd.adapters.git.mirrors import GitMirrors, GitRules
from gitopsd.adapters.local.backend import LocalBackend
from gitopsd.adapters.local.record import FileRecord
from gitopsd.adapters.memory import MemoryBackend, MemoryRecord
from gitopsd.adapters.store import SqlStore
from gitopsd.adapters.worker.evaluator import WorkerEvaluator, WorkerSettings
from gitopsd.fetch import read_environments
from gitopsd.model.environment import Commit, Environment, Source
from gitopsd.model.package import EvaluationRequest
from gitopsd.model.plan import Evaluation
from gitopsd.ports import Backend, Record
from tests.daemons import Repository
from tests.worlds import BoundSecrets, Silence


class CountingEvaluator(WorkerEvaluator):
    """The real one, which also counts evaluations."""

    evaluations = 0

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        self.evaluations += 1
        return super().evaluate(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A repository, a world over it, and what is asked of them."""

    repository: Repository
    world: pipeline.World
    source: Source
    evaluator: CountingEvaluator

    def head(self) -> Commit:
        return self.world.git.head(self.source)

    def environment(self, commit: Commit) -> Environment:
        """The first environment of a commit."""
        return read_environments(self.source, commit, self.world.git, self.evaluator).environments[0]


@contextmanager
def opened(folder: Path, backend: str) -> Iterator[Site]:
    """A site whose environments live on a ``local`` or ``memory`` backend. What is left of them is destroyed."""
    repository = Repository(folder / "repository")
    store = SqlStore(f"sqlite:///{folder / 'history.sqlite'}")
    evaluator = CountingEvaluator(WorkerSettings(cache=str(_made(folder / "lowered"))))
    live, record = _backend(folder / "backend", backend)
    world = pipeline.World(
        git=GitMirrors(folder / "git", GitRules()),
        downloads=HttpDownloads(folder / "downloads"),
        evaluator=evaluator,
        backends={"local": live},
        records={"local": record},
        store=store,
        secrets=BoundSecrets(),
        clock=SystemClock(),
        journal=Silence(),
    )
    source = Source(name="devnets", url=repository.url, ref="main")
    try:
        yield Site(repository=repository, world=world, source=source, evaluator=evaluator)
    finally:
        for environment, _ in store.environments():
            pipeline.destroy(environment, world)
        store.close()


def _backend(state: Path, name: str) -> tuple[Backend, Record]:
    if name == "memory":
        return MemoryBackend(answer=_answer), MemoryRecord()
    return LocalBackend(state), FileRecord(state)


def _answer(_: str, command: tuple[str, ...]) -> tuple[int, str]:
    """What commands of the packages here print."""
    return 0, f"{command[1]}\n" if command[0] == "echo" else "made\n"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder

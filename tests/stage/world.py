"""The whole page: a repository, the world that follows it, and what a user asks of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from gitopsd import pipeline
from gitopsd.adapters.clock import SystemClock
from gitopsd.adapters.downloads import HttpDownloads
from gitopsd.adapters.git.mirrors import GitMirrors, GitRules
from gitopsd.adapters.heads import FileHeads
from gitopsd.adapters.store import SqlStore
from gitopsd.adapters.worker.evaluator import WorkerEvaluator, WorkerSettings
from gitopsd.fetch import read_environments
from gitopsd.model.environment import Commit, Environment, Source
from gitopsd.model.head import Head
from gitopsd.model.package import EvaluationRequest
from gitopsd.model.plan import Evaluation
from gitopsd.model.record import Recorded, headed
from gitopsd.model.run import Follow, Run, Trigger
from gitopsd.ports import Backend, Records
from gitopsd.report import QueuedReports
from gitopsd.session import Sessions
from gitopsd.world import nothing_newer
from tests.stage.ports import BoundSecrets, Silence
from tests.stage.repository import Checkout, Repository


class CountingEvaluator(WorkerEvaluator):
    """The real one, which also counts evaluations."""

    evaluations = 0

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        self.evaluations += 1
        return super().evaluate(request)


class Site:
    """The environments of a repository, followed with mirrors, downloads, workers and a history as the daemon has
    them, in the folder ``state``. Each is described in ``gitopsd.yaml``, and lives on the backend ``local``."""

    def __init__(
        self,
        state: Path,
        repository: Checkout | Repository,
        backend: Backend,
        record: Records,
        *,
        rules: GitRules | None = None,
        hosts: tuple[str, ...] = (),
        workers: WorkerSettings | None = None,
        history: str = "sqlite://",
    ) -> None:
        """Downloads may come from ``hosts`` even when they are private; ``history`` is a database's URL."""
        self.state = state
        self.repository = repository
        self.backend = backend
        self.record = record
        self.rules = rules
        self.hosts = hosts
        self.workers = workers
        self.history = history
        self.source = Source(name="envs", url=repository.url, ref="main")
        self.secrets = BoundSecrets({"DB_PASSWORD": "canary-5up3r-s3cret"})
        self.start()

    def start(self) -> None:
        """A daemon of its own on the same enclaves and the same folder."""
        store, clock, journal = SqlStore(self.history), SystemClock(), Silence()
        self.world = pipeline.World(
            git=GitMirrors(self.state, self.rules),
            downloads=HttpDownloads(self.state / "downloads", allowed_hosts=self.hosts),
            evaluator=CountingEvaluator(self.workers),
            backends={"local": self.backend},
            records={"local": Sessions(self.record, writer="test")},
            heads=FileHeads(self.state / "heads", older=self.state / "suspended.json"),
            store=store,
            reports=QueuedReports(store=store, clock=clock, journal=journal, wake=lambda: None),
            secrets=self.secrets,
            clock=clock,
            journal=journal,
        )

    @property
    def store(self) -> SqlStore:
        return self.world.store

    @property
    def evaluator(self) -> CountingEvaluator:
        return self.world.evaluator

    def close(self) -> None:
        self.store.close()

    def head(self) -> Commit:
        return self.world.git.head(self.source)

    def environment(self, commit: Commit) -> Environment:
        """The first environment of a commit, as its ``gitopsd.yaml`` describes it."""
        found = read_environments(self.source, commit, self.world.git, self.evaluator)
        assert not found.problems, found.problems
        return found.environments[0]

    def to_follow(self, commit: Commit, *, trigger: Trigger = Trigger.COMMIT) -> Follow:
        """That the first environment of a commit follows it."""
        return Follow(environment=self.environment(commit), commit=commit, trigger=trigger)

    def follow(
        self, commit: Commit, *, trigger: Trigger = Trigger.COMMIT, newer: Callable[[], str] = nothing_newer
    ) -> Run:
        return pipeline.follow(self.to_follow(commit, trigger=trigger), self.world, newer)

    def check_drift(self, commit: Commit) -> Run:
        return pipeline.check_drift(self.environment(commit), self.world)

    @property
    def recorded(self) -> Recorded:
        """What is recorded of the enclave ``dev``."""
        kept = self.record.read("dev")
        return Recorded() if kept is None else kept.recorded

    def amend(self, change: Callable[[Head], Head]) -> None:
        """Another process gives the enclave ``dev`` another head."""
        Sessions(self.record, writer="another").open("dev").change(partial(headed, change=change))


def prints_of(run: Run) -> list[str]:
    """What the prints of a run's package said, in the order of the plan; "" for one that was not done again."""
    assert run.applied is not None
    prints = (item for item in run.applied.outcomes if item.id.startswith("print@"))
    return [text for _, text in sorted((int(item.id.removeprefix("print@")), item.text) for item in prints)]

"""A repository with one package, followed over a real local backend."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitopsd import pipeline
from gitopsd.adapters.clock import SystemClock
from gitopsd.adapters.downloads import HttpDownloads
from gitopsd.adapters.git.mirrors import GitMirrors, GitRules
from gitopsd.adapters.local.backend import LocalBackend
from gitopsd.adapters.local.record import FileRecord
from gitopsd.adapters.local.settings import LocalSettings
from gitopsd.adapters.store import SqlStore
from gitopsd.adapters.worker.evaluator import WorkerEvaluator
from gitopsd.model.environment import Environment, Source
from gitopsd.model.record import RecordedEnclave
from gitopsd.model.run import Run
from gitopsd.model.values import Frozen, freeze
from gitopsd.ports import Backend, Record
from tests.integration.githost import Repository
from tests.worlds import BoundSecrets, Silence


def real_world(
    state: Path, backend: Backend, record: Record, *, rules: GitRules | None = None, hosts: tuple[str, ...] = ()
) -> pipeline.World:
    """Mirrors, downloads and workers as the daemon has them, in the folder ``state``; ``hosts`` may be private."""
    return pipeline.World(
        git=GitMirrors(state, rules),
        downloads=HttpDownloads(state / "downloads", allowed_hosts=hosts),
        evaluator=WorkerEvaluator(),
        backends={"local": backend},
        records={"local": record},
        store=SqlStore("sqlite://"),
        secrets=BoundSecrets(),
        clock=SystemClock(),
        journal=Silence(),
    )


def prints_of(run: Run) -> list[str]:
    """What the prints of a run's package said, in the order of the plan; "" for one that was not done again."""
    assert run.applied is not None
    prints = (item for item in run.applied.outcomes if item.id.startswith("print@"))
    return [text for _, text in sorted((int(item.id.removeprefix("print@")), item.text) for item in prints)]


class LocalSite:
    """The environment ``dev`` in the enclave ``dev``."""

    def __init__(self, folder: Path) -> None:
        self.repository = Repository(folder / "envs.git")
        state = folder / "state"
        self.backend = LocalBackend(state / "local", LocalSettings(grace=1.0))
        self.record = FileRecord(state / "local")
        self.world = real_world(state, self.backend, self.record)

    def follow(self, package: Mapping[str, bytes], args: Mapping[str, Any] | None = None) -> Run:
        """Commits a package and follows the commit."""
        self.repository.commit(dict(package))
        source = Source(name="envs", url=self.repository.url)
        values = freeze(args or {})
        assert isinstance(values, Frozen)
        environment = Environment(name="dev", source=source, package=".", enclave="dev", args=values)
        return pipeline.follow(environment, self.world.git.head(source), self.world)

    @property
    def recorded(self) -> RecordedEnclave:
        return self.record.load("dev")

    def artifact(self, name: str) -> dict[str, bytes]:
        """The files of an artifact by name."""
        step = next(step for step in self.recorded.steps.values() if name in step.output.artifacts)
        files = self.backend.get_artifact("dev", step.output.artifacts[name])
        return {file.path: file.content for file in files}

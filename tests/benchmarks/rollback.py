"""How long the way back takes, and how long a run that only waits stays in the way of a newer commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from gitopsd import pipeline
from gitopsd.model.environment import Commit, Environment
from gitopsd.model.run import Applied, Follow, Run, Verdict
from tests.benchmarks.measuring import Figure
from tests.benchmarks.packages import FIFTY, WAITING, package_of, repository_of
from tests.benchmarks.sites import opened
from tests.stage.waiting import until
from tests.stage.world import Site

TIMES, BEGUN, RESTORED, GONE = 3, 2.0, 15.0, 2.0


def measure(folder: Path) -> Iterator[Figure]:
    """A failing command after 50 services were changed; then a service that never gets ready."""
    with opened(folder / "fifty", "local") as site:
        samples = [_went_back(_follow(site, str(number), broken=number % 2 == 1)) for number in range(2 * TIMES)]
    begun, restored = zip(*[found for found in samples if found is not None], strict=True)
    note = "50 services of 50 were changed; they have no ready conditions"
    yield _figure("failure verdict to the first step back", begun, BEGUN, note)
    yield _figure("failure verdict to the last good plan restored", restored, RESTORED, note)
    with opened(folder / "waiting", "local") as site:
        site.repository.push(repository_of(package_of(WAITING), {"dev": {}}))
        gone = tuple(_preempted(site) for _ in range(TIMES))
    yield _figure("newer commit known to the end of a waiting run", gone, GONE, "it waits for a port")


def _figure(what: str, samples: tuple[float, ...], target: float, note: str) -> Figure:
    return Figure(benchmark="rollback", what=what, unit="s", samples=samples, target=target, note=note)


def _follow(site: Site, level: str, *, broken: bool) -> Run:
    site.repository.push(repository_of(package_of(FIFTY), {"dev": {"args": {"level": level, "broken": broken}}}))
    environment, commit = _newest(site)
    return pipeline.follow(Follow(environment=environment, commit=commit), site.world)


def _newest(site: Site) -> tuple[Environment, Commit]:
    commit = site.head()
    environment = site.environment(commit)
    site.world.store.save_environment(environment, commit)
    return environment, commit


def _went_back(run: Run) -> tuple[float, float] | None:
    """Seconds from the failure to the first and the last step of the way back; None for a run that did not fail."""
    if run.verdict is Verdict.SUCCEEDED:
        return None
    if run.verdict is not Verdict.ROLLED_BACK or run.applied is None or run.rollback is None:
        raise RuntimeError(f"{run.verdict}: {[str(problem) for problem in run.problems]}")
    failed = max(_times(run.applied, "ended_at", only_failed=True))
    first, last = min(_times(run.rollback, "started_at")), max(_times(run.rollback, "ended_at"))
    return (first - failed).total_seconds(), (last - failed).total_seconds()


def _times(applied: Applied, name: str, *, only_failed: bool = False) -> list[datetime]:
    outcomes = applied.failed if only_failed else applied.outcomes
    return [when for when in (getattr(outcome, name) for outcome in outcomes) if when is not None]


def _preempted(site: Site) -> float:
    environment, commit = _newest(site)
    newer: list[str] = []
    runs: list[Run] = []

    def follow() -> None:
        runs.append(
            pipeline.follow(
                Follow(environment=environment, commit=commit), site.world, lambda: newer[0] if newer else ""
            )
        )

    thread = threading.Thread(target=follow)
    thread.start()
    backend = site.world.backends["local"]
    until(lambda: "deaf" in backend.observe("dev").services, "a service that is waited for", seconds=30)
    time.sleep(0.5)
    start = time.perf_counter()
    newer.append("f" * 40)
    thread.join(60)
    taken = time.perf_counter() - start
    if not runs or runs[0].verdict is not Verdict.SUPERSEDED:
        raise RuntimeError("the waiting run was not superseded")
    return taken

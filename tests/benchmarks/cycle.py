"""What it costs to look at an environment in which nothing has changed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from gitopsd import pipeline
from gitopsd.daemon.quiet import Quiet
from gitopsd.model.run import Follow, Verdict
from tests.benchmarks.measuring import Figure, cpu, wall
from tests.benchmarks.packages import FIFTEEN, package_of, package_of_300, repository_of
from tests.benchmarks.sites import opened
from tests.stage.world import Site

UNCHANGED, CYCLE, TIMES = 0.05, 0.005, 25


def measure(folder: Path) -> Iterator[Figure]:
    """Both sizes on both backends, each applied for real before."""
    for name, package in (("15 services", package_of(FIFTEEN)), ("300 instructions", package_of_300())):
        for backend in ("local", "memory"):
            with opened(folder / f"{backend}-{len(package)}", backend) as site:
                site.repository.push(repository_of(package, {"dev": {"timeout": "5m"}}))
                yield from _unchanged(site, f"{name}, {backend} backend")


def _unchanged(site: Site, where: str) -> Iterator[Figure]:
    commit = site.head()
    environment = site.environment(commit)
    site.world.store.save_environment(environment, commit)
    asked = Follow(environment=environment, commit=commit)
    run = pipeline.follow(asked, site.world)
    if run.verdict is not Verdict.SUCCEEDED:
        raise RuntimeError(f"{where}: {run.verdict}: {[str(problem) for problem in run.problems]}")
    check = partial(pipeline.check_drift, environment, site.world)
    quiet = Quiet(site.world)
    quiet.check(environment, check)
    plan = partial(pipeline.plan, asked, site.world)
    plan()
    working = site.world.site(asked)
    head = working.head
    gc.collect()
    before = site.evaluator.evaluations

    def figure(what: str, unit: str, measured: tuple[float, ...], target: float | None, note: str = "") -> Figure:
        return Figure(benchmark="cycle", what=f"{what}: {where}", unit=unit, samples=measured, target=target, note=note)

    yield figure("unchanged plan", "ms", _wall(lambda: pipeline.evaluated(working, head)), UNCHANGED)
    yield figure("unchanged plan, compared with record and live", "ms", _wall(plan), UNCHANGED)
    follow = partial(pipeline.follow, asked, site.world)
    yield figure("unchanged commit followed", "ms", _wall(follow), None, "the no-op run is kept in the history")
    yield figure("evaluations in all of these", "", (float(site.evaluator.evaluations - before),), 0.0)
    yield figure("CPU of a no-op drift check", "ms", _cpu(lambda: quiet.check(environment, check)), CYCLE)
    yield figure("CPU of a whole comparison", "ms", _cpu(check), None, "after each change, and once an hour")
    yield figure("CPU of an unchanged head", "ms", _cpu(site.head), CYCLE, "file:// repository")


def _wall(act: Callable[[], object]) -> tuple[float, ...]:
    return wall(act, times=TIMES)


def _cpu(act: Callable[[], object]) -> tuple[float, ...]:
    return cpu(act, times=TIMES)

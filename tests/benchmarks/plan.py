"""How long the plan of 300 instructions takes: as a process, and inside a daemon."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

from gitopsd import pipeline
from gitopsd.model.run import Follow
from tests.benchmarks.measuring import Figure, wall
from tests.benchmarks.packages import package_of_300, repository_of
from tests.benchmarks.sites import opened
from tests.stage.processes import program, variables
from tests.stage.world import Site

COLD, TIMES = 1.5, 7


def measure(folder: Path) -> Iterator[Figure]:
    """Plans in processes of their own, then in this one."""
    yield from _processes(folder)
    yield from _calls(folder)


def _processes(folder: Path) -> Iterator[Figure]:
    package = folder / "package"
    for path, text in package_of_300().items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text)
    caches = (folder / f"cache-{number}" for number in itertools.count())
    figure = Figure(
        benchmark="plan",
        what="plan of 300 instructions, `gitopsd plan DIR`, nothing cached",
        unit="s",
        samples=wall(lambda: _plan(package, next(caches)), times=TIMES),
        target=COLD,
        note="the whole process, the worker and the text of the plan included",
    )
    yield figure
    _plan(package, folder / "cache")
    yield Figure(
        benchmark="plan",
        what="the same, lowered sources cached",
        unit="s",
        samples=wall(lambda: _plan(package, folder / "cache"), times=TIMES),
        target=COLD,
    )


def _plan(package: Path, cache: Path) -> None:
    done = subprocess.run(
        program("plan", str(package)),
        stdout=subprocess.PIPE,
        env=variables(XDG_CACHE_HOME=str(cache)),
        timeout=60,
        check=True,
    )
    if b"300 instructions" not in done.stdout:
        raise RuntimeError("the plan has not 300 instructions")


def _calls(folder: Path) -> Iterator[Figure]:
    cold: list[float] = []
    for number in range(TIMES):
        with opened(folder / f"site-{number}", "memory") as site:
            site.repository.push(repository_of(package_of_300(), {"dev": {}}))
            commit = site.head()
            environment = site.environment(commit)
            cold += wall(lambda: pipeline.plan(Follow(environment=environment, commit=commit), site.world), times=1)  # noqa: B023
    yield Figure(
        benchmark="plan",
        what="the same inside the daemon, nothing cached, compared",
        unit="s",
        samples=tuple(cold),
        target=COLD,
    )
    with opened(folder / "site", "memory") as site:
        changed = tuple(_changed(site, str(number)) for number in range(TIMES + 1))
    yield Figure(
        benchmark="plan",
        what="the same with one argument changed",
        unit="s",
        samples=changed[1:],
        target=COLD,
        note="lowered sources cached",
    )


def _changed(site: Site, level: str) -> float:
    site.repository.push(repository_of(package_of_300(), {"dev": {"args": {"level": level}}}))
    commit = site.head()
    environment = site.environment(commit)
    return wall(lambda: pipeline.plan(Follow(environment=environment, commit=commit), site.world), times=1)[0]

"""How long a commit waits for its first effect."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.daemons import first_line, running
from tests.benchmarks.measuring import Figure
from tests.benchmarks.packages import CALLING, package_of, repository_of
from tests.stage.servers import Counting
from tests.stage.waiting import until

TIMES, INTERVAL = 9, 1.0


def measure(folder: Path) -> Iterator[Figure]:
    """Commits at random moments, to a daemon that asks each second; an effect is a request that a task sends."""
    outside = Counting()
    lines: list[float] = []
    effects: list[float] = []
    try:
        with running(folder) as daemon:
            for number in range(-1, TIMES):
                name = f"call-{number}"
                args = {"port": outside.server.server_port, "name": name}
                files = repository_of(package_of(CALLING), {"dev": {"args": args}})
                time.sleep(random.random() * INTERVAL)
                mark = daemon.log.stat().st_size
                start = time.perf_counter()
                daemon.repository.push(files)
                until(lambda: first_line(daemon, "dev", after=mark), "a step", seconds=60, every=0.01)  # noqa: B023
                said = time.perf_counter() - start
                until(lambda: outside.hits[name], "an effect", seconds=60, every=0.01)  # noqa: B023
                seen = time.perf_counter() - start
                if number >= 0:
                    lines.append(said)
                    effects.append(seen)
                until(lambda: b"run ended" in daemon.log.read_bytes()[mark:], "an end", seconds=60)  # noqa: B023
    finally:
        outside.close()
    for what, samples in (("commit to its first step", lines), ("commit to the first effect seen outside", effects)):
        yield Figure(
            benchmark="effect",
            what=f"{what}, polling each second",
            unit="s",
            samples=tuple(samples),
            target=INTERVAL + 1,
            note="real daemon, local backend; half an interval of it is the wait for the next poll",
        )

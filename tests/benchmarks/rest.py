"""What the daemon takes when nothing happens, with 100 environments."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.daemons import running
from tests.benchmarks.measuring import Figure, cpu_of, pss_of, rss_of, until
from tests.benchmarks.packages import TINY, package_of, repository_of
from tests.daemons import Daemon

COUNT, MEMORY, CYCLE = 100, 150 * 1024 * 1024, 0.005
WATCHED, LOOKS, DRIFT = 20.0, 5, 5.0


def measure(folder: Path) -> Iterator[Figure]:
    """100 environments of one instruction each: first as configured by default, then with drift checks all the time."""
    names = tuple(f"env-{number}" for number in range(COUNT))
    url = f"file://{folder / 'repository'}"
    calm = {"repositories": {"devnets": {"url": url, "interval": "30s"}}, "drift": {"interval": "5m"}}
    busy = {"repositories": {"devnets": {"url": url, "interval": "30s"}}, "drift": {"interval": f"{DRIFT:g}s"}}
    with running(folder, names, {**calm, "repositories": {"devnets": {"url": url, "interval": "1s"}}}) as daemon:
        files = repository_of(package_of(TINY), {name: {"args": {"text": name}} for name in names})
        daemon.repository.push(files)
        until(lambda: _ended(daemon) >= COUNT, "every environment applied", seconds=300, pause=0.5)
        time.sleep(5)
        yield _memory("PSS of the daemon right after it applied 100 environments", (pss_of(_pid(daemon)),), None)
        _restart(daemon, calm)
        time.sleep(10)
        started, used = time.monotonic(), cpu_of(_pid(daemon))
        samples = []
        resident = []
        for _ in range(LOOKS):
            time.sleep(WATCHED / LOOKS)
            samples.append(pss_of(_pid(daemon)))
            resident.append(rss_of(_pid(daemon)))
        share = (cpu_of(_pid(daemon)) - used) / (time.monotonic() - started)
        yield _memory("PSS of the daemon at rest with 100 environments", tuple(samples), MEMORY)
        yield _memory("RSS of the same", tuple(resident), MEMORY)
        yield Figure(
            benchmark="rest",
            what="CPU of the daemon at rest, share of one core",
            unit="%",
            samples=(share,),
            note="100 environments, one repository asked every 30 s, drift looked for every 5 min (the defaults)",
        )
        _restart(daemon, busy)
        time.sleep(2 * DRIFT + 2)
        started, used = time.monotonic(), cpu_of(_pid(daemon))
        time.sleep(4 * DRIFT)
        spent, passed = cpu_of(_pid(daemon)) - used, time.monotonic() - started
        yield Figure(
            benchmark="rest",
            what="CPU of the daemon per environment and drift cycle, everything included",
            unit="ms",
            samples=(spent / (COUNT * passed / DRIFT),),
            target=CYCLE,
            note=f"100 environments looked at every {DRIFT:g} s",
        )


def _memory(what: str, samples: tuple[int, ...], target: int | None) -> Figure:
    return Figure(benchmark="rest", what=what, unit="MiB", samples=tuple(map(float, samples)), target=target)


def _restart(daemon: Daemon, more: dict[str, object]) -> None:
    mark = daemon.log.stat().st_size
    daemon.stop()
    daemon.more = more
    daemon.start()
    until(lambda: b"watching 1 repository" in daemon.log.read_bytes()[mark:], "a start", seconds=60)


def _pid(daemon: Daemon) -> int:
    if daemon.process is None:
        raise RuntimeError("no daemon runs")
    return daemon.process.pid


def _ended(daemon: Daemon) -> int:
    return daemon.log.read_bytes().count(b'"run ended"')

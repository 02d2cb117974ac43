"""What the daemon takes when nothing happens, with 100 environments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.daemons import running
from tests.benchmarks.measuring import Figure
from tests.benchmarks.packages import TINY, package_of, repository_of
from tests.stage.daemon import Daemon
from tests.stage.processes import children_of, cpu_of, pss_of, rss_of
from tests.stage.waiting import until

COUNT, MEMORY, CYCLE = 100, 150 * 1024 * 1024, 0.005
WATCHED, LOOKS, DRIFT = 20.0, 5, 5.0


def measure(folder: Path) -> Iterator[Figure]:
    """100 environments of one instruction each: first as configured by default, then with drift checks all the time."""
    names = tuple(f"env-{number}" for number in range(COUNT))
    url = f"file://{folder / 'repository'}"
    calm = {"repositories": {"devnets": {"url": url, "interval": "30s"}}, "drift": {"interval": "5m"}}
    busy = {"repositories": {"devnets": {"url": url, "interval": "30s"}}, "drift": {"interval": f"{DRIFT:g}s"}}
    with running(folder, {**calm, "repositories": {"devnets": {"url": url, "interval": "1s"}}}) as daemon:
        files = repository_of(package_of(TINY), {name: {"args": {"text": name}} for name in names})
        daemon.repository.push(files)
        until(lambda: _ended(daemon) >= COUNT, "every environment applied", seconds=300, every=0.5)
        time.sleep(5)
        applied = _total(daemon, pss_of)
        yield _memory("PSS of the daemon and its fork server after applying 100 environments", (applied,), None)
        _restart(daemon, calm)
        time.sleep(10)
        started, used = time.monotonic(), _total(daemon, cpu_of)
        samples = []
        resident = []
        for _ in range(LOOKS):
            time.sleep(WATCHED / LOOKS)
            samples.append(_total(daemon, pss_of))
            resident.append(_total(daemon, rss_of))
        share = (_total(daemon, cpu_of) - used) / (time.monotonic() - started)
        yield _memory("PSS of the daemon and its fork server at rest with 100 environments", tuple(samples), MEMORY)
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
        started, used = time.monotonic(), _total(daemon, cpu_of)
        time.sleep(4 * DRIFT)
        spent, passed = _total(daemon, cpu_of) - used, time.monotonic() - started
        yield Figure(
            benchmark="rest",
            what="CPU of the daemon per environment and drift cycle, everything included",
            unit="ms",
            samples=(spent / (COUNT * passed / DRIFT),),
            target=CYCLE,
            note=f"100 environments looked at every {DRIFT:g} s",
        )


def _total(daemon: Daemon, amount_of: Callable[[int], float]) -> float:
    """What the daemon takes together with its fork server."""
    return sum(map(amount_of, (daemon.pid, *children_of(daemon.pid))))


def _memory(what: str, samples: tuple[float, ...], target: int | None) -> Figure:
    return Figure(benchmark="rest", what=what, unit="MiB", samples=samples, target=target)


def _restart(daemon: Daemon, more: dict[str, object]) -> None:
    mark = daemon.log.stat().st_size
    daemon.stop()
    daemon.more = more
    daemon.start()
    until(lambda: b"watching 1 repository" in daemon.log.read_bytes()[mark:], "a start", seconds=60)


def _ended(daemon: Daemon) -> int:
    return daemon.log.read_bytes().count(b'"run ended"')

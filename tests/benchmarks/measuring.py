"""What is measured: samples of seconds, CPU seconds or bytes, and how they are shown."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.stage.processes import children_of, cpu_of

_MIB = 1024 * 1024
_SCALES = {
    "s": (1.0, "s"),
    "ms": (1e3, "ms"),
    "MiB": (1 / _MIB, "MiB"),
    "%": (100.0, "%"),
    "times": (1.0, "times"),
    "": (1.0, ""),
}
_LIBRARIES = (
    "pygit2", "starlark-go", "apscheduler", "pydantic", "sqlalchemy", "httpx", "jq", "structlog", "typer", "pyyaml",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table. ``samples`` and ``target`` are seconds, CPU seconds, bytes, shares or counts; ``unit``
    says how they are shown. ``note`` says what else has to be known to read them."""

    benchmark: str
    what: str
    unit: str
    samples: tuple[float, ...]
    target: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def met(self) -> bool | None:
        """Whether the median is within the target; None without one."""
        return None if self.target is None else self.median <= self.target

    def shown(self, value: float) -> str:
        """A value in the figure's unit, with three digits."""
        factor, unit = _SCALES[self.unit]
        scaled = value * factor
        digits = 0 if scaled >= 100 or not unit else 1 if scaled >= 10 else 2
        return f"{scaled:.{digits}f} {unit}".rstrip()

    def data(self) -> dict[str, Any]:
        """For ``--json``, in the units that samples are taken in."""
        return {
            "benchmark": self.benchmark,
            "what": self.what,
            "unit": {"s": "s", "ms": "s", "MiB": "B", "%": "1", "times": "1", "": "1"}[self.unit],
            "target": self.target,
            "min": min(self.samples),
            "median": self.median,
            "max": max(self.samples),
            "samples": list(self.samples),
            "met": self.met,
            "note": self.note,
        }


def wall(act: Callable[[], object], *, times: int) -> tuple[float, ...]:
    """Seconds that each of several calls takes."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        found.append(time.perf_counter() - start)
    return tuple(found)


def cpu(act: Callable[[], object], *, times: int) -> tuple[float, ...]:
    """CPU seconds of each of several calls: of this process, all its threads, and of its children, which are counted
    in steps of a clock tick while they run."""
    found = []
    for _ in range(times):
        start = _cpu_now()
        act()
        found.append(_cpu_now() - start)
    return tuple(found)


def _cpu_now() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    running = sum(map(cpu_of, children_of(os.getpid())))
    return time.process_time() + children.ru_utime + children.ru_stime + running


def machine() -> dict[str, str]:
    """What the figures were measured on and with."""
    cpuinfo, meminfo = Path("/proc/cpuinfo").read_text(), Path("/proc/meminfo").read_text()
    models = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    memory = int(meminfo.split()[1]) / _MIB
    return {
        "cpu": f"{len(os.sched_getaffinity(0))} cores, {models[0] if models else platform.machine()}",
        "memory": f"{memory:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        "load": f"{os.getloadavg()[0]:.1f} over the last minute, before the first benchmark",
    }

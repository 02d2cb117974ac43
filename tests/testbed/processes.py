"""Processes by pid and start time, and those that carry the testbed's mark."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from tests.testbed.places import MARK, TestbedError


def started(pid: int) -> int:
    """Start time of a living process in clock ticks since boot, by proc(5); 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def alive(pid: int, start: int) -> bool:
    return started(pid) == start != 0


def marked() -> set[int]:
    """Processes that came from a component of the testbed: shims of containers, children, strays."""
    found = set()
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and f"{MARK}=".encode() in (folder / "environ").read_bytes():
                found.add(int(folder.name))
    return found - {os.getpid()}


def end(pids: Iterable[int], *, patience: float = 10.0) -> None:
    """Kill processes and wait until they are gone; raises ``TestbedError`` naming those that stay."""
    left = {pid: start for pid in pids if (start := started(pid))}
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + patience
    while left:
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        left = {pid: start for pid, start in left.items() if alive(pid, start)}
        if left and time.monotonic() > deadline:
            raise TestbedError(f"processes {sorted(left)} are still there {patience:g} s after SIGKILL")
        time.sleep(0.02)

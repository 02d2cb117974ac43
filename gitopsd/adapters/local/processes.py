"""Processes that outlive the daemon: started through a shim, found again, ended.

A process is named by pid, start time and boot id: a pid alone may have gone to another process, and a start time
counts from a boot. A zombie is dead.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gitopsd.adapters.local.folders import read_bytes, read_json, remove_tree
from gitopsd.errors import Reason, TransientError

_SHIM = str(Path(__file__).resolve().with_name("shim.py"))
_COMMAND = (sys.executable, "-I", "-S", "-X", "utf8", _SHIM)


@cache
def boot_id() -> str:
    """The id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """A process of this machine, for ever. ``start`` counts clock ticks since the boot."""

    pid: int
    start: int
    boot: str

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.boot == boot_id() and _start_of(self.pid) == self.start

    def send(self, number: int) -> bool:
        """Sends a signal; False when it runs no more. A pid that was given away meanwhile is never hit."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.alive:
                return False
            signal.pidfd_send_signal(descriptor, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)

    def wait(self, timeout: float) -> bool:
        """Waits for its end; False when it still runs after ``timeout`` seconds."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return True
        try:
            if self.alive:
                select.select([descriptor], [], [], timeout)
        finally:
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)  # orphans are ours where the daemon is process 1
        return not self.alive


def _start_of(pid: int) -> int | None:
    """Start time of a process; None when there is none or it is a zombie."""
    try:
        fields = read_bytes(f"/proc/{pid}/stat").rpartition(b")")[2].split(maxsplit=20)
    except OSError:
        return None
    return None if fields[0] in b"ZX" else int(fields[19])


def process_of(folder: Path | str) -> ProcessId | None:
    """The living shim of a folder; None when there is none."""
    data = read_json(f"{folder}/shim.json")
    try:
        process = ProcessId(pid=int(data["pid"]), start=int(data["start"]), boot=str(data["boot"]))
    except (KeyError, TypeError, ValueError):
        return None
    return process if process.alive else None


def spawn(job: dict[str, Any]) -> None:
    """Starts a shim and returns when it has written who it is. TransientError BACKEND_UNAVAILABLE when it cannot."""
    done = subprocess.run(
        _COMMAND,
        input=json.dumps(job).encode(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise TransientError(
            Reason.BACKEND_UNAVAILABLE, f"no process could be started: {said[-1] if said else done.returncode}"
        )


def end(process: ProcessId, *, grace: float) -> None:
    """Ends a shim with everything below it: TERM, ``grace`` seconds, KILL."""
    process.send(signal.SIGTERM)
    if not process.wait(grace + 2.0):
        kill([process])


def kill(dying: Iterable[ProcessId]) -> None:
    """Ends shims with everything below them at once."""
    dying = list(dying)
    for process in dying:
        below = [found for pid in descendants(process.pid) if (found := find(pid))]
        process.send(signal.SIGKILL)
        for found in below:  # without a pid namespace the kernel does not end them
            found.send(signal.SIGKILL)
    for process in dying:
        process.wait(10.0)


def find(pid: int) -> ProcessId | None:
    """The process that has a pid now; None when there is none."""
    start = _start_of(pid)
    return None if start is None else ProcessId(pid=pid, start=start, boot=boot_id())


def descendants(pid: int) -> Iterator[int]:
    """Every process below a process, as the machine numbers them."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield int(child)
            yield from descendants(int(child))


def wait_for(done: Callable[[], bool], *, timeout: float, interval: float = 0.01) -> bool:
    """Polls until ``done``; False after ``timeout`` seconds. The interval grows to a tenth of a second."""
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
        interval = min(interval * 1.5, 0.1)
    return True


@cache
def best_mode() -> str:
    """``root``, ``user`` or ``plain``: the best that this kernel allows this process, tried out once."""
    for mode in ("root", "user"):
        if mode == "root" and os.geteuid() != 0:
            continue
        folder = Path(tempfile.mkdtemp(prefix="gitopsd-"))
        try:
            tried = subprocess.run(
                (*_COMMAND, "--probe", mode, str(folder)),
                capture_output=True,
                env={"PATH": os.defpath},
                cwd="/",
                check=False,
            )
            if tried.returncode == 0:
                return mode
        finally:
            remove_tree(folder)
    return "plain"

"""Programs of the project as processes, and what this machine tells of a process."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import gitopsd

ROOT = Path(gitopsd.__file__).parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")


def program(*words: str) -> list[str]:
    """The command of ``gitopsd`` as a user types it; a warning ends it."""
    return [sys.executable, "-W", "error", "-c", "from gitopsd.cli import main; main()", *words]


def variables(**more: str) -> dict[str, str]:
    """The environment of such a process: this one's without settings of ``gitopsd``, and ``more``."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("GITOPSD_")}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def called(*words: str, seconds: float = 120.0, **more: str) -> subprocess.CompletedProcess[str]:
    """A verb as a user types it, to its end; ``more`` is added to its environment."""
    return subprocess.run(
        program(*words),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=variables(**more),
        timeout=seconds,
        check=False,
    )


def processes_with(marker: str) -> list[int]:
    """Pids of other living processes with a text in their command line or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if not dead and marker.encode() in text:
                found.append(int(entry.name))
    return found


def cpu_of(pid: int) -> float:
    """CPU seconds that a process and the children that it waited for have used, in steps of a clock tick."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / _TICKS


def children_of(pid: int) -> set[int]:
    """The process ids of the children of a process; none when it has gone."""
    found: set[int] = set()
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                found |= set(map(int, (task / "children").read_text().split()))
    return found


def pss_of(pid: int) -> int:
    """Bytes of memory of a process, each shared page divided by those who share it; resident bytes where the kernel
    does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return rss_of(pid)


def rss_of(pid: int) -> int:
    """Resident bytes of a process, shared pages counted whole."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

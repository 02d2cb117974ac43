"""Every implementation of the ports Backend and Record, by name; each contract runs over all of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitopsd.adapters.local.backend import LocalBackend
from gitopsd.adapters.local.record import FileRecord
from gitopsd.adapters.local.settings import LocalSettings
from gitopsd.adapters.memory import MemoryBackend, MemoryRecord
from gitopsd.model.calls import Workload
from gitopsd.ports import Backend, Record

ENCLAVE = "net"
GRACE = 3.0


def run_in(folder: Path) -> Callable[[str, tuple[str, ...]], tuple[int, str]]:
    """Answers with what a command gives on this machine, with ``folder`` as its ``/tmp``: for a backend that has no
    processes of its own."""

    def answer(_subject: str, command: tuple[str, ...]) -> tuple[int, str]:
        folder.mkdir(exist_ok=True)
        argv = [part.replace("/tmp/", f"{folder}/") for part in command]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
        return done.returncode, done.stdout + done.stderr

    return answer


def end_of(workload: Workload) -> int | None:
    """The code that a service's process ends with at once, by the text of its command; None when it goes on."""
    word, _, code = str(workload.spec.cmd[-1]).rpartition(" ")
    return int(code) if word.endswith("exit") else None


BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "memory": lambda folder: MemoryBackend(answer=run_in(folder), ends=end_of),
    "local": lambda folder: LocalBackend(folder, LocalSettings(grace=GRACE)),
    "local without namespaces": lambda folder: LocalBackend(folder, LocalSettings(grace=GRACE, namespaces=False)),
}

RECORDS: dict[str, Callable[[Path], Record]] = {
    "memory": lambda _: MemoryRecord(),
    "local": FileRecord,
}


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made = BACKENDS[request.param](tmp_path / "state")
    yield made
    made.destroy(ENCLAVE)


@pytest.fixture(params=sorted(RECORDS))
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Record:
    return RECORDS[request.param](tmp_path / "state")

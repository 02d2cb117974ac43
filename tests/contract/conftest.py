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
from gitopsd.ports import Backend, Record

ENCLAVE = "net"
GRACE = 3.0


def run_here(_subject: str, command: tuple[str, ...]) -> tuple[int, str]:
    """What a command gives, for a backend that has no processes of its own."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stdout + done.stderr


BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "memory": lambda _: MemoryBackend(answer=run_here),
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

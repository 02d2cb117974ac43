"""Every implementation of the ports Backend, Records and Heads, by name; each contract runs over all of them."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from gitopsd.adapters.heads import FileHeads
from gitopsd.adapters.local.backend import LocalBackend
from gitopsd.adapters.local.record import FileRecords
from gitopsd.adapters.local.settings import LocalSettings
from gitopsd.adapters.memory import MemoryBackend, MemoryRecords
from gitopsd.model.calls import Workload
from gitopsd.ports import Backend, Heads, Records

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


class Storage:
    """Where records are kept, and what may happen to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def records(self) -> Records:
        """The records of a process that looks at it for the first time."""
        raise NotImplementedError

    def fails(self, *verbs: str) -> AbstractContextManager[None]:
        """As long as ``read`` or ``write`` does not work."""
        raise NotImplementedError


class MemoryStorage(Storage):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._records = MemoryRecords()

    def records(self) -> Records:
        return self._records

    @contextmanager
    def fails(self, *verbs: str) -> Iterator[None]:
        self._records.failing |= {*verbs, *({"claim", "delete"} if "write" in verbs else ())}
        yield
        self._records.failing.clear()


class FileStorage(Storage):
    def records(self) -> Records:
        return FileRecords(self.folder)

    @contextmanager
    def fails(self, *verbs: str) -> Iterator[None]:
        journal = self.folder / "enclaves" / ENCLAVE / "record" / "record.jsonl"
        with ExitStack() as stack:
            if "read" in verbs:
                stack.enter_context(hidden(journal))
            if "write" in verbs:
                stack.enter_context(full_disk())
            yield


@contextmanager
def hidden(path: Path) -> Iterator[None]:
    """In the place of a file is something that cannot be read."""
    aside = path.with_name("aside")
    path.rename(aside)
    path.mkdir()
    try:
        yield
    finally:
        path.rmdir()
        aside.rename(path)


@contextmanager
def full_disk(limit: int = 20) -> Iterator[None]:
    """No file can be written beyond ``limit`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


STORAGES: dict[str, type[Storage]] = {"memory": MemoryStorage, "local": FileStorage}

HEADS: dict[str, Callable[[Path], Heads]] = {
    "files": lambda folder: FileHeads(folder / "heads", older=folder / "suspended.json"),
}


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made = BACKENDS[request.param](tmp_path / "state")
    yield made
    made.destroy(ENCLAVE)


@pytest.fixture(params=sorted(STORAGES))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return STORAGES[request.param](tmp_path / "state")


@pytest.fixture(params=sorted(HEADS))
def heads(request: pytest.FixtureRequest, tmp_path: Path) -> Heads:
    return HEADS[request.param](tmp_path / "state")

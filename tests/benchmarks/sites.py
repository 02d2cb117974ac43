"""Where benchmarks happen: a repository to push to, and the real stages over it in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitopsd import pipeline
from gitopsd.adapters.local.backend import LocalBackend
from gitopsd.adapters.memory import MemoryBackend
from gitopsd.adapters.worker.evaluator import WorkerSettings
from tests.stage import records
from tests.stage.repository import Checkout
from tests.stage.world import Site


@contextmanager
def opened(folder: Path, backend: str) -> Iterator[Site]:
    """A site whose environments live on a ``local`` or ``memory`` backend. What is left of them is destroyed."""
    lowered, enclaves = folder / "lowered", folder / "backend"
    lowered.mkdir(parents=True)
    if backend == "memory":
        live, record = MemoryBackend(answer=_answer), records.in_memory()
    else:
        live, record = LocalBackend(enclaves), records.in_files(enclaves)
    site = Site(
        folder / "git",
        Checkout(folder / "repository"),
        live,
        record,
        workers=WorkerSettings(cache=str(lowered)),
        history=f"sqlite:///{folder / 'history.sqlite'}",
    )
    try:
        yield site
    finally:
        for environment, _ in site.store.environments():
            pipeline.destroy(environment, site.world, defined=False)
        site.close()


def _answer(_: str, command: tuple[str, ...]) -> tuple[int, str]:
    """What commands of the packages here print."""
    return 0, f"{command[1]}\n" if command[0] == "echo" else "made\n"

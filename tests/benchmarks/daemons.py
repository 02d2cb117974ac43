"""The real daemon for a while, with everything that it started ended afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gitopsd.adapters.local.backend import LocalBackend
from tests.daemons import Daemon, Repository


@contextmanager
def running(folder: Path, environments: tuple[str, ...], more: Mapping[str, Any] | None = None) -> Iterator[Daemon]:
    """A daemon that was started on an empty repository in ``folder``, which it asks each second."""
    folder.mkdir(parents=True, exist_ok=True)
    daemon = Daemon(folder, Repository(folder / "repository"), more or {})
    daemon.start()
    try:
        yield daemon
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.stop()
        backend = LocalBackend(daemon.state / "backends" / "local")
        for name in environments:
            backend.destroy(name)


def first_line(daemon: Daemon, environment: str, *, after: int) -> bool:
    """Whether the log tells of a step of an environment, beyond its first ``after`` bytes."""
    with daemon.log.open("rb") as log:
        log.seek(after)
        return any(b'"instruction"' in line and f'"{environment}"'.encode() in line for line in log.read().splitlines())

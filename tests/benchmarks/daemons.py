"""The real daemon for a while, with everything that it started ended afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.stage.daemon import Daemon
from tests.stage.repository import Checkout


@contextmanager
def running(folder: Path, more: Mapping[str, Any] | None = None) -> Iterator[Daemon]:
    """A daemon that was started on an empty repository in ``folder``, which it asks each second."""
    with Daemon(folder, Checkout(folder / "repository"), more or {}) as daemon:
        daemon.start()
        yield daemon


def first_line(daemon: Daemon, environment: str, *, after: int) -> bool:
    """Whether the log tells of a step of an environment, beyond its first ``after`` bytes."""
    with daemon.log.open("rb") as log:
        log.seek(after)
        return any(b'"instruction"' in line and f'"{environment}"'.encode() in line for line in log.read().splitlines())

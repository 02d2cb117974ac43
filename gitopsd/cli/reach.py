"""Reaches gitopsd: the daemon of a state directory by its socket, or the parts of it in this process when none runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gitopsd.cli.output import tell
from gitopsd.daemon.client import Client, connect
from gitopsd.errors import GitopsdError, Reason, UserError
from gitopsd.kit.text import duration_text
from gitopsd.web.commands import Answer, Commands, LogLine, Request, Result, Told

if TYPE_CHECKING:
    from gitopsd.daemon.config import Settings
    from gitopsd.daemon.daemon import Daemon

DEFAULT_CONFIG = Path("/etc/gitopsd/gitopsd.yaml")
STARTING = 10.0
"""Seconds that a daemon which has the lock may take until it answers."""
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Where:
    """Which gitopsd: a configuration file, a state directory, or both."""

    config: Path | None
    state_dir: Path | None

    @property
    def named(self) -> bool:
        """Whether there is a configuration or a state directory at all."""
        return self.config is not None or self.state_dir is not None or DEFAULT_CONFIG.exists()

    def settings(self) -> Settings:
        """The configuration. UserError when there is none, or mistakes in it."""
        from gitopsd.daemon.configfile import load

        file = self.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
        if not self.named:
            raise UserError(
                Reason.CONFIG_INVALID,
                "there is no configuration",
                hint="name one with --config FILE or GITOPSD_CONFIG, or a daemon's directory with --state-dir",
            )
        settings = load(file)
        if self.state_dir is None:
            return settings
        return settings.model_copy(update={"state_dir": self.state_dir.resolve()})

    def folder(self) -> Path:
        """The state directory."""
        return self.state_dir if self.state_dir is not None else self.settings().state_dir


@contextmanager
def reached(where: Where) -> Iterator[Commands]:
    """The commands of the daemon, or of this process under the state directory's lock.

    UserError LOCKED when another process without a socket has the lock.
    """
    client = connect(where.folder())
    if client is not None:
        yield client
        return
    found = _in_process(where)
    if isinstance(found, Client):
        yield found
        return
    found.start()
    try:
        yield found
    finally:
        found.stop()


def _in_process(where: Where) -> Daemon | Client:
    """The parts of gitopsd in this process; or the daemon after all, when one was just starting."""
    from gitopsd.daemon.config import Log
    from gitopsd.daemon.daemon import Daemon

    quiet = where.settings().model_copy(update={"log": Log(level="error")})
    end = time.monotonic() + STARTING
    while True:
        try:
            return Daemon(quiet, scheduled=False)
        except UserError as error:
            client = connect(where.folder()) if error.reason is Reason.LOCKED else None
            if client is not None:
                return client
            if error.reason is not Reason.LOCKED or time.monotonic() > end:
                raise
            time.sleep(0.1)


def ask(where: Where, request: Request, kind: type[A]) -> A:
    """The result of a request, with its progress on standard error."""
    with reached(where) as commands, Progress() as progress:
        for answer in commands.ask(request):
            if isinstance(answer, Told):
                progress.tell(answer)
            elif isinstance(answer, Result) and isinstance(answer.value, kind):
                return answer.value
    raise GitopsdError(Reason.BUG, f"gitopsd gave no {kind.__name__}", hint="is the daemon of another release?")


def lines(where: Where, request: Request) -> Iterator[LogLine]:
    """The lines of a request for logs."""
    with reached(where) as commands:
        answer: Answer
        for answer in commands.ask(request):
            if isinstance(answer, LogLine):
                yield answer


class Progress:
    """Lines of what happens, each with the time since the beginning; on a terminal a moving line of the last one."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._last = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._wipe()

    def tell(self, told: Told) -> None:
        """Shows a line; an empty one only moves the time on."""
        elapsed = duration_text(time.monotonic() - self._started)
        if told.text:
            step = f"{told.instruction}: " if told.instruction else ""
            self._last = f"{step}{told.text}"
            self._wipe()
            tell(f"{elapsed:>8}  {self._last}")
        if self._terminal:
            sys.stderr.write(f"\r{elapsed:>8}  …\x1b[K")
            sys.stderr.flush()

    def _wipe(self) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

"""The lock on a state directory: one gitopsd per directory."""

from __future__ import annotations

import fcntl
import os
import time
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from gitopsd.errors import Reason, UserError

PATIENCE = 60.0
"""Seconds that a command may keep others waiting."""


class Role(StrEnum):
    """Who holds a lock: a daemon stays, a command of the program ends by itself."""

    DAEMON = "daemon"
    COMMAND = "command"


class Lease:
    """Holds ``lock`` of a state directory until it is released or the process ends, however it ends.

    The kernel's lock decides, not the file's content: the content only names the holder. It is not handed down to
    child processes that are executed, so a shim or a service never holds it.
    """

    def __init__(self, state_dir: Path, *, role: Role = Role.DAEMON) -> None:
        """Takes the lock; waits for a command that has it, which ends by itself, but never for a daemon.

        UserError LOCKED, naming the holder's pid, when another process keeps it.
        """
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + PATIENCE
        while not self._try():
            pid, _, holder = os.pread(self._descriptor, 64, 0).decode("ascii", "replace").strip().partition(" ")
            if holder != Role.COMMAND or time.monotonic() > end:
                os.close(self._descriptor)
                raise UserError(
                    Reason.LOCKED,
                    f"{state_dir} is in use by the gitopsd with pid {pid or 'unknown'}",
                    hint="one gitopsd per state directory; end that one, or choose another state_dir",
                )
            time.sleep(0.05)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()} {role}\n".encode(), 0)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Gives the lock back; a second call does nothing."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

"""How long the steps of a run wait, and for whom."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from gitopsd.errors import Reason, StepError, TransientError
from gitopsd.ports import Clock


@dataclass(frozen=True, slots=True)
class Patience:
    """How long waiting steps go on: until the run's deadline (monotonic seconds), or until something newer wants its
    place. Steps that only wait ask it; a step in flight is finished first."""

    clock: Clock
    deadline: float
    newer: Callable[[], str]
    stopped: threading.Event = field(default_factory=threading.Event)

    def remaining(self, limit: float | None = None) -> float:
        """Seconds left of the run, at most ``limit``."""
        left = max(self.deadline - self.clock.monotonic(), 0.0)
        return left if limit is None else min(left, limit)

    def check(self) -> None:
        """Raises TransientError PREEMPTED when something newer waits, StepError TIMED_OUT at the deadline."""
        if self.stopped.is_set() or self.newer():
            self.stopped.set()
            raise TransientError(Reason.PREEMPTED, "stopped: something newer takes its place")
        if self.clock.monotonic() >= self.deadline:
            raise StepError(
                Reason.TIMED_OUT, "the run's time is over", hint="raise `timeout` of the environment if it needs more"
            )

    def sleep(self, seconds: float) -> None:
        """Waits at most ``seconds`` and looks up every quarter of a second; raises like :meth:`check`."""
        end = self.clock.monotonic() + seconds
        while True:
            self.check()
            left = end - self.clock.monotonic()
            if left <= 0:
                return
            self.clock.sleep(min(left, 0.25))

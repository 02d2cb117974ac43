"""What runs right now, for ``why`` and for those who watch a run."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from gitopsd.model.run import Done
from gitopsd.web.commands import Doing, Told

ENDED = frozenset(done.value for done in Done)
"""What a run says last of a step."""
KEPT_LINES = 200
"""Lines that a slow listener may fall behind before its oldest ones are dropped."""


class Progress:
    """The last word of every step of every run in progress; lines are passed on to listeners, who never block it."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._doing: dict[str, dict[str, Doing]] = {}
        self._listeners: dict[str, list[Feed]] = {}

    def tell(self, environment: str, instruction: str, text: str) -> None:
        """A line of a run; what it says of a step takes the place of what was said of it before."""
        when = self._now()
        with self._lock:
            steps = self._doing.setdefault(environment, {})
            if instruction and text in ENDED:
                steps.pop(instruction, None)
            elif instruction:
                steps[instruction] = Doing(instruction=instruction, text=text, since=when)
            listeners = tuple(self._listeners.get(environment, ()))
        for feed in listeners:
            feed.put(Told(text=text, environment=environment, instruction=instruction, when=when))

    def forget(self, environment: str) -> None:
        """The run of an environment has ended."""
        with self._lock:
            self._doing.pop(environment, None)

    def doing(self, environment: str) -> tuple[Doing, ...]:
        """The steps of a run in progress, the one with the newest word last."""
        with self._lock:
            steps = tuple(self._doing.get(environment, {}).values())
        return tuple(sorted(steps, key=lambda step: step.since.timestamp() if step.since else 0.0))

    @contextmanager
    def listen(self, environment: str) -> Iterator[Feed]:
        """The lines of an environment from now on."""
        feed = Feed()
        with self._lock:
            self._listeners.setdefault(environment, []).append(feed)
        try:
            yield feed
        finally:
            with self._lock:
                self._listeners[environment].remove(feed)


class Feed:
    """Lines for one listener."""

    def __init__(self) -> None:
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lines: deque[Told] = deque(maxlen=KEPT_LINES)

    def put(self, line: Told) -> None:
        self._lines.append(line)
        self._wake.put(None)

    def wake(self) -> None:
        """Ends a wait without a line."""
        self._wake.put(None)

    def take(self, timeout: float) -> tuple[Told, ...]:
        """What came since the last call; waits up to ``timeout`` seconds for the first line."""
        try:
            self._wake.get(timeout=timeout)
            while True:
                self._wake.get_nowait()
        except queue.Empty:
            pass
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return tuple(lines)

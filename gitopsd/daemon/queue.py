"""A queue by key: one piece of work per key at a time, many keys at once, waiting pieces of a key become one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
W = TypeVar("W")


class KeyedQueue(Generic[K, W]):
    """First come, first served over keys. A key that is being worked on is not handed out again until ``done``.

    ``merge(waiting, new)`` gives the one piece that shall wait.
    """

    def __init__(self, merge: Callable[[W, W], W]) -> None:
        self._merge = merge
        self._waiting: dict[K, W] = {}
        self._running: dict[K, W] = {}
        self._changed = threading.Condition()
        self._closed = False

    def put(self, key: K, work: W) -> bool:
        """Adds work. False when the queue is closed: it is not taken then."""
        with self._changed:
            if self._closed:
                return False
            waiting = self._waiting.get(key)
            self._waiting[key] = work if waiting is None else self._merge(waiting, work)
            self._changed.notify_all()
            return True

    def take(self) -> tuple[K, W] | None:
        """The oldest work whose key is idle; waits for it. None when the queue is closed."""
        with self._changed:
            while not self._closed:
                key = next((key for key in self._waiting if key not in self._running), None)
                if key is not None:
                    work = self._running[key] = self._waiting.pop(key)
                    return key, work
                self._changed.wait()
            return None

    def done(self, key: K) -> None:
        """The work of a key has ended."""
        with self._changed:
            del self._running[key]
            self._changed.notify_all()

    def waiting(self, key: K) -> W | None:
        """What waits for a key."""
        with self._changed:
            return self._waiting.get(key)

    def running(self, key: K) -> W | None:
        """What is being done for a key."""
        with self._changed:
            return self._running.get(key)

    def close(self) -> tuple[W, ...]:
        """Hands nothing out any more; returns what was waiting."""
        with self._changed:
            self._closed = True
            left = tuple(self._waiting.values())
            self._waiting.clear()
            self._changed.notify_all()
            return left

    @property
    def closed(self) -> bool:
        return self._closed

    def idle(self, timeout: float) -> bool:
        """Waits until nothing is being worked on; False when ``timeout`` seconds were not enough."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout)

    def empty(self, timeout: float) -> bool:
        """Waits until nothing waits and nothing is being worked on; False when ``timeout`` seconds were not enough."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running and not self._waiting, timeout)

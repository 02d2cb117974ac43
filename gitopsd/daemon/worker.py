"""A crew: threads that take work from a keyed queue, one per piece of work in progress, and none when there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from gitopsd.daemon.queue import KeyedQueue

K = TypeVar("K", bound=Hashable)
W = TypeVar("W")


class Crew(Generic[K, W]):
    """Works a queue with at most ``size`` threads at once.

    ``act`` handles every failure of the work itself; what it lets out is logged as a bug and ends only that piece.
    """

    def __init__(self, queue: KeyedQueue[K, W], act: Callable[[K, W], None], *, size: int, name: str, log: Any) -> None:
        self._queue = queue
        self._act = act
        self._slots = threading.Semaphore(size)
        self._name = name
        self._log = log

    def start(self) -> None:
        threading.Thread(target=self._dispatch, name=self._name, daemon=True).start()

    def _dispatch(self) -> None:
        while True:
            self._slots.acquire()
            taken = self._queue.take()
            if taken is None:
                return
            key, work = taken
            threading.Thread(target=self._one, args=(key, work), name=f"{self._name} {key}", daemon=True).start()

    def _one(self, key: K, work: W) -> None:
        try:
            self._act(key, work)
        except Exception:
            self._log.exception("a bug: please report it", crew=self._name, key=str(key))
        finally:
            self._queue.done(key)
            self._slots.release()

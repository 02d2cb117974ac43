"""Cached plans that were read lately, ready for use: reading one of hundreds of instructions takes longer than the rest
of an unchanged commit."""

from __future__ import annotations

import threading
from collections import OrderedDict

from gitopsd.model.plan import Evaluation


class ReadPlans:
    """Evaluations by their key, which tells their content; those unused for longest go when their compressed bodies
    are more than ``size`` bytes together. Whether a plan is still kept at all is for the database to say."""

    def __init__(self, *, size: int) -> None:
        self._left = size
        self._read: OrderedDict[str, tuple[Evaluation, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Evaluation | None:
        with self._lock:
            if key not in self._read:
                return None
            self._read.move_to_end(key)
            return self._read[key][0]

    def keep(self, key: str, evaluation: Evaluation, *, size: int) -> None:
        """``size`` is that of the compressed body."""
        with self._lock:
            self._forget(key)
            self._read[key] = (evaluation, size)
            self._left -= size
            while self._left < 0:
                self._left += self._read.popitem(last=False)[1][1]

    def forget(self, key: str) -> None:
        with self._lock:
            self._forget(key)

    def _forget(self, key: str) -> None:
        _, size = self._read.pop(key, (None, 0))
        self._left += size

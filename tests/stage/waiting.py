"""Waits until something holds, for tests that watch what others do in their own time."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def until(check: Callable[[], Any], what: str = "", *, seconds: float = 60.0, every: float = 0.05) -> Any:
    """The first true answer of ``check``. When there is none in time it fails with ``what`` was awaited (the source
    of ``check`` when that says it) and the last answer."""
    end = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < end, f"within {seconds:g} s: {what or _source_of(check)}; last answer: {answer!r}"
        time.sleep(every)
    return answer


def _source_of(check: Callable[[], Any]) -> str:
    with suppress(OSError, TypeError):
        return inspect.getsource(check).strip()
    return repr(check)

"""The same from several threads at once, with what each of them returned or raised."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def at_once(act: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """What ``act`` gives for each item, each in a thread of its own; raises what one of them raises."""
    asked = list(items)
    with ThreadPoolExecutor(len(asked)) as threads:
        return [done.result() for done in [threads.submit(act, item) for item in asked]]

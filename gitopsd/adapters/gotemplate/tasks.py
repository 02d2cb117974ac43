"""Recursion without the interpreter's stack: a task is a generator that yields the tasks it calls."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

Task = Generator[Any, Any, Any]


def run(task: Task) -> Any:
    """Run ``task`` and all that it yields, and return its value; exceptions go to the caller.

    A task gets the return value of each task that it yields. Depth is bounded by memory only.
    """
    stack = [task]
    value: Any = None
    try:
        while stack:
            try:
                called = stack[-1].send(value)
            except StopIteration as finished:
                stack.pop()
                value = finished.value
            else:
                stack.append(called)
                value = None
        return value
    finally:
        stack.clear()  # an exception's traceback would keep a deep stack alive

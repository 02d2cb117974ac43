"""A unit test is over at once: what takes longer belongs elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

MOST = 2.0
"""Seconds of CPU that a unit test may use. Time on the clock says more about the machine."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    before = time.process_time()
    yield
    used = time.process_time() - before
    assert used < MOST, f"a unit test may use {MOST:g} s of CPU, and {item.name} used {used:.1f} s"

"""Options of the whole suite."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["tests.testbed.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--packages DIR``: public packages as ``DIR/<owner>/<name>``, for ``tests/compat``."""
    parser.addoption("--packages", type=Path, default=None, metavar="DIR", help="public packages as DIR/<owner>/<name>")

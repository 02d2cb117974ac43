"""PyPI's starlark-go, loaded when it is first used: it starts threads, which a fork of the process would lose."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    import starlark_go

    return getattr(starlark_go, name)

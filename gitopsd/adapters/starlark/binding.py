"""PyPI's starlark-go, loaded when it is first used: it starts threads, which a fork of the process would lose."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import Any

_STACK = 1024 * 1024
_ATTRIBUTES = 256
"""Bytes, more than any C library has in its ``pthread_attr_t``."""


def __getattr__(name: str) -> Any:
    if "starlark_go" not in sys.modules:
        _make_stacks_small()
    import starlark_go

    return getattr(starlark_go, name)


def _make_stacks_small() -> None:
    """Sets what a thread gets for its stack when it does not say: Go takes that for each of its threads, and all of it
    counts as memory of the process. What evaluates has a thread that says. Not every C library has the call."""
    with contextlib.suppress(AttributeError):
        libc, attributes = ctypes.CDLL(None), ctypes.create_string_buffer(_ATTRIBUTES)
        libc.pthread_attr_init(attributes)
        libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(_STACK))
        libc.pthread_setattr_default_np(attributes)

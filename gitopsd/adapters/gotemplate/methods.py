"""The methods of a number that templates can call: those of Go's ``json.Number``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from .errors import CallError
from .strconv import quote
from .values import Int64, Number

_INTEGER: Final = re.compile(rb"-?[0-9]+")


def _int64(number: Number) -> Int64:
    shown = quote(number).decode()
    if _INTEGER.fullmatch(number) is None:
        raise CallError(f"strconv.ParseInt: parsing {shown}: invalid syntax")
    value = int(number)
    if not -(1 << 63) <= value < 1 << 63:
        raise CallError(f"strconv.ParseInt: parsing {shown}: value out of range")
    return Int64(value)


METHODS: Final[dict[str, Callable[[Number], Any]]] = {
    "Int64": _int64,
    "Float64": float,
    "String": bytes,
}

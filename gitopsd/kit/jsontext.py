"""JSON texts read strictly, with the numbers that people mean."""

from __future__ import annotations

import json
import math
from typing import Any

_INTEGERS = 1e21
"""From here on Go writes a float64 with an exponent."""


def loads(text: str) -> Any:
    """The value of a JSON text (RFC 8259). Integers of any size stay exact; a number with a fraction or an exponent
    that is integral and below 1e21 is an int, any other a float. Raises ValueError for what is no JSON or
    nested too deeply, and for numbers beyond a float64."""
    try:
        return json.loads(text, parse_float=_number, parse_constant=_refused)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def _number(text: str) -> int | float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is beyond the range of a float64")
    return int(value) if value.is_integer() and abs(value) < _INTEGERS else value


def _refused(word: str) -> None:
    raise ValueError(f"{word} is no JSON")

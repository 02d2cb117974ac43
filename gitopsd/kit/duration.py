"""Durations as Go writes them: ``1h``, ``1m30s``, ``1.5h``, ``500ms``. The grammar is that of Go's
``time.ParseDuration``; values are seconds."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "\u00b5s": Decimal("1e-6"),
    "\u03bcs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_TERM = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)", re.ASCII)
_LONGEST_TEXT = 64
_LARGEST = Decimal(2**63 - 1) * Decimal("1e-9")
_SECOND, _MINUTE = 10**9, 60 * 10**9


def parse_duration(text: str) -> float:
    """The seconds of a duration, negative with a leading ``-``; ``0`` needs no unit.

    Raises ValueError for anything else, and for what 64 bits of nanoseconds cannot hold (about 292 years).
    """
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0.0
    total, end = Decimal(0), 0
    if len(text) <= _LONGEST_TEXT:
        while found := _TERM.match(body, end):
            total += Decimal(found[1]) * _UNITS[found[2]]
            end = found.end()
    if not body or end != len(body):
        raise ValueError(f"{text[:_LONGEST_TEXT]!r} is no duration: expected a number with a unit, such as '30m'")
    if total > _LARGEST:
        raise ValueError(f"{text!r} is too long a duration")
    return float(-total if text[0] == "-" else total)


def format_duration(seconds: float) -> str:
    """Seconds as Go prints a duration, to the millisecond: ``1h0m0s``, ``1m30s``, ``2.5s``, ``500ms``, ``0s``."""
    milliseconds = round(abs(seconds) * 1000)
    sign = "-" if seconds < 0 and milliseconds else ""
    if 0 < milliseconds < 1000:
        return f"{sign}{milliseconds}ms"
    whole, rest = divmod(milliseconds, 1000)
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    head = f"{hours}h{minute}m" if hours else f"{minute}m" if minute else ""
    return f"{sign}{head}{second}{fraction}s"


def go_duration(nanoseconds: int) -> str:
    """Nanoseconds exactly as Go prints a duration: ``1h5m0s``, ``1.5ms``, ``100µs``, ``0s``."""
    if nanoseconds == 0:
        return "0s"
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    for unit, size in (("ns", 1), ("\u00b5s", 10**3), ("ms", 10**6)):
        if left < 1000 * size:
            return f"{sign}{_decimal(left, size)}{unit}"
    minutes, rest = divmod(left, _MINUTE)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_decimal(rest, _SECOND)}s"


def _decimal(amount: int, size: int) -> str:
    whole, part = divmod(amount, size)
    fraction = str(part).rjust(len(str(size)) - 1, "0").rstrip("0") if part else ""
    return f"{whole}.{fraction}" if fraction else str(whole)

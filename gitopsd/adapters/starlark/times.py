"""The `time` module of go.starlark.net/lib/time: durations and times are nanoseconds; a time has a zone too."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gitopsd.adapters.starlark.layouts import RFC3339, STRING, go_quoted, read_time, show_time
from gitopsd.adapters.starlark.unpacking import by_name, by_position
from gitopsd.adapters.starlark.zones import SECOND, checked_zone, from_civil, moment
from gitopsd.evaluate.engine import HostError, OpaqueValue, StarlarkValue

__all__ = ["CONSTANTS", "FUNCTIONS", "attribute", "is_odd", "method", "names", "operate", "time_text"]

Result = tuple[str, Any]
"""(type name, parts) for a duration or a time; ("", value) for anything else."""

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
CONSTANTS = {
    "nanosecond": 1, "microsecond": 10**3, "millisecond": 10**6, "second": 10**9, "minute": 60 * 10**9,
    "hour": 3600 * 10**9,
}  # fmt: skip
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")
_LARGEST = 2**63
_FIRST = from_civil((1, 1, 1), 0, "UTC")


def _wrapped(value: int) -> int:
    """Keep what fits into 64 bits, as Go's arithmetic does."""
    return (value + _LARGEST) % (2 * _LARGEST) - _LARGEST


def parse_duration(text: str) -> int:
    """Read `1h2m3.5s`. Raises HostError in the words of Go's time.ParseDuration."""
    sign, rest = (-1 if text[:1] == "-" else 1), text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    total, at = 0, 0
    while at < len(rest) or not rest:
        match = _PART.match(rest, at)
        if match is None or not (match[1] or match[2]):
            raise HostError(f"time: invalid duration {go_quoted(text)}")
        if not match[3]:
            raise HostError(f"time: missing unit in duration {go_quoted(text)}")
        if match[3] not in _UNITS:
            raise HostError(f"time: unknown unit {go_quoted(match[3])} in duration {go_quoted(text)}")
        size, fraction = _UNITS[match[3]], match[2] or "0"
        total += int(match[1] or 0) * size + int(int(fraction) * (size / 10 ** len(fraction)))
        if total > _LARGEST - (sign > 0):
            raise HostError(f"time: invalid duration {go_quoted(text)}")
        at = match.end()
    return sign * total


def time_text(nanoseconds: int, place: str) -> str:
    """Print a time as Go does: `2021-03-22 23:20:50 +0000 UTC`."""
    return show_time(moment(nanoseconds, place), STRING)


def is_odd(result: Result) -> bool:
    """Tell the results that the interpreter's own truth and equality get wrong: no duration, no UTC."""
    type_name, parts = result
    return type_name.startswith("time.") and (parts[0] in (0, _FIRST) or parts[1:] not in ((), ("UTC",)))


Positional = tuple[StarlarkValue, ...]
Named = dict[str, StarlarkValue]


def _function_parse_duration(args: Positional, kwargs: Named) -> Result:
    (given,) = by_position("parse_duration", args, kwargs, [""])
    if isinstance(given, OpaqueValue) and given.type_name == "time.duration":
        return "time.duration", given.payload
    if not isinstance(given, str):
        by_position("parse_duration", args, kwargs, ["a duration, string, or int"])
    try:
        return "time.duration", (parse_duration(given),)
    except HostError as problem:
        raise HostError(f"parse_duration: for parameter 1: {problem}") from None


def _function_parse_time(args: Positional, kwargs: Named) -> Result:
    given = by_name("parse_time", args, kwargs, {"x": "string", "format": "string", "location": "string"})
    if "x" not in given:
        raise HostError("parse_time: missing argument for x")
    place = checked_zone(given.get("location", "UTC"))
    return "time.time", read_time(given["x"], given.get("format", RFC3339), place)


def _function_from_timestamp(args: Positional, kwargs: Named) -> Result:
    seconds, part = [*by_position("from_timestamp", args, kwargs, ["int", "int"], minimum=1), 0][:2]
    return "time.time", (seconds * SECOND + part, "UTC")


_CLOCK = ("year", "month", "day", "hour", "minute", "second", "nanosecond")


def _function_time(args: Positional, kwargs: Named) -> Result:
    given = by_name("time", args, kwargs, dict.fromkeys(_CLOCK, "int") | {"location": "string"})
    if args:
        raise HostError("time: unexpected positional arguments")
    place = checked_zone(given.get("location", ""))
    year, month, day, hour, minute, second, part = (int(given.get(name, 0)) for name in _CLOCK)
    more, part = divmod(part, SECOND)
    seconds = hour * 3600 + minute * 60 + second + more
    return "time.time", (from_civil((year, month, day), seconds, place) + part, place)


def _function_is_valid_timezone(args: Positional, kwargs: Named) -> Result:
    (name,) = by_position("is_valid_timezone", args, kwargs, ["string"])
    try:
        checked_zone(name)
    except HostError:
        return "", False
    return "", True


def _function_now(args: Positional, kwargs: Named) -> Result:
    raise HostError("time.now is not available: a plan must not depend on when it is made; pass an argument instead")


FUNCTIONS: dict[str, Callable[[Positional, Named], Result]] = {
    "from_timestamp": _function_from_timestamp,
    "is_valid_timezone": _function_is_valid_timezone,
    "now": _function_now,
    "parse_duration": _function_parse_duration,
    "parse_time": _function_parse_time,
    "time": _function_time,
}
_DURATION: dict[str, Callable[[int], int | float]] = {
    "hours": lambda ns: _parts(ns, 3600 * SECOND), "minutes": lambda ns: _parts(ns, 60 * SECOND),
    "seconds": lambda ns: _parts(ns, SECOND), "milliseconds": lambda ns: _quotient(ns, 10**6),
    "microseconds": lambda ns: _quotient(ns, 10**3), "nanoseconds": lambda ns: ns,
}  # fmt: skip
_TIME = ("day", "hour", "minute", "month", "nanosecond", "second", "unix", "unix_nano", "year")
_METHODS = ("format", "in_location")


def _quotient(first: int, second: int) -> int:
    """Divide towards zero."""
    return first // second if (first < 0) == (second < 0) else -(-first // second)


def _parts(nanoseconds: int, unit: int) -> float:
    whole = _quotient(nanoseconds, unit)
    return whole + (nanoseconds - whole * unit) / unit


def names(type_name: str) -> list[str]:
    """Give the attributes of a duration or a time, sorted."""
    return sorted(_DURATION if type_name == "time.duration" else _TIME + _METHODS)


def attribute(value: OpaqueValue, name: str) -> Result:
    """Read an attribute; ("method", None) for a method. Raises HostError."""
    nanoseconds = int(value.payload[0])
    if value.type_name == "time.duration":
        if name not in _DURATION:
            raise HostError(f'unrecognized time.duration attribute "{name}"')
        return "", _DURATION[name](nanoseconds)
    if name in _METHODS:
        return "method", None
    if name == "unix":
        return "", nanoseconds // SECOND
    if name == "unix_nano":
        return "", _wrapped(nanoseconds)
    if name not in _TIME:
        raise HostError(f"time.time has no .{name} field or method")
    return "", getattr(moment(nanoseconds, str(value.payload[1])), name)


def method(value: OpaqueValue, name: str, args: Positional, kwargs: Named) -> Result:
    """Call `in_location` or `format` of a time. Raises HostError."""
    nanoseconds, place = int(value.payload[0]), str(value.payload[1])
    (given,) = by_position(name, args, kwargs, ["string"])
    if name == "in_location":
        return "time.time", (nanoseconds, checked_zone(given))
    return "", show_time(moment(nanoseconds, place), given)


def operate(operator: str, left: StarlarkValue, right: StarlarkValue) -> StarlarkValue:
    """Apply an operator of which one operand is a duration or a time, the left one's first; None when there is none.

    Raises HostError.
    """
    for own, other, swapped in ((left, right, False), (right, left, True)):
        kind = _kind(own)
        if kind == "duration":
            found = _duration(operator, own.payload[0], other, swapped=swapped)
        elif kind == "time":
            found = _moved(operator, own, other)
        else:
            continue
        if found is not None:
            return found
    return None


def _duration(operator: str, own: Any, other: StarlarkValue, *, swapped: bool) -> StarlarkValue:
    """A duration with another value; which side it stands on matters in one case only."""
    kind = _kind(other)
    amount: Any = other.payload[0] if isinstance(other, OpaqueValue) and kind else other
    if kind == "int" and operator in ("mul", "div"):
        if operator == "div" and swapped:
            raise HostError("unsupported operation")
        if not -_LARGEST <= amount < _LARGEST:
            raise HostError("int value out of range (want signed 64-bit value)")
    divided = (operator == "div" and kind in ("int", "float", "duration")) or (operator, kind) == ("fdiv", "duration")
    if divided and amount == 0:
        raise HostError("time.duration division by zero")
    table: dict[tuple[str, str], Callable[[], StarlarkValue]] = {
        ("add", "duration"): lambda: _lasting(own + amount),
        ("add", "time"): lambda: ("time.time", (own + amount, other.payload[1])),
        ("sub", "duration"): lambda: _lasting(own - amount),
        ("mul", "int"): lambda: _lasting(own * amount),
        ("div", "duration"): lambda: float(own) / float(amount),
        ("div", "int"): lambda: _lasting(_quotient(own, amount)),
        ("div", "float"): lambda: _lasting(_truncated(float(own) / amount)),
        ("fdiv", "duration"): lambda: _quotient(own, amount),
    }
    found = table.get((operator, kind))
    return found() if found else None


def _truncated(value: float) -> int:
    return int(value) if abs(value) < _LARGEST else -_LARGEST


def _lasting(nanoseconds: int) -> Result:
    return "time.duration", (_wrapped(nanoseconds),)


def _moved(operator: str, own: OpaqueValue, other: StarlarkValue) -> StarlarkValue:
    """A time with another value, on either side."""
    kind, start = _kind(other), int(own.payload[0])
    if kind == "duration" and operator in ("add", "sub"):
        by = other.payload[0]
        return "time.time", (start + by if operator == "add" else start - by, own.payload[1])
    if kind == "time" and operator == "sub":
        return "time.duration", (min(max(start - other.payload[0], -_LARGEST), _LARGEST - 1),)
    return None


def _kind(value: StarlarkValue) -> str:
    if isinstance(value, OpaqueValue) and value.type_name.startswith("time."):
        return value.type_name[5:]
    return type(value).__name__ if isinstance(value, int | float) and not isinstance(value, bool) else ""

"""The `time` module of go.starlark.net/lib/time: durations and times are nanoseconds; a time has a location too."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from gitopsd.adapters.starlark.crossing import type_of
from gitopsd.evaluate.engine import HostError, OpaqueValue, StarlarkValue

__all__ = ["CONSTANTS", "FUNCTIONS", "attribute", "duration_text", "method", "names", "operate", "time_text"]

Result = tuple[str, Any]
"""(type name, parts) for a duration or a time; ("", value) for anything else."""

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
CONSTANTS = {
    "nanosecond": 1, "microsecond": 10**3, "millisecond": 10**6, "second": 10**9, "minute": 60 * 10**9,
    "hour": 3600 * 10**9,
}  # fmt: skip
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]+)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = "2006-01-02T15:04:05Z07:00"
_LAYOUT = {
    "2006": r"(?P<year>\d{4})", "01": r"(?P<month>\d\d)", "02": r"(?P<day>\d\d)", "15": r"(?P<hour>\d\d)",
    "04": r"(?P<minute>\d\d)", "05": r"(?P<second>\d\d)(?P<fraction>\.\d+)?", "Z07:00": r"(?P<zone>Z|[-+]\d\d:\d\d)",
    "-0700": r"(?P<zone>[-+]\d{4})", "-07:00": r"(?P<zone>[-+]\d\d:\d\d)", "Jan": r"(?P<name>[A-Z][a-z]{2})",
    "MST": r"(?P<abbreviation>[A-Z]{3,4})", "06": r"(?P<short>\d\d)", "2": r"(?P<day>\d\d?)", "1": r"(?P<month>\d\d?)",
}  # fmt: skip
_LAYOUT_PIECE = re.compile("|".join(re.escape(piece) for piece in _LAYOUT))
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905


def duration_text(nanoseconds: int) -> str:
    """Print a duration as Go does: `1h5m0s`, `1.5ms`, `0s`."""
    if nanoseconds == 0:
        return "0s"
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if left < 1000 * size:
            return f"{sign}{_decimal(left, size)}{unit}"
    minutes, rest = divmod(left, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_decimal(rest, 10**9)}s"


def _decimal(amount: int, size: int) -> str:
    whole, part = divmod(amount, size)
    fraction = str(part).rjust(len(str(size)) - 1, "0").rstrip("0") if part else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


def parse_duration(text: str) -> int:
    """Read `1h2m3.5s`. Raises HostError in the words of Go's time.ParseDuration."""
    sign, rest = (-1 if text[:1] == "-" else 1), text.lstrip("+-") if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    total, at = 0, 0
    while at < len(rest):
        match = _PART.match(rest, at)
        if match is None or not (match[1] or match[2]):
            missing = rest[at:].replace(".", "").isdigit()
            what = "missing unit in" if missing else "invalid"
            raise HostError(f'time: {what} duration "{text}"')
        if match[3] not in _UNITS:
            raise HostError(f'time: unknown unit "{match[3]}" in duration "{text}"')
        size = _UNITS[match[3]]
        total += int(match[1] or 0) * size + int(match[2] or 0) * size // 10 ** len(match[2] or "")
        at = match.end()
    if not rest:
        raise HostError(f'time: invalid duration "{text}"')
    return sign * total


def _zone(location: str) -> tzinfo:
    if location in ("", "UTC"):
        return UTC
    if re.fullmatch(r"[-+]\d\d:\d\d", location):
        minutes = int(location[1:3]) * 60 + int(location[4:])
        return timezone(timedelta(minutes=-minutes if location[0] == "-" else minutes))
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(location)
    except (ZoneInfoNotFoundError, ValueError):
        raise HostError(f"unknown time zone {location}") from None


def _moment(nanoseconds: int, location: str) -> datetime:
    return (_EPOCH + timedelta(seconds=nanoseconds // 10**9)).astimezone(_zone(location))


def time_text(nanoseconds: int, location: str) -> str:
    """Print a time as Go does: `2021-03-22 23:20:50 +0000 UTC`."""
    moment = _moment(nanoseconds, location)
    part = nanoseconds % 10**9
    fraction = f".{part:09d}".rstrip("0") if part else ""
    offset = moment.strftime("%z")
    name = "UTC" if location in ("", "UTC") else offset if location[0] in "+-" else moment.strftime("%Z")
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} {offset} {name}"


def _function_parse_duration(args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]) -> Result:
    given = args[0] if args else kwargs.get("d")
    if isinstance(given, OpaqueValue) and given.type_name == "time.duration":
        return "time.duration", given.payload
    if not isinstance(given, str):
        wanted = "a duration, string, or int"
        raise HostError(f"parse_duration: for parameter 1: got {type_of(given)}, want {wanted}")
    try:
        return "time.duration", (parse_duration(given),)
    except HostError as problem:
        raise HostError(f"parse_duration: for parameter 1: {problem}") from None


def _function_parse_time(args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]) -> Result:
    given = dict(zip(("x", "format", "location"), args, strict=False)) | kwargs
    text, layout = str(given.get("x", "")), str(given.get("format", _RFC3339))
    location = str(given.get("location", "UTC"))
    pattern, at = "", 0
    for piece in _LAYOUT_PIECE.finditer(layout):
        pattern += re.escape(layout[at : piece.start()]) + _LAYOUT[piece[0]]
        at = piece.end()
    match = re.fullmatch(pattern + re.escape(layout[at:]), text)
    if match is None:
        raise HostError(f'parse_time: parsing time "{text}" as "{layout}": cannot parse "{text}" as "{layout}"')
    found = match.groupdict()
    try:
        return "time.time", _time_of(found, location)
    except ValueError as problem:
        raise HostError(f'parse_time: parsing time "{text}": {problem}') from None


def _time_of(found: dict[str, str | None], location: str) -> tuple[int, str]:
    named = found.get("name")
    month = _MONTHS.index(named) + 1 if named in _MONTHS else int(found.get("month") or 1)
    zone = found.get("zone") or ""
    if zone and zone != "Z":
        location = zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
        location = "UTC" if location in ("+00:00", "-00:00") else location
    year = int(found.get("year") or (2000 + int(found.get("short") or 0)))
    hour, minute, second = (int(found.get(name) or 0) for name in ("hour", "minute", "second"))
    moment = datetime(year, month, int(found.get("day") or 1), hour, minute, second, tzinfo=_zone(location))
    fraction = (found.get("fraction") or ".0")[1:].ljust(9, "0")[:9]
    return _nanoseconds(moment) + int(fraction), location


def _nanoseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86400 + since.seconds) * 10**9


def _function_from_timestamp(args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]) -> Result:
    given = dict(zip(("sec", "nsec"), args, strict=False)) | kwargs
    return "time.time", (int(given.get("sec", 0)) * 10**9 + int(given.get("nsec", 0)), "UTC")


def _function_time(args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]) -> Result:
    if args:
        raise HostError("time: unexpected positional arguments")
    location = str(kwargs.get("location", "UTC"))
    parts = [int(kwargs.get(name, 0)) for name in ("hour", "minute", "second")]
    moment = datetime(int(kwargs.get("year", 1)), 1, 1, tzinfo=_zone(location))
    months = int(kwargs.get("month", 1)) - 1
    moment = moment.replace(year=moment.year + months // 12, month=months % 12 + 1)
    moment += timedelta(days=int(kwargs.get("day", 1)) - 1, hours=parts[0], minutes=parts[1], seconds=parts[2])
    return "time.time", (_nanoseconds(moment) + int(kwargs.get("nanosecond", 0)), location)


def _function_is_valid_timezone(args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]) -> Result:
    try:
        _zone(str(args[0] if args else kwargs.get("loc", "")))
    except HostError:
        return "", False
    return "", True


def _function_now(args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]) -> Result:
    raise HostError("time.now is not available: a plan must not depend on when it is made; pass an argument instead")


FUNCTIONS: dict[str, Callable[[tuple[StarlarkValue, ...], dict[str, StarlarkValue]], Result]] = {
    "from_timestamp": _function_from_timestamp,
    "is_valid_timezone": _function_is_valid_timezone,
    "now": _function_now,
    "parse_duration": _function_parse_duration,
    "parse_time": _function_parse_time,
    "time": _function_time,
}
_DURATION: dict[str, Callable[[int], int | float]] = {
    "hours": lambda ns: ns / 3600e9, "minutes": lambda ns: ns / 60e9, "seconds": lambda ns: ns / 1e9,
    "milliseconds": lambda ns: int(ns / 10**6), "microseconds": lambda ns: int(ns / 10**3),
    "nanoseconds": lambda ns: ns,
}  # fmt: skip
_TIME = ("day", "hour", "minute", "month", "nanosecond", "second", "unix", "unix_nano", "year")
_METHODS = ("format", "in_location")


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
    if name in ("unix", "unix_nano", "nanosecond"):
        return "", {"unix": nanoseconds // 10**9, "unix_nano": nanoseconds, "nanosecond": nanoseconds % 10**9}[name]
    if name not in _TIME:
        raise HostError(f'unrecognized time.time attribute "{name}"')
    return "", getattr(_moment(nanoseconds, str(value.payload[1])), name)


def method(value: OpaqueValue, name: str, given: str) -> Result:
    """Call `in_location` or `format` of a time. Raises HostError."""
    nanoseconds, location = int(value.payload[0]), str(value.payload[1])
    if name == "in_location":
        _zone(given)
        return "time.time", (nanoseconds, given)
    moment = _moment(nanoseconds, location)
    codes = {
        "2006": "%Y", "01": "%m", "02": "%d", "15": "%H", "04": "%M", "05": "%S", "Jan": "%b", "-0700": "%z",
        "MST": "%Z", "06": "%y",
    }  # fmt: skip

    def piece(match: re.Match[str]) -> str:
        part = match[0]
        if part in ("Z07:00", "-07:00"):
            offset = moment.strftime("%z")
            return "Z" if part[0] == "Z" and offset == "+0000" else f"{offset[:3]}:{offset[3:]}"
        if part in codes:
            return moment.strftime(codes[part])
        return str(moment.day if part == "2" else moment.month)

    return "", _LAYOUT_PIECE.sub(piece, given)


def operate(operator: str, left: StarlarkValue, right: StarlarkValue) -> StarlarkValue:
    """Apply an operator to operands of which one is a duration or a time; None when there is no such operation."""
    kinds = (_kind(left), _kind(right))
    first, second = _amount(left), _amount(right)
    if operator in ("div", "fdiv") and kinds[0] == "duration" and second == 0 and kinds[1] != "":
        raise HostError("time.duration division by zero")
    table: dict[tuple[str, str, str], Callable[[], StarlarkValue]] = {
        ("add", "duration", "duration"): lambda: ("time.duration", (first + second,)),
        ("sub", "duration", "duration"): lambda: ("time.duration", (first - second,)),
        ("mul", "duration", "int"): lambda: ("time.duration", (first * second,)),
        ("mul", "int", "duration"): lambda: ("time.duration", (first * second,)),
        ("div", "duration", "duration"): lambda: first / second,
        ("div", "duration", "int"): lambda: ("time.duration", (int(first / second),)),
        ("div", "duration", "float"): lambda: ("time.duration", (int(first / second),)),
        ("fdiv", "duration", "duration"): lambda: first // second,
        ("fdiv", "duration", "int"): lambda: ("time.duration", (first // second,)),
        ("add", "time", "duration"): lambda: ("time.time", (first + second, left.payload[1])),
        ("add", "duration", "time"): lambda: ("time.time", (first + second, right.payload[1])),
        ("sub", "time", "duration"): lambda: ("time.time", (first - second, left.payload[1])),
        ("sub", "time", "time"): lambda: ("time.duration", (first - second,)),
    }
    found = table.get((operator, *kinds))
    return found() if found else None


def _kind(value: StarlarkValue) -> str:
    if isinstance(value, OpaqueValue) and value.type_name.startswith("time."):
        return value.type_name[5:]
    return type(value).__name__ if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _amount(value: StarlarkValue) -> Any:
    return value.payload[0] if isinstance(value, OpaqueValue) and value.payload else value

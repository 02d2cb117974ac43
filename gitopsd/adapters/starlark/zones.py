"""Time zones and dates of any year. A place is `UTC`, a name of the tz database or `!name!seconds` of one offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from gitopsd.evaluate.engine import HostError

__all__ = ["SECOND", "Moment", "checked_zone", "fixed_zone", "from_civil", "has_offset", "moment", "offset_of_name"]

SECOND = 10**9
_DAY = 86400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(NamedTuple):
    """A time as a clock in its zone shows it; `offset` is in seconds east of UTC, `zone` may be empty."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    nanosecond: int
    weekday: int
    yearday: int
    offset: int
    zone: str


def fixed_zone(name: str, offset: int) -> str:
    """Name a zone of one offset."""
    return f"!{name}!{offset}"


def checked_zone(name: str) -> str:
    """Check the name of a zone, as time.LoadLocation does. Raises HostError."""
    if name in ("", "UTC", "Local"):
        return "UTC"
    if ".." in name or name[0] in "/\\":
        raise HostError("time: invalid location name")
    _zone_at(name, 0)
    return name


def _zone_at(place: str, seconds: int) -> tuple[str, int]:
    """Give the abbreviation and the offset of a zone at a time."""
    if place == "UTC":
        return "UTC", 0
    if place[0] == "!":
        _, name, offset = place.split("!")
        return name, int(offset)
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        zone = ZoneInfo(place)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise HostError(f"unknown time zone {place}") from None
    clamped = min(max(seconds, -62135510400), 253402214400)
    shown = (_EPOCH + timedelta(seconds=clamped)).astimezone(zone)
    offset_now = shown.utcoffset() or timedelta()
    return shown.tzname() or "", offset_now.days * _DAY + offset_now.seconds


def moment(nanoseconds: int, place: str) -> Moment:
    """Show a time in its zone."""
    seconds, part = divmod(nanoseconds, SECOND)
    zone, offset = _zone_at(place, seconds)
    days, clock = divmod(seconds + offset, _DAY)
    year, month, day = _date(days)
    return Moment(
        year, month, day, clock // 3600, clock // 60 % 60, clock % 60, part,
        (days + 4) % 7, days - _days(year, 1, 1) + 1, offset, zone,
    )  # fmt: skip


def from_civil(date: tuple[int, int, int], seconds: int, place: str) -> int:
    """Give the nanoseconds of a date, with months and days beyond their range, plus seconds, in a zone."""
    local = _days(*date) * _DAY + seconds
    offset = _zone_at(place, local)[1]
    if offset:
        offset = _zone_at(place, local - offset)[1]
    return (local - offset) * SECOND


def has_offset(place: str, seconds: int, *, name: str, offset: int) -> bool:
    """Tell whether a zone has an offset at a time, under that name if one is given."""
    found, known = _zone_at(place, seconds)
    return known == offset and name in ("", found)


def offset_of_name(place: str, name: str, seconds: int) -> int | None:
    """Give the offset that an abbreviation stands for in a zone around a time; None when it stands for nothing."""
    for away in (0, -183 * _DAY, 183 * _DAY):
        found, offset = _zone_at(place, seconds + away)
        if found == name:
            return offset
    return None


def _days(year: int, month: int, day: int) -> int:
    """Count days from 1970-01-01 in the proleptic Gregorian calendar."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    era_year = year - (month < 3)
    era, within = divmod(era_year, 400)
    yearday = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146097 + within * 365 + within // 4 - within // 100 + yearday - 719468


def _date(days: int) -> tuple[int, int, int]:
    era, within = divmod(days + 719468, 146097)
    years = (within - within // 1460 + within // 36524 - within // 146096) // 365
    yearday = within - (365 * years + years // 4 - years // 100)
    shifted = (5 * yearday + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return years + era * 400 + (month < 3), month, yearday - (153 * shifted + 2) // 5 + 1

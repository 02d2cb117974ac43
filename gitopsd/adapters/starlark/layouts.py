"""Go's reference layouts: `2006-01-02T15:04:05Z07:00` and its like, for showing and for reading times."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from gitopsd.adapters.starlark.zones import (
    SECOND,
    Moment,
    fixed_zone,
    from_civil,
    has_offset,
    offset_of_name,
)
from gitopsd.evaluate.engine import HostError

__all__ = ["RFC3339", "STRING", "go_quoted", "read_time", "show_time"]

RFC3339 = "2006-01-02T15:04:05Z07:00"
STRING = "2006-01-02 15:04:05.999999999 -0700 MST"
_PIECE = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|0[1-6]|002|15|1|2006|2|_2(?!006)|__2|3|4|5|PM|pm"
    r"|[-Z]070000|[-Z]07:00:00|[-Z]0700|[-Z]07:00|[-Z]07|[.,](?:0+|9+)(?![0-9])"
)
_MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
_WEEKDAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split()  # noqa: SIM905
_OFFSETS = {
    "07": r"([-+])(\d\d)", "0700": r"([-+])(\d\d)(\d\d)", "07:00": r"([-+])(\d\d):(\d\d)",
    "070000": r"([-+])(\d\d)(\d\d)(\d\d)", "07:00:00": r"([-+])(\d\d):(\d\d):(\d\d)",
}  # fmt: skip
_ZONE_NAME = re.compile(r"[CM][he]ST|GMT(?:[-+]\d+)?|[-+]\d+|[A-Z]{5,6}|[A-Z]{4}|[A-Z]{3}")
_NUMBERS = {
    "2006": (r"\d{4}", "year"), "06": (r"\d\d", "year"), "1": (r"\d\d?", "month"), "01": (r"\d\d", "month"),
    "2": (r"\d\d?", "day"), "_2": (r" ?\d\d?", "day"), "02": (r"\d\d", "day"), "15": (r"\d\d?", "hour"),
    "3": (r"\d\d?", "hour"), "03": (r"\d\d", "hour"), "4": (r"\d\d?", "minute"), "04": (r"\d\d", "minute"),
    "5": (r"\d\d?", "second"), "05": (r"\d\d", "second"), "002": (r"\d{3}", "yearday"),
    "__2": (r" {0,2}\d{1,3}", "yearday"),
}  # fmt: skip
_LIMITS = {"month": (1, 12), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}
_SHOWN: dict[str, Callable[[Moment], str]] = {
    "2006": lambda t: f"{t.year:04d}" if t.year >= 0 else f"-{-t.year:04d}",
    "06": lambda t: f"{abs(t.year) % 100:02d}",
    "January": lambda t: _MONTHS[t.month - 1], "Jan": lambda t: _MONTHS[t.month - 1][:3],
    "1": lambda t: str(t.month), "01": lambda t: f"{t.month:02d}",
    "Monday": lambda t: _WEEKDAYS[t.weekday], "Mon": lambda t: _WEEKDAYS[t.weekday][:3],
    "2": lambda t: str(t.day), "_2": lambda t: f"{t.day:2d}", "02": lambda t: f"{t.day:02d}",
    "__2": lambda t: f"{t.yearday:3d}", "002": lambda t: f"{t.yearday:03d}", "15": lambda t: f"{t.hour:02d}",
    "3": lambda t: str(t.hour % 12 or 12), "03": lambda t: f"{t.hour % 12 or 12:02d}",
    "4": lambda t: str(t.minute), "04": lambda t: f"{t.minute:02d}",
    "5": lambda t: str(t.second), "05": lambda t: f"{t.second:02d}",
    "PM": lambda t: "PM" if t.hour >= 12 else "AM", "pm": lambda t: "pm" if t.hour >= 12 else "am",
    "MST": lambda t: t.zone or _offset_text("-0700", t.offset),
}  # fmt: skip


def show_time(time: Moment, layout: str) -> str:
    """Show a time in a layout."""

    def piece(match: re.Match[str]) -> str:
        part = match[0]
        if part in _SHOWN:
            return _SHOWN[part](time)
        return _fraction(part, time.nanosecond) if part[0] in ".," else _offset_text(part, time.offset)

    return _PIECE.sub(piece, layout)


def _fraction(part: str, nanosecond: int) -> str:
    digits = f"{nanosecond:09d}"[: len(part) - 1]
    digits = digits if part[1] == "0" else digits.rstrip("0")
    return part[0] + digits if digits else ""


def _offset_text(part: str, offset: int) -> str:
    if part[0] == "Z" and offset == 0:
        return "Z"
    minutes, colon = abs(offset) // 60, ":" if ":" in part else ""
    text = f"{'-' if offset <= -60 else '+'}{minutes // 60:02d}"
    if len(part) > 3:
        text += f"{colon}{minutes % 60:02d}"
    return text + (f"{colon}{abs(offset) % 60:02d}" if len(part) > 6 else "")


def go_quoted(text: str) -> str:
    """Quote as the errors of Go's time do: bytes beyond ASCII in hexadecimal."""
    shown = "".join(
        char if " " <= char < "\x80" else "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
        for char in text.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{shown}"'


def read_time(text: str, layout: str, place: str) -> tuple[int, str]:
    """Read a time: (nanoseconds since 1970, zone). Raises HostError in the words of Go's time.Parse."""
    work = _Reading(text=text, layout=layout, rest=text, found={})
    at = 0
    for match in _PIECE.finditer(layout):
        work.skip(layout[at : match.start()])
        work.piece(match[0], layout[match.end() :])
        at = match.end()
    work.skip(layout[at:])
    if work.rest:
        work.refuse(f"extra text: {go_quoted(work.rest)}")
    return work.result(place)


@dataclass
class _Reading:
    """A text that is read by a layout. Methods raise HostError."""

    text: str
    layout: str
    rest: str
    found: dict[str, int]
    zone: str = ""
    is_utc: bool = False
    half: str = ""

    def refuse(self, message: str) -> None:
        raise HostError(f"parsing time {go_quoted(self.text)}: {message}")

    def mismatch(self, element: str, rest: str) -> None:
        what = f"cannot parse {go_quoted(rest)} as {go_quoted(element)}"
        raise HostError(f"parsing time {go_quoted(self.text)} as {go_quoted(self.layout)}: {what}")

    def skip(self, prefix: str) -> None:
        """Pass literal text; blanks match any number of blanks."""
        left = prefix
        while left:
            if left[0] == " ":
                if self.rest and self.rest[0] != " ":
                    self.mismatch(prefix, self.rest)
                left, self.rest = left.lstrip(" "), self.rest.lstrip(" ")
            elif self.rest[:1] != left[0]:
                self.mismatch(prefix, self.rest)
            else:
                left, self.rest = left[1:], self.rest[1:]

    def take(self, pattern: str, element: str) -> re.Match[str]:
        match = re.compile(pattern, re.ASCII).match(self.rest)
        if match is None:
            self.mismatch(element, self.rest)
            raise AssertionError
        self.rest = self.rest[match.end() :]
        return match

    def piece(self, part: str, after: str) -> None:
        if part in _NUMBERS:
            self.number(part)
            if part in ("5", "05") and not re.match(r"[.,](?:0+|9+)(?![0-9])", after):
                self.fraction(r"(?:[.,](\d+))?", part)
        elif part[0] in ".,":
            self.fraction(rf"[.,](\d{{{len(part) - 1}}})" if part[1] == "0" else r"(?:[.,](\d+))?", part)
        elif part in ("PM", "pm"):
            self.half = self.take("[AP]M" if part == "PM" else "[ap]m", part)[0].upper()
        elif part == "MST":
            self.zone_name()
        elif part[0] in "-Z":
            self.offset(part)
        else:
            self.named(part)

    def number(self, part: str) -> None:
        pattern, name = _NUMBERS[part]
        value = int(self.take(pattern, part)[0])
        low, high = _LIMITS.get(name, (0, 9999))
        if not low <= value <= (12 if part in ("3", "03") else high):
            self.refuse(f"{name} out of range")
        self.found[name] = value if part != "06" else value + (1900 if value >= 69 else 2000)

    def fraction(self, pattern: str, part: str) -> None:
        digits = self.take(pattern, part)[1]
        if digits:
            self.found["nanosecond"] = int(digits[:9].ljust(9, "0"))

    def named(self, part: str) -> None:
        for index, full in enumerate(_MONTHS if part[0] == "J" else _WEEKDAYS):
            name = full[:3] if len(part) == 3 else full
            if self.rest[: len(name)].lower() == name.lower():
                self.rest = self.rest[len(name) :]
                if part[0] == "J":
                    self.found["month"] = index + 1
                return
        self.mismatch(part, self.rest)

    def offset(self, part: str) -> None:
        if part[0] == "Z" and self.rest[:1] == "Z":
            self.rest, self.is_utc = self.rest[1:], True
            return
        match = self.take(_OFFSETS[part[1:]], part)
        sign, *numbers = match.groups()
        hours, minutes, seconds = (int(number) for number in (*numbers, "0", "0")[:3])
        for value, limit, name in ((hours, 24, "hour"), (minutes, 60, "minute"), (seconds, 60, "second")):
            if value > limit:
                self.refuse(f"time zone offset {name} out of range")
        total = hours * 3600 + minutes * 60 + seconds
        self.found["offset"] = -total if sign == "-" else total

    def zone_name(self) -> None:
        if self.rest[:3] == "UTC":
            self.rest, self.is_utc = self.rest[3:], True
            return
        match = _ZONE_NAME.match(self.rest)
        name = match[0] if match else ""
        signed = re.search(r"[-+](\d+)$", name)
        odd = len(name) > 3 and name.isupper() and name.isalpha() and name[-1] != "T" and name != "WITA"
        far = signed is not None and int(signed[1]) > 23
        if not name or (len(name) == 6 and name.isalpha()) or odd or (far and name[0] in "-+"):
            self.mismatch("MST", self.rest)
        if far:
            name = name[:3]
        self.zone, self.rest = name, self.rest[len(name) :]

    def date(self) -> tuple[int, int, int]:
        year = self.found.get("year", 0)
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        lengths = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        if "yearday" in self.found:
            left, month = self.found["yearday"], 1
            if not 1 <= left <= sum(lengths):
                self.refuse("day-of-year out of range")
            while left > lengths[month - 1]:
                left, month = left - lengths[month - 1], month + 1
            for name, value in (("month", month), ("day", left)):
                if self.found.setdefault(name, value) != value:
                    self.refuse(f"day-of-year does not match {name}")
        month, day = self.found.get("month", 1), self.found.get("day", 1)
        if not 1 <= day <= lengths[month - 1]:
            self.refuse("day out of range")
        return year, month, day

    def result(self, place: str) -> tuple[int, str]:
        date, found = self.date(), self.found
        hour = found.get("hour", 0)
        if self.half:
            hour = hour % 12 + (12 if self.half == "PM" else 0) if hour <= 12 else hour
        seconds = hour * 3600 + found.get("minute", 0) * 60 + found.get("second", 0)
        part = found.get("nanosecond", 0)
        in_utc = from_civil(date, seconds, "UTC")
        if self.is_utc:
            return in_utc + part, "UTC"
        if "offset" in found:
            return self.at_offset(in_utc - found["offset"] * SECOND, place, part)
        if self.zone:
            return self.in_zone(in_utc, place, part)
        return from_civil(date, seconds, place) + part, place

    def at_offset(self, instant: int, place: str, part: int) -> tuple[int, str]:
        offset = self.found["offset"]
        if not has_offset(place, instant // SECOND, name=self.zone, offset=offset):
            place = fixed_zone(self.zone, offset)
        return instant + part, place

    def in_zone(self, in_utc: int, place: str, part: int) -> tuple[int, str]:
        known = offset_of_name(place, self.zone, in_utc // SECOND)
        if known is not None:
            return in_utc - known * SECOND + part, place
        signed = re.fullmatch(r"GMT([-+]\d+)", self.zone)
        return in_utc + part, fixed_zone(self.zone, int(signed[1]) * 3600 if signed else 0)

"""Text from elsewhere, made fit for a terminal, a log line or one line of a report."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # OSC, DCS, SOS, PM, APC: titles, links
    r"|[ -/]*[0-~])"
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ufeff"  # invisible, or turns the direction
    "\ud800-\udfff]"
)


def strip_controls(text: str) -> str:
    """The text without terminal sequences, control characters (tab and newline stay), marks that hide text or turn
    its direction, and lone surrogates."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text))


def one_line(text: str, *, limit: int = 0) -> str:
    """The text on one line, blanks collapsed, controls stripped; longer than ``limit`` (0: none) it ends in ``…``."""
    line = " ".join(strip_controls(text).split())
    return shorten(line, limit) if limit else line


def shorten(text: str, limit: int) -> str:
    """At most ``limit`` characters, the last one ``…`` when something was cut off."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def escape_markup(text: str) -> str:
    """Text that rich prints as it is: every opening bracket escaped, and a backslash before one as well.

    The rule of rich: a backslash keeps the bracket after it; see "Escaping" in its documentation of console markup.
    """
    doubled = re.sub(r"(\\*)\[", r"\1\1\\[", strip_controls(text))
    return doubled + "\\" * (len(doubled) - len(doubled.rstrip("\\")))


def suggestion(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` for the nearest known word, or an empty text when none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""


def duration_text(seconds: float) -> str:
    """Seconds as people say them: ``0.4 s``, ``14 s``, ``2 min 5 s``, ``3 h 10 min``, ``2 d 4 h``."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    for size, name, rest_size, rest_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // rest_size
            return f"{whole // size} {name}" + (f" {rest} {rest_name}" if rest else "")
    return f"{whole} s"


def count_text(count: int, noun: str, plural: str = "") -> str:
    """``1 service``, ``3 services``."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"

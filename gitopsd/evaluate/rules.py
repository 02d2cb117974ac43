"""Rules for single values (``starlark-api.md`` section 7): each says what was expected, "" when the value is fine."""

from __future__ import annotations

import re

from gitopsd.evaluate.arguments import Rule
from gitopsd.evaluate.engine import StarlarkValue
from gitopsd.kit.duration import parse_duration

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_PORT_ID = re.compile(r"[a-z]([a-z0-9-]{0,13}[a-z0-9])?")
_APPLICATION = re.compile(r"[a-zA-Z0-9+.-]*")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x1f]+")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = re.compile(rf"([A-Za-z0-9]([A-Za-z0-9._-]{{0,251}}[A-Za-z0-9])?/)?{_LABEL}")
_LABEL_VALUE = re.compile(rf"({_LABEL})?")
_LABEL_TEXT = "at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
_LARGEST = 2**64 - 1

ASSERTIONS = ("==", "!=", ">=", ">", "<=", "<", "IN", "NOT_IN")
DOCKER_SOCKET = "/var/run/docker.sock"


def between(lowest: int, highest: int = _LARGEST) -> Rule:
    """An integer between two bounds, both included."""
    expected = f"an integer of at least {lowest}" if highest == _LARGEST else f"{lowest} to {highest}"
    return lambda value: "" if lowest <= value <= highest else expected


def one_of(*known: str) -> Rule:
    """One of a few strings."""
    return lambda value: "" if value in known else "one of " + ", ".join(known)


def duration(value: StarlarkValue) -> str:
    """A Go duration that is not negative."""
    try:
        return "" if parse_duration(value) >= 0 else "a duration that is not negative"
    except ValueError:
        return "a duration such as '500ms', '2s' or '1m30s'"


def duration_or_none(value: StarlarkValue) -> str:
    """A Go duration, or None."""
    if value is None:
        return ""
    return duration(value) if isinstance(value, str) else "a duration such as '2s', or None"


def application_protocol(value: StarlarkValue) -> str:
    return "" if _APPLICATION.fullmatch(value) else "letters, digits, '+', '-' and '.'"


def url(value: StarlarkValue) -> str:
    return "" if _URL.fullmatch(value) else "a URL such as 'http://web:8080/'"


def service_name(name: str) -> str:
    """RFC 1035: 1 to 63 lower-case letters, digits and hyphens."""
    if _NAME.fullmatch(name):
        return ""
    return "1 to 63 lower-case letters, digits and '-', beginning with a letter and not ending with '-'"


def port_id(name: str) -> str:
    """1 to 15 lower-case letters, digits and hyphens."""
    if _PORT_ID.fullmatch(name):
        return ""
    return "1 to 15 lower-case letters, digits and '-', beginning with a letter and not ending with '-'"


def label(key: str, value: str) -> str:
    """The rules of Kubernetes' labels, which are the stricter ones."""
    if not _LABEL_KEY.fullmatch(key):
        return f"a label's key of {_LABEL_TEXT}"
    if not _LABEL_VALUE.fullmatch(value):
        return _LABEL_TEXT
    return ""

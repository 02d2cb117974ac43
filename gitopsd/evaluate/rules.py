"""Rules for single values (``starlark-api.md`` section 7): each says what was expected, "" when the value is fine."""

from __future__ import annotations

import re
from collections.abc import Callable

from gitopsd.evaluate.arguments import Rule, non_empty
from gitopsd.evaluate.engine import OpaqueValue, StarlarkValue
from gitopsd.evaluate.printing import shown, type_name
from gitopsd.kit.duration import parse_duration

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_PORT_ID = re.compile(r"[a-z]([a-z0-9-]{0,13}[a-z0-9])?")
_APPLICATION = re.compile(r"[a-zA-Z0-9+.-]*")
_URL = re.compile(r"(?:[^%;]|%[0-9A-Fa-f]{2})+")
_LABEL_KEY = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_LABEL_TEXT = "letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
_LARGEST = 2**64 - 1

ASSERTIONS = ("==", "!=", ">=", ">", "<=", "<", "IN", "NOT_IN")
RECIPES = ("ExecRecipe", "GetHttpRequestRecipe", "PostHttpRequestRecipe")
DOCKER_SOCKET = "/var/run/docker.sock"


def between(lowest: int, highest: int = _LARGEST) -> Rule:
    """An integer between two bounds, both included."""

    def rule(value: StarlarkValue) -> str:
        if lowest <= value <= highest:
            return ""
        at_least = highest == _LARGEST and value < lowest
        return f"an integer of at least {lowest}" if at_least else f"{lowest} to {highest}"

    return rule


def one_of(*known: str) -> Rule:
    """One of a few strings."""
    return lambda value: "" if value in known else "one of " + ", ".join(known)


def duration(value: StarlarkValue) -> str:
    """A Go duration of either sign."""
    try:
        parse_duration(value)
    except ValueError:
        return "a duration such as '500ms', '2s' or '1m30s'"
    return ""


def duration_or_empty(value: StarlarkValue) -> str:
    """A Go duration, or nothing."""
    return duration(value) if value else ""


def duration_or_none(value: StarlarkValue) -> str:
    """A Go duration, or None."""
    if value is None:
        return ""
    return duration(value) if isinstance(value, str) else "a duration such as '2s', or None"


def application_protocol(value: StarlarkValue) -> str:
    return "" if _APPLICATION.fullmatch(value) else "letters, digits, '+', '-' and '.'"


def url(value: StarlarkValue) -> str:
    """A URL or a part of one: upstream takes whatever has sound escapes and no semicolon."""
    return "" if _URL.fullmatch(value) else "a URL such as 'http://web:8080/'"


def comparable(value: StarlarkValue) -> str:
    """Anything but None and functions and the like."""
    fits = value is not None and (not isinstance(value, OpaqueValue) or value.type_name.startswith("time."))
    return "" if fits else "a value that can be compared"


def texts(value: StarlarkValue) -> str:
    """A list of strings."""
    return _every(value, "a list of strings", lambda _, item: isinstance(item, str))


def command(value: StarlarkValue) -> str:
    """A list of strings that is not empty itself."""
    return texts(value) or non_empty(value)


def named_texts(value: StarlarkValue) -> str:
    """A list of strings that are not empty."""
    return _every(value, "a list of strings that are not empty", lambda _, item: isinstance(item, str) and item != "")


def text_map(value: StarlarkValue) -> str:
    """A dict from strings to strings."""
    expected = "a dict from strings to strings"
    return _every(value, expected, lambda key, item: isinstance(key, str) and isinstance(item, str))


def labels(value: StarlarkValue) -> str:
    """A dict of labels, by the rules of Kubernetes for what stands behind a prefix; keys by those of Docker as well."""
    return (
        text_map(value)
        or _every(
            value, f"keys of at most 63 lower-case {_LABEL_TEXT}", lambda key, _: _LABEL_KEY.fullmatch(key) is not None
        )
        or _every(
            value, f"values of at most 63 {_LABEL_TEXT}", lambda _, item: _LABEL_VALUE.fullmatch(item) is not None
        )
    )


def bind_mounts(value: StarlarkValue) -> str:
    """A dict whose one key is the socket of Docker."""
    expected = f"{DOCKER_SOCKET!r}, the one source that may be mounted"
    return text_map(value) or _every(value, expected, lambda key, _: key == DOCKER_SOCKET)


def _every(value: StarlarkValue, expected: str, sound: Callable[[StarlarkValue, StarlarkValue], bool]) -> str:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if not sound(key, item):
            return f"{expected}; at {shown(key)} it holds {shown(item)} ({type_name(item)})"
    return ""


def one_of_types(*known: str) -> Rule:
    """An object of one of a few Kurtosis types."""
    return lambda value: "" if type_name(value) in known else " or ".join(known)


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

"""Turn the JSON text of the data into template values, the way ``render_templates`` does.

Every number goes through a float64 and is then kept as the text that ``json.Marshal`` gives it, and every
list has the capacity that Go's ``append`` leaves. Nothing recurses: nesting is bounded by Go's own limit.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from .errors import TemplateError
from .strconv import json_float
from .values import Number, Slice

_MAX_NESTING: Final = 10000
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LITERALS: Final[dict[str, tuple[str, Any]]] = {
    "t": ("true", True),
    "f": ("false", False),
    "n": ("null", None),
}
_CLOSERS: Final = {"{": "}", "[": "]"}

# The capacities that a Go list of sixteen-byte elements goes through as it grows: first what the allocator's
# small size classes leave, then a quarter more and 192 each time, rounded up to pages of 512 elements.
_CAPACITIES: Final = (0, 1, 2, 4, 8, 16, 32, 71, 143, 303, 591, 1023, 1535)
_PAGE: Final = 512


def utf8(text: str) -> bytes:
    """Return ``text`` in UTF-8; a lone surrogate becomes U+FFFD, as in Go."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text).encode()


def capacity(length: int) -> int:
    """Return the capacity of a Go list of ``length`` elements that were appended one by one."""
    if length <= _CAPACITIES[-1]:
        return next(each for each in _CAPACITIES if each >= length)
    room = _CAPACITIES[-1]
    while room < length:
        room += (room + 768) >> 2
        room = -(-room // _PAGE) * _PAGE
    return room


def decode(text: str) -> Any:
    """Return the value of one JSON text (RFC 8259); the last of equal keys wins.

    Raises TemplateError with phase ``data``, naming line and column of the fault in ``text``.
    """
    return _Decoder(text).document()


class _Decoder:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[list[Any] | dict[bytes, Any]] = []
        self._keys: list[bytes] = []

    def document(self) -> Any:
        """Read the one value that the text has to hold."""
        self._skip()
        while True:
            done, value = self._value()
            if done:
                done, value = self._attach(value)
            if done:
                if self._at < len(self._text):
                    raise self._fault("unexpected text after the JSON value")
                return value

    def _value(self) -> tuple[bool, Any]:
        """Read a scalar or an empty container (True), or open a container (False)."""
        char = self._text[self._at : self._at + 1]
        if char in _CLOSERS:
            return self._enter(char)
        if char == '"':
            return True, self._string()
        if char in _LITERALS:
            word, value = _LITERALS[char]
            if not self._text.startswith(word, self._at):
                raise self._fault(f"expected {word}")
            self._at += len(word)
            return True, value
        return True, self._number()

    def _enter(self, opener: str) -> tuple[bool, Any]:
        self._at += 1
        self._skip()
        if self._text.startswith(_CLOSERS[opener], self._at):
            self._at += 1
            return True, ({} if opener == "{" else Slice([], 0, 0, 0))
        if len(self._open) >= _MAX_NESTING:
            raise self._fault("exceeded max depth")
        if opener == "{":
            self._open.append({})
            self._key()
        else:
            self._open.append([])
        return False, None

    def _attach(self, value: Any) -> tuple[bool, Any]:
        """Put a complete value where it belongs, closing what ends; True when nothing is open."""
        while self._open:
            parent = self._open[-1]
            if isinstance(parent, dict):
                parent[self._keys.pop()] = value
            else:
                parent.append(value)
            self._skip()
            char = self._text[self._at : self._at + 1]
            self._at += 1
            if char == ",":
                self._skip()
                if isinstance(parent, dict):
                    self._key()
                return False, None
            if char != ("}" if isinstance(parent, dict) else "]"):
                self._at -= 1
                raise self._fault("expected a comma or the end of the list or object")
            self._open.pop()
            size = len(parent)
            value = parent if isinstance(parent, dict) else Slice(parent, 0, size, capacity(size))
        self._skip()
        return True, value

    def _key(self) -> None:
        if not self._text.startswith('"', self._at):
            raise self._fault("expected a key in double quotes")
        self._keys.append(self._string())
        self._skip()
        if not self._text.startswith(":", self._at):
            raise self._fault("expected a colon after the key")
        self._at += 1
        self._skip()

    def _string(self) -> bytes:
        match = _STRING.match(self._text, self._at)
        if match is None:
            raise self._fault("a string does not end, or holds a control character")
        literal = match.group()
        value = literal[1:-1]
        if "\\" in literal:
            try:
                value = json.loads(literal)
            except json.JSONDecodeError as error:
                self._at += error.pos
                raise self._fault(error.msg) from None
        self._at = match.end()
        return utf8(value)

    def _number(self) -> Number:
        match = _NUMBER.match(self._text, self._at)
        if match is None:
            raise self._fault("expected a JSON value")
        value = float(match.group())
        if value in (float("inf"), float("-inf")):
            raise self._fault(f"number {match.group()[:40]} is beyond the float64 range")
        self._at = match.end()
        return Number(json_float(value))

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None  # the pattern matches the empty string
        self._at = match.end()

    def _fault(self, what: str) -> TemplateError:
        line = self._text.count("\n", 0, self._at) + 1
        column = self._at - (self._text.rfind("\n", 0, self._at) + 1)
        message = f"template data is not valid JSON: {what} (line {line}, column {column + 1})"
        return TemplateError(message, phase="data", line=line, column=column)

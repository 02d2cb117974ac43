"""`json.decode`: the scanner of go.starlark.net/lib/json by bytes, with its odd offsets and words."""

from __future__ import annotations

import math
import re
from typing import NoReturn

from gitopsd.adapters.starlark.crossing import type_of
from gitopsd.adapters.starlark.json_scanner import fault, quoted
from gitopsd.adapters.starlark.unpacking import by_position
from gitopsd.evaluate.engine import HostError, StarlarkValue

__all__ = ["MAX_DEPTH", "Decoder", "decode"]

MAX_DEPTH = 800
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NUMBER_CHARACTERS = re.compile(rb"[-+0-9.eE]*")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_ESCAPE = re.compile(r"\\(u.{4}|.)", re.DOTALL)
_PAIR = re.compile("([\ud800-\udbff])?([\udc00-\udfff])|([\ud800-\udbff])")
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/", "\\": "\\", '"': '"'}
_CONSTANTS: tuple[tuple[bytes, StarlarkValue], ...] = ((b"null", None), (b"true", True), (b"false", False))


def decode(args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]) -> StarlarkValue:
    """`json.decode(x)`. Raises HostError in the engine's words."""
    (text,) = by_position("json.decode", args, kwargs, ["string"])
    return Decoder(text.encode("utf-8", "surrogateescape")).document()


class Decoder:
    """One document. Every method raises HostError."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def document(self) -> StarlarkValue:
        """Read the whole text."""
        value = self.value(0)
        if self.skip():
            self.fail(f"unexpected character {self.shown()} after value")
        return value

    def fail(self, message: str) -> NoReturn:
        """Refuse, with the offset."""
        raise HostError(f"json.decode: at offset {self.at}, {message}")

    def shown(self) -> str:
        """Quote the character here as Go's %q does for a byte."""
        return quoted(chr(self.data[self.at]))

    def skip(self) -> bool:
        """Skip blanks; tell whether something follows."""
        while self.at < len(self.data) and self.data[self.at] in b" \t\r\n":
            self.at += 1
        return self.at < len(self.data)

    def next(self) -> str:
        """Give the next character that is no blank."""
        if not self.skip():
            self.fail("unexpected end of file")
        return chr(self.data[self.at])

    def value(self, depth: int) -> StarlarkValue:
        """Read a value of any kind."""
        if depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} levels deep")
        char = self.next()
        for word, constant in _CONSTANTS:
            if self.data.startswith(word, self.at):
                self.at += len(word)
                return constant
        match char:
            case '"':
                return self.string()
            case "[":
                return self.array(depth)
            case "{":
                return self.object(depth)
        if char not in "-0123456789":
            self.fail(f"unexpected character {self.shown()}")
        return self.number()

    def array(self, depth: int) -> list[StarlarkValue]:
        """Read a list."""
        self.at += 1
        items: list[StarlarkValue] = []
        if self.next() != "]":
            while True:
                items.append(self.value(depth + 1))
                char = self.next()
                if char != ",":
                    if char != "]":
                        self.fail(f"got {self.shown()}, want ',' or ']'")
                    break
                self.at += 1
        self.at += 1
        return items

    def object(self, depth: int) -> dict[str, StarlarkValue]:
        """Read a dict."""
        self.at += 1
        entries: dict[str, StarlarkValue] = {}
        if self.next() != "}":
            while True:
                key = self.value(depth + 1)
                if not isinstance(key, str):
                    self.fail(f"got {type_of(key)} for object key, want string")
                if self.next() != ":":
                    self.fail(f"after object key, got {self.shown()}, want ':' ")
                self.at += 1
                entries[key] = self.value(depth + 1)
                char = self.next()
                if char != ",":
                    if char != "}":
                        self.fail(f"in object, got {self.shown()}, want ',' or '}}'")
                    break
                self.at += 1
        self.at += 1
        return entries

    def number(self) -> int | float:
        """Read an int or a float, by notation; what Go's ParseFloat reads is enough."""
        match = _NUMBER_CHARACTERS.match(self.data, self.at)
        text = match[0].decode() if match else ""
        self.at += len(text)
        if _WHOLE.fullmatch(text):
            return int(text)
        if not _FLOAT.fullmatch(text) or math.isinf(float(text)):
            self.fail(f"invalid number: {text}")
        return float(text)

    def string(self) -> str:
        """Read a string. One with escapes or beyond ASCII goes through the stricter rules of encoding/json."""
        end = self.at + 1
        while end < len(self.data) and self.data[end] != 0x22:
            end += 2 if self.data[end] == 0x5C else 1
        if end >= len(self.data):
            self.fail("unclosed string literal")
        body = self.data[self.at + 1 : end]
        self.at = end + 1
        if b"\\" not in body and body.isascii():
            return body.decode("ascii")
        if problem := fault(self.data[self.at - len(body) - 2 : self.at]):
            self.fail(problem)
        text = _NOT_UTF8.sub("\ufffd", body.decode("utf-8", "surrogateescape"))
        return _PAIR.sub(_joined, _ESCAPE.sub(_escaped, text))


def _escaped(match: re.Match[str]) -> str:
    """Resolve one escape; halves of surrogate pairs are kept for `_joined`."""
    text = match[1]
    return _ESCAPED[text] if text[0] != "u" else chr(int(text[1:], 16))


def _joined(match: re.Match[str]) -> str:
    """Join two halves; a lone one is no character."""
    high, low = match[1], match[2]
    if not (high and low):
        return "\ufffd"
    return chr(0x10000 + (ord(high) - 0xD800) * 0x400 + ord(low) - 0xDC00)

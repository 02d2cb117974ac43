"""`json.decode`: the scanner of go.starlark.net/lib/json by bytes, with its odd offsets and words."""

from __future__ import annotations

import re
from typing import NoReturn

from gitopsd.adapters.starlark.crossing import type_of
from gitopsd.evaluate.engine import HostError, StarlarkValue

__all__ = ["MAX_DEPTH", "Decoder", "decode"]

MAX_DEPTH = 800
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
_NUMBER_CHARACTERS = re.compile(rb"[-+0-9.eE]*")
_ESCAPED = {"b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "/": 47, "\\": 92, '"': 34}
_CONSTANTS: tuple[tuple[bytes, StarlarkValue], ...] = ((b"null", None), (b"true", True), (b"false", False))


def decode(args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]) -> StarlarkValue:
    """`json.decode(x)`. Raises HostError in the engine's words."""
    if kwargs:
        raise HostError("json.decode: unexpected keyword arguments")
    if len(args) != 1:
        raise HostError(f"json.decode: got {len(args)} arguments, want 1")
    if not isinstance(args[0], str):
        raise HostError(f"json.decode: for parameter 1: got {type_of(args[0])}, want string")
    return Decoder(args[0].encode("utf-8", "surrogateescape")).document()


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
        char = chr(self.data[self.at])
        return "'\\''" if char == "'" else f"'{char}'" if char.isprintable() else repr(char)

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
        """Read an int or a float, by notation."""
        match = _NUMBER_CHARACTERS.match(self.data, self.at)
        text = match[0].decode() if match else ""
        self.at += len(text)
        if not _NUMBER.match(text):
            self.fail(f"invalid number: {text}")
        return float(text) if any(char in text for char in ".eE") else int(text)

    def string(self) -> str:
        """Read a string."""
        end = self.at + 1
        while end < len(self.data) and self.data[end] != 0x22:
            end += 2 if self.data[end] == 0x5C else 1
        if end >= len(self.data):
            self.fail("unclosed string literal")
        body, start = self.data[self.at + 1 : end], self.at
        if b"\\" not in body:
            self.at = end + 1
            return body.decode("utf-8", "surrogateescape")
        text = self.escaped(body, start + 1)
        self.at = end + 1
        return text

    def escaped(self, body: bytes, base: int) -> str:
        """Resolve the escapes of a string that begins at `base`."""
        out = bytearray()
        index = 0
        while index < len(body):
            if body[index] != 0x5C:
                out.append(body[index])
                index += 1
                continue
            char = chr(body[index + 1])
            if char == "u":
                code, index = self.unicode(body, index, base)
                out += chr(code).encode("utf-8")
                continue
            plain = _ESCAPED.get(char)
            if plain is None:
                self.at = base + index + 1
                self.fail(f"invalid character '{char}' in string escape code")
            out.append(plain)
            index += 2
        return out.decode("utf-8", "surrogateescape")

    def unicode(self, body: bytes, index: int, base: int) -> tuple[int, int]:
        """Read one escape, or two that make a surrogate pair; lone surrogates become U+FFFD."""
        code = self.hexadecimal(body, index, base)
        index += 6
        if 0xD800 <= code < 0xDC00 and body[index : index + 2] == b"\\u":
            low = self.hexadecimal(body, index, base)
            if 0xDC00 <= low < 0xE000:
                return 0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00, index + 6
        return (0xFFFD if 0xD800 <= code < 0xE000 else code), index

    def hexadecimal(self, body: bytes, index: int, base: int) -> int:
        """Read the four digits of an escape."""
        for place in range(index + 2, index + 6):
            char = chr(body[place]) if place < len(body) else '"'
            if char not in "0123456789abcdefABCDEF":
                self.at = base + place
                self.fail(f"invalid character '{char}' in \\u hexadecimal character escape")
        return int(body[index + 2 : index + 6], 16)

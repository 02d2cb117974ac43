"""What Go's encoding/json says of a text that is no JSON: the states of its scanner, a byte at a time."""

from __future__ import annotations

import json

__all__ = ["fault", "quoted"]

_MAX_NESTING = 10000
_SPACE = b" \t\r\n"
_DIGITS = b"0123456789"
_HEX = _DIGITS + b"abcdefABCDEF"
_WORDS = ("true", "false", "null")
_NUMBER: dict[str, tuple[tuple[bytes, str], ...]] = {
    "-": ((b"0", "0"), (b"123456789", "1")),
    "1": ((_DIGITS, "1"), (b".", "."), (b"eE", "e")),
    "0": ((b".", "."), (b"eE", "e")),
    ".": ((_DIGITS, "f"),),
    "f": ((_DIGITS, "f"), (b"eE", "e")),
    "e": ((b"+-", "s"), (_DIGITS, "x")),
    "s": ((_DIGITS, "x"),),
    "x": ((_DIGITS, "x"),),
}
"""State of a number to what may follow; 1, 0, f and x may end it."""
_UNENDED = {
    "-": "in numeric literal", ".": "after decimal point in numeric literal", "e": "in exponent of numeric literal",
    "s": "in exponent of numeric literal",
}  # fmt: skip
_AFTER = {
    "": "after top-level value",
    "[": "after array element",
    "{": "after object key:value pair",
    ":": "after object key",
}
_FOLLOWING = {
    ("[", ","): ("[", "value"), ("{", ","): (":", "key"), (":", ":"): ("{", "value"),
    ("[", "]"): ("", "after"), ("{", "}"): ("", "after"),
}  # fmt: skip
"""What is open and what comes to what is open then (nothing: it is closed) and what is expected."""


class _Fault(Exception):
    """The byte that cannot be here, and where."""


def fault(data: bytes) -> str:
    """Give the error of encoding/json for a text, or nothing if it is JSON."""
    try:
        json.loads(data.decode("utf-8", "surrogateescape"), parse_constant=_refuse, parse_int=str)
    except (ValueError, RecursionError):
        return _Scanner(data).run()
    return ""


def quoted(char: str) -> str:
    """Quote a character as the errors of encoding/json do."""
    special = {"'": "'\\''", '"': "'\"'", "\\": "'\\\\'"}
    special |= dict(zip("\a\b\f\n\r\t\v", (f"'\\{letter}'" for letter in "abfnrtv"), strict=True))
    return special.get(char) or (f"'{char}'" if char.isprintable() else f"'\\x{ord(char):02x}'")


def _refuse(word: str) -> None:
    raise ValueError(word)


class _Scanner:
    """One text. `open` holds a bracket for each that is open, or a colon in an object before its next value."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.open: list[str] = []

    def run(self) -> str:
        """Scan to the end or to the first byte that cannot be there."""
        expected = "value"
        try:
            while self.skip():
                expected = self.after() if expected == "after" else self.value(expected)
        except _Fault as problem:
            return str(problem)
        return "" if expected == "after" and not self.open else "unexpected end of JSON input"

    def skip(self) -> bool:
        while self.at < len(self.data) and self.data[self.at] in _SPACE:
            self.at += 1
        return self.at < len(self.data)

    def peek(self) -> int:
        """The next byte; behind the end there is a blank."""
        return self.data[self.at] if self.at < len(self.data) else 0x20

    def refuse(self, place: str) -> _Fault:
        return _Fault(f"invalid character {quoted(chr(self.peek()))} {place}")

    def value(self, expected: str) -> str:
        """Read the beginning of a value, or all of one that is no list or object."""
        char = chr(self.peek())
        if (expected, char) in (("first", "]"), ("first key", "}")):
            return self.after()
        if expected in ("key", "first key"):
            if char != '"':
                raise self.refuse("looking for beginning of object key string")
            return self.string()
        if char in "[{":
            return self.enter(char)
        if char == '"':
            return self.string()
        for word in _WORDS:
            if char == word[0]:
                return self.word(word)
        if char not in "-0123456789":
            raise self.refuse("looking for beginning of value")
        return self.number()

    def enter(self, char: str) -> str:
        self.open.append("[" if char == "[" else ":")
        if len(self.open) > _MAX_NESTING:
            raise self.refuse("exceeded max depth")
        self.at += 1
        return "first" if char == "[" else "first key"

    def after(self) -> str:
        """Read what follows a value: a comma, a colon or a closing bracket."""
        char, inner = chr(self.peek()), self.open[-1] if self.open else ""
        if (inner, char) == (":", "}") and self.data[: self.at].rstrip()[-1:] == b"{":
            inner = "{"
        if (inner, char) not in _FOLLOWING:
            raise self.refuse(_AFTER[inner])
        self.at += 1
        self.open[-1], expected = _FOLLOWING[inner, char]
        if expected == "after":
            self.open.pop()
        return expected

    def string(self) -> str:
        self.at += 1
        while self.at < len(self.data) and self.data[self.at] != 0x22:
            if self.data[self.at] < 0x20:
                raise self.refuse("in string literal")
            self.at += 1
            if self.data[self.at - 1] == 0x5C:
                self.escape()
        if self.at >= len(self.data):
            raise _Fault("unexpected end of JSON input")
        self.at += 1
        return "after"

    def escape(self) -> None:
        if self.peek() not in b'bfnrtu\\/"':
            raise self.refuse("in string escape code")
        self.at += 1
        for _ in range(4 if self.data[self.at - 1] == 0x75 else 0):
            if self.peek() not in _HEX:
                raise self.refuse("in \\u hexadecimal character escape")
            self.at += 1

    def word(self, word: str) -> str:
        for letter in word:
            if chr(self.peek()) != letter:
                raise self.refuse(f"in literal {word} (expecting '{letter}')")
            self.at += 1
        return "after"

    def number(self) -> str:
        first = chr(self.peek())
        state = first if first in "-0" else "1"
        self.at += 1
        while following := next((state for chars, state in _NUMBER[state] if self.peek() in chars), ""):
            state = following
            self.at += 1
        if state in _UNENDED:
            raise self.refuse(_UNENDED[state])
        return "after"

"""The `json` module, as go.starlark.net/lib/json of March 2023 does it: its texts, number forms and errors."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from gitopsd.evaluate.engine import HostError, OpaqueValue, StarlarkValue, StructValue

__all__ = ["decode", "encode", "indent"]

_DEPTH = 800
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "<": "\\u003c", ">": "\\u003e", "&": "\\u0026",
    "\u2028": "\\u2028", "\u2029": "\\u2029",
}  # fmt: skip
_TO_ESCAPE = re.compile('["\\\\<>&\\x00-\\x1f\\u2028\\u2029\\ud800-\\udfff]')


def encode(args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]) -> str:
    """`json.encode(x)`. Raises HostError in the engine's words."""
    if kwargs:
        raise HostError("json.encode: unexpected keyword arguments")
    if len(args) != 1:
        raise HostError(f"json.encode: got {len(args)} arguments, want 1")
    try:
        out: list[str] = []
        _encode(args[0], out, 0)
        return "".join(out)
    except HostError as problem:
        raise HostError(f"json.encode: {problem}") from None


def _encode(value: StarlarkValue, out: list[str], depth: int) -> None:
    if depth > _DEPTH:
        raise HostError(f"nested more than {_DEPTH} levels deep")
    match value:
        case None | bool():
            out.append({None: "null", True: "true", False: "false"}[value])
        case int():
            out.append(str(value))
        case float():
            out.append(_float(value))
        case str():
            out.append(_string(value))
        case dict():
            _encode_dict(value, out, depth)
        case StructValue():
            _encode_fields(value, out, depth)
        case list() | tuple() | range():
            _encode_list(list(value), out, depth)
        case OpaqueValue():
            _encode_opaque(value, out, depth)
        case _:
            raise HostError(f"cannot encode {type(value).__name__} as JSON")


def _encode_opaque(value: OpaqueValue, out: list[str], depth: int) -> None:
    if value.type_name == "cycle":
        raise HostError("cycle in JSON structure")
    if value.type_name == "string.elems" and value.payload:
        text = str(value.payload[0]).encode("utf-8", "surrogateescape")
        _encode_list([bytes([byte]).decode("utf-8", "surrogateescape") for byte in text], out, depth)
        return
    raise HostError(f"cannot encode {value.type_name} as JSON")


def _encode_dict(value: dict[StarlarkValue, StarlarkValue], out: list[str], depth: int) -> None:
    for key in value:
        if not isinstance(key, str):
            raise HostError(f"dict has {_type_name(key)} key, want string")
    separator = "{"
    for key in sorted(value, key=lambda text: text.encode("utf-8", "surrogateescape")):
        out.append(f"{separator}{_string(key)}:")
        _nested(value[key], out, depth, f"in dict key {_quoted(key)}")
        separator = ","
    out.append("}" if value else "{}")


def _encode_fields(value: StructValue, out: list[str], depth: int) -> None:
    separator = "{"
    for name in sorted(value.fields):
        out.append(f"{separator}{_string(name)}:")
        _nested(value.fields[name], out, depth, f"in field .{name}")
        separator = ","
    out.append("}" if value.fields else "{}")


def _encode_list(items: list[StarlarkValue], out: list[str], depth: int) -> None:
    separator = "["
    for index, item in enumerate(items):
        out.append(separator)
        _nested(item, out, depth, f"at list index {index}")
        separator = ","
    out.append("]" if items else "[]")


def _nested(value: StarlarkValue, out: list[str], depth: int, place: str) -> None:
    try:
        _encode(value, out, depth + 1)
    except HostError as problem:
        raise HostError(f"{place}: {problem}") from None


def _type_name(value: StarlarkValue) -> str:
    names = {"NoneType": "NoneType", "bool": "bool", "int": "int", "float": "float", "tuple": "tuple", "bytes": "bytes"}
    return value.type_name if isinstance(value, StructValue | OpaqueValue) else names[type(value).__name__]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _string(text: str) -> str:
    return f'"{_TO_ESCAPE.sub(_escape, text)}"' if _TO_ESCAPE.search(text) else f'"{text}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return _ESCAPES.get(char) or ("\\ufffd" if char >= "\ud800" else f"\\u{ord(char):04x}")


def _float(value: float) -> str:
    """Go's %g of the shortest digits that give the number back: an exponent below 1e-4 and from 1e6 on."""
    if value != value or value in (float("inf"), float("-inf")):
        name = "nan" if value != value else ("+inf" if value > 0 else "-inf")
        raise HostError(f"cannot encode non-finite float {name}")
    digits = repr(abs(value)).lower()
    mantissa, _, power = digits.partition("e")
    whole, _, fraction = mantissa.partition(".")
    significant = (whole + fraction).lstrip("0")
    scale = len(whole.lstrip("0")) - 1 if whole.strip("0") else -(len(fraction) - len(fraction.lstrip("0"))) - 1
    scale += int(power or 0)
    significant = significant.rstrip("0") or "0"
    sign = "-" if str(value).startswith("-") else ""
    if value == 0:
        return sign + "0"
    if scale < -4 or scale >= 6:
        return _scientific(sign, significant, scale)
    if scale < 0:
        return f"{sign}0.{'0' * (-scale - 1)}{significant}"
    whole, fraction = significant[: scale + 1].ljust(scale + 1, "0"), significant[scale + 1 :]
    return sign + whole + (f".{fraction}" if fraction else "")


def _scientific(sign: str, significant: str, scale: int) -> str:
    fraction = f".{significant[1:]}" if len(significant) > 1 else ""
    return f"{sign}{significant[0]}{fraction}e{'-' if scale < 0 else '+'}{abs(scale):02d}"


def decode(args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]) -> StarlarkValue:
    """`json.decode(x)`. Raises HostError in the engine's words."""
    if kwargs:
        raise HostError("json.decode: unexpected keyword arguments")
    if len(args) != 1:
        raise HostError(f"json.decode: got {len(args)} arguments, want 1")
    if not isinstance(args[0], str):
        raise HostError(f"json.decode: for parameter 1: got {type_of(args[0])}, want string")
    return _Decoder(args[0].encode("utf-8", "surrogateescape")).document()


def type_of(value: StarlarkValue) -> str:
    """Name a value's type as Starlark does."""
    if isinstance(value, str | list | dict | range):
        return "string" if isinstance(value, str) else type(value).__name__
    return _type_name(value)


class _Decoder:
    """The scanner of lib/json `decode`, by bytes, with its odd offsets."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def document(self) -> StarlarkValue:
        value = self.value(0)
        if self.skip():
            self.fail(f"unexpected character {self.shown()} after value")
        return value

    def fail(self, message: str) -> NoReturn:
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
        if self.skip():
            return chr(self.data[self.at])
        self.fail("unexpected end of file")

    def value(self, depth: int) -> StarlarkValue:
        if depth > _DEPTH:
            self.fail(f"nested more than {_DEPTH} levels deep")
        char = self.next()
        if char == '"':
            return self.string()
        for word, constant in ((b"null", None), (b"true", True), (b"false", False)):
            if self.data.startswith(word, self.at):
                self.at += len(word)
                return constant
        if char == "[":
            return self.array(depth)
        if char == "{":
            return self.object(depth)
        if char in "-0123456789":
            return self.number()
        self.fail(f"unexpected character {self.shown()}")

    def array(self, depth: int) -> list[StarlarkValue]:
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
                self.key_follows()
        self.at += 1
        return entries

    def key_follows(self) -> None:
        """After a comma a closing brace is an unexpected character, which `value` says."""
        self.next()

    def number(self) -> int | float:
        match = re.compile(rb"[-+0-9.eE]*").match(self.data, self.at)
        text = match[0].decode() if match else ""
        self.at += len(text)
        if not _NUMBER.match(text):
            self.fail(f"invalid number: {text}")
        return float(text) if any(char in text for char in ".eE") else int(text)

    def string(self) -> str:
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
            plain = {"b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "/": 47, "\\": 92, '"': 34}.get(char)
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
        for place in range(index + 2, index + 6):
            char = chr(body[place]) if place < len(body) else '"'
            if char not in "0123456789abcdefABCDEF":
                self.at = base + place
                self.fail(f"invalid character '{char}' in \\u hexadecimal character escape")
        return int(body[index + 2 : index + 6], 16)


def indent(args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]) -> str:
    """`json.indent(s, prefix="", indent="\\t")`: lays out without touching numbers or escapes."""
    if len(args) != 1:
        raise HostError(f"json.indent: got {len(args)} arguments, want 1")
    prefix, step = kwargs.get("prefix", ""), kwargs.get("indent", "\t")
    text = args[0]
    _check(text)
    out: list[str] = []
    depth = 0
    tokens = re.findall(r'"(?:[^"\\]|\\.)*"|[^\s"\[\]{},:]+|[\[\]{},:]', text, re.DOTALL)
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        previous = tokens[index - 1] if index else ""
        if token in "]}" and previous not in "[{":
            depth -= 1
            out.append(f"\n{prefix}{step * depth}{token}")
        elif token in "[{" and following not in "]}":
            depth += 1
            out.append(f"{token}\n{prefix}{step * depth}")
        else:
            out.append({":": ": ", ",": f",\n{prefix}{step * depth}"}.get(token, token))
    return "".join(out)


def _check(text: str) -> None:
    """Refuse what is no JSON, in the words of Go's encoding/json."""
    try:
        _Decoder(text.encode("utf-8", "surrogateescape")).document()
    except HostError as problem:
        place = re.search(r"at offset (\d+), (.*)", str(problem), re.DOTALL)
        at, what = (int(place[1]), place[2]) if place else (0, "")
        if "end of file" in what or at >= len(text):
            raise HostError("json.indent: unexpected end of JSON input") from None
        looking = "after top-level value" if "after value" in what else "looking for beginning of value"
        raise HostError(f"json.indent: invalid character '{text[at]}' {looking}") from None

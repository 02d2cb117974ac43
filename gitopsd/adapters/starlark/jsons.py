"""`json.encode` and `json.indent`, as go.starlark.net/lib/json does them: texts, number forms and errors."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gitopsd.adapters.starlark import times
from gitopsd.adapters.starlark.crossing import type_of
from gitopsd.adapters.starlark.json_decoder import MAX_DEPTH
from gitopsd.adapters.starlark.json_scanner import fault
from gitopsd.adapters.starlark.unpacking import by_name, by_position
from gitopsd.evaluate.engine import HostError, OpaqueValue, StarlarkValue, StructValue
from gitopsd.kit.numbers import go_float, starlark_float

__all__ = ["UnknownMembersError", "encode", "indent"]

Fields = Mapping[str, StarlarkValue]
_METHOD = OpaqueValue(type_name="builtin_function_or_method", text="")

_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f",
    "<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029",
}  # fmt: skip
_CONTROL = re.compile("[\\x00-\\x1f]")
_TO_ESCAPE = re.compile('["\\\\<>&\\x00-\\x1f\\u2028\\u2029\\ud800-\\udfff]')


class UnknownMembersError(Exception):
    """A module is to be encoded: say what is in it and encode again."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def encode(
    args: Sequence[StarlarkValue],
    kwargs: Mapping[str, StarlarkValue],
    members: Mapping[str, Fields] = MappingProxyType({}),
) -> str:
    """`json.encode(x)`. Raises HostError in the engine's words, UnknownMembersError for a module not in `members`."""
    (value,) = by_position("json.encode", args, kwargs, [""])
    work = _Encoding(members)
    try:
        work.encode(value)
    except HostError as problem:
        raise HostError(f"json.encode: {problem}") from None
    return "".join(work.out)


class _Encoding:
    """One document. `path` holds the structs around the current value."""

    def __init__(self, members: Mapping[str, Fields]) -> None:
        self.members = members
        self.out: list[str] = []
        self.path: list[StarlarkValue] = []

    def encode(self, value: StarlarkValue) -> None:
        if len(self.path) > MAX_DEPTH:
            raise HostError(f"nested more than {MAX_DEPTH} levels deep")
        self.path.append(value)
        match value:
            case None | bool() | int() | float() | str():
                self.out.append(_scalar(value))
            case dict():
                self.mapping(value)
            case StructValue():
                self.struct(value)
            case list() | tuple() | range():
                self.sequence(list(value), type_of(value))
            case bytes():
                self.fields({"elems": _METHOD})
            case OpaqueValue():
                self.opaque(value)
            case _:
                raise HostError(f"cannot encode {type_of(value)} as JSON")
        self.path.pop()

    def opaque(self, value: OpaqueValue) -> None:
        name, payload = value.type_name, value.payload
        if name == "cycle":
            raise HostError("cycle in JSON structure")
        if name in ("string.elems", "string.codepoints", "bytes.elems"):
            self.sequence(_elements(value), name)
        elif name == "module":
            path = str(payload[0])
            if path not in self.members:
                raise UnknownMembersError(path)
            self.fields(self.members[path])
        elif name == "time.duration":
            self.fields({field: times.attribute(value, field)[1] for field in times.names(name)})
        elif name == "time.time":
            self.fields({field: times.attribute(value, field)[1] or _METHOD for field in ("day", "format")})
        else:
            raise HostError(f"cannot encode {name} as JSON")

    def mapping(self, value: dict[StarlarkValue, StarlarkValue]) -> None:
        for key in value:
            if not isinstance(key, str):
                raise HostError(f"dict has {type_of(key)} key, want string")
        ordered = sorted(value, key=lambda text: text.encode("utf-8", "surrogateescape"))
        self.entries([(key, value[key], f"in dict key {_quoted(key)}") for key in ordered])

    def struct(self, value: StructValue) -> None:
        if any(isinstance(item, OpaqueValue) and item.type_name == "cycle" for item in value.fields.values()):
            self.notice_return(value)
        self.fields(value.fields)

    def notice_return(self, value: StructValue) -> None:
        """Refuse a struct that is one of those around it: the interpreter shows only that its list comes again."""
        for outer in self.path[:-1]:
            if isinstance(outer, StructValue) and outer.fields.keys() == value.fields.keys():
                pairs = [(outer.fields[name], item) for name, item in value.fields.items()]
                cycle = [isinstance(item, OpaqueValue) and item.type_name == "cycle" for _, item in pairs]
                if all(again or item == known for again, (known, item) in zip(cycle, pairs, strict=True)):
                    raise HostError("cycle in JSON structure")

    def fields(self, fields: Fields) -> None:
        self.entries([(name, fields[name], f"in field .{name}") for name in sorted(fields)])

    def entries(self, entries: list[tuple[str, StarlarkValue, str]]) -> None:
        self.out.append("{")
        for index, (name, item, place) in enumerate(entries):
            self.out.append(f"{',' if index else ''}{_string(name)}:")
            self.nested(item, place)
        self.out.append("}")

    def sequence(self, items: list[StarlarkValue], type_name: str) -> None:
        self.out.append("[")
        for index, item in enumerate(items):
            self.out.append("," if index else "")
            self.nested(item, f"at {type_name} index {index}")
        self.out.append("]")

    def nested(self, value: StarlarkValue, place: str) -> None:
        try:
            self.encode(value)
        except HostError as problem:
            raise HostError(f"{place}: {problem}") from None


def _scalar(value: float | str | None) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _string(value)
    return _float(value) if isinstance(value, float) else str(value)


def _elements(value: OpaqueValue) -> list[StarlarkValue]:
    """List what `elems` and its like iterate over."""
    text, numbers = str(value.payload[0]), "_ord" in value.text.rpartition(".")[2]
    data = text.encode("utf-8", "surrogateescape")
    if value.type_name == "string.codepoints":
        shown = data.decode("utf-8", "replace")
        return [ord(char) for char in shown] if numbers else list(shown)
    if numbers or value.type_name == "bytes.elems":
        return list(data)
    return [bytes([byte]).decode("utf-8", "surrogateescape") for byte in data]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _string(text: str) -> str:
    """Write a string: printable ASCII as Go quotes it, all else as encoding/json does, which also hides HTML."""
    if text.isascii() and not _CONTROL.search(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\x7f", "\\x7f") + '"'
    return f'"{_TO_ESCAPE.sub(_escape, text)}"' if _TO_ESCAPE.search(text) else f'"{text}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return _ESCAPES.get(char) or ("\\ufffd" if char >= "\ud800" else f"\\u{ord(char):04x}")


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise HostError(f"cannot encode non-finite float {starlark_float(value)}")
    return go_float(value)


def indent(args: Sequence[StarlarkValue], kwargs: Mapping[str, StarlarkValue]) -> str:
    """`json.indent(s, prefix="", indent="\\t")`: lays out without touching numbers or escapes."""
    given = by_name("json.indent", (), kwargs, {"prefix": "string", "indent": "string"})
    prefix, step = given.get("prefix", ""), given.get("indent", "\t")
    (text,) = by_position("json.indent", args, {}, ["string"])
    if problem := fault(text.encode("utf-8", "surrogateescape")):
        raise HostError(f"json.indent: {problem}")
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
    blanks: str = text[len(text.rstrip(" \t\r\n")) :]
    return "".join(out) + blanks

"""Values that leave and enter the interpreter.

They leave as the text of the engine's own `repr`, which is one string whatever it holds, and are read here. The
binding's conversion would leak, refuse functions and bytes that are not UTF-8, and die on a list that holds itself.
They enter as plain data, or as a small stack program that the prelude runs when they hold structs or odd strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gitopsd.evaluate.engine import HostError, OpaqueValue, StarlarkValue, StructValue
from gitopsd.kit.duration import go_duration

__all__ = [
    "NESTED", "TOKEN", "arguments", "built", "copied", "function_text", "incoming", "is_marker", "parse",
    "refuse_opaque", "type_of", "unquote",
]  # fmt: skip

TOKEN = re.compile(
    r"""b?"(?:[^"\\]+|\\.)*"(?:\.(?:elem|codepoint)(?:_ord)?s\(\))?"""
    r"""|<[^>]*>|\[\.\.\.\]|\{\.\.\.\}|range\([^)]*\)|[-+\w.]+|[][(){},:]""",
    re.DOTALL,
)
NESTED = "*"
_ITEM = re.compile(rf"[,: ]*({TOKEN.pattern})", re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)", re.DOTALL)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_OPENERS, _CLOSERS = frozenset("[({"), frozenset("])}")
_MARKER = OpaqueValue(type_name="marker", text="<built-in function ƶ>")
_WORDS: dict[str, StarlarkValue] = {
    _MARKER.text: _MARKER, "None": None, "True": True, "False": False,
    "+inf": float("inf"), "-inf": float("-inf"), "nan": float("nan"),
}  # fmt: skip
_CYCLE = "cycle"
_OURS = "<function ƶ"
_METHODS = {"time_time_": "time.time", "list_": "list", "dict_": "dict", "string_": "string"}
_RENAMED = {"json_encode": "json.encode", "json_decode": "json.decode", "json_indent": "json.indent"}
_NEVER_IN_UTF8 = frozenset([0xC0, 0xC1, *range(0xF5, 0x100)])


def is_marker(token: str) -> bool:
    """Tell the first element of every special value."""
    return token == _MARKER.text


def function_text(token: str) -> str:
    """A printed function as the author knows it; any other token as it is."""
    if not token.startswith(_OURS):
        return token
    name = token[len(_OURS) : -1]
    for prefix, owner in _METHODS.items():
        if name.startswith(prefix):
            return f"<built-in method {name.removeprefix(prefix)} of {owner} value>"
    name = name.removeprefix("time_").removeprefix("plan_")
    return f"<built-in function {_RENAMED.get(name, name)}>"


def unquote(token: str) -> str:
    """Read a quoted string; bytes that are not UTF-8 become surrogate escapes."""
    body = token[1:-1]
    return _ESCAPE.sub(_escaped, body) if "\\" in body else body


def _escaped(match: re.Match[str]) -> str:
    text = match[1]
    if len(text) == 1:
        return _SIMPLE.get(text, text)
    code = int(text[1:], 16)
    return chr(0xDC00 + code) if text[0] == "x" and code > 0x7F else chr(code)


def parse(text: str) -> StarlarkValue:
    """Read one printed value. Cycles are opaque values of type `cycle`."""
    return _parsed(text)[0]


def _parsed(text: str) -> tuple[StarlarkValue, int]:
    """A printed value, and how many opaque values are in it."""
    stack: list[tuple[str, list[StarlarkValue]]] = [("", [])]
    items, opaque = stack[0][1], 0
    for token in _ITEM.findall(text):
        if token[0] == '"' == token[-1]:
            items.append(unquote(token))
        elif token in _WORDS:
            items.append(_WORDS[token])
        elif token in _OPENERS:
            items = []
            stack.append((token, items))
        elif token in _CLOSERS:
            opener, items = stack.pop()
            value = _container(opener, items)
            opaque += isinstance(value, OpaqueValue) - (isinstance(value, StructValue) and value.serial > 0)
            items = stack[-1][1]
            items.append(value)
        else:
            items.append(value := _atom(token))
            opaque += isinstance(value, OpaqueValue)
    return items[0], opaque


def _container(opener: str, items: list[StarlarkValue]) -> StarlarkValue:
    if opener == "[":
        return items
    if opener == "{":
        return dict(zip(items[::2], items[1::2], strict=True))
    if items and items[0] is _MARKER:
        return _special(items)
    return tuple(items)


def _special(items: list[StarlarkValue]) -> StarlarkValue:
    type_name, slot = items[1], items[2]
    if type_name == "module":
        return OpaqueValue(type_name="module", text=f'<module "{slot.payload[0]}">', payload=slot.payload)
    if type_name.startswith("time."):
        text = go_duration(items[3]) if type_name == "time.duration" else f"<{type_name}>"
        return OpaqueValue(type_name=type_name, text=text, payload=tuple(items[3:]))
    fields = dict(zip(items[3::2], items[4::2], strict=True))
    return StructValue(type_name=type_name, fields=fields, serial=int(slot.payload[0]) if slot is not None else 0)


def _atom(token: str) -> StarlarkValue:
    first = token[0]
    if first == '"':
        quoted, _, method = token.rpartition(".")
        type_name = "string." + method[:-2].replace("_ord", "")
        return OpaqueValue(type_name=type_name, text=token, payload=(unquote(quoted),))
    if first.isdigit() or (first == "-" and token[1].isdigit()):
        return int(token) if token.lstrip("-").isdigit() else float(token)
    return _opaque(token)


def _opaque(token: str) -> StarlarkValue:
    if token[:2] == 'b"':
        if token[-1] == ")":
            quoted, _, _ = token[1:].rpartition(".")
            return OpaqueValue(type_name="bytes.elems", text=token, payload=(unquote(quoted),))
        return unquote(token[1:]).encode("utf-8", "surrogateescape")
    if token.startswith("range("):
        return range(*(int(part) for part in token[6:-1].split(",")))
    if token.startswith("<"):
        own = token.startswith("<function ") and not token.startswith(_OURS)
        return OpaqueValue(type_name="function" if own else "builtin_function_or_method", text=function_text(token))
    return OpaqueValue(type_name=_CYCLE, text=token)


def arguments(text: str, called: str) -> tuple[tuple[StarlarkValue, ...], dict[str, StarlarkValue]]:
    """Read the printed `(args, kwargs)` of a call. Raises HostError for values that contain themselves."""
    (args, kwargs), opaque = _parsed(text)
    if opaque:
        for place, value in [*enumerate(args, 1), *kwargs.items()]:
            if any(item.type_name == _CYCLE for item in _opaque_in(value)):
                raise HostError(f"{called}: argument {place!r} contains itself, expected plain data")
    return args, kwargs


def refuse_opaque(value: StarlarkValue, what: str) -> None:
    """Raise HostError when a value holds what cannot be built again, such as a function."""
    for item in _opaque_in(value):
        raise HostError(f"{what} holds {item.text} ({item.type_name}), expected plain data")


def _opaque_in(value: StarlarkValue) -> Iterator[OpaqueValue]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case OpaqueValue() as found:
                yield found
            case StructValue(fields=fields):
                waiting.extend(fields.values())
            case dict() as entries:
                waiting.extend([*entries, *entries.values()])
            case list() | tuple() as elements:
                waiting.extend(elements)


def incoming(value: StarlarkValue) -> tuple[int, Any]:
    """Give what a callback returns for `value`: (0, plain data) or (1, a program for the prelude)."""
    return (0, value) if _is_plain(value) else (1, built(value))


def built(value: StarlarkValue) -> list[tuple[str, Any, Any]]:
    """The program that builds a value in the prelude."""
    program: list[tuple[str, Any, Any]] = []
    _emit(value, program)
    return program


def copied(value: StarlarkValue) -> str:
    """How the prelude copies a value that it has: ``=`` for one that nobody can change, ``[`` and ``{`` for a list and
    a dict of such, NESTED for what it cannot."""
    if isinstance(value, list):
        return "[" if all(map(_is_fixed, value)) else NESTED
    if isinstance(value, dict):
        return "{" if all(map(_is_fixed, value.values())) else NESTED
    return "=" if _is_fixed(value) else NESTED


def _is_fixed(value: StarlarkValue) -> bool:
    if isinstance(value, StructValue):
        return all(map(_is_fixed, value.fields.values()))
    return not isinstance(value, list | dict | tuple)


def _is_plain(value: StarlarkValue) -> bool:
    match value:
        case str():
            return "\0" not in value and (value.isascii() or _is_encodable(value))
        case None | bool() | int() | float():
            return True
        case list() | tuple():
            return all(_is_plain(item) for item in value)
        case dict():
            return all(_is_plain(key) and _is_plain(item) for key, item in value.items())
        case _:
            return False


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _emit(value: StarlarkValue, program: list[tuple[str, Any, Any]]) -> None:
    """Write the steps that build `value`; anything but the engine's values is a fault of the host."""
    if isinstance(value, StructValue):
        for name, item in value.fields.items():
            _emit(name, program)
            _emit(item, program)
        program.append(("special", 2 * len(value.fields), (value.type_name, value.serial)))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            _emit(name, program)
            _emit(item, program)
        program.append(("dict", 2 * len(value), None))
    elif isinstance(value, list | tuple):
        for item in value:
            _emit(item, program)
        program.append(("list" if isinstance(value, list) else "tuple", len(value), None))
    elif isinstance(value, str) and not _is_plain(value):
        program.append(("bytes", _chunks(value), None))
    elif isinstance(value, str | int | float | None):
        if not program or program[-1][0] != "values":
            program.append(("values", [], None))
        program[-1][1].append(value)
    else:
        raise HostError(f"the host gave a {type(value).__name__}, which is no Starlark value")


def _chunks(text: str) -> list[str | int]:
    """Split a string into text that the binding carries and numbers of single bytes."""
    chunks: list[str | int] = []
    for part in re.split("([\0\ud800-\udfff])", text):
        if part == "\0" or (part and "\ud800" <= part[0] <= "\udfff"):
            byte = ord(part) & 0xFF
            chunks.append(_lone(byte) if byte in _NEVER_IN_UTF8 else byte)
        elif part:
            chunks.append(part)
    return chunks


def _lone(byte: int) -> str:
    """Make a string that the binding reads as one byte that occurs in no UTF-8, which the engine cannot make itself.

    The binding takes what a string keeps as its UTF-8 form, up to a zero; so that form of a string of our own, which
    no one else holds, is written over.
    """
    import ctypes

    text = "".join(["\u0400", "\u0401"])
    utf8_of = ctypes.pythonapi.PyUnicode_AsUTF8
    utf8_of.restype, utf8_of.argtypes = ctypes.c_void_p, [ctypes.py_object]
    ctypes.memmove(utf8_of(text), bytes([byte, 0]), 2)
    return text


def type_of(value: StarlarkValue) -> str:
    """Name a value's type as Starlark does."""
    if isinstance(value, StructValue | OpaqueValue):
        return value.type_name
    return "string" if isinstance(value, str) else type(value).__name__

"""`json.encode` and `json.indent`, as go.starlark.net/lib/json does them: texts, number forms and errors."""

from __future__ import annotations

import json
import math
import re

from gitopsd.adapters.starlark.crossing import type_of
from gitopsd.adapters.starlark.json_decoder import MAX_DEPTH, Decoder
from gitopsd.evaluate.engine import HostError, OpaqueValue, StarlarkValue, StructValue

__all__ = ["encode", "indent"]

_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f",
    "<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029",
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
    if depth > MAX_DEPTH:
        raise HostError(f"nested more than {MAX_DEPTH} levels deep")
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
            raise HostError(f"dict has {type_of(key)} key, want string")
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


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _string(text: str) -> str:
    return f'"{_TO_ESCAPE.sub(_escape, text)}"' if _TO_ESCAPE.search(text) else f'"{text}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return _ESCAPES.get(char) or ("\\ufffd" if char >= "\ud800" else f"\\u{ord(char):04x}")


def _float(value: float) -> str:
    """Go's %g of the shortest digits that give the number back: an exponent below 1e-4 and from 1e6 on."""
    if not math.isfinite(value):
        name = "nan" if math.isnan(value) else ("+inf" if value > 0 else "-inf")
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


_PLACES = {
    "want ',' or ']'": "after array element",
    "want ':'": "after object key",
    "want ',' or '}'": "after object key:value pair",
    "after value": "after top-level value",
}


def _check(text: str) -> None:
    """Refuse what is no JSON, in the words of Go's encoding/json."""
    decoder = Decoder(text.encode("utf-8", "surrogateescape"))
    try:
        decoder.document()
    except HostError as problem:
        what = str(problem)
        if decoder.at >= len(decoder.data) or "unclosed" in what:
            raise HostError("json.indent: unexpected end of JSON input") from None
        expected = "object key string" if decoder.wants_key else "value"
        place = next((words for part, words in _PLACES.items() if part in what), f"looking for beginning of {expected}")
        raise HostError(f"json.indent: invalid character {decoder.shown()} {place}") from None

"""Starlark values in Starlark's own printed form, and their type names, for messages and ``print``."""

from __future__ import annotations

from collections.abc import Iterator

from gitopsd.evaluate.engine import OpaqueValue, StarlarkValue, StructValue
from gitopsd.kit.numbers import starlark_float
from gitopsd.model.values import starlark_repr

_SHOWN = 80
_SHOWN_ITEMS = 12
_SHOWN_DEPTH = 4
_TYPES: dict[type, str] = {
    type(None): "NoneType", bool: "bool", int: "int", float: "float", str: "string", bytes: "bytes", list: "list",
    tuple: "tuple", dict: "dict", range: "range",
}  # fmt: skip


def type_name(value: StarlarkValue) -> str:
    """What ``type(x)`` says in Starlark."""
    if isinstance(value, (StructValue, OpaqueValue)):
        return value.type_name
    return _TYPES.get(type(value), type(value).__name__)


def shown(value: StarlarkValue) -> str:
    """A value for a message: in Starlark's form, shortened."""
    text = "".join(_pieces(value, 0))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def printed(value: StarlarkValue) -> str:
    """What ``str(x)`` says in Starlark; cut where it nests more than a few levels deep."""
    return value if isinstance(value, str) else "".join(_pieces(value, 0, short=False))


def _pieces(value: StarlarkValue, depth: int, *, short: bool = True) -> Iterator[str]:
    match value:
        case OpaqueValue(text=text):
            yield text
        case StructValue(type_name=name, fields=fields):
            equals = " = " if name == "struct" else "="
            yield from _joined(
                f"{name}(", [(f"{key}{equals}", item) for key, item in fields.items()], ")", depth, short
            )
        case dict():
            yield from _joined("{", [(f"{shown(key)}: ", item) for key, item in value.items()], "}", depth, short)
        case list():
            yield from _joined("[", [("", item) for item in value], "]", depth, short)
        case tuple():
            yield from _joined("(", [("", item) for item in value], ",)" if len(value) == 1 else ")", depth, short)
        case str() if short:
            yield starlark_repr(value if len(value) <= _SHOWN else value[:_SHOWN])
        case _:
            yield _scalar(value)


def _scalar(value: StarlarkValue) -> str:
    match value:
        case int() if not isinstance(value, bool) and value.bit_length() > 4096:
            return "a huge integer"
        case float():
            return starlark_float(value)
        case bytes():
            return "b" + starlark_repr(value.decode("utf-8", "surrogateescape"))
        case range(start=start, stop=stop, step=step):
            bounds = (start, stop, step) if step != 1 else (start, stop) if start else (stop,)
            return f"range({', '.join(map(str, bounds))})"
    return starlark_repr(value)


def _joined(
    opening: str, items: list[tuple[str, StarlarkValue]], closing: str, depth: int, short: bool
) -> Iterator[str]:
    if short and depth >= _SHOWN_DEPTH:
        items = [("…", "")] if items else []
    yield opening
    for index, (prefix, item) in enumerate(items[:_SHOWN_ITEMS] if short else items):
        yield ", " if index else ""
        yield prefix
        if prefix != "…":
            yield from _pieces(item, depth + 1, short=short)
    yield ", …" if short and len(items) > _SHOWN_ITEMS else ""
    yield closing

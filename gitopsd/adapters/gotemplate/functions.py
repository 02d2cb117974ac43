"""The functions that every template may call: text/template's built-ins and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from . import fmt
from .comparison import equal_to_any, greater, greater_equal, less, less_equal, not_equal
from .errors import CallError
from .strconv import readable, runes
from .values import INVALID, Boxed, Slice, Uint8, is_integer, is_true, type_name, unboxed


class Want(Enum):
    """The static type of a parameter."""

    ANY = "reflect.Value"
    INTERFACE = "interface {}"
    STRING = "string"


class Function(NamedTuple):
    """A function: its fixed parameters, the type of the rest if it takes more, and what it does.

    ``call`` takes the arguments and the longest text in bytes that it may make.
    """

    fixed: tuple[Want, ...]
    rest: Want | None
    call: Callable[[Sequence[Any], int], Any]


def _len(args: Sequence[Any], _limit: int) -> int:
    value = args[0]
    if value is INVALID:
        raise CallError("reflect: call of reflect.Value.Type on zero Value")
    if isinstance(value, Boxed):
        if value.inner is None:
            raise CallError("len of nil pointer")
        value = value.inner
    if isinstance(value, bytes | Slice | dict):
        return len(value)
    raise CallError(f"len of type {type_name(value)}")


def _position(index: Any, limit: int) -> int:
    if index is INVALID:
        raise CallError("cannot index slice/array with nil")
    if not is_integer(index):
        raise CallError(f"cannot index slice/array with type {type_name(index)}")
    if not 0 <= index <= limit:
        raise CallError(f"index out of range: {int(index)}")
    return int(index)


def _index(args: Sequence[Any], _limit: int) -> Any:
    item = unboxed(args[0])
    if item is INVALID:
        raise CallError("index of untyped nil")
    for index in args[1:]:
        item = unboxed(item)
        if item is INVALID:
            raise CallError("index of nil pointer")
        item = _element(item, index)
    return item


def _element(item: Any, index: Any) -> Any:
    if isinstance(item, dict):
        return _map_element(item, unboxed(index))
    if not isinstance(item, bytes | Slice):
        raise CallError(f"can't index item of type {type_name(item)}")
    position = _position(unboxed(index), len(item))
    if position == len(item):
        kind = "slice" if isinstance(item, Slice) else "string"
        raise CallError(f"reflect: {kind} index out of range")
    return Boxed(item.at(position)) if isinstance(item, Slice) else Uint8(item[position])


def _map_element(item: dict[bytes, Any], key: Any) -> Boxed:
    if key is INVALID:
        raise CallError("value is nil; should be of type string")
    if type(key) is not bytes:
        raise CallError(f"value has type {type_name(key)}; should be string")
    return Boxed(item.get(key))


def _slice(args: Sequence[Any], _limit: int) -> Any:
    item, indexes = unboxed(args[0]), args[1:]
    if item is INVALID:
        raise CallError("slice of untyped nil")
    if len(indexes) > 3:
        raise CallError(f"too many slice indexes: {len(indexes)}")
    if not isinstance(item, bytes | Slice):
        raise CallError(f"can't slice item of type {type_name(item)}")
    if isinstance(item, bytes) and len(indexes) == 3:
        raise CallError("cannot 3-index slice a string")
    room = len(item) if isinstance(item, bytes) else item.capacity
    bounds = [0, len(item), room]
    for place, index in enumerate(indexes):
        bounds[place] = _position(index, room)
    start, stop, end = bounds
    for low, high in ((start, stop), (stop, end)):
        if low > high:
            raise CallError(f"invalid slice index: {low} > {high}")
    if isinstance(item, Slice):
        return item.window(start, stop, end)
    return type(item)(item[start:stop])


def _not(args: Sequence[Any], _limit: int) -> bool:
    return not is_true(args[0])


def _undecided(args: Sequence[Any], _limit: int) -> Any:
    """``and`` and ``or``: the evaluator stops at the argument that decides; else it is the last."""
    return args[-1]


def _print(args: Sequence[Any], limit: int) -> bytes:
    return fmt.sprint(args, limit)


def _println(args: Sequence[Any], limit: int) -> bytes:
    return fmt.sprintln(args, limit)


def _printf(args: Sequence[Any], limit: int) -> bytes:
    return fmt.sprintf(args[0], args[1:], limit)


def _joined(args: Sequence[Any], limit: int) -> bytes:
    if len(args) == 1 and isinstance(args[0], bytes):
        return bytes(args[0])
    return fmt.sprint([b"<no value>" if arg is None else arg for arg in args], limit)


_HTML: Final = {
    b"&": b"&amp;",  # first: the other replacements contain it
    b"<": b"&lt;",
    b">": b"&gt;",
    b'"': b"&#34;",
    b"'": b"&#39;",
    b"\0": b"\xef\xbf\xbd",
}
_JS: Final = {
    **{code: f"\\u{code:04X}" for code in range(32)},
    **{ord(char): f"\\u{ord(char):04X}" for char in "<>&="},
    **{ord(char): "\\" + char for char in "\\'\""},
}


def _html(args: Sequence[Any], limit: int) -> bytes:
    text = _joined(args, limit)
    for char, escape in _HTML.items():
        text = text.replace(char, escape)
    return text


def _js(args: Sequence[Any], limit: int) -> bytes:
    text = runes(_joined(args, limit)).translate(_JS)
    if not text.isascii():
        text = "".join(char if _stays_in_js(char) else f"\\u{ord(char):04X}" for char in text)
    return text.encode("utf-8", "surrogateescape")


def _stays_in_js(char: str) -> bool:
    return char < "\x80" or char.isprintable() or "\udc80" <= char <= "\udcff"


_URL_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_URL: Final = {
    code: bytes([code]) if code in _URL_SAFE else b"+" if code == 0x20 else b"%%%02X" % code for code in range(256)
}


def _urlquery(args: Sequence[Any], limit: int) -> bytes:
    return b"".join([_URL[code] for code in _joined(args, limit)])


def _call(args: Sequence[Any], _limit: int) -> Any:
    """Refuse: data holds no functions. The first argument is the source text of the callee."""
    name, callee = args[0], unboxed(args[1])
    if callee is INVALID:
        raise CallError("call of nil")
    raise CallError(f"non-function {readable(name)} of type {type_name(callee)}")


def call_name(value: Any) -> bytes:
    """Return how ``call`` names a piped callee: a string by itself, anything else by its type."""
    if value is INVALID:
        return b"<invalid Value>"
    return bytes(value) if isinstance(value, bytes) else f"<{type_name(value)} Value>".encode()


_ANY, _INTERFACE = Want.ANY, Want.INTERFACE

FUNCTIONS: Final[dict[str, Function]] = {
    "and": Function((_ANY,), _ANY, _undecided),
    "or": Function((_ANY,), _ANY, _undecided),
    "not": Function((_ANY,), None, _not),
    "call": Function((_ANY,), _ANY, _call),
    "len": Function((_ANY,), None, _len),
    "index": Function((_ANY,), _ANY, _index),
    "slice": Function((_ANY,), _ANY, _slice),
    "print": Function((), _INTERFACE, _print),
    "println": Function((), _INTERFACE, _println),
    "printf": Function((Want.STRING,), _INTERFACE, _printf),
    "html": Function((), _INTERFACE, _html),
    "js": Function((), _INTERFACE, _js),
    "urlquery": Function((), _INTERFACE, _urlquery),
    "eq": Function((_ANY,), _ANY, equal_to_any),
    "ne": Function((_ANY, _ANY), None, not_equal),
    "lt": Function((_ANY, _ANY), None, less),
    "le": Function((_ANY, _ANY), None, less_equal),
    "gt": Function((_ANY, _ANY), None, greater),
    "ge": Function((_ANY, _ANY), None, greater_equal),
}
NAMES: Final = frozenset(FUNCTIONS)

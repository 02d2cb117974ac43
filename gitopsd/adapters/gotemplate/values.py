"""The values that a template can hold, with the static types that Go's wording depends on.

==================  ===============================================
Go                  here
==================  ===============================================
string              bytes (a Go string may hold any bytes)
json.Number         Number
bool                bool
int, int64, uint8   int, Int64, Uint8
float64             float
complex128          complex
[]interface {}      Slice
map[string]any      dict with bytes keys
nil in data         None (only inside Slice, dict, Boxed, arguments)
interface {}        Boxed: an element of a list or map, not yet unwrapped
invalid Value       INVALID: the result of a missing key
==================  ===============================================
"""

from __future__ import annotations

from typing import Any, Final


class Number(bytes):
    """A number of the data, kept as its text: Go's ``json.Number``."""

    __slots__ = ()


class Int64(int):
    """What ``Number.Int64`` returns."""

    __slots__ = ()


class Uint8(int):
    """A byte of a string, as ``index`` returns it."""

    __slots__ = ()


class Slice:
    """A list: a window on shared items, with the capacity up to which ``slice`` may widen it."""

    __slots__ = ("capacity", "items", "start", "stop")

    def __init__(self, items: list[Any], start: int, stop: int, capacity: int) -> None:
        self.items = items
        self.start = start
        self.stop = stop
        self.capacity = capacity

    def __len__(self) -> int:
        return self.stop - self.start

    def at(self, index: int) -> Any:
        """Return the item at ``index``; items between length and capacity are nil."""
        position = self.start + index
        return self.items[position] if position < len(self.items) else None

    def values(self) -> list[Any]:
        """Return the items within the length, padded with nil up to it."""
        held = self.items[self.start : self.stop]
        return held + [None] * (len(self) - len(held))

    def window(self, start: int, stop: int, capacity: int) -> Slice:
        """Return the part from ``start`` to ``stop``, sharing the items; all relative to this slice."""
        return Slice(self.items, self.start + start, self.start + stop, capacity - start)


class Boxed:
    """A value whose static type is ``interface {}``; it may hold nil (None)."""

    __slots__ = ("inner",)

    def __init__(self, inner: Any) -> None:
        self.inner = inner


class _Invalid:
    __slots__ = ()

    def __repr__(self) -> str:
        return "INVALID"


INVALID: Final = _Invalid()

_TYPE_NAMES: Final[dict[type, str]] = {
    bytes: "string",
    Number: "json.Number",
    bool: "bool",
    int: "int",
    Int64: "int64",
    Uint8: "uint8",
    float: "float64",
    complex: "complex128",
    Slice: "[]interface {}",
    dict: "map[string]interface {}",
    Boxed: "interface {}",
}


def type_name(value: Any) -> str:
    """Return the name that Go prints for the type of ``value``."""
    return _TYPE_NAMES[type(value)]


def unboxed(value: Any) -> Any:
    """Return what an ``interface {}`` holds, with nil as INVALID; any other value as it is."""
    if type(value) is Boxed:
        return INVALID if value.inner is None else value.inner
    return value


def is_true(value: Any) -> bool:
    """Say whether ``if`` takes ``value`` as true: anything but nil, false, zero and empty."""
    plain = unboxed(value)
    return plain is not INVALID and bool(plain)


def is_integer(value: Any) -> bool:
    """Say whether ``value`` has one of Go's integer kinds."""
    return isinstance(value, int) and not isinstance(value, bool)

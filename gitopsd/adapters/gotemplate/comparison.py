"""The comparisons: ``eq ne lt le gt ge`` with Go's rules on which kinds go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import fmt
from .errors import CallError
from .strconv import readable
from .values import INVALID, Slice, is_integer, type_name, unboxed


def _kind(value: Any) -> str:
    """Return the basic kind; all integers are one, as Go compares signed with unsigned."""
    if isinstance(value, bytes):
        return "string"
    if is_integer(value):
        return "integer"
    return "none" if value is INVALID or isinstance(value, Slice | dict) else type_name(value)


def _types(first: Any, second: Any) -> str:
    return f"{type_name(first)} and {type_name(second)}"


def equal_to_any(args: Sequence[Any], limit: int) -> bool:
    """``eq``: whether the first argument equals one of the others, tried in order."""
    if len(args) == 1:
        raise CallError("missing argument for comparison")
    first = unboxed(args[0])
    return any(_equal(first, unboxed(other), limit) for other in args[1:])


def _equal(first: Any, second: Any, limit: int) -> bool:
    if first is INVALID or second is INVALID:
        return first is second
    kind = _kind(first)
    if kind != _kind(second):
        raise CallError(f"incompatible types for comparison: {_types(first, second)}")
    if kind != "none":
        return bool(first == second)
    if type(first) is not type(second):
        raise CallError(
            f"non-comparable types {_shown(first, b'%s', limit)}: {type_name(first)}, "
            f"{type_name(second)}: {_shown(second, b'%v', limit)}"
        )
    raise CallError(f"non-comparable type {_shown(second, b'%s', limit)}: {type_name(second)}")


def _shown(value: Any, directive: bytes, limit: int) -> str:
    return readable(fmt.sprintf(directive, [value], limit))


def not_equal(args: Sequence[Any], limit: int) -> bool:
    """``ne``: the opposite of ``eq`` of two."""
    return not equal_to_any(args, limit)


def less(args: Sequence[Any], _limit: int) -> bool:
    """``lt``: integers, floats and strings have an order, nothing else."""
    first, second = unboxed(args[0]), unboxed(args[1])
    kind, other = _kind(first), _kind(second)
    if "none" in (kind, other):
        raise CallError("invalid type for comparison")
    if kind != other:
        raise CallError(f"incompatible types for comparison: {_types(first, second)}")
    if kind not in ("string", "integer", "float64"):
        raise CallError("invalid type for comparison")
    return bool(first < second)


def less_equal(args: Sequence[Any], limit: int) -> bool:
    """``le``"""
    return less(args, limit) or equal_to_any(args, limit)


def greater(args: Sequence[Any], limit: int) -> bool:
    """``gt``"""
    return not less_equal(args, limit)


def greater_equal(args: Sequence[Any], limit: int) -> bool:
    """``ge``"""
    return not less(args, limit)

"""The one JSON form of the model: for the record, digests, the worker's pipe and ``--output json``.

A dataclass becomes an object with its class name under ``"$"`` and the fields that differ from their defaults,
so a field that a later release adds changes neither stored text nor a digest. A mapping that holds a key
beginning with ``"$"`` has that key escaped with one more. Times are ISO 8601, enums their values.

How each class is written and compared is found out once, when its first value is met.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from gitopsd.model.classes import class_named, register
from gitopsd.model.decoding import decode

__all__ = ["canonical", "decode", "digest", "dumps", "encode", "loads", "register", "same"]

_NONE = type(None)
_PLAIN = frozenset((_NONE, bool, int, float, str))
_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False)
_CANONICAL = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False, sort_keys=True)


def encode(value: object, *, whole: bool = True) -> Any:
    """A value of the model as plain JSON data; unless ``whole``, without the fields that take no part in equality
    (``field(compare=False)``). Raises TypeError for what the model does not know."""
    return (_WHOLE if whole else _COMPARED)[type(value)](value)


class _Writers(dict[type, Callable[[Any], Any]]):
    """How values of each type are written, found out at the first of them; unless ``whole``, without the fields that
    take no part in equality."""

    def __init__(self, *, whole: bool) -> None:
        super().__init__()
        self._whole = whole

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        self[kind] = made = self._made(kind)
        return made

    def _made(self, kind: type) -> Callable[[Any], Any]:
        if issubclass(kind, Mapping):
            return self._mapping
        if issubclass(kind, Enum):
            return lambda value: {"$": kind.__name__, "value": value.value}
        if kind is _NONE or issubclass(kind, (bool, int, float, str)):
            return lambda value: value
        if issubclass(kind, (tuple, list)):
            return self._list
        if issubclass(kind, datetime):
            return lambda value: {"$": "time", "value": value.isoformat()}
        if dataclasses.is_dataclass(kind) and class_named(kind.__name__):
            return self._dataclass(kind)
        raise TypeError(f"not part of the model: {kind.__name__}")

    def _list(self, value: Sequence[Any]) -> list[Any]:
        return [item if (kind := type(item)) in _PLAIN else self[kind](item) for item in value]

    def _mapping(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "$" + key if key[:1] == "$" else key: item if (kind := type(item)) in _PLAIN else self[kind](item)
            for key, item in value.items()
        }

    def _dataclass(self, kind: type) -> Callable[[Any], Any]:
        fields = [item for item in dataclasses.fields(kind) if self._whole or item.compare]
        usual = [(item.name, item.default, type(item.default)) for item in fields]
        tag = kind.__name__

        def written(value: Any) -> dict[str, Any]:
            data: dict[str, Any] = {"$": tag}
            for name, default, its_type in usual:
                item = getattr(value, name)
                if item is not default and ((kind := type(item)) is not its_type or item != default):
                    data[name] = item if kind in _PLAIN else self[kind](item)
            return data

        return written


_WHOLE, _COMPARED = _Writers(whole=True), _Writers(whole=False)


def canonical(value: object) -> str:
    """The one text of what a value is equal by: keys sorted, no blanks."""
    return _CANONICAL.encode(encode(value, whole=False))


def dumps(value: object) -> str:
    """A value as JSON text that :func:`loads` reads; keys keep their order."""
    return _JSON.encode(encode(value))


def loads(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError when it is none, or not of this model."""
    return decode(json.loads(text))


def digest(value: object) -> str:
    """SHA-256 (hex) of the canonical text."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def same(one: object, other: object) -> bool:
    """Whether two values have the same canonical text; unlike ``==`` it tells ``1`` from ``True`` and ``1.0``."""
    return one is other or _SAME[type(one)](one, other)


class _Comparisons(dict[type, Callable[[Any, Any], bool]]):
    """How values of each type are compared with others, found out at the first of them."""

    def __missing__(self, kind: type) -> Callable[[Any, Any], bool]:
        found: Callable[[Any, Any], bool] = _same_values
        if issubclass(kind, (tuple, list)):
            found = _same_items
        elif issubclass(kind, Mapping):
            found = _same_entries
        elif kind is float:
            found = _same_floats
        elif dataclasses.is_dataclass(kind):
            found = _same_fields(kind)
        self[kind] = found
        return found


_SAME = _Comparisons()


def _same_values(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _same_floats(one: float, other: Any) -> bool:
    return type(other) is float and repr(one) == repr(other)


def _same_items(one: Sequence[Any], other: Any) -> bool:
    return isinstance(other, (tuple, list)) and len(one) == len(other) and all(map(same, one, other))


def _same_entries(one: Mapping[str, Any], other: Any) -> bool:
    return (
        isinstance(other, Mapping)
        and one.keys() == other.keys()
        and all(same(mine, other[key]) for key, mine in one.items())
    )


def _same_fields(kind: type) -> Callable[[Any, Any], bool]:
    names = tuple(field.name for field in dataclasses.fields(kind) if field.compare)

    def equal(one: Any, other: Any) -> bool:
        if type(other) is not kind:
            return False
        for name in names:
            mine, its = getattr(one, name), getattr(other, name)
            if mine is not its and not _SAME[type(mine)](mine, its):
                return False
        return True

    return equal

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
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from gitopsd.kit.attributes import reader
from gitopsd.model.classes import class_named, register
from gitopsd.model.decoding import decode

__all__ = ["canonical", "decode", "digest", "dumps", "encode", "loads", "register", "same"]

_PLAIN = frozenset((type(None), bool, int, float, str))
_EXACT = frozenset((type(None), bool, int, str))
"""Of these types equal values have equal texts; ``-0.0`` equals ``0.0`` and NaN nothing."""
_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False)
_CANONICAL = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False, sort_keys=True)


def encode(value: object, *, whole: bool = True) -> Any:
    """A value of the model as plain JSON data; unless ``whole``, without the fields that take no part in equality
    (``field(compare=False)``). Raises TypeError for what the model does not know."""
    return (_WHOLE if whole else _COMPARED).encode(value)


class _Writer:
    """Writes values; unless ``whole``, without the fields that take no part in equality."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._by_type: dict[type, Callable[[Any], Any]] = {}

    def encode(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is tuple:
            encode = self.encode
            return [item if type(item) in _PLAIN else encode(item) for item in value]
        written = self._by_type.get(kind)
        if written is None:
            written = self._by_type[kind] = self._made(kind)
        return written(value)

    def _made(self, kind: type) -> Callable[[Any], Any]:
        if issubclass(kind, Mapping):
            return self._mapping
        if issubclass(kind, Enum):
            return lambda value: {"$": kind.__name__, "value": value.value}
        if issubclass(kind, (bool, int, float, str)):
            return lambda value: value
        if issubclass(kind, (tuple, list)):
            return lambda value: [self.encode(item) for item in value]
        if issubclass(kind, datetime):
            return lambda value: {"$": "time", "value": value.isoformat()}
        if dataclasses.is_dataclass(kind) and class_named(kind.__name__):
            return self._dataclass(kind)
        raise TypeError(f"not part of the model: {kind.__name__}")

    def _mapping(self, value: Mapping[str, Any]) -> dict[str, Any]:
        encode = self.encode
        return {
            "$" + key if key[:1] == "$" else key: item if type(item) in _PLAIN else encode(item)
            for key, item in value.items()
        }

    def _dataclass(self, kind: type) -> Callable[[Any], Any]:
        encode, fields = self.encode, [item for item in dataclasses.fields(kind) if self._whole or item.compare]
        values = reader([item.name for item in fields])
        usual = [(item.name, item.default, type(item.default)) for item in fields]

        def written(value: Any) -> dict[str, Any]:
            data: dict[str, Any] = {"$": kind.__name__}
            for (name, default, its_type), item in zip(usual, values(value), strict=True):
                if item is not default and (type(item) is not its_type or item != default):
                    data[name] = item if type(item) in _PLAIN else encode(item)
            return data

        return written


_WHOLE, _COMPARED = _Writer(whole=True), _Writer(whole=False)


def canonical(value: object) -> str:
    """The one text of what a value is equal by: keys sorted, no blanks."""
    return _CANONICAL.encode(_COMPARED.encode(value))


def dumps(value: object) -> str:
    """A value as JSON text that :func:`loads` reads; keys keep their order."""
    return _JSON.encode(_WHOLE.encode(value))


def loads(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError when it is none, or not of this model."""
    return decode(json.loads(text))


def digest(value: object) -> str:
    """SHA-256 (hex) of the canonical text."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def same(one: object, other: object) -> bool:
    """Whether two values have the same canonical text; unlike ``==`` it tells ``1`` from ``True`` and ``1.0``."""
    if one is other:
        return True
    kind = type(one)
    if kind in _EXACT:
        return kind is type(other) and one == other
    return (_COMPARISONS.get(kind) or _comparison(kind))(one, other)


_COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {}


def _comparison(kind: type) -> Callable[[Any, Any], bool]:
    """How values of a type are compared."""
    found = _same_values
    if issubclass(kind, (tuple, list)):
        found = _same_items
    elif issubclass(kind, Mapping):
        found = _same_entries
    elif kind is float:
        found = _same_floats
    elif dataclasses.is_dataclass(kind):
        found = _same_fields(kind)
    return _COMPARISONS.setdefault(kind, found)


def _same_values(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _same_floats(one: float, other: Any) -> bool:
    return type(other) is float and repr(one) == repr(other)


def _same_items(one: Any, other: Any) -> bool:
    return isinstance(other, (tuple, list)) and len(one) == len(other) and all(map(same, one, other))


def _same_entries(one: Mapping[str, Any], other: Any) -> bool:
    return (
        isinstance(other, Mapping)
        and one.keys() == other.keys()
        and all(same(item, other[key]) for key, item in one.items())
    )


def _same_fields(kind: type) -> Callable[[Any, Any], bool]:
    values = reader([field.name for field in dataclasses.fields(kind) if field.compare])

    def equal(one: Any, other: Any) -> bool:
        if type(other) is not kind:
            return False
        for mine, its in zip(values(one), values(other), strict=True):
            if mine is not its:
                exact = type(mine) in _EXACT
                if not (type(mine) is type(its) and mine == its if exact else same(mine, its)):
                    return False
        return True

    return equal

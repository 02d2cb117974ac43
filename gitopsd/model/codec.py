"""The one JSON form of the model: for the record, digests, the worker's pipe and ``--output json``.

A dataclass becomes an object with its class name under ``"$"`` and the fields that differ from their defaults,
so a field that a later release adds changes neither stored text nor a digest. A mapping that holds a key
beginning with ``"$"`` has that key escaped with one more. Times are ISO 8601, enums their values.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from importlib import import_module
from typing import Any, cast

_HOMES = (
    "gitopsd.model.values", "gitopsd.model.package", "gitopsd.model.parts", "gitopsd.model.ops", "gitopsd.model.plan",
    "gitopsd.errors", "gitopsd.model.environment", "gitopsd.model.head", "gitopsd.model.record", "gitopsd.model.diff",
    "gitopsd.model.run", "gitopsd.model.calls",
)  # fmt: skip
"""Where classes are looked for, what an evaluation needs first: each class that is made costs half a millisecond."""
_CLASSES: dict[str, type] = {}
_PLAIN = frozenset((type(None), bool, int, float, str))
_Field = tuple[str, bool, Any]
_FIELDS: dict[type, tuple[_Field, ...]] = {}
"""Of each dataclass that was met: names of fields, whether they take part in equality, and their defaults."""
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def register(module: Any) -> None:
    """Makes every dataclass and enum that ``module`` defines known to :func:`decode`."""
    for item in vars(module).values():
        if (
            isinstance(item, type)
            and item.__module__ == module.__name__
            and (dataclasses.is_dataclass(item) or issubclass(item, Enum))
        ):
            _CLASSES[item.__name__] = item


def _class_named(name: object) -> type | None:
    if not isinstance(name, str):
        return None
    for home in _HOMES:
        if name in _CLASSES:
            break
        register(import_module(home))
    return _CLASSES.get(name)


def encode(value: object, *, whole: bool = True) -> Any:
    """A value of the model as plain JSON data; unless ``whole``, without the fields that take no part in equality
    (``field(compare=False)``). Raises TypeError for what the model does not know."""
    return _encode(value, whole)


def _encode(value: object, whole: bool) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is tuple or kind is list:
        return [_encode(item, whole) for item in cast("tuple[object, ...]", value)]
    if (fields := _FIELDS.get(kind)) is not None:
        return _encode_dataclass(value, whole, fields)
    return _encode_other(value, whole)


def _encode_other(value: object, whole: bool) -> Any:
    if isinstance(value, Mapping):
        return {("$" + key if key.startswith("$") else key): _encode(item, whole) for key, item in value.items()}
    if isinstance(value, Enum):
        return {"$": type(value).__name__, "value": value.value}
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        return [_encode(item, whole) for item in value]
    if isinstance(value, datetime):
        return {"$": "time", "value": value.isoformat()}
    if dataclasses.is_dataclass(value) and _class_named(type(value).__name__):
        fields = tuple((field.name, field.compare, field.default) for field in dataclasses.fields(value))
        return _encode_dataclass(value, whole, _FIELDS.setdefault(type(value), fields))
    raise TypeError(f"not part of the model: {type(value).__name__}")


def _encode_dataclass(value: Any, whole: bool, fields: tuple[_Field, ...]) -> dict[str, Any]:
    data: dict[str, Any] = {"$": type(value).__name__}
    for name, compared, default in fields:
        if whole or compared:
            item = getattr(value, name)
            if item is not default and (type(item) is not type(default) or item != default):
                data[name] = _encode(item, whole)
    return data


def decode(data: Any) -> Any:
    """The value that :func:`encode` gave ``data`` for.

    Raises ValueError for a class or a field that this release does not know (written by a newer one).
    """
    from gitopsd.model.values import Frozen

    def decoded(data: Any) -> Any:
        kind = type(data)
        if kind is list:
            return tuple([decoded(item) for item in data])
        if kind is not dict:
            return data
        name = data.get("$")
        if name is not None:
            return _decode_named(name, data, decoded)
        return Frozen({(key[1:] if key[:1] == "$" else key): decoded(item) for key, item in data.items()})

    return decoded(data)


def _decode_named(name: Any, data: dict[str, Any], decoded: Callable[[Any], Any]) -> Any:
    if name == "time":
        return datetime.fromisoformat(data["value"])
    found = _class_named(name)
    if found is None:
        raise ValueError(f"unknown type {name!r}")
    if issubclass(found, Enum):
        return found(data["value"])
    try:
        return found(**{key: decoded(item) for key, item in data.items() if key != "$"})
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None


def canonical(value: object) -> str:
    """The one text of what a value is equal by: keys sorted, no blanks."""
    return _CANONICAL.encode(_encode(value, False))


def dumps(value: object) -> str:
    """A value as JSON text that :func:`loads` reads; keys keep their order."""
    return json.dumps(encode(value), separators=(",", ":"), ensure_ascii=False)


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
    if isinstance(one, (tuple, list)):
        return isinstance(other, (tuple, list)) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping):
        return (
            isinstance(other, Mapping)
            and one.keys() == other.keys()
            and all(same(item, other[key]) for key, item in one.items())
        )
    if type(one) is not type(other):
        return False
    names = _TOLD.get(type(one)) or _told(one)
    if names:
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    return repr(one) == repr(other) if isinstance(one, float) else one == other


_TOLD: dict[type, tuple[str, ...]] = {}


def _told(value: object) -> tuple[str, ...]:
    """Names of the fields that take part in the equality of a dataclass; none for any other value."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return ()
    found = tuple(field.name for field in dataclasses.fields(value) if field.compare)
    _TOLD[type(value)] = found
    return found

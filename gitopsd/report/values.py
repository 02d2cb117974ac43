"""Values of plans as people and ``--output json`` read them. Pure.

References stand as ``<exec/web@0 output>``; secrets by name; a text with references as one text.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from gitopsd.kit.text import one_line, shorten, strip_controls
from gitopsd.model.ops import AddService, Op
from gitopsd.model.parts import Artifacts, Image, Persistent
from gitopsd.model.values import Address, Secret, StepResult, Text, describe_ref, describe_text

SHOWN = 100
"""Characters of one value on a terminal line at most."""


def readable(value: object) -> Any:
    """A value of the model as plain JSON data for people; fields that hold their default are left out."""
    match value:
        case Text():
            return describe_text(value)
        case Artifacts():
            return list(value.names)
        case Persistent():
            return {"persistent_key": value.key, "size": value.size}
        case Image() if value == Image(name=value.name):
            return value.name
        case tuple() | list():
            return [readable(item) for item in value]
        case Mapping():
            return {str(key): readable(item) for key, item in value.items()}
        case None | bool() | int() | float() | str():
            return value
        case StepResult() | Address() | Secret():
            return describe_ref(value)
    return _fields(value)


def _fields(value: object) -> Any:
    if not dataclasses.is_dataclass(value):
        return str(value)
    found = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if field.default is dataclasses.MISSING or type(item) is not type(field.default) or item != field.default:
            found[field.name] = readable(item)
    return found


def arguments(op: Op) -> dict[str, Any]:
    """The fields of an op by name, as :func:`readable` has them."""
    found = readable(op)
    return found if isinstance(found, dict) else {}


def flat(op: Op) -> Iterator[tuple[str, Any]]:
    """The fields of an op for a terminal, one per line: a service's spec field by field, mappings by key."""
    found = arguments(op)
    if isinstance(op, AddService):
        found.update(found.pop("spec", {}))
    for name in ("name", "life", "service"):
        found.pop(name, None)
    for name, item in found.items():
        if isinstance(item, dict) and item and name not in ("recipe", "probe"):
            yield from ((one_line(f"{name}.{key}"), inner) for key, inner in item.items())
        else:
            yield name, item


def shown(value: object, *, limit: int = SHOWN) -> str:
    """A value on one terminal line: JSON, references as they are, control characters gone, cut at ``limit``."""
    if value is None:
        return "(none)"
    found = readable(value)
    text = found if isinstance(value, (StepResult, Address, Secret)) else json.dumps(found, ensure_ascii=False)
    return shorten(strip_controls(text), limit)

"""Field by field: what differs between two ops or two sets of inputs, and what a service's change needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import cast

from gitopsd.model.codec import encode, same
from gitopsd.model.diff import FieldChange
from gitopsd.model.ops import AddService, Op, spec_of
from gitopsd.model.values import Frozen, Value, freeze

LIVE_FIELDS = frozenset({"labels", "ports", "public_ports", "ready"})
"""Fields of a service outside the pod template: patched while its process runs on."""


def op_fields(before: Op, after: Op) -> tuple[FieldChange, ...]:
    """The fields in which two ops differ, with dotted paths; the wrapper ``spec`` of a service is left out."""
    if type(before) is not type(after):
        return (FieldChange(path="op", before=type(before).__name__, after=type(after).__name__),)
    if same(before, after):
        return ()
    found = _walk("", spec_of(before), spec_of(after))
    return tuple(
        FieldChange(path=path.removeprefix("spec."), before=_shown(old), after=_shown(new)) for path, old, new in found
    )


def _walk(path: str, before: object, after: object) -> Iterator[tuple[str, object, object]]:
    if same(before, after):
        return
    pairs: list[tuple[str, object, object]]
    if dataclasses.is_dataclass(before) and type(before) is type(after):
        names = [field.name for field in dataclasses.fields(before)]
        pairs = [(name, getattr(before, name), getattr(after, name)) for name in names]
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = dict.fromkeys((*before, *after))
        pairs = [(key, before.get(key), after.get(key)) for key in keys]
    elif isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after):
        pairs = [(str(index), *both) for index, both in enumerate(zip(before, after, strict=True))]
    else:
        yield path, before, after
        return
    for name, old, new in pairs:
        yield from _walk(f"{path}.{name}" if path else name, old, new)


def _shown(value: object) -> Value:
    """A part of an op as a free value: dataclasses that are no references become plain mappings."""
    if dataclasses.is_dataclass(value) and not hasattr(value, "parts") and type(value).__module__.endswith("parts"):
        return cast("Value", freeze({k: v for k, v in encode(value).items() if k != "$"}))
    if isinstance(value, Frozen):
        return Frozen({key: _shown(item) for key, item in value.items()})
    if isinstance(value, tuple):
        return tuple(_shown(item) for item in value)
    return cast("Value", value)


def input_fields(
    before: Mapping[str, Value], after: Mapping[str, Value], unknown: frozenset[str]
) -> tuple[FieldChange, ...]:
    """The inputs that differ; those in ``unknown`` are known only after apply."""
    found = []
    for name in dict.fromkeys((*before, *after, *sorted(unknown))):
        if name in unknown:
            found.append(FieldChange(path=name, before=before.get(name), known=False))
        elif not same(before.get(name), after.get(name)):
            found.append(FieldChange(path=name, before=before.get(name), after=after.get(name)))
    return tuple(found)


def needs_restart(before: AddService, after: AddService) -> bool:
    """Whether a change of a service's spec can only be had by starting its process anew."""
    return any(
        not same(getattr(before.spec, field.name), getattr(after.spec, field.name))
        for field in dataclasses.fields(after.spec)
        if field.name not in LIVE_FIELDS
    )

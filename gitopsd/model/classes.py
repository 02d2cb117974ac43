"""The classes of the model by name, and what the annotations of their fields mean."""

from __future__ import annotations

import builtins
import dataclasses
import sys
from collections.abc import Iterator
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any

_HOMES = (
    "gitopsd.model.values", "gitopsd.model.package", "gitopsd.model.parts", "gitopsd.model.ops", "gitopsd.model.plan",
    "gitopsd.errors", "gitopsd.model.environment", "gitopsd.model.head", "gitopsd.model.record", "gitopsd.model.diff",
    "gitopsd.model.run", "gitopsd.model.calls",
)  # fmt: skip
"""Where classes are looked for, what an evaluation needs first: each class that is made costs half a millisecond."""
_CLASSES: dict[str, type] = {}


def register(module: Any) -> None:
    """Makes every dataclass and enum that ``module`` defines known to the codec."""
    for item in vars(module).values():
        if (
            isinstance(item, type)
            and item.__module__ == module.__name__
            and (dataclasses.is_dataclass(item) or issubclass(item, Enum))
        ):
            _CLASSES[item.__name__] = item


def class_named(name: object) -> type | None:
    """The dataclass or enum of this name, from the first module that has it."""
    if not isinstance(name, str):
        return None
    for home in _HOMES:
        if name in _CLASSES:
            break
        register(import_module(home))
    return _CLASSES.get(name)


class _Scope(dict[str, Any]):
    """What names in the annotations of a module mean. Names that the module imports for type checkers only are looked
    for in the modules of the model."""

    def __init__(self, module: str) -> None:
        super().__init__(vars(sys.modules[module]))

    def __missing__(self, name: str) -> Any:
        if not hasattr(builtins, name):
            for home in _HOMES:
                if name in (names := vars(import_module(home))):
                    return names[name]
        raise KeyError(name)  # a builtin, or NameError


_scope = cache(_Scope)


@cache
def hint(module: str, annotation: str) -> Any:
    """The type that an annotation in a module stands for. Raises NameError for a name that nobody defines."""
    return eval(annotation, {}, _scope(module))  # our own source text


def hints(kind: type) -> Iterator[tuple[str, Any]]:
    """The fields of a dataclass with their types."""
    for field in dataclasses.fields(kind):
        yield field.name, hint(kind.__module__, str(field.type))

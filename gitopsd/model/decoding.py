"""From JSON to the model, each field checked against its annotation.

An annotation becomes a :class:`Shape`: which scalars may stand at a place, which objects by their tag, whether a list,
whether an object without a tag. A union is one shape, so that nothing is tried twice. The shapes of a class are made
when its first object is met: a command that decodes little starts fast.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import Enum
from types import UnionType
from typing import Any, ForwardRef, Union, get_args, get_origin

from gitopsd.model import classes
from gitopsd.model.values import Frozen

_NONE = type(None)
_SCALARS: dict[Any, tuple[str, frozenset[type]]] = {
    _NONE: ("None", frozenset((_NONE,))),
    bool: ("bool", frozenset((bool,))),
    int: ("int", frozenset((int,))),
    float: ("float", frozenset((float, int))),  # whole seconds may be written without a point, and stay so
    str: ("str", frozenset((str,))),
}
_LONGEST = 60


class _MismatchError(ValueError):
    """A value that does not fit its place, which is not known yet where this is raised."""


class Shape:
    """What may stand at one place: scalars by type, objects by tag, a list whose items have one shape or each its own,
    an object without a tag."""

    __slots__ = ("entries", "fixed", "items", "names", "plain", "tagged")

    def __init__(self, *names: str) -> None:
        self.names = names
        self.plain: frozenset[type] = frozenset()
        self.tagged: dict[str, _Tagged] = {}
        self.items: Shape | None = None
        self.fixed: tuple[Shape, ...] | None = None
        self.entries: Shape | None = None

    def decoded(self, data: Any) -> Any:
        """The value that ``data`` is the JSON of. Raises ValueError when it does not fit."""
        kind = type(data)
        if kind is dict:
            if (tag := data.get("$")) is None:
                if (shape := self.entries) is not None:
                    plain, decoded = shape.plain, shape.decoded
                    return Frozen({
                        key[1:] if key[:1] == "$" else key: item if type(item) in plain else decoded(item)
                        for key, item in data.items()
                    })  # fmt: skip
            elif isinstance(tag, str) and (found := self.tagged.get(tag)) is not None:
                return found.decoded(data)
        elif kind is list and (shape := self.items) is not None:
            plain, decoded = shape.plain, shape.decoded
            return tuple([item if type(item) in plain else decoded(item) for item in data])
        return self._seldom(kind, data)

    def _seldom(self, kind: type, data: Any) -> Any:
        if kind in self.plain:
            return data
        if kind is list and self.fixed is not None and len(self.fixed) == len(data):
            return tuple(shape.decoded(item) for shape, item in zip(self.fixed, data, strict=True))
        if (found := self.tagged.get(kind.__name__)) is not None and found.kind is kind:
            return data
        raise _MismatchError(f"expected {' | '.join(self.names)}, found {_described(data)}")


class _Tagged:
    """How objects of one tag are read: those of a dataclass, an enum, or a time."""

    __slots__ = ("_fields", "_make", "_usual", "kind")

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self._fields: dict[str, _Field] = {}
        self._usual: tuple[tuple[str, Any, Callable[[Any, Any], None]], ...] = ()
        self._make: Callable[[Any], Any] | None = None
        if issubclass(kind, datetime):
            self._make = kind.fromisoformat
        elif issubclass(kind, Enum):
            self._make = kind

    def decoded(self, data: dict[str, Any]) -> Any:
        """The value of an object. Raises ValueError for a field that is unknown, missing, or does not fit."""
        if self._make is not None:
            return self._made(self._make, data.get("value"))
        fields = self._fields or self._compiled()
        made: Any = _new(self.kind)
        name = ""
        try:
            for name, item in data.items():
                plain, decoded, put = fields[name]
                put(made, item if type(item) in plain else decoded(item))
        except _MismatchError as error:
            raise ValueError(f"{self.kind.__name__}.{name}: {error}") from None
        except KeyError:
            raise ValueError(f"{self.kind.__name__}: unknown field {name!r}") from None
        if len(data) != len(fields):
            self._complete(made, data)
        return made

    def _complete(self, made: Any, data: dict[str, Any]) -> None:
        for name, default, put in self._usual:
            if name not in data:
                if default is dataclasses.MISSING:
                    raise ValueError(f"{self.kind.__name__}: field {name!r} is missing")
                put(made, default)

    def _made(self, make: Callable[[Any], Any], value: Any) -> Any:
        try:
            return make(value)
        except (TypeError, ValueError):
            raise _MismatchError(f"expected {self.kind.__name__}, found {_described(value)}") from None

    def _compiled(self) -> dict[str, _Field]:
        kind: Any = self.kind
        shapes = {name: shape_of(hint) for name, hint in classes.hints(kind)}
        put_by_name = {name: vars(kind)[name].__set__ for name in shapes}  # slots: ``frozen`` hinders attributes only
        self._usual = tuple((field.name, field.default, put_by_name[field.name]) for field in dataclasses.fields(kind))
        self._fields = {name: (shape.plain, shape.decoded, put_by_name[name]) for name, shape in shapes.items()}
        self._fields["$"] = (_SCALARS[str][1], Shape().decoded, lambda *_: None)
        return self._fields


_Field = tuple[frozenset[type], Callable[[Any], Any], Callable[[Any, Any], None]]
_new = object.__new__


_TAGGED: dict[type, _Tagged] = {}


def _tagged(kind: type) -> _Tagged:
    if kind not in _TAGGED:
        _TAGGED[kind] = _Tagged(kind)
    return _TAGGED[kind]


def _described(data: Any) -> str:
    """A piece of JSON as people read it, shortened."""
    if isinstance(data, dict):
        return f"an object of type {data['$']!r:.{_LONGEST}}" if "$" in data else "an object without a type"
    return f"a list of {len(data)}" if isinstance(data, list) else f"{data!r:.{_LONGEST}}"


_SHAPES: dict[Any, Shape] = {}


def shape_of(hint: Any) -> Shape:
    """The shape of a type. Raises TypeError for one that has no JSON form here."""
    if isinstance(hint, (str, ForwardRef)):  # in an alias that holds itself
        hint = classes.hint("gitopsd.model.values", hint if isinstance(hint, str) else hint.__forward_arg__)
    if hint is Any:
        return _ANYTHING
    if hint not in _SHAPES:
        _SHAPES[hint] = shape = Shape()  # before its parts, which may hold it
        try:
            _fill(shape, hint)
        except BaseException:
            del _SHAPES[hint]
            raise
    return _SHAPES[hint]


def _fill(shape: Shape, hint: Any) -> None:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        _merge(shape, [shape_of(part) for part in parts])
    elif origin is tuple:
        shape.names = ("list",)
        if parts[-1] is ...:
            shape.items = shape_of(parts[0])
        else:
            shape.fixed = tuple(shape_of(part) for part in parts)
    elif origin is Frozen:
        shape.names, shape.entries = ("object",), shape_of(parts[0])
    elif hint in _SCALARS:
        name, shape.plain = _SCALARS[hint]
        shape.names = (name,)
    elif isinstance(hint, type) and (dataclasses.is_dataclass(hint) or issubclass(hint, (Enum, datetime))):
        shape.names = (hint.__name__,)
        shape.tagged = {"time" if hint is datetime else hint.__name__: _tagged(hint)}
    else:
        raise TypeError(f"no JSON form of {hint!r}")


def _merge(shape: Shape, parts: Iterable[Shape]) -> None:
    """Makes a shape of all that may stand in the place of any of its parts, which differ in their JSON."""
    for part in parts:
        shape.names += part.names
        shape.plain |= part.plain
        shape.tagged |= part.tagged
        shape.items = shape.items or part.items
        shape.fixed = shape.fixed or part.fixed
        shape.entries = shape.entries or part.entries


class _Anything(Shape):
    """The shape of every value of the model. Classes are looked for when they are first met."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("a value of the model")
        self.plain = frozenset((bool, int, float, str, _NONE))
        self.items = self.entries = self

    def _seldom(self, kind: type, data: Any) -> Any:
        tag = data["$"] if kind is dict else kind.__name__
        if kind in self.plain or not isinstance(tag, str) or tag in self.tagged:
            return super()._seldom(kind, data)
        found = datetime if tag == "time" else classes.class_named(tag)
        if found is None:
            raise ValueError(f"unknown type {tag!r}")
        self.tagged[tag] = _tagged(found)
        return self.decoded(data)


_ANYTHING = _Anything()


def decode(data: Any) -> Any:
    """The value that :func:`~gitopsd.model.codec.encode` gave ``data`` for; a value of the model in the place of its
    data stays as it is.

    Raises ValueError for a class or a field that this release does not know (written by a newer one), and for what is
    not of the type that its field has.
    """
    return _ANYTHING.decoded(data)

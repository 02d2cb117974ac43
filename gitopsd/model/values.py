"""Free values: frozen JSON with references inside.

A :data:`Value` is what a package may put into an argument of an instruction. A reference (:data:`Ref`) names
something that is known only after another step ran; :class:`Text` is a text with references in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass
from operator import is_
from typing import Any, Generic, TypeVar, cast, overload

from gitopsd.kit.numbers import starlark_float

V_co = TypeVar("V_co", covariant=True)
T = TypeVar("T")


class Frozen(Mapping[str, V_co], Generic[V_co]):
    """A read-only, hashable mapping that keeps the order of its keys; equality ignores the order."""

    __slots__ = ("_hash", "_items")

    def __init__(self, items: Mapping[str, V_co] | None = None) -> None:
        self._items: dict[str, V_co] = dict(items or {})
        self._hash: int | None = None

    def __getitem__(self, key: str) -> V_co:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    @overload
    def get(self, key: str, /) -> V_co | None: ...
    @overload
    def get(self, key: str, /, default: V_co | T) -> V_co | T: ...
    def get(self, key: str, /, default: Any = None) -> Any:
        return self._items.get(key, default)

    def keys(self) -> KeysView[str]:
        return self._items.keys()

    def values(self) -> ValuesView[V_co]:
        return self._items.values()

    def items(self) -> ItemsView[str, V_co]:
        return self._items.items()

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._items.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        if type(other) is Frozen:
            return self._items == other._items
        return self._items == dict(other) if isinstance(other, Mapping) else NotImplemented

    def __repr__(self) -> str:
        return f"Frozen({self._items!r})"

    def __reduce__(self) -> tuple[type[Frozen[V_co]], tuple[dict[str, V_co]]]:
        return (Frozen, (self._items,))

    def with_(self, changes: Mapping[str, Any]) -> Frozen[V_co]:
        """A copy in which the keys of ``changes`` have its values."""
        return Frozen({**self._items, **changes})

    def without(self, *keys: str) -> Frozen[V_co]:
        """A copy that lacks ``keys``."""
        return Frozen({key: value for key, value in self._items.items() if key not in keys})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """A field of the result of another step: ``output``, ``code``, ``body``, ``extract.<key>``."""

    step: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """``ip_address`` or ``hostname`` of a service, named by its plain name."""

    service: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret that the operator bound to the environment, by name. ``form`` is how it is spelled where a result holds
    it, such as ``json`` with its quotes escaped; empty: as it is."""

    name: str
    form: str = ""


Ref = StepResult | Address | Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text with references in it: plain parts and references in order."""

    parts: tuple[str | Ref, ...]


Json = None | bool | int | float | str | tuple["Json", ...] | Frozen["Json"]
Value = None | bool | int | float | str | Ref | Text | tuple["Value", ...] | Frozen["Value"]


def freeze(value: object) -> Json:
    """Decoded JSON (dicts, lists, scalars) as frozen JSON. Raises TypeError for anything else."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return Frozen({str(key): freeze(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    raise TypeError(f"not JSON: {type(value).__name__}")


def thaw(value: Json) -> object:
    """Frozen JSON as ordinary dicts and lists."""
    if isinstance(value, Frozen):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [thaw(item) for item in value]
    return value


_LEAVES = frozenset((type(None), bool, int, float, str))


_REFS: frozenset[type] = frozenset((StepResult, Address, Secret))


def refs_in(value: object) -> Iterator[Ref]:
    """Every reference inside a value, an op or any dataclass of the model, in order, duplicates included."""
    stack = [value]
    while stack:
        item: Any = stack.pop()
        kind = type(item)
        if kind in _REFS:
            yield item
            continue
        if kind is tuple:
            inner = item
        elif kind is Frozen or kind is dict:
            inner = item.values()
        else:
            inner = [getattr(item, name) for name in getattr(kind, "__dataclass_fields__", ())]
        stack += [part for part in inner if type(part) not in _LEAVES][::-1]


def map_refs(value: T, change: Callable[[Ref], Value]) -> T:
    """The same value (or op, or dataclass) with every reference replaced by what ``change`` gives for it; itself where
    there is none.

    Inside a :class:`Text` a replacement that is a plain string joins its neighbours; a text without references
    left becomes a string.
    """
    return cast(T, _map(value, change))


def _map(value: object, change: Callable[[Ref], Value]) -> object:
    if type(value) in _LEAVES:
        return value
    if isinstance(value, (StepResult, Address, Secret)):
        return change(value)
    if isinstance(value, Text):
        return _map_text(value, change)
    if isinstance(value, Frozen):
        entries = {key: _map(item, change) for key, item in value.items()}
        return value if _equal(value.values(), entries.values()) else Frozen(entries)
    if isinstance(value, tuple):
        items = tuple([_map(item, change) for item in value])
        return value if _equal(value, items) else items
    names = getattr(value, "__dataclass_fields__", None)
    if names is None:
        return value
    fields = {name: getattr(value, name) for name in names}
    mapped = {name: _map(item, change) for name, item in fields.items()}
    return value if _equal(fields.values(), mapped.values()) else type(value)(**mapped)


def _equal(before: Iterable[object], after: Iterable[object]) -> bool:
    """Whether nothing in it was replaced."""
    return all(map(is_, before, after))


def _map_text(value: Text, change: Callable[[Ref], Value]) -> str | Text:
    parts: list[str | Ref] = []
    for part in value.parts:
        new = part if isinstance(part, str) else change(part)
        pieces = new.parts if isinstance(new, Text) else (new if is_ref(new) else plain_text(new),)
        for piece in cast("tuple[str | Ref, ...]", pieces):
            if isinstance(piece, str) and parts and isinstance(parts[-1], str):
                parts[-1] += piece
            else:
                parts.append(piece)
    return join_parts(parts)


def join_parts(parts: list[str | Ref]) -> str | Text:
    """Parts as a string when there is no reference among them, else as a :class:`Text`."""
    if all(isinstance(part, str) for part in parts):
        return "".join(cast("list[str]", parts))
    return Text(parts=tuple(parts))


def is_ref(value: object) -> bool:
    """Whether a value is a reference by itself."""
    return isinstance(value, (StepResult, Address, Secret))


def plain_text(value: object) -> str:
    """A resolved value inside a text: strings as they are, everything else in Starlark's printed form
    (``future-references.md`` section 4: ``200``, ``True``, ``["a", "b"]``)."""
    return value if isinstance(value, str) else starlark_repr(value)


def starlark_repr(value: object) -> str:
    """A JSON value as Starlark prints it."""
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, float):
        return starlark_float(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quote(k)}: {starlark_repr(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(starlark_repr(item) for item in value) + "]"
    if isinstance(value, (StepResult, Address, Secret)):
        return describe_ref(value)
    if isinstance(value, Text):
        return _quote(describe_text(value))
    return repr(value)


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"})


def _quote(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def describe_ref(ref: Ref) -> str:
    """A reference as people read it: ``<exec/web#1 output>``."""
    match ref:
        case StepResult(step=step, field=name):
            return f"<{step} {name}>"
        case Address(service=service, field=name):
            return f"<{service} {name}>"
        case Secret(name=name):
            return f"<secret {name}>"


def describe_text(value: str | Text | Ref) -> str:
    """A text with its references in readable form."""
    if isinstance(value, str):
        return value
    if isinstance(value, Text):
        return "".join(part if isinstance(part, str) else describe_ref(part) for part in value.parts)
    return describe_ref(value)

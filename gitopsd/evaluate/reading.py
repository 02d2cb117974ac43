"""Reads checked arguments into what ops are made of: elements of lists and dicts are checked here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from gitopsd.evaluate.arguments import a, wrong
from gitopsd.evaluate.engine import HostError, StarlarkValue, StructValue
from gitopsd.evaluate.printing import shown, type_name
from gitopsd.evaluate.references import References
from gitopsd.kit.duration import format_duration, parse_duration
from gitopsd.model.values import Frozen, Value

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fields:
    """The arguments of one call, or the set fields of one object. ``owner`` names it in messages; every reader takes
    the name of a field and gives a default when it is not set, and raises HostError for elements of a wrong type."""

    owner: str
    values: Mapping[str, StarlarkValue]
    references: References

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def get(self, name: str) -> StarlarkValue:
        """The value itself; None when it is not set."""
        return self.values.get(name)

    def what(self, name: str, key: StarlarkValue = None) -> str:
        """A field, or an element of it, for messages."""
        return f"{self.owner}: {name}" if key is None else f"{self.owner}: {name}[{shown(key)}]"

    def of(self, value: StructValue) -> Fields:
        """The fields of an object of a Kurtosis type."""
        return Fields(value.type_name, value.fields, self.references)

    def remark(self, name: str, told: str) -> None:
        """Notes, for a warning at the author's line, what is odd about a field."""
        self.references.remarks.append(f"{self.what(name)} is {shown(self.values.get(name))}, {told}")

    def plain(self, name: str, default: str = "") -> str:
        """A string in which nothing is resolved."""
        value = self.values.get(name)
        return default if value is None else self.references.opaque(value, self.what(name))

    def known(self, name: str) -> str:
        """A string that has to be known now."""
        return self.references.plain(self.values.get(name, ""), self.what(name))

    def text(self, name: str, default: str = "") -> Value:
        """A string that may hold references."""
        value = self.values.get(name)
        return default if value is None else self.references.text(value)

    def free(self, name: str) -> Value:
        """Any JSON-able value."""
        return self.references.value(self.values.get(name), self.what(name))

    def integer(self, name: str, default: int = 0) -> int:
        value = self.values.get(name)
        return default if value is None else int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.values.get(name)
        return default if value is None else bool(value)

    def seconds(self, name: str, default: float) -> float:
        """A duration, in seconds; an empty one is the default, with a remark."""
        value = self.values.get(name)
        if value == "":
            self.remark(name, f"taken for {format_duration(default)}")
        return parse_duration(value) if value else default

    def seconds_or_none(self, name: str, default: float) -> float | None:
        """A duration in seconds; None only when it was given as None."""
        return None if name in self.values and self.values[name] is None else self.seconds(name, default)

    def texts(self, name: str) -> tuple[Value, ...]:
        """A list of strings that may hold references."""
        return tuple(self.references.text(item) for item in self._strings(name))

    def plains(self, name: str) -> tuple[str, ...]:
        """A list of strings in which nothing is resolved."""
        return tuple(self._plain(item, name, index) for index, item in enumerate(self._strings(name)))

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of integers of 64 bits."""
        if name not in self.values:
            return default
        items = self.items(name, lambda item, what: _exactly(item, "int", what))
        for index, item in enumerate(items):
            if not -(2**63) <= item < 2**63:
                raise wrong(self.what(name, index), item, "an integer of 64 bits")
        return tuple(items)

    def text_map(self, name: str) -> Frozen[Value]:
        """A dict from strings to strings that may hold references."""
        return Frozen({key: self.references.text(item) for key, item in self._string_map(name).items()})

    def plain_map(self, name: str) -> Frozen[str]:
        """A dict from strings to strings in which nothing is resolved."""
        return Frozen({key: self._plain(item, name, key) for key, item in self._string_map(name).items()})

    def known_map(self, name: str) -> Frozen[str]:
        """A dict from strings to strings that have to be known now."""
        items = self._string_map(name).items()
        return Frozen({key: self.references.plain(item, self.what(name, key)) for key, item in items})

    def items(self, name: str, read: Callable[[StarlarkValue, str], T]) -> tuple[T, ...]:
        """The elements of a list, each read by ``read(element, what)``."""
        return tuple(read(item, self.what(name, index)) for index, item in enumerate(self.values.get(name) or ()))

    def pairs(self, name: str, read: Callable[[StarlarkValue, str], T]) -> Frozen[T]:
        """The entries of a dict whose keys are strings, each value read by ``read(value, what)``."""
        found: dict[str, T] = {}
        for key, item in (self.values.get(name) or {}).items():
            if not isinstance(key, str):
                raise self._no_key(name, key)
            found[self.references.key(key)] = read(item, self.what(name, key))
        return Frozen(found)

    def _plain(self, text: str, name: str, key: StarlarkValue) -> str:
        return text if self.references.is_plain(text) else self.references.opaque(text, self.what(name, key))

    def _strings(self, name: str) -> tuple[str, ...]:
        items = self.values.get(name) or ()
        for index, item in enumerate(items):
            if not isinstance(item, str):
                raise wrong(self.what(name, index), item, a("string"))
        return tuple(items)

    def _string_map(self, name: str) -> dict[str, str]:
        items = self.values.get(name) or {}
        for key, item in items.items():
            if not isinstance(key, str):
                raise self._no_key(name, key)
            if not isinstance(item, str):
                raise wrong(self.what(name, key), item, a("string"))
        return {self.references.key(key): item for key, item in items.items()}

    def _no_key(self, name: str, key: StarlarkValue) -> HostError:
        return HostError(f"{self.what(name)} has the key {shown(key)} ({type_name(key)}), expected a string")


def _exactly(value: StarlarkValue, expected: str, what: str) -> StarlarkValue:
    if type_name(value) != expected:
        raise wrong(what, value, a(expected))
    return value


def instance(value: StarlarkValue, what: str, *types: str) -> StructValue:
    """An object of one of these Kurtosis types. Raises HostError."""
    if isinstance(value, StructValue) and value.type_name in types:
        return value
    raise wrong(what, value, a(" or ".join(types)))

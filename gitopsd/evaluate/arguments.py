"""The argument rules that all plan methods and type constructors share (``starlark-api.md`` section 2), as tables.

A callable is described by a :class:`Signature`; :func:`bind` checks a call against it. Types are exact: a tuple is no
list, a struct no dict, ``True`` no int; optional means that it may be left out, not that it may be ``None``; every
callable takes one more optional ``description`` at the end. What is inside a list or a dict is checked when it is
read (:mod:`gitopsd.evaluate.reading`), since a type object that nothing uses may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gitopsd.evaluate.engine import HostError, StarlarkValue
from gitopsd.evaluate.printing import shown, type_name
from gitopsd.kit.text import suggestion

Rule = Callable[[StarlarkValue], str]
"""Says what was expected instead of a value of the right type; empty when the value is fine."""

TEXT = ("string",)
INT = ("int",)
BOOL = ("bool",)
LIST = ("list",)
DICT = ("dict",)
ANY: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One argument. ``types`` are the Starlark type names that it takes; empty: any value."""

    name: str
    types: tuple[str, ...]
    required: bool
    rule: Rule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A callable by its name in messages, with its parameters in positional order."""

    name: str
    parameters: tuple[Parameter, ...]


def non_empty(value: StarlarkValue) -> str:
    """A rule: neither ``""``, nor ``[]`` nor ``{}``."""
    return "" if value else "something that is not empty"


def need(name: str, types: tuple[str, ...], rule: Rule | None = None) -> Parameter:
    """A parameter that must be given."""
    return Parameter(name=name, types=types, required=True, rule=rule)


def may(name: str, types: tuple[str, ...], rule: Rule | None = None) -> Parameter:
    """A parameter that may be left out."""
    return Parameter(name=name, types=types, required=False, rule=rule)


_DESCRIPTION = may("description", TEXT, non_empty)


def signature(name: str, *parameters: Parameter) -> Signature:
    """A signature whose last parameter is ``description``."""
    return Signature(name=name, parameters=(*parameters, _DESCRIPTION))


def bind(
    called: Signature, args: tuple[StarlarkValue, ...], kwargs: Mapping[str, StarlarkValue]
) -> dict[str, StarlarkValue]:
    """The arguments that were given, by name and in declared order. Raises HostError for the first that is wrong."""
    if len(args) > len(called.parameters):
        raise HostError(f"{called.name}: got {len(args)} positional arguments, expected at most {_limit(called)}")
    given = {parameter.name: value for parameter, value in zip(called.parameters, args, strict=False)}
    known = [parameter.name for parameter in called.parameters]
    for name, value in kwargs.items():
        if name not in known:
            raise HostError(f"{called.name}: unexpected argument {name!r}, expected {_unknown(name, known)}")
        if name in given:
            raise HostError(f"{called.name}: argument {name!r} is given twice, by position and by name; expected once")
        given[name] = value
    return {
        item.name: _checked(called, item, given[item.name])
        for item in called.parameters
        if _is_set(item, given, called)
    }


def _limit(called: Signature) -> str:
    return f"{len(called.parameters)} ({', '.join(parameter.name for parameter in called.parameters)})"


def _unknown(name: str, known: list[str]) -> str:
    return f"one of {', '.join(known)}" + (f"; {near}" if (near := suggestion(name, known)) else "")


def _is_set(parameter: Parameter, given: Mapping[str, StarlarkValue], called: Signature) -> bool:
    if parameter.name in given:
        return True
    if parameter.required:
        kind = " or ".join(parameter.types) or "value"
        raise HostError(f"{called.name}: the argument {parameter.name!r} is missing, expected {a(kind)}")
    return False


def _checked(called: Signature, parameter: Parameter, value: StarlarkValue) -> StarlarkValue:
    if parameter.types and type_name(value) not in parameter.types:
        expected = a(" or ".join(parameter.types))
        left_out = "; leave it out instead of passing None" if value is None and not parameter.required else ""
        raise wrong(f"{called.name}: argument {parameter.name!r}", value, expected + left_out)
    if parameter.rule and (expected := parameter.rule(value)):
        raise wrong(f"{called.name}: argument {parameter.name!r}", value, expected)
    return value


def wrong(what: str, value: StarlarkValue, expected: str) -> HostError:
    """The error for a value: what it is, its type, and what was expected."""
    return HostError(f"{what} is {shown(value)} ({type_name(value)}), expected {expected}")


def a(noun: str) -> str:
    """A noun with its article."""
    return f"an {noun}" if noun[0] in "aeiouAEIO" else f"a {noun}"

"""Arguments of builtins that are written in Python, checked in the words of go.starlark.net/starlark/unpack.go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitopsd.adapters.starlark.crossing import type_of
from gitopsd.adapters.starlark.spelling import nearest
from gitopsd.evaluate.engine import HostError, StarlarkValue

__all__ = ["by_name", "by_position"]


def by_position(
    function: str,
    args: Sequence[StarlarkValue],
    kwargs: Mapping[str, StarlarkValue],
    kinds: Sequence[str],
    *,
    minimum: int = 1,
) -> list[StarlarkValue]:
    """Take positional arguments only; `kinds` are type names, or "" for any. Raises HostError."""
    if kwargs:
        raise HostError(f"{function}: unexpected keyword arguments")
    most = len(kinds)
    if not minimum <= len(args) <= most:
        bound = "" if minimum == most else "at least " if len(args) < minimum else "at most "
        wanted = minimum if len(args) < minimum else most
        raise HostError(f"{function}: got {len(args)} arguments, want {bound}{wanted}")
    for place, (value, kind) in enumerate(zip(args, kinds, strict=False), 1):
        _check(value, kind, f"{function}: for parameter {place}")
    return list(args)


def by_name(
    function: str, args: Sequence[StarlarkValue], kwargs: Mapping[str, StarlarkValue], kinds: Mapping[str, str]
) -> dict[str, StarlarkValue]:
    """Take arguments by position or name; `kinds` maps a name to its type. Raises HostError."""
    if len(args) > len(kinds):
        raise HostError(f"{function}: got {len(args)} arguments, want at most {len(kinds)}")
    found: dict[str, StarlarkValue] = {}
    for name, value in zip(kinds, args, strict=False):
        _check(value, kinds[name], f"{function}: for parameter {name}")
        found[name] = value
    for name, value in kwargs.items():
        if name in found:
            raise HostError(f'{function}: got multiple values for keyword argument "{name}"')
        if name not in kinds:
            # Only every other name is a candidate there.
            guess = nearest(name, list(kinds)[: (len(kinds) + 1) // 2], mark="")
            raise HostError(f'{function}: unexpected keyword argument "{name}"{guess}')
        _check(value, kinds[name], f'{function}: for parameter "{name}"')
        found[name] = value
    return found


def _check(value: StarlarkValue, kind: str, what: str) -> None:
    if kind and type_of(value) != kind:
        raise HostError(f"{what}: got {type_of(value)}, want {kind}")
    if kind == "int" and not -(2**63) <= value < 2**63:
        raise HostError(f"{what}: {value} out of range (want value in signed 64-bit range)")

"""What an author may have meant: the engine's words stay as they are, and a hint follows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gitopsd.adapters.starlark.lowered import Lowered
from gitopsd.kit.text import suggestion

__all__ = ["hint"]

_UNEXPECTED = re.compile(r'function (?P<function>\w+) got an unexpected keyword argument "?(?P<name>\w+)"?\Z')
_UNDEFINED = re.compile(r"undefined: (?P<name>\w+)\Z")
_NO_FUNCTION = re.compile(r"no function '(?P<name>\w+)' in ")
_ENTRY = "a function that takes plan, such as def run(plan, args)"


def hint(message: str, unit: Lowered | None, builtins: Iterable[str]) -> str:
    """A hint for a message about the file that was lowered to ``unit``; empty when there is nothing to say."""
    functions: Mapping[str, tuple[str, ...]] = unit.signatures if unit else {}
    if found := _UNEXPECTED.match(message):
        parameters = [name.rstrip("=") for name in functions.get(found["function"], ())]
        return _one_of(found["name"], [name for name in parameters if name not in ("plan", "*", "**")])
    if found := _UNDEFINED.match(message):
        return suggestion(found["name"], builtins)
    if found := _NO_FUNCTION.match(message):
        return _one_of(found["name"], functions) or (f"expected {_ENTRY}" if unit else "")
    return ""


def _one_of(name: str, known: Iterable[str]) -> str:
    names = list(known)
    expected = f"expected one of {', '.join(names)}" if names else ""
    return "; ".join(filter(None, (suggestion(name, names), expected)))

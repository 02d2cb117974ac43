"""Mistakes of a file, collected rather than raised, each with its position."""

from __future__ import annotations

from collections.abc import Iterable

from gitopsd.errors import Reason
from gitopsd.kit.text import one_line, suggestion
from gitopsd.model.package import YamlDocument
from gitopsd.model.plan import Problem
from gitopsd.model.values import Json, starlark_repr

_SHOWN = 80


class Mistakes:
    """Collects the problems of one file, or of one part of it."""

    def __init__(self, document: YamlDocument, file: str) -> None:
        self.found: list[Problem] = []
        self._document = document
        self._file = file

    def position(self, path: str, *, key: bool = False) -> str:
        """``file:line:column`` of a value, or of its key."""
        marks = self._document.marks
        mark = marks.get(f"{path}#key" if key else path) or marks.get(f"{path}#key") or marks.get(path)
        return f"{self._file}:{mark[0]}:{mark[1]}" if mark else self._file

    def add(self, path: str, message: str, *, hint: str = "", key: bool = False) -> None:
        """Notes a mistake of the value at ``path``, or of its key."""
        position = self.position(path, key=key)
        problem = Problem(
            stage="fetch", reason=Reason.ENVIRONMENT_INVALID, message=message, position=position, hint=hint
        )
        if problem not in self.found:
            self.found.append(problem)

    def expected(self, path: str, value: Json, expected: str, *, hint: str = "") -> None:
        """Notes a value that is not what was expected."""
        self.add(path, f"{path}: {shown(value)} is not what was expected here: {expected}", hint=hint)

    def unknown_keys(self, path: str, keys: Iterable[str], known: Iterable[str]) -> None:
        """Notes every key that is not known, with the one that was probably meant."""
        known = sorted(known)
        for key in keys:
            if key not in known:
                where = f"{path}.{key}" if path else key
                hint = suggestion(key, known) or f"known keys: {', '.join(known)}"
                owner = path or "the file"
                self.add(where, f"{owner}: unknown key {shown(key)}", hint=hint, key=True)


def shown(value: Json) -> str:
    """A value for a message, on one line and shortened."""
    if value is None:
        return "nothing"
    text = repr(value) if isinstance(value, str) else starlark_repr(value)
    return one_line(text, limit=_SHOWN)

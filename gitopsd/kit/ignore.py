"""``.kurtosisignore``: patterns at the root of an uploaded folder that name what is left out (gitignore's rules).

Blank lines and ``#`` comments say nothing; ``!`` takes back; a trailing ``/`` means folders only; a pattern with a
slash elsewhere is tied to the root, any other matches at every depth; ``*``, ``?`` and ``[…]`` do not cross a slash
and ``**`` does. Source of the rules: gitignore(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

IGNORE_FILE = ".kurtosisignore"
_LONGEST = 1000


class _File(Protocol):
    @property
    def path(self) -> str: ...

    @property
    def content(self) -> bytes: ...


F = TypeVar("F", bound=_File)


@dataclass(frozen=True, slots=True)
class _Pattern:
    expression: re.Pattern[str]
    folders_only: bool
    taken_back: bool


def uploaded(files: Iterable[F]) -> tuple[F, ...]:
    """The files of a folder that an upload of it holds, by the ``.kurtosisignore`` at its root, if there is one."""
    found = tuple(files)
    rules = next((item.content for item in found if item.path == IGNORE_FILE), None)
    if rules is None:
        return found
    patterns = _parse(rules.decode("utf-8", "replace"))
    return tuple(item for item in found if not _ignored(item.path, patterns))


def _parse(text: str) -> tuple[_Pattern, ...]:
    patterns = []
    for line in text.splitlines()[:_LONGEST]:
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        taken_back = rule.startswith("!")
        rule = rule[1:] if taken_back else rule
        folders_only = rule.endswith("/")
        rule = rule.rstrip("/")
        anchored = "/" in rule
        expression = _expression(rule.lstrip("/"))
        if not anchored:
            expression = f"(?:.*/)?{expression}"
        patterns.append(_Pattern(re.compile(expression, re.DOTALL), folders_only, taken_back))
    return tuple(patterns)


def _expression(rule: str) -> str:
    found = []
    for part in re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]/]+\]|.", rule[:_LONGEST], re.DOTALL):
        if part == "**/":
            found.append("(?:.*/)?")
        elif part == "**":
            found.append(".*")
        elif part in ("*", "?"):
            found.append("[^/]" + part.replace("?", ""))
        elif len(part) > 1:
            inner = re.escape(part[1:-1]).replace(r"\-", "-")
            found.append("[^" + inner[1:] + "]" if inner.startswith("!") else f"[{inner}]")
        else:
            found.append(re.escape(part))
    return "".join(found)


def _ignored(path: str, patterns: tuple[_Pattern, ...]) -> bool:
    """A file is left out when it, or a folder above it, is."""
    parts = path.split("/")
    return any(
        _named("/".join(parts[:depth]), patterns, folder=depth < len(parts)) for depth in range(1, len(parts) + 1)
    )


def _named(path: str, patterns: tuple[_Pattern, ...], *, folder: bool) -> bool:
    named = False
    for pattern in patterns:
        if (folder or not pattern.folders_only) and pattern.expression.fullmatch(path):
            named = not pattern.taken_back
    return named

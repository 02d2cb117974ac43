"""Edits of a token stream that keep every line where it is, and the way back to the author's lines."""

from __future__ import annotations

from gitopsd.adapters.starlark.lowered import MARK
from gitopsd.adapters.starlark.scanner import NEWLINES, is_name, is_number, is_string

__all__ = ["Edits"]

_OPENING = ("(", "+", "-", "~", "not")


class Edits:
    """Replacements of tokens, helper calls opened before a token and text put after one.

    What is put before a token later comes out further left: an outer call is always added after its inner ones.
    `stored` maps the operator of an augmented assignment to its target's dot or bracket, `sliced` the first token of
    a slice to its bracket.
    """

    def __init__(self, gaps: list[str], tokens: list[str]) -> None:
        self.gaps = gaps
        self.tokens = tokens
        self.out = list(tokens)
        self.before: dict[int, list[tuple[str, int]]] = {}
        self.after: dict[int, str] = {}
        self.stored: dict[int, int] = {}
        self.sliced: dict[int, int] = {}
        self._counted = 0
        self._line = 1

    def open(self, start: int, prefix: str, origin: int) -> None:
        """Put a helper call before token `start`; `origin` is the token whose line an error in it belongs to."""
        self.part(start)
        self.before.setdefault(start, []).append((prefix, origin))

    def part(self, token: int) -> None:
        """Keep a token that becomes a name off the keyword before it, which may touch a string, a bracket or a sign."""
        if token and not self.gaps[token] and is_name(self.tokens[token - 1]):
            self.gaps[token] = " "

    def reopen(self, start: int, prefix: str, origin: int) -> None:
        """Replace the outermost call before token `start`."""
        self.before[start][-1] = (prefix, origin)

    def close(self, token: int, suffix: str) -> None:
        """Put text after a token."""
        self.after[token] = self.after.get(token, "") + suffix

    def line_of(self, token: int) -> int:
        """Give the line of a token, from 1. Calls with growing tokens are cheap."""
        if token < self._counted:
            self._counted, self._line = 0, 1
        while self._counted < token:
            self._line += _breaks(self.gaps[self._counted]) + _breaks(self.tokens[self._counted])
            self._counted += 1
        return self._line + _breaks(self.gaps[token])

    def text(self) -> str:
        """Give the edited source."""
        parts: list[str] = []
        before, after = self.before, self.after
        for index, token in enumerate(self.out):
            parts.append(self.gaps[index])
            if index in before:
                parts.extend([prefix for prefix, _ in reversed(before[index])])
            parts.append(token)
            if index in after:
                parts.append(after[index])
        return "".join(parts)

    def origins(self, universal: frozenset[str]) -> dict[tuple[int, int], int]:
        """Map (line, column) of each helper's parenthesis in the edited text to the author's line.

        An augmented assignment has two: (line, -column) is for what fails when the result is stored.

        A call that is refused before its body runs has the position of the body's first instruction. A literal and a
        builtin (`universal`) have none, so the engine gives the line of the `def`; helpers would change that.
        """
        found: dict[tuple[int, int], int] = {}
        line, column = 1, 1
        for index, token in enumerate(self.out):
            line, column = _advance(self.gaps[index], line, column)
            for prefix, origin in reversed(self.before.get(index, [])):
                if prefix:
                    found[line, column + prefix.index("(")] = origin
                found[line, column] = self._first(index, universal)
                column += len(prefix)
            if self.tokens[index] in universal or token.startswith(MARK):
                found[line, column] = self._first(index, universal)
            if index in self.stored:
                found[line, column + 1], found[line, -column - 1] = index, self.stored[index]
                if token.startswith("="):
                    found[line, column + 2] = self.stored[index]
            line, column = _advance(token + self.after.get(index, ""), line, column)
        return {place: self.line_of(origin) for place, origin in sorted(found.items(), key=lambda item: item[1])}

    def _first(self, token: int, universal: frozenset[str]) -> int:
        """Find the token that places the first instruction of an expression: it, a slice's bracket, or its function."""
        text, bracket = self.tokens[token], self.sliced.get(token, 0)
        while text in NEWLINES or text in _OPENING or (text == "[" and not self._is_comprehension(token)):
            token += 1
            text, bracket = self.tokens[token], self.sliced.get(token, bracket)
        if is_string(text) or is_number(text) or text in universal or text[:1] in "[{)]":
            return bracket or self._function_of(token)
        return token

    def _is_comprehension(self, token: int) -> bool:
        """Tell whether a list is made by a `for` of its own."""
        depth = 0
        for text in self.tokens[token:]:
            depth += (text in ("(", "[", "{")) - (text in (")", "]", "}"))
            if depth == 0 or (depth == 1 and text == "for"):
                break
        return text == "for"

    def _function_of(self, token: int) -> int:
        """Find the `def` or `lambda` before a token."""
        while token > 0 and self.tokens[token] not in ("def", "lambda"):
            token -= 1
        return token


def _breaks(text: str) -> int:
    """Count line ends as the engine does: a CR, an LF and a CR LF are one each."""
    if "\r" not in text:
        return text.count("\n")
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _advance(text: str, line: int, column: int) -> tuple[int, int]:
    breaks = _breaks(text)
    if not breaks:
        return line, column + len(text)
    tail = max(text.rfind(mark) + len(mark) for mark in NEWLINES if mark in text)
    return line + breaks, len(text) - tail + 1

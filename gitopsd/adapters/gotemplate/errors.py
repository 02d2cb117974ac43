"""What can go wrong with a template, and the two signals that functions give to the executor."""

from __future__ import annotations


class TemplateError(Exception):
    """A template that cannot be parsed or executed, or data that is not JSON.

    ``message`` is worded as Go words it, with the template's name, line and column. ``phase`` is ``parse``
    (the text is wrong, whatever the data), ``exec`` or ``data`` (the JSON text is wrong). ``line`` is
    1-based; ``column`` is a 0-based byte offset in that line and ``context`` the source of the node that
    was evaluated last, both known for ``exec`` only.
    """

    def __init__(
        self,
        message: str,
        *,
        phase: str,
        line: int = 0,
        column: int | None = None,
        context: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.phase = phase
        self.line = line
        self.column = column
        self.context = context

    def __str__(self) -> str:
        return self.message


class CallError(Exception):
    """A function refuses its arguments; the executor adds where and the function's name."""


class LimitError(Exception):
    """A limit of this implementation, not of the language, is reached: output size or steps."""


class LiteralError(ValueError):
    """A literal in the template's text is malformed; the parser adds where."""

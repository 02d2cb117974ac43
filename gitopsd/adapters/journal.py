"""The journal: what happens in a run, to the log and to whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gitopsd.kit.redact import Redactor
from gitopsd.kit.text import one_line
from gitopsd.model.plan import Instruction, Problem

Listener = Callable[[str, str, str], None]
"""Called with the environment, the instruction's id (empty for a problem) and the text, already masked."""


class LoggedJournal:
    """Writes every line to a structlog logger and gives it to a listener. Secrets are masked in both."""

    def __init__(self, log: Any, *, redactor: Redactor, listener: Listener) -> None:
        self._log = log
        self._redactor = redactor
        self._listener = listener

    def step(self, environment: str, instruction: Instruction, text: str) -> None:
        line = self._clean(text)
        self._log.info(line, environment=environment, instruction=instruction.id)
        self._listener(environment, instruction.id, line)

    def problem(self, environment: str, problem: Problem) -> None:
        line = self._clean(str(problem))
        self._log.warning(line, environment=environment, reason=problem.reason.value, stage=problem.stage)
        self._listener(environment, "", line)

    def _clean(self, text: str) -> str:
        return self._redactor.text(one_line(text, limit=2000))

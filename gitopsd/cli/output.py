"""What the program writes: answers to standard output, progress and errors to standard error.

Text from packages, commits and other places is stripped of control characters before a terminal sees it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from gitopsd.errors import GitopsdError, Reason, StepError, TransientError, UserError
from gitopsd.kit.text import strip_controls
from gitopsd.model.plan import Problem

if TYPE_CHECKING:
    from gitopsd.model.run import Run


class Exit(IntEnum):
    """Exit codes; ``docs/cli.md`` explains them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INVALID = 3
    UNAVAILABLE = 4
    LOCKED = 5
    CHANGES = 10
    BUG = 70


_SIGN_COLORS = {"+": 32, "-": 31, "~": 33, ">": 36, "?": 35, "!": 33}
"""Sign of a line -> the colour of ECMA-48 that it gets."""


def say(text: str) -> None:
    """Writes text for people, ending in one newline; lines of a diff get the colour of their sign on a terminal."""
    clean = strip_controls(text).rstrip("\n")
    if sys.stdout.isatty():
        clean = "\n".join(_colored(line) for line in clean.split("\n"))
    sys.stdout.write(clean + "\n")
    sys.stdout.flush()


def _colored(line: str) -> str:
    sign = line.lstrip()[:1]
    color = _SIGN_COLORS.get(sign) if line.startswith("  ") and line.strip()[1:2] in (" ", "/") else 0
    return f"\x1b[{color}m{line}\x1b[0m" if color else line


def say_json(data: object) -> None:
    """Writes data as JSON; escapes keep control characters off the terminal."""
    text = json.dumps(data, indent=2 if sys.stdout.isatty() else None, ensure_ascii=True, default=str)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """Writes a line about what happens to standard error."""
    sys.stderr.write(strip_controls(text).rstrip("\n") + "\n")
    sys.stderr.flush()


def problem_data(problem: Problem) -> dict[str, Any]:
    """A problem for ``--output json``."""
    return {
        "severity": problem.severity,
        "stage": problem.stage,
        "reason": problem.reason.value,
        "message": problem.message,
        "position": problem.position,
        "hint": problem.hint,
        "stack": [{"file": file, "line": line, "function": name} for file, line, name in problem.stack],
    }


def problems_text(problems: Iterable[Problem]) -> str:
    """Problems one below the other, with the author's stack below each."""
    lines = []
    for problem in problems:
        lines.append(f"{problem.severity}: {problem}")
        lines += [f"    {file}:{line} in {function}" for file, line, function in problem.stack]
    return "\n".join(lines)


def tell_error(error: GitopsdError) -> None:
    """Tells an error, with the author's stack below it."""
    tell(f"error: {error}")
    for file, line, function in error.stack:
        tell(f"    {file}:{line} in {function}")


def code_of(error: GitopsdError) -> Exit:
    """The exit code of an error."""
    if error.reason is Reason.LOCKED:
        return Exit.LOCKED
    if isinstance(error, TransientError):
        return Exit.UNAVAILABLE
    if isinstance(error, UserError):
        return Exit.INVALID
    return Exit.FAILED if isinstance(error, StepError) else Exit.BUG


def code_of_run(run: Run | None) -> Exit:
    """The exit code of a run: 0 when the enclave is what was asked for."""
    from gitopsd.model.run import Trigger, Verdict

    if run is None or run.verdict in (Verdict.NOOP, Verdict.SUCCEEDED):
        return Exit.OK
    if run.trigger is Trigger.ROLLBACK and run.verdict is Verdict.ROLLED_BACK:
        return Exit.OK
    return Exit.INVALID if run.verdict is Verdict.INVALID else Exit.FAILED

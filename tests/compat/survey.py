"""Plans public packages with every argument file of theirs, and writes what came of it into the manual.

``python -m tests.compat.survey --packages DIR [--only NAME] [--write]``
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gitopsd.daemon.offline import Offline
from gitopsd.errors import GitopsdError, Reason
from gitopsd.model.plan import Problem
from tests.compat.packages import PACKAGES, Tried
from tests.compat.places import Checkout, borrow, check_out

PLANNED, REFUSED, ABSENT, FAILED = "planned", "refused by the package", "a source is not there", "failed"
_ABSENT = (Reason.REF_MISSING, Reason.SOURCE_REFUSED, Reason.SOURCE_UNREACHABLE)
_MANUAL = Path("gitopsd/docs/packages.md")
_BEGIN, _END = "<!-- packages: begin -->", "<!-- packages: end -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One package with one argument file ("" for the defaults): what came of it, and how many instructions."""

    arguments: str
    outcome: str
    instructions: int = 0
    warnings: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that was tried with a package."""

    tried: Tried
    checkout: Checkout
    attempts: tuple[Attempt, ...]


class Survey:
    """Plans packages out of ``packages``, with everything that is written in ``work``."""

    def __init__(self, packages: Path, work: Path) -> None:
        self._packages = packages.resolve()
        self._work = work
        self._rewrites = {"https://github.com/": f"file://{self._packages}/"}
        self._checkouts: dict[str, Checkout | None] = {}
        borrow(self._packages, work / "cache")

    def result(self, tried: Tried) -> Result | None:
        """A package with its defaults and all its argument files; None when it is not there."""
        if tried.repository not in self._checkouts:
            folder = self._work / tried.repository
            self._checkouts[tried.repository] = check_out(self._packages, tried.repository, folder)
        checkout = self._checkouts[tried.repository]
        if checkout is None:
            return None
        attempts = tuple(self._attempt(tried, checkout, name) for name in ("", *_argument_files(tried, checkout)))
        return Result(tried=tried, checkout=checkout, attempts=attempts)

    def _attempt(self, tried: Tried, checkout: Checkout, arguments: str) -> Attempt:
        offline = Offline(
            folder=checkout.folder / tried.path, rewrites=self._rewrites, cache=self._work / "cache"
        )
        try:
            evaluation = offline.plan(checkout.folder / arguments if arguments else None)
        except GitopsdError as error:
            outcome = ABSENT if error.reason in _ABSENT else FAILED
            return Attempt(arguments=arguments, outcome=outcome, why=f"{error.reason.value}: {error}")
        if evaluation.plan is not None:
            count, warnings = len(evaluation.plan.instructions), evaluation.plan.warnings
            told = tuple(f"{warned.position}: {warned.message}" for warned in warnings)
            return Attempt(arguments=arguments, outcome=PLANNED, instructions=count, warnings=told)
        problem = evaluation.problems[0]
        return Attempt(arguments=arguments, outcome=_outcome(problem), why=f"{problem.position}: {problem.message}")


def _outcome(problem: Problem) -> str:
    return REFUSED if problem.message.startswith("fail: ") else FAILED


def _argument_files(tried: Tried, checkout: Checkout) -> Iterator[str]:
    found = {file.relative_to(checkout.folder) for glob in tried.arguments for file in checkout.folder.glob(glob)}
    yield from sorted(str(file) for file in found)


def table(results: list[Result], command: str) -> str:
    """The results as a section of the manual."""
    lines = [f"`{command}`, on {datetime.now(UTC):%Y-%m-%d}.", ""]
    lines += ["| package | commit | day | arguments | planned | instructions |", "|---|---|---|---|---|---|"]
    for result in results:
        planned = [attempt for attempt in result.attempts if attempt.outcome == PLANNED]
        counts = sorted(attempt.instructions for attempt in planned)
        span = f"{counts[0]}–{counts[-1]}" if len(counts) > 1 and counts[0] != counts[-1] else "".join(map(str, counts[:1]))
        name, checkout = result.tried.title, result.checkout
        files = f"defaults and {len(result.attempts) - 1} files" if len(result.attempts) > 1 else "defaults"
        lines.append(
            f"| {name} | `{checkout.commit[:12]}` | {checkout.day} | {files} | {len(planned)} of {len(result.attempts)} | {span} |"
        )
    lines += ["", "What was not planned, and why:", "", "| package | arguments | outcome | why |", "|---|---|---|---|"]
    for result in results:
        for attempt in result.attempts:
            if attempt.outcome != PLANNED:
                why = attempt.why.replace("|", "\\|").replace("\n", " ")[:300]
                lines.append(f"| {result.tried.title} | {attempt.arguments or 'defaults'} | {attempt.outcome} | {why} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Tries the packages, prints each attempt, and writes the manual's table when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="survey-") as work:
        survey = Survey(asked.packages, Path(work))
        for tried in PACKAGES:
            result = survey.result(tried) if asked.only in tried.title else None
            if result is not None:
                results.append(result)
                _show(result)
    text = table(results, "python -m tests.compat.survey --packages DIR --write")
    if asked.write:
        manual = _MANUAL.read_text("utf-8")
        head, _, rest = manual.partition(_BEGIN)
        _MANUAL.write_text(f"{head}{_BEGIN}\n{text}{_END}{rest.partition(_END)[2]}", "utf-8")
    sys.exit(any(attempt.outcome == FAILED for result in results for attempt in result.attempts))


def _show(result: Result) -> None:
    print(f"{result.tried.title} {result.checkout.commit[:12]} {result.checkout.day}")
    for attempt in result.attempts:
        detail = f"{attempt.instructions} instructions" if attempt.outcome == PLANNED else attempt.why
        print(f"  {attempt.arguments or 'defaults'}: {attempt.outcome}: {detail}")
        for warning in attempt.warnings:
            print(f"      warning: {warning}")


if __name__ == "__main__":
    main()

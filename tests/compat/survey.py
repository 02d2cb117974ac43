"""Plans public packages with every argument file of theirs, and writes what came of it into the manual.

``python -m tests.compat.survey --packages DIR [--only NAME] [--write]``
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gitopsd.daemon.offline import Offline
from gitopsd.errors import GitopsdError, Reason
from gitopsd.model.plan import Problem
from tests.compat.packages import KNOWN, PACKAGES, Tried
from tests.compat.places import Checkout, borrow, check_out

PLANNED, REFUSED, ABSENT, FAILED = "planned", "refused by the package", "a source is not there", "failed"
OWN, MOVED = "the package's own", "another version of a dependency"
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


_PINNED = re.compile(r"the package needs (\S+)@(\S+): ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that was tried with a package."""

    tried: Tried
    checkout: Checkout
    attempts: tuple[Attempt, ...]
    stand_ins: tuple[str, ...] = ()


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
        stand_ins: list[str] = []
        while (pinned := self._unavailable(tried, checkout)) and pinned not in stand_ins:
            stand_ins.append(pinned)
        attempts = tuple(self._attempt(tried, checkout, name) for name in ("", *_argument_files(tried, checkout)))
        return Result(tried=tried, checkout=checkout, attempts=attempts, stand_ins=tuple(stand_ins))

    def _unavailable(self, tried: Tried, checkout: Checkout) -> str:
        """What ``replace`` pins to a commit that the repositories here do not have ("" when there is none), after the
        pin was taken out: the newest commit that is here stands in for it."""
        found = _PINNED.search(self._attempt(tried, checkout, "").why)
        manifest = checkout.folder / tried.path / "kurtosis.yml"
        text = manifest.read_text("utf-8")
        if found is None or f"{found[1]}@{found[2]}" not in text:
            return ""
        manifest.write_text(text.replace(f"{found[1]}@{found[2]}", found[1]), "utf-8")
        return f"{found[1].removeprefix('github.com/')}@{found[2][:12]}"

    def _attempt(self, tried: Tried, checkout: Checkout, arguments: str) -> Attempt:
        folder = checkout.folder / tried.path
        offline = Offline(folder=folder, rewrites=self._rewrites, cache=self._work / "cache")
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
        outcome, remark = _outcome(tried, problem)
        return Attempt(arguments=arguments, outcome=outcome, why=f"{problem.position}: {problem.message}{remark}")


def _outcome(tried: Tried, problem: Problem) -> tuple[str, str]:
    """Whose doing a problem is, and a remark on it."""
    if problem.message.startswith("fail: "):
        return REFUSED, ""
    for fragment, why in KNOWN.get(tried.title, {}).items():
        if fragment in problem.message:
            return MOVED if why.startswith("a dependency") else OWN, f" ({why})"
    return FAILED, ""


def _argument_files(tried: Tried, checkout: Checkout) -> Iterator[str]:
    found = {file.relative_to(checkout.folder) for glob in tried.arguments for file in checkout.folder.glob(glob)}
    yield from sorted(str(file) for file in found)


def table(results: list[Result], command: str) -> str:
    """The results as a section of the manual."""
    lines = [f"`{command}`, on {datetime.now(UTC):%Y-%m-%d}.", ""]
    lines += ["| package | commit | day | arguments | planned | instructions |", "|---|---|---|---|---|---|"]
    lines += [_row(result) for result in results]
    lines += [
        f"\n{result.tried.title}: the repositories at hand lack {', '.join(result.stand_ins)}, so the newest commits "
        "there stand in for them."
        for result in results
        if result.stand_ins
    ]
    lines += ["", "What was not planned, and why:", "", "| package | arguments | outcome | why |", "|---|---|---|---|"]
    for (title, outcome, why), files in _grouped(results).items():
        lines.append(f"| {title} | {', '.join(files)} | {outcome} | {why} |")
    return "\n".join(lines) + "\n"


def _grouped(results: list[Result]) -> dict[tuple[str, str, str], list[str]]:
    """The argument files that were not planned, by package, outcome and reason."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for result in results:
        for attempt in (item for item in result.attempts if item.outcome != PLANNED):
            why = re.sub(r" \((\d+)\)", "", attempt.why.replace("|", "\\|").replace("\n", " "))[:300]
            found.setdefault((result.tried.title, attempt.outcome, why), []).append(attempt.arguments or "defaults")
    return found


def _row(result: Result) -> str:
    planned = [attempt.instructions for attempt in result.attempts if attempt.outcome == PLANNED]
    span = f"{min(planned)} to {max(planned)}" if planned else "none"
    files = f"defaults and {len(result.attempts) - 1} files" if len(result.attempts) > 1 else "defaults"
    checkout = result.checkout
    cells = (result.tried.title, f"`{checkout.commit[:12]}`", checkout.day, files)
    return f"| {' | '.join(cells)} | {len(planned)} of {len(result.attempts)} | {span} |"


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
    print(f"{result.tried.title} {result.checkout.commit[:12]} {result.checkout.day} {' '.join(result.stand_ins)}")
    for attempt in result.attempts:
        detail = f"{attempt.instructions} instructions" if attempt.outcome == PLANNED else attempt.why
        print(f"  {attempt.arguments or 'defaults'}: {attempt.outcome}: {detail}")
        for warning in attempt.warnings:
            print(f"      warning: {warning}")


if __name__ == "__main__":
    main()

"""A folder's plan on the terminal, without a daemon. Imports little: it is the whole of a short command."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gitopsd.cli.output import Exit, code_of, problem_data, problems_text, say, say_json, tell_error
from gitopsd.errors import GitopsdError
from gitopsd.model.plan import Evaluation


def plan_folder(folder: Path, *, args: Path | None, rewrites: Iterable[str], cluster_type: str, json: bool) -> int:
    """Shows the plan of the package in a folder and returns the exit code. ``rewrites`` are ``FROM=TO`` pairs."""
    from gitopsd.daemon.offline import Offline

    pairs = dict(pair.split("=", 1) for pair in rewrites)
    try:
        evaluation = Offline(folder=folder, rewrites=pairs, cluster_type=cluster_type).plan(args)
    except GitopsdError as error:
        tell_error(error)
        return code_of(error)
    show(evaluation, json=json)
    return Exit.OK if evaluation.plan is not None else Exit.INVALID


def show(evaluation: Evaluation, *, json: bool) -> None:
    """Writes an evaluation: the plan's instructions, warnings, problems."""
    from gitopsd.report.text import plan_data, plan_text

    plan = evaluation.plan
    if json:
        problems = [problem_data(problem) for problem in evaluation.problems]
        say_json({**(plan_data(plan) if plan is not None else {"instructions": []}), "problems": problems})
        return
    if plan is not None:
        say(plan_text(plan))
    if evaluation.problems:
        say(problems_text(evaluation.problems))

"""``gitopsd diff``: what following the newest commit would change."""

from __future__ import annotations

from typing import Annotated

import typer

from gitopsd.cli.options import ConfigOption, EnvironmentArgument, Output, OutputOption, StateOption
from gitopsd.cli.output import Exit, problem_data, problems_text, say, say_json
from gitopsd.cli.reach import Where, ask
from gitopsd.model.diff import Diff
from gitopsd.report.text import diff_data, diff_text
from gitopsd.web.commands import PlanAnswer, PlanRequest


def verb(
    environment: EnvironmentArgument,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 10 when something would change.")] = False,
    output: OutputOption = Output.TEXT,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Show what following the newest commit would add, change, run and remove, and why. Nothing is done."""
    diff = show(PlanRequest(environment=environment), Where(config, state_dir), output)
    raise typer.Exit(Exit.CHANGES if exit_code and not diff.empty else Exit.OK)


def show(request: PlanRequest, where: Where, output: Output) -> Diff:
    """Writes what a request's commit would do. Ends the program with INVALID when there is no plan."""
    answer = ask(where, request, PlanAnswer)
    diff = answer.diff
    if output is Output.JSON:
        problems = [problem_data(problem) for problem in answer.evaluation.problems]
        say_json({"environment": request.environment, "problems": problems, "diff": diff_data(diff) if diff else None})
    elif diff is not None:
        say(diff_text(diff))
    else:
        say(problems_text(answer.evaluation.problems))
    if diff is None:
        raise typer.Exit(Exit.INVALID)
    return diff

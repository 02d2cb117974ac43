"""``gitopsd history``: runs of an environment."""

from __future__ import annotations

from typing import Annotated

import typer

from gitopsd.cli.options import ConfigOption, EnvironmentArgument, Output, OutputOption, StateOption
from gitopsd.cli.output import say, say_json
from gitopsd.cli.reach import Where, ask
from gitopsd.cli.table import table
from gitopsd.kit.text import duration_text, one_line
from gitopsd.model.run import Run
from gitopsd.report.render import render
from gitopsd.report.text import run_data, run_text
from gitopsd.web.commands import HistoryAnswer, HistoryRequest


def verb(
    environment: EnvironmentArgument,
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="Show one run whole, by the beginning of its id.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many runs.")] = 20,
    output: OutputOption = Output.TEXT,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """List the runs of an environment, newest first, or show one of them."""
    request = HistoryRequest(environment=environment, limit=limit, run_id=run)
    runs = ask(Where(config, state_dir), request, HistoryAnswer).runs
    if output is Output.JSON:
        say_json({"environment": environment, "runs": [run_data(item) for item in runs]})
    elif run:
        for item in runs:
            say(run_text(item))
    elif not runs:
        say(f"{environment} has no runs yet")
    else:
        table(("RUN", "WHEN", "TOOK", "COMMIT", "BY", "VERDICT", ""), [_row(item) for item in runs])


def _row(run: Run) -> tuple[str, ...]:
    when = run.started_at.strftime("%Y-%m-%d %H:%M:%S") if run.started_at else ""
    took = duration_text((run.ended_at - run.started_at).total_seconds()) if run.ended_at and run.started_at else ""
    line = one_line(render(run).line, limit=100)
    return (run.id, when, took, run.commit.short, run.trigger.value, run.verdict.value, line)

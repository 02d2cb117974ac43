"""What the verbs that change something have in common: ask, show the run, end with its code."""

from __future__ import annotations

import typer

from gitopsd.cli.options import Output
from gitopsd.cli.output import code_of_run, say, say_json
from gitopsd.cli.reach import Where, ask
from gitopsd.report.text import run_data, run_text
from gitopsd.web.commands import Request, RunAnswer


def act(where: Where, request: Request, output: Output) -> None:
    """Does what is asked and shows the run that it led to."""
    answer = ask(where, request, RunAnswer)
    if output is Output.JSON:
        say_json({"message": answer.message, "run": run_data(answer.run) if answer.run is not None else None})
    else:
        if answer.message:
            say(answer.message)
        if answer.run is not None and not answer.message:
            say(run_text(answer.run))
        if answer.run is None and not answer.message:
            say("nothing to do")
    raise typer.Exit(0 if answer.message else code_of_run(answer.run))

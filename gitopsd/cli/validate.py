"""``gitopsd validate``: every problem of a package or of an environment repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitopsd.cli.options import Output, OutputOption
from gitopsd.cli.output import Exit, problem_data, problems_text, say, say_json
from gitopsd.cli.plan import rewrites_of
from gitopsd.daemon.offline import Offline
from gitopsd.kit.text import count_text
from gitopsd.model.plan import Problem


def verb(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", exists=True, file_okay=False, help="A package, or an environment repository."),
    ],
    args: Annotated[list[Path] | None, typer.Option("--args", help="A file of arguments to try; repeatable.")] = None,
    rewrite: Annotated[
        list[str] | None, typer.Option("--rewrite", metavar="FROM=TO", help="Fetch addresses from elsewhere.")
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Check a package with its arguments, or an environment repository with all its environments, and list every
    problem."""
    offline = Offline(folder=folder, rewrites=rewrites_of(rewrite or []))
    checked: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    if offline.is_environment_repository and not args:
        checked, problems = offline.check()
        noun = "environment"
    else:
        noun = "argument file" if args else "package"
        files: list[Path | None] = [*args] if args else [None]
        for file in files:
            checked += (str(file or "no arguments"),)
            problems += offline.examine(file)
    _show(tuple(dict.fromkeys(problems)), f"{count_text(len(checked), noun)} checked", output)
    failed = any(problem.severity == "error" for problem in problems)
    raise typer.Exit(Exit.INVALID if failed else Exit.OK)


def _show(problems: tuple[Problem, ...], summary: str, output: Output) -> None:
    if output is Output.JSON:
        say_json({"ok": not problems, "problems": [problem_data(problem) for problem in problems]})
        return
    if problems:
        say(problems_text(problems))
    found = count_text(len(problems), "problem") if problems else "no problems"
    say(f"{summary}, {found}")

"""``gitopsd destroy``: ends an enclave, data included."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gitopsd.cli.acting import act
from gitopsd.cli.options import ConfigOption, EnvironmentArgument, Output, OutputOption, StateOption
from gitopsd.cli.output import Exit, tell
from gitopsd.cli.reach import Where
from gitopsd.web.commands import DestroyRequest


def verb(
    environment: EnvironmentArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    output: OutputOption = Output.TEXT,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """End everything of an environment and delete its data. One that is still defined stays suspended."""
    if not yes:
        if not sys.stdin.isatty():
            tell("error: this deletes data: say --yes")
            raise typer.Exit(Exit.USAGE)
        typer.confirm(f"End {environment} and delete its data?", abort=True, err=True)
    act(Where(config, state_dir), DestroyRequest(environment=environment), output)

"""``gitopsd logs``: output of services."""

from __future__ import annotations

from typing import Annotated

import typer

from gitopsd.cli.options import ConfigOption, EnvironmentArgument, Output, OutputOption, StateOption
from gitopsd.cli.output import say, say_json
from gitopsd.cli.reach import Where, lines
from gitopsd.web.commands import LogsRequest


def verb(
    environment: EnvironmentArgument,
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="One service; without it all of them.")] = "",
    tail: Annotated[int, typer.Option("--tail", "-n", min=0, help="How many lines of each.")] = 200,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    output: OutputOption = Output.TEXT,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Show the output of an environment's services."""
    request = LogsRequest(environment=environment, service=service, tail=tail, follow=follow)
    for line in lines(Where(config, state_dir), request):
        if output is Output.JSON:
            say_json({"service": line.service, "text": line.text})
        else:
            say(line.text if service else f"{line.service} | {line.text}")

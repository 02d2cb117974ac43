"""``gitopsd demo``: the whole product on the bundled sample repository, scene by scene."""

from __future__ import annotations

from typing import Annotated

import typer

ExitOption = Annotated[
    bool,
    typer.Option("--exit", help="End after the last scene, with status 0 only if all of them really happened."),
]


def verb(leave: ExitOption = False) -> None:
    """Show the whole product on a scratch copy of the bundled sample: deploy, change, break, heal and end two devnets
    of a toy chain. It takes about a minute; without --exit it stays up until Ctrl-C. Nothing of it is left behind."""
    from gitopsd.cli.demo_play import play

    raise typer.Exit(play(leave=leave))

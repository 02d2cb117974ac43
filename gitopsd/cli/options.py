"""Options that several verbs share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to write the answer.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="GITOPSD_CONFIG", help="The configuration file of the daemon."),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state-dir", envvar="GITOPSD_STATE_DIR", help="The state directory, instead of the file's."),
]
UpdateOption = Annotated[
    bool, typer.Option("--update", help="Move dependencies that name no commit to where their refs are now.")
]
EnvironmentArgument = Annotated[str, typer.Argument(metavar="ENV", help="The environment.")]

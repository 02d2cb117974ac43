"""``gitopsd suspend``: hands off an environment."""

from __future__ import annotations

from gitopsd.cli.acting import act
from gitopsd.cli.options import ConfigOption, EnvironmentArgument, Output, OutputOption, StateOption
from gitopsd.cli.reach import Where
from gitopsd.web.commands import SuspendRequest


def verb(
    environment: EnvironmentArgument,
    output: OutputOption = Output.TEXT,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Do nothing for an environment until it is resumed. Its services run on."""
    act(Where(config, state_dir), SuspendRequest(environment=environment), output)

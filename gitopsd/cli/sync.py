"""``gitopsd sync``: follow the newest commit now."""

from __future__ import annotations

from gitopsd.cli.acting import act
from gitopsd.cli.options import ConfigOption, EnvironmentArgument, Output, OutputOption, StateOption, UpdateOption
from gitopsd.cli.reach import Where
from gitopsd.web.commands import SyncRequest


def verb(
    environment: EnvironmentArgument,
    update: UpdateOption = False,
    output: OutputOption = Output.TEXT,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Ask the repository for its newest commit and follow it now, also one that failed or was rolled back before."""
    act(Where(config, state_dir), SyncRequest(environment=environment, update=update), output)

"""``gitopsd rollback``: back to the last good plan."""

from __future__ import annotations

from gitopsd.cli.acting import act
from gitopsd.cli.options import ConfigOption, EnvironmentArgument, Output, OutputOption, StateOption
from gitopsd.cli.reach import Where
from gitopsd.web.commands import RollbackRequest


def verb(
    environment: EnvironmentArgument,
    output: OutputOption = Output.TEXT,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Go back to the last good plan and its results, and stay there until a new commit or a `sync`."""
    act(Where(config, state_dir), RollbackRequest(environment=environment), output)

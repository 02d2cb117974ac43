"""``gitopsd resume``: follow commits again."""

from __future__ import annotations

from gitopsd.cli.acting import act
from gitopsd.cli.options import ConfigOption, EnvironmentArgument, Output, OutputOption, StateOption
from gitopsd.cli.reach import Where
from gitopsd.web.commands import ResumeRequest


def verb(
    environment: EnvironmentArgument,
    output: OutputOption = Output.TEXT,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Follow commits again, beginning with the newest."""
    act(Where(config, state_dir), ResumeRequest(environment=environment), output)

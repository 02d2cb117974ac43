"""``gitopsd version``: of this program, and of the daemon when one runs."""

from __future__ import annotations

from gitopsd.cli.options import ConfigOption, Output, OutputOption, StateOption
from gitopsd.cli.output import say, say_json
from gitopsd.cli.reach import Where
from gitopsd.daemon.client import connect
from gitopsd.daemon.release import program_version
from gitopsd.web.commands import Result, VersionAnswer, VersionRequest


def verb(output: OutputOption = Output.TEXT, config: ConfigOption = None, state_dir: StateOption = None) -> None:
    """Show the version of this program, and of the daemon when one is named and runs."""
    own, daemon = program_version(), None
    if config is not None or state_dir is not None:
        client = connect(Where(config, state_dir).folder())
        for answer in client.ask(VersionRequest()) if client is not None else ():
            if isinstance(answer, Result) and isinstance(answer.value, VersionAnswer):
                daemon = answer.value
    if output is Output.JSON:
        running = {"version": daemon.version, "pid": daemon.pid} if daemon is not None else None
        say_json({"version": own, "daemon": running})
        return
    say(f"gitopsd {own}")
    if daemon is not None:
        say(f"daemon {daemon.version}, pid {daemon.pid}")

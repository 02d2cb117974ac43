"""``gitopsd run``: the daemon."""

from __future__ import annotations

from gitopsd.cli.options import ConfigOption, StateOption
from gitopsd.cli.reach import Where


def verb(config: ConfigOption = None, state_dir: StateOption = None) -> None:
    """Run the daemon in the foreground until SIGTERM or SIGINT. Services run on when it ends."""
    settings = Where(config, state_dir).settings()
    from gitopsd.daemon.daemon import run

    run(settings)

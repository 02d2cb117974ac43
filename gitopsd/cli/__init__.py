"""The command line: one file per verb, imported when that verb is called."""

from __future__ import annotations

import sys

SIGNS_OF_A_CLOSED_PIPE = 141
"""Exit code when whoever reads our output went away, as a shell reports SIGPIPE."""


def main() -> None:
    """The program ``gitopsd``."""
    import gc

    gc.disable()  # imports make many objects and no garbage: collecting meanwhile is a third of a short command
    from gitopsd.cli.app import app

    gc.enable()
    gc.freeze()
    try:
        app(prog_name="gitopsd")
    except BrokenPipeError:
        _close_quietly()
        sys.exit(SIGNS_OF_A_CLOSED_PIPE)


def _close_quietly() -> None:
    """Keeps the interpreter from failing once more when it flushes standard output at its end."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""The command line: one file per verb, imported when that verb is called."""

from __future__ import annotations

import sys

INTERRUPTED, BUG, CLOSED_PIPE = 130, 70, 141
"""Exit codes that are not an answer; the first and the last are those of a shell for SIGINT and SIGPIPE."""


def main() -> None:
    """The program ``gitopsd``. No traceback ever reaches a terminal."""
    try:
        code = _run(sys.argv[1:])
    except BrokenPipeError:
        _close_quietly()
        code = CLOSED_PIPE
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        code = _tell_bug(error)
    sys.exit(code)


def _run(words: list[str]) -> int:
    import gc

    gc.disable()  # imports make many objects and no garbage: collecting meanwhile is a third of a short command
    if words[:1] == ["plan"]:
        from gitopsd.cli.quick import quick_plan

        code = quick_plan(words[1:])
        if code is not None:
            return code
    from gitopsd.cli.app import app

    words = ["--graph=text" if word == "--graph" else word for word in words]  # its form may be left out

    gc.enable()
    gc.freeze()
    try:
        app(words, prog_name="gitopsd")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _tell_bug(error: Exception) -> int:
    """Where a mistake of gitopsd itself came from, in one line that a report can quote."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    sys.stderr.write(f"error: a bug in gitopsd: {type(error).__name__}{where}: {ascii(str(error))[:500]}\n")
    sys.stderr.write("       please report it with this line\n")
    return BUG


def _close_quietly() -> None:
    """Keeps the interpreter from failing once more when it flushes standard output at its end."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

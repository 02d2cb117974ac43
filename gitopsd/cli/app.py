"""The verbs and the errors of the program."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from gitopsd.cli.output import code_of, tell_error
from gitopsd.errors import GitopsdError

VERBS = {
    "run": "run", "plan": "plan", "diff": "diff", "status": "status", "history": "history", "rollback": "rollback",
    "sync": "sync", "suspend": "suspend", "resume": "resume", "destroy": "destroy", "validate": "validate",
    "why": "why", "logs": "logs", "demo": "demo", "docs": "docs", "version": "version",
}  # fmt: skip
"""Verb -> its module, whose function ``verb`` is the command."""


class Verbs(TyperGroup):
    """Verbs in the order above; a module is imported when its verb is called, or when all are listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name, module in VERBS.items() if _exists(module)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        module = VERBS.get(cmd_name)
        if module is None or not _exists(module):
            return None
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        single.command(name=cmd_name)(import_module(f"gitopsd.cli.{module}").verb)
        return typer.main.get_command(single)

    def invoke(self, ctx: Any) -> Any:
        """Errors of gitopsd end with their message and exit code; no traceback reaches a terminal."""
        try:
            return super().invoke(ctx)
        except GitopsdError as error:
            tell_error(error)
            raise typer.Exit(code_of(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


def _exists(module: str) -> bool:
    return importlib.util.find_spec(f"gitopsd.cli.{module}") is not None


app = typer.Typer(
    cls=Verbs,
    name="gitopsd",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def gitopsd() -> None:
    """Makes devnets follow Git: every commit is evaluated, compared with what is live, and only the difference is
    applied. `gitopsd docs` has the manual."""

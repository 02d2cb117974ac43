"""``gitopsd plan``: what a package in a folder asks for, without a daemon; or what an environment's commit does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitopsd.cli.options import ConfigOption, Output, OutputOption, StateOption
from gitopsd.cli.planning import plan_folder


def verb(
    target: Annotated[str, typer.Argument(metavar="DIR|ENV", help="A package's folder, or an environment.")],
    args: Annotated[Path | None, typer.Option("--args", help="A YAML or JSON file of arguments.")] = None,
    rewrite: Annotated[
        list[str] | None,
        typer.Option("--rewrite", metavar="FROM=TO", help="Fetch addresses that begin with FROM from TO instead."),
    ] = None,
    cluster_type: Annotated[str, typer.Option("--cluster-type", help="What get_cluster_type() answers.")] = "docker",
    output: OutputOption = Output.TEXT,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Show the plan of a package in a folder, uncommitted files included, without a daemon; or what following the
    newest commit of an environment would do."""
    folder = Path(target)
    if not folder.is_dir():
        _of_environment(target, output, config, state_dir)
        return
    rewrites_of(rewrite or [])
    json = output is Output.JSON
    raise typer.Exit(plan_folder(folder, args=args, rewrites=rewrite or [], cluster_type=cluster_type, json=json))


def rewrites_of(pairs: list[str]) -> dict[str, str]:
    """``FROM=TO`` pairs as a mapping; the first ``=`` separates them."""
    found = {}
    for pair in pairs:
        start, sign, end = pair.partition("=")
        if not sign or not start or not end:
            raise typer.BadParameter(f"{pair!r}: expected FROM=TO, such as https://github.com/=file:///mirrors/")
        found[start] = end
    return found


def _of_environment(name: str, output: Output, config: Path | None, state_dir: Path | None) -> None:
    from gitopsd.cli.diff import verb as diff
    from gitopsd.errors import Reason, UserError

    if "/" in name or name in (".", ".."):
        raise UserError(Reason.PACKAGE_INVALID, f"there is no folder {name}", hint="give a folder or an environment")
    diff(name, exit_code=False, output=output, config=config, state_dir=state_dir)

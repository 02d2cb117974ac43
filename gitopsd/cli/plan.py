"""``gitopsd plan``: what a package in a folder asks for, without a daemon; or what an environment's commit does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitopsd.cli.options import (
    ClusterType,
    ClusterTypeOption,
    ConfigOption,
    MainFileOption,
    MainFunctionOption,
    Output,
    OutputOption,
    StateOption,
    UpdateOption,
)
from gitopsd.cli.planning import GRAPHS, Wish, plan_folder
from gitopsd.cli.reach import Where
from gitopsd.model.environment import OrderMode

_OF_A_FOLDER = ("args", "main_file", "main_function", "rewrite", "cluster_type", "graph", "order")
_OF_AN_ENVIRONMENT = ("update",)


def verb(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="DIR|ENV", help="A package's folder, or an environment.")],
    args: Annotated[Path | None, typer.Option("--args", help="A YAML or JSON file of arguments.")] = None,
    main_file: MainFileOption = "main.star",
    main_function: MainFunctionOption = "run",
    rewrite: Annotated[
        list[str] | None,
        typer.Option("--rewrite", metavar="FROM=TO", help="Fetch addresses that begin with FROM from TO instead."),
    ] = None,
    cluster_type: ClusterTypeOption = ClusterType.DOCKER,
    graph: Annotated[
        str, typer.Option("--graph", metavar="[=text|json|dot]", help="What waits for what, instead of the plan.")
    ] = "",
    order: Annotated[
        OrderMode, typer.Option("--order", help="The order mode whose edges the graph has as well.")
    ] = OrderMode.GRAPH,
    update: UpdateOption = False,
    output: OutputOption = Output.TEXT,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Show the plan of a package in a folder, uncommitted files included, without a daemon; or what following the
    newest commit of an environment would do."""
    folder = Path(target)
    if not folder.is_dir():
        _refuse(context, _OF_A_FOLDER, f"for a folder, and there is no folder {target}")
        _of_environment(target, Where(config, state_dir), output, update=update)
        return
    _refuse(context, _OF_AN_ENVIRONMENT, f"for an environment, and {target} is a folder")
    rewrites_of(rewrite or [])
    if graph and graph not in GRAPHS:
        raise typer.BadParameter(f"--graph: {graph!r} is none of {', '.join(GRAPHS)}")
    wish = Wish(
        args=args, main_file=main_file, main_function=main_function, rewrites=tuple(rewrite or ()),
        cluster_type=cluster_type.value, json=output is Output.JSON, graph=graph, order=order.value,
    )  # fmt: skip
    raise typer.Exit(plan_folder(folder, wish))


def _refuse(context: typer.Context, names: tuple[str, ...], why: str) -> None:
    """Refuses options that would be without any effect."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"--{name.replace('_', '-')} is {why}")


def rewrites_of(pairs: list[str]) -> dict[str, str]:
    """``FROM=TO`` pairs as a mapping; the first ``=`` separates them."""
    found = {}
    for pair in pairs:
        start, sign, end = pair.partition("=")
        if not sign or not start or not end:
            raise typer.BadParameter(f"{pair!r}: expected FROM=TO, such as https://github.com/=file:///mirrors/")
        found[start] = end
    return found


def _of_environment(name: str, where: Where, output: Output, *, update: bool) -> None:
    from gitopsd.cli.diff import show
    from gitopsd.errors import Reason, UserError
    from gitopsd.web.commands import PlanRequest

    if Path(name).exists():
        raise UserError(Reason.PACKAGE_INVALID, f"{name} is no folder", hint="give the folder of a package")
    if "/" in name:
        raise UserError(Reason.PACKAGE_INVALID, f"there is no folder {name}", hint="give a folder or an environment")
    if not where.named:
        raise UserError(
            Reason.PACKAGE_INVALID,
            f"there is no folder {name}",
            hint="give the folder of a package; for an environment, name a configuration with --config FILE",
        )
    show(PlanRequest(environment=name, update=update), where, output)

"""A folder's plan on the terminal, without a daemon. Imports little: it is the whole of a short command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gitopsd.cli.output import Exit, code_of, problem_data, problems_text, say, say_json, tell_error
from gitopsd.errors import GitopsdError
from gitopsd.model.plan import Evaluation, Plan

if TYPE_CHECKING:
    from gitopsd.daemon.early import ForkServer

GRAPHS = ("text", "json", "dot")
"""Forms of ``--graph``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How to plan a folder and what to show. ``rewrites`` are ``FROM=TO`` pairs; ``graph`` is one of ``GRAPHS``, or
    empty for the plan itself; ``order`` an order mode whose edges the graph has as well."""

    args: Path | None = None
    main_file: str = "main.star"
    main_function: str = "run"
    rewrites: tuple[str, ...] = ()
    cluster_type: str = "docker"
    json: bool = False
    graph: str = ""
    order: str = "graph"


def plan_folder(folder: Path, wish: Wish, server: ForkServer | None = None) -> int:
    """Shows the plan of the package in a folder and returns the exit code; ``server`` may have been started already."""
    from gitopsd.daemon.early import fork_server
    from gitopsd.daemon.offline import Offline

    pairs = dict(pair.split("=", 1) for pair in wish.rewrites)
    try:
        offline = Offline(
            folder=folder, rewrites=pairs, cluster_type=wish.cluster_type, main_file=wish.main_file,
            main_function=wish.main_function, server=server or fork_server(),
            imports=("gitopsd.report.text",),
        )  # fmt: skip
        evaluation = offline.plan(wish.args)
    except GitopsdError as error:
        tell_error(error)
        return code_of(error)
    if wish.graph and evaluation.plan is not None:
        _show_graph(evaluation.plan, "json" if wish.json else wish.graph, wish.order)
    else:
        show(evaluation, json=wish.json or wish.graph == "json")
    return Exit.OK if evaluation.plan is not None else Exit.INVALID


def _show_graph(plan: Plan, form: str, order: str) -> None:
    from gitopsd.model.environment import OrderMode
    from gitopsd.report.graph import graph_data, graph_dot, graph_text

    mode = OrderMode(order)
    if form == "json":
        say_json(graph_data(plan, mode))
    else:
        say(graph_dot(plan, mode) if form == "dot" else graph_text(plan, mode))


def show(evaluation: Evaluation, *, json: bool) -> None:
    """Writes an evaluation: the plan's instructions, warnings, problems."""
    from gitopsd.report.text import plan_data, plan_text

    plan, problems = evaluation.plan, tuple(dict.fromkeys(evaluation.problems))
    if json:
        data = plan_data(plan) if plan is not None else {"instructions": []}
        say_json({**data, "problems": [problem_data(problem) for problem in problems]})
        return
    if plan is not None:
        say(plan_text(plan))
    if problems:
        say(problems_text(problems))

"""What waits for what in a plan: a graph as text, as data and as DOT (the language of Graphviz). Pure.

An edge goes from an instruction to one that waits for it: for its result, its artifact, its service (``need``), or
because the order mode says so (``order``). Of the order's edges only those are listed that no others imply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gitopsd.kit.text import count_text, one_line
from gitopsd.model.environment import OrderMode
from gitopsd.model.ops import Kind, is_barrier, kind_of, method_of
from gitopsd.model.plan import Plan

_SHAPES = {
    Kind.DESIRED: "box", Kind.ONE_SHOT: "ellipse", Kind.CAPTURE: "note", Kind.CHECK: "diamond", Kind.PURE: "plaintext",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """``after`` waits for ``before``; ``why``: ``need`` or ``order``."""

    before: str
    after: str
    why: str = "need"


def edges(plan: Plan, order: OrderMode = OrderMode.GRAPH) -> tuple[Edge, ...]:
    """The edges of a plan under an order mode, in the order of the instructions."""
    found: list[Edge] = []
    since: list[str] = []
    barrier: list[str] = []
    for item in plan.instructions:
        found += [Edge(before=need, after=item.id) for need in item.needs]
        waits: list[str] = []
        if order is OrderMode.SERIAL:
            waits, since = since, [item.id]
        elif order is OrderMode.STAGED and is_barrier(item.op):
            waits, since, barrier = since or barrier, [], [item.id]
        elif order is OrderMode.STAGED:
            waits = barrier
            since.append(item.id)
        found += [Edge(before=name, after=item.id, why="order") for name in waits if name not in item.needs]
    return tuple(found)


def depths(plan: Plan, order: OrderMode = OrderMode.GRAPH) -> dict[str, int]:
    """How many instructions have to end one after the other before each one may start."""
    found = {item.id: 0 for item in plan.instructions}
    for edge in edges(plan, order):
        found[edge.after] = max(found[edge.after], found[edge.before] + 1)
    return found


def graph_text(plan: Plan, order: OrderMode = OrderMode.GRAPH) -> str:
    """Every instruction on a line with what it waits for (in brackets for the order alone), and a last line that
    counts."""
    waits: dict[str, list[str]] = {item.id: [] for item in plan.instructions}
    listed = edges(plan, order)
    for edge in listed:
        waits[edge.after].append(edge.before if edge.why == "need" else f"({edge.before})")
    lines = []
    for number, item in enumerate(plan.instructions, 1):
        names = ", ".join(one_line(name) for name in waits[item.id])
        lines.append(f"{number:>4}. {one_line(item.id)}" + (f"  <- {names}" if names else ""))
    longest = max(depths(plan, order).values(), default=-1) + 1
    counts = f"{count_text(len(plan.instructions), 'instruction')}, {count_text(len(listed), 'edge')}"
    lines.append(f"{counts}, {longest} at most one after the other")
    return "\n".join(lines) + "\n"


def graph_data(plan: Plan, order: OrderMode = OrderMode.GRAPH) -> dict[str, Any]:
    """The graph as JSON data: ``order``, ``nodes`` (with ``depth``, see :func:`depths`) and ``edges``."""
    depth = depths(plan, order)
    return {
        "order": order.value,
        "nodes": [
            {
                "id": item.id,
                "method": method_of(item.op),
                "class": kind_of(item.op).value,
                "position": str(item.position),
                "depth": depth[item.id],
            }
            for item in plan.instructions
        ],
        "edges": [{"before": edge.before, "after": edge.after, "why": edge.why} for edge in edges(plan, order)],
    }


def graph_dot(plan: Plan, order: OrderMode = OrderMode.GRAPH) -> str:
    """The graph in DOT; edges of the order alone are dashed, shapes tell the class of an instruction."""
    lines = ["digraph plan {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
    lines += [f"  {_quoted(item.id)} [shape={_SHAPES[kind_of(item.op)]}];" for item in plan.instructions]
    for edge in edges(plan, order):
        style = " [style=dashed]" if edge.why == "order" else ""
        lines.append(f"  {_quoted(edge.before)} -> {_quoted(edge.after)}{style};")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(name: str) -> str:
    """A quoted string of DOT: in it only the quote is special, and a backslash before one or at the end."""
    text = one_line(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'

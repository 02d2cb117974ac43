"""The graph of a plan: edges of needs and of the order, in three forms."""

from __future__ import annotations

import json
import re
from textwrap import dedent

from gitopsd.model.environment import OrderMode
from gitopsd.model.ops import AddService, Exec, RunSh, UploadFiles, Verify
from gitopsd.model.parts import ExecRecipe, Image, ServiceSpec
from gitopsd.model.plan import Instruction, Plan
from gitopsd.report.graph import depths, edges, graph_data, graph_dot, graph_text

WEB = AddService(name="web", spec=ServiceSpec(image=Image(name="web:1")))
PLAN = Plan(
    package_digest="",
    args_digest="",
    instructions=(
        Instruction(id="artifact/conf", op=UploadFiles(name="conf", source="", content="c")),
        Instruction(id="service/db", op=WEB),
        Instruction(id="service/web", op=WEB, needs=("artifact/conf",)),
        Instruction(
            id="exec/db@0",
            op=Exec(service="db", life="service/db", recipe=ExecRecipe(command=("init",))),
            needs=("service/db",),
        ),
        Instruction(id="service/late", op=WEB),
        Instruction(id='task/"odd"\n\\', op=RunSh(name="odd", run="true", image=Image(name="sh"))),
        Instruction(id="verify@0", op=Verify(value=1, assertion="==", target=1)),
    ),
)


def order_of(order: OrderMode) -> set[tuple[str, str]]:
    return {(edge.before, edge.after) for edge in edges(PLAN, order) if edge.why == "order"}


def test_needs_are_edges_in_every_order() -> None:
    needs = {("artifact/conf", "service/web"), ("service/db", "exec/db@0")}
    for order in OrderMode:
        assert {(edge.before, edge.after) for edge in edges(PLAN, order) if edge.why == "need"} == needs
    assert order_of(OrderMode.GRAPH) == set()


def test_a_barrier_waits_for_what_is_before_it_and_what_follows_waits_for_the_barrier() -> None:
    odd = 'task/"odd"\n\\'
    assert order_of(OrderMode.STAGED) == {
        ("artifact/conf", "exec/db@0"), ("service/web", "exec/db@0"), ("exec/db@0", "service/late"),
        ("service/late", odd), (odd, "verify@0"),
    }  # fmt: skip


def test_serial_is_a_chain() -> None:
    assert depths(PLAN, OrderMode.SERIAL) == {item.id: n for n, item in enumerate(PLAN.instructions)}


def test_the_text_names_what_every_instruction_waits_for() -> None:
    assert graph_text(PLAN, OrderMode.STAGED) == dedent("""\
           1. artifact/conf
           2. service/db
           3. service/web  <- artifact/conf
           4. exec/db@0  <- service/db, (artifact/conf), (service/web)
           5. service/late  <- (exec/db@0)
           6. task/"odd" \\  <- (service/late)
           7. verify@0  <- (task/"odd" \\)
        7 instructions, 7 edges, 6 at most one after the other
        """)


def test_an_empty_plan_has_an_empty_graph() -> None:
    empty = Plan(package_digest="", args_digest="")
    assert graph_text(empty) == "0 instructions, 0 edges, 0 at most one after the other\n"
    assert graph_data(empty) == {"order": "graph", "nodes": [], "edges": []}


def test_the_data_has_nodes_with_their_depth_and_edges_with_their_reason() -> None:
    data = json.loads(json.dumps(graph_data(PLAN, OrderMode.STAGED)))
    assert data["nodes"][3] == {
        "id": "exec/db@0", "method": "exec", "class": "one-shot", "position": "", "depth": 2,
    }  # fmt: skip
    assert data["edges"][0] == {"before": "artifact/conf", "after": "service/web", "why": "need"}


def test_dot_quotes_names_and_dashes_the_edges_of_the_order() -> None:
    text = graph_dot(PLAN, OrderMode.STAGED)
    assert '  "service/db" -> "exec/db@0";' in text
    assert '  "exec/db@0" -> "service/late" [style=dashed];' in text
    name = r'"(?:[^"\\\n]|\\.)*"'
    body = text.splitlines()[3:-1]
    assert all(re.fullmatch(rf"  {name}( -> {name})?( \[[a-z=]+\])?;", line) for line in body)

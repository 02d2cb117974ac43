"""Diffs, plans and runs as a terminal shows them, and as data."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from textwrap import dedent

from gitopsd.errors import Reason
from gitopsd.model.diff import Action, Change, Diff, Drift, FieldChange, Why
from gitopsd.model.environment import Commit
from gitopsd.model.ops import AddService, Exec, Print, RenderTemplates, RunSh, Template
from gitopsd.model.package import Move
from gitopsd.model.parts import Artifacts, ExecRecipe, Image, Persistent, Port, ServiceSpec
from gitopsd.model.plan import Instruction, Plan, Position, Problem, Warned
from gitopsd.model.record import Step
from gitopsd.model.run import Applied, Done, Outcome, Run, Trigger, Verdict
from gitopsd.model.values import Address, Frozen, Secret, StepResult, Text
from gitopsd.report import diff_data, diff_text, plan_data, plan_text, run_data, run_text

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
MOVE = Move(source="github.com/acme/lib@main", before="a" * 40, after="b" * 40)
OUTPUT = StepResult(step="exec/web@0", field="output")

WEB = Instruction(
    id="service/web",
    op=AddService(
        name="web",
        spec=ServiceSpec(
            image=Image(name="nginx:1"),
            ports=Frozen({"http": Port(number=80, application="http")}),
            files=Frozen({"/etc/web": Artifacts(names=("config",)), "/data": Persistent(key="web")}),
            cmd=("serve", Text(parts=("--peer=", Address(service="db", field="ip_address")))),
            env=Frozen({"TOKEN": Secret(name="API"), "LEVEL": "info"}),
        ),
    ),
    needs=("artifact/config",),
    position=Position(file="main.star", line=7),
    description="Starts the page",
)
EXEC = Instruction(
    id="exec/web@0",
    op=Exec(service="web", life="service/web", recipe=ExecRecipe(command=("echo", "hi"))),
    needs=("service/web",),
    position=Position(file="main.star", line=9),
)
TASK = Instruction(
    id="task/seed",
    op=RunSh(name="seed", run=Text(parts=("seed ", OUTPUT)), image=Image(name="alpine")),
    position=Position(file="lib/seed.star", line=2),
)
CONFIG = Instruction(
    id="artifact/config",
    op=RenderTemplates(name="config", files=Frozen({"a.toml": Template(text="x", data=None)})),
    position=Position(file="main.star", line=3),
)
PLAN = Plan(
    package_digest="p",
    args_digest="a",
    instructions=(CONFIG, WEB, EXEC, TASK),
    output=Frozen({"url": Text(parts=("http://", Address(service="web", field="hostname")))}),
    warnings=(Warned(message="tini is not honoured", position=Position(file="main.star", line=7)),),
)


def diff_of(*changes: Change, drift: tuple[Drift, ...] = (), moved: tuple[Move, ...] = ()) -> Diff:
    return Diff(enclave="dev", plan=replace(PLAN, warnings=()), changes=changes, drift=drift, moved=moved)


def shows(text: str, wanted: str) -> None:
    assert text == dedent(wanted).lstrip("\n")


def test_a_first_deploy_shows_what_is_added_and_run_with_its_fields() -> None:
    found = diff_of(
        Change(id=CONFIG.id, action=Action.CREATE, why=Why.NEW, after=CONFIG),
        Change(id=WEB.id, action=Action.CREATE, why=Why.NEW, after=WEB),
        Change(id=EXEC.id, action=Action.RUN, why=Why.NEW, after=EXEC),
        Change(id=TASK.id, action=Action.RUN, why=Why.NEW, after=TASK),
        Change(id="print/@0", action=Action.RUN, after=Instruction(id="print/@0", op=Print(message="hello"))),
    )
    shows(diff_text(found), """
      + artifact/config  [main.star:3]
          files.a.toml: {"text": "x", "data": null}

      + service/web  [main.star:7]
          # Starts the page
          image: "nginx:1"
          ports.http: {"number": 80, "application": "http"}
          files./etc/web: ["config"]
          files./data: {"persistent_key": "web", "size": 1024}
          cmd: ["serve", "--peer=<db ip_address>"]
          env.TOKEN: "<secret API>"
          env.LEVEL: "info"

      > exec/web@0  [main.star:9]
          recipe: {"command": ["echo", "hi"]}

      > task/seed  [lib/seed.star:2]
          run: "seed <exec/web@0 output>"
          image: "alpine"

    dev: 2 to add, 2 to run
    """)  # fmt: skip


def test_a_change_shows_each_field_before_and_after_and_why() -> None:
    gone = Step(
        instruction=Instruction(id="service/old", op=AddService(name="old", spec=ServiceSpec(image=Image(name="x"))))
    )
    web = (
        FieldChange(path="env.LEVEL", before="info", after="debug"),
        FieldChange(path="env.NEW", after=3),
        FieldChange(path="labels.old", before="1"),
        FieldChange(path="cmd.1", before="--peer=10.0.0.1", known=False),
    )
    found = diff_of(
        Change(id=WEB.id, action=Action.UPDATE, why=Why.CHANGED, after=WEB, fields=web),
        Change(id="service/db", action=Action.REPLACE, why=Why.CHANGED,
               after=replace(WEB, id="service/db", description=""),
               fields=(FieldChange(path="image", before="pg:1", after="pg:2"),)),
        Change(id=EXEC.id, action=Action.RECHECK, why=Why.UPSTREAM, after=EXEC,
               fields=(FieldChange(path="service web address", known=False),)),
        Change(id=TASK.id, action=Action.RUN, why=Why.UPSTREAM, after=TASK),
        Change(id="service/old", action=Action.DELETE, why=Why.REMOVED, before=gone),
        Change(id=CONFIG.id, action=Action.KEEP, after=CONFIG),
        drift=(Drift(service="web", why=Why.MISSING, detail=""),
               Drift(service="db", why=Why.DRIFTED, detail="another image", healed=False)),
    )  # fmt: skip
    shows(diff_text(found), """
      ~ service/web  changed  [main.star:7]
          # Starts the page
          ~ env.LEVEL: "info" → "debug"
          + env.NEW: (none) → 3
          - labels.old: "1" → (none)
          ~ cmd.1: "--peer=10.0.0.1" → (known after apply)

    -/+ service/db  changed, must be started anew  [main.star:7]
          ~ image: "pg:1" → "pg:2"

      ? exec/web@0  known after apply: something that it needs changed  [main.star:9]
          ~ service web address: (known after apply)

      > task/seed  something that it needs changed  [lib/seed.star:2]

      - service/old  no longer in the package

      ! web: missing; will be mended
      ! db: another image; is left as it is

    dev: 1 to change, 1 to replace, 1 to run, 1 known after apply, 1 to remove, 1 unchanged
    """)  # fmt: skip


def test_what_changed_upstream_is_said_in_words() -> None:
    fields = (
        FieldChange(path="artifact/config", before="0123456789abcdef" * 4, known=False),
        FieldChange(path="artifact/genesis", before="a" * 64, after="b" * 64),
        FieldChange(path="ran:exec/web@0", before="5e71a1", known=False),
        FieldChange(path="secret:API", before="d1", after="d2"),
        FieldChange(path="incarnation", before="i1", known=False),
    )
    found = diff_of(Change(id=TASK.id, action=Action.RECHECK, why=Why.UPSTREAM, after=TASK, fields=fields))
    shows(diff_text(found), """
      ? task/seed  known after apply: something that it needs changed  [lib/seed.star:2]
          ~ artifact/config: content 0123456789a… → (known after apply)
          ~ artifact/genesis: content aaaaaaaaaaa… → bbbbbbbbbbb…
          ~ exec/web@0 runs again
          ~ secret API has another value
          ~ its container starts empty

    dev: 1 known after apply
    """)  # fmt: skip


def test_a_long_text_shows_only_the_lines_that_differ() -> None:
    before = "".join(f"line {number}\n" for number in range(50))
    after = before.replace("line 20\n", "line twenty\n")
    field = FieldChange(path="files.a.toml.text", before=before, after=after)
    text = diff_text(
        diff_of(Change(id=CONFIG.id, action=Action.UPDATE, why=Why.CHANGED, after=CONFIG, fields=(field,)))
    )
    shows(text, """
      ~ artifact/config  changed  [main.star:3]
          ~ files.a.toml.text:
              @@ -20,3 +20,3 @@
               line 19
              -line 20
              +line twenty
               line 21

    dev: 1 to change
    """)  # fmt: skip


def test_an_empty_diff_says_that_nothing_is_to_do() -> None:
    found = diff_of(*(Change(id=item.id, action=Action.KEEP, after=item) for item in PLAN.instructions))
    assert diff_text(found) == "No changes: dev is what the package asks for (4 unchanged).\n"
    assert diff_data(found)["empty"] is True


def test_a_diff_says_which_dependencies_moved_also_when_nothing_else_changes() -> None:
    found = diff_of(*(Change(id=item.id, action=Action.KEEP, after=item) for item in PLAN.instructions), moved=(MOVE,))
    assert diff_text(found) == dedent("""\
          @ github.com/acme/lib@main moved: aaaaaaa → bbbbbbb

        No changes: dev is what the package asks for (4 unchanged).
        """)
    run = Run(id="r", environment="dev", commit=Commit(url="u", ref="main", id="c" * 40), trigger=Trigger.UPDATE,
              verdict=Verdict.NOOP, applied=Applied(diff=found))  # fmt: skip
    assert "    @ github.com/acme/lib@main moved: aaaaaaa → bbbbbbb\n" in run_text(run)
    assert run_data(run)["moved"] == diff_data(found)["moved"]


def test_a_diff_shows_the_warnings_of_its_plan() -> None:
    found = replace(diff_of(), plan=PLAN)
    assert diff_text(found).startswith("  warning: main.star:7: tini is not honoured\n\n")
    assert diff_data(found)["warnings"] == [{"message": "tini is not honoured", "position": "main.star:7"}]


def test_text_from_a_package_cannot_touch_the_terminal() -> None:
    evil = "a\x1b[2Jb\x07\u202ec\nd"
    item = Instruction(
        id=f"task/{evil}",
        op=RunSh(name=evil, run=evil, image=Image(name=evil), env=Frozen({evil: evil})),
        position=Position(file=evil, line=1),
        description=evil,
    )
    field = FieldChange(path=evil, before=evil, after=evil + evil)
    plan = Plan(
        package_digest="p", args_digest="a", instructions=(item,), output=evil, warnings=(Warned(message=evil),)
    )
    changes = (
        Change(id=item.id, action=Action.RUN, why=Why.NEW, after=item),
        Change(id=item.id, action=Action.UPDATE, after=item, fields=(field,)),
    )
    diff = Diff(enclave=evil, plan=plan, changes=changes, drift=(Drift(service=evil, why=Why.MISSING, detail=evil),))
    ends = (Outcome(id=item.id, done=Done.APPLIED, action=Action.RUN, text=evil),
            Outcome(id=item.id, done=Done.FAILED, action=Action.RUN))  # fmt: skip
    run = Run(id="r", environment="dev", commit=Commit(url="u", ref="main", id=evil), trigger=Trigger.COMMIT,
              verdict=Verdict.FAILED, applied=Applied(diff=diff, outcomes=ends))  # fmt: skip
    for text in (diff_text(diff), plan_text(plan), run_text(run)):
        assert all(char.isprintable() or char == "\n" for char in text), repr(text)


def test_a_diff_is_data_too() -> None:
    field = FieldChange(path="env.LEVEL", before="info", after=OUTPUT)
    data = diff_data(diff_of(Change(id=WEB.id, action=Action.UPDATE, why=Why.CHANGED, after=WEB, fields=(field,),
                                    needs=("artifact/config",)),
                             drift=(Drift(service="web", why=Why.MISSING, detail="x"),),
                             moved=(MOVE,)))  # fmt: skip
    assert json.loads(json.dumps(data)) == {
        "enclave": "dev",
        "empty": False,
        "plan_digest": PLAN.digest,
        "counts": {"to change": 1},
        "changes": [
            {
                "id": "service/web", "action": "update", "why": "changed", "method": "add_service", "class": "desired",
                "position": "main.star:7", "description": "Starts the page", "needs": ["artifact/config"],
                "fields": [{"path": "env.LEVEL", "before": "info", "after": "<exec/web@0 output>", "known": True}],
            }
        ],
        "drift": [{"service": "web", "why": "missing", "detail": "x", "healed": True}],
        "moved": [{"source": "github.com/acme/lib@main", "before": "a" * 40, "after": "b" * 40}],
        "warnings": [],
    }  # fmt: skip


def test_a_plan_is_shown_in_order_with_its_warnings_and_output() -> None:
    shows(plan_text(replace(PLAN, instructions=(EXEC, TASK))), """
       1. exec exec/web@0  [main.star:9]
            recipe: {"command": ["echo", "hi"]}
       2. run_sh task/seed  [lib/seed.star:2]
            run: "seed <exec/web@0 output>"
            image: "alpine"
      warning: main.star:7: tini is not honoured
      output: {"url": "http://<web hostname>"}
    2 instructions, 1 warning
    """)  # fmt: skip


def test_a_plan_is_data_with_readable_references() -> None:
    data = json.loads(json.dumps(plan_data(PLAN)))
    assert [item["id"] for item in data["instructions"]] == [
        "artifact/config",
        "service/web",
        "exec/web@0",
        "task/seed",
    ]
    assert data["instructions"][1] == {
        "id": "service/web",
        "method": "add_service",
        "class": "desired",
        "args": {
            "name": "web",
            "spec": {
                "image": "nginx:1",
                "ports": {"http": {"number": 80, "application": "http"}},
                "files": {"/etc/web": ["config"], "/data": {"persistent_key": "web", "size": 1024}},
                "cmd": ["serve", "--peer=<db ip_address>"],
                "env": {"TOKEN": "<secret API>", "LEVEL": "info"},
            },
        },
        "needs": ["artifact/config"],
        "position": "main.star:7",
        "description": "Starts the page",
    }
    assert data["instructions"][3]["args"]["run"] == "seed <exec/web@0 output>"
    assert data["output"] == {"url": "http://<web hostname>"}
    assert data["warnings"] == [{"message": "tini is not honoured", "position": "main.star:7"}]


def test_a_run_is_shown_step_by_step() -> None:
    problem = Problem(stage="apply", reason=Reason.SERVICE_NOT_READY, message="not ready", position="main.star:7")
    changes = tuple(Change(id=item.id, action=Action.CREATE, why=Why.NEW, after=item) for item in PLAN.instructions)
    said = Instruction(id="print/@0", op=Print(message="hi"))
    ends = (
        Outcome(id="print/@0", done=Done.APPLIED, action=Action.RUN, text="hi\nthere"),
        Outcome(id=CONFIG.id, done=Done.APPLIED, action=Action.CREATE, started_at=NOON,
                ended_at=NOON + timedelta(seconds=0.5)),
        Outcome(id=WEB.id, done=Done.FAILED, action=Action.CREATE, problem=problem),
        Outcome(id=EXEC.id, done=Done.SKIPPED, action=Action.RUN, held_by=("service/web",)),
    )  # fmt: skip
    diff = diff_of(*changes, Change(id=said.id, action=Action.RUN, after=said))
    back = Change(id=WEB.id, action=Action.DELETE, why=Why.REMOVED, after=WEB)
    undone = Applied(diff=diff_of(back), outcomes=(Outcome(id=WEB.id, done=Done.APPLIED, action=Action.DELETE),))
    run = Run(id="r", environment="dev", commit=Commit(url="u", ref="main", id="9f8e7d6c5b"), trigger=Trigger.COMMIT,
              verdict=Verdict.ROLLED_BACK, restored="1a2b3c4d", applied=Applied(diff=diff, outcomes=ends),
              rollback=undone)  # fmt: skip
    shows(run_text(run), """
    dev 9f8e7d6 rolled back to 1a2b3c4: web never became ready
          | hi
          | there
        + artifact/config  0.5 s
        x service/web  failed: main.star:7: not ready
        . exec/web@0  skipped, as it needs service/web
      the way back:
        - service/web
    """)  # fmt: skip
    data = json.loads(json.dumps(run_data(run)))
    assert (data["verdict"], data["counts"]) == ("rolled-back", {"added": 1, "failed": 1, "skipped": 2})
    assert data["outcomes"][2]["problem"] == "main.star:7: not ready"

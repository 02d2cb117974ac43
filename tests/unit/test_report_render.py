"""What people are told about a run, as text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gitopsd.errors import Reason
from gitopsd.model.diff import Action, Change, Diff, Drift, FieldChange, Why
from gitopsd.model.environment import Commit
from gitopsd.model.ops import AddService, Exec, Op, Print, RunSh, SetService, Verify
from gitopsd.model.parts import ExecRecipe, Image, ServiceSpec
from gitopsd.model.plan import Instruction, Plan, Position, Problem
from gitopsd.model.run import Applied, Done, Outcome, Report, ReportState, Run, Start, Trigger, Verdict
from gitopsd.report import render, render_start

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
COMMIT = Commit(url="https://git.invalid/net.git", ref="main", id="9f8e7d6c5b" * 4, subject="Grow the net")
GOOD = "1a2b3c4d5e" * 4


def service(name: str) -> Op:
    return AddService(name=name, spec=ServiceSpec(image=Image(name="nginx")))


def change(id_: str, op: Op, action: Action, why: Why = Why.NONE, **rest: object) -> Change:
    return replace(Change(id=id_, action=action, why=why, after=Instruction(id=id_, op=op)), **rest)  # type: ignore[arg-type]


def kept(count: int) -> list[Change]:
    return [change(f"service/old-{number}", service(f"old-{number}"), Action.KEEP) for number in range(count)]


def applied(
    changes: list[Change], outcomes: dict[str, Outcome] | None = None, drift: tuple[Drift, ...] = ()
) -> Applied:
    plan = Plan(package_digest="p", args_digest="a")
    ends = [
        (outcomes or {}).get(item.id) or Outcome(id=item.id, done=Done.APPLIED, action=item.action)
        for item in changes
        if item.action is not Action.KEEP
    ]
    diff = Diff(enclave="dev", plan=plan, changes=tuple(changes), drift=drift)
    return Applied(diff=diff, outcomes=tuple(ends))


def make_run(verdict: Verdict, **rest: object) -> Run:
    run = Run(id="run-1", environment="dev", commit=COMMIT, trigger=Trigger.COMMIT, verdict=verdict,
              started_at=NOON, ended_at=NOON + timedelta(seconds=14))  # fmt: skip
    return replace(run, **rest)  # type: ignore[arg-type]


def not_ready(name: str) -> Outcome:
    problem = Problem(stage="apply", reason=Reason.SERVICE_NOT_READY, position="main.star:7",
                      message=f"port http of service {name} did not open within 2 min")  # fmt: skip
    return Outcome(id=f"service/{name}", done=Done.FAILED, action=Action.CREATE, problem=problem)


FOUR = [
    change("service/web", service("web"), Action.CREATE, Why.NEW),
    change("service/api", service("api"), Action.CREATE, Why.NEW),
    change("task/seed", RunSh(name="seed", run="seed", image=Image(name="x")), Action.CREATE, Why.NEW),
    change("service/db", service("db"), Action.UPDATE, Why.CHANGED, fields=(FieldChange(path="env.LEVEL"),)),
]


def test_a_success_counts_what_was_done() -> None:
    report = render(make_run(Verdict.SUCCEEDED, applied=applied([*FOUR, *kept(12)])))
    assert report == Report(
        key=f"dev/{COMMIT.id}/success", environment="dev", commit=COMMIT, state=ReportState.SUCCESS,
        line="3 added, 1 changed, 12 unchanged in 14 s", run_id="run-1",
        details=("+ service/web", "+ service/api", "+ task/seed", "~ service/db (env.LEVEL)"),
    )  # fmt: skip


def test_every_kind_of_end_has_its_word() -> None:
    changes = [
        change("service/a", service("a"), Action.CREATE, Why.NEW),
        change("service/b", service("b"), Action.REPLACE, Why.CHANGED),
        change("exec/a@0", Exec(service="a", life="service/a", recipe=ExecRecipe(command=("x",))), Action.RUN),
        change("exec/a@1", Exec(service="a", life="service/a", recipe=ExecRecipe(command=("y",))), Action.RECHECK),
        change("service/c", service("c"), Action.DELETE, Why.REMOVED),
        change("print/@0", Print(message="hello"), Action.RUN),
        change("service/a+set", SetService(name="a"), Action.UPDATE),
        *kept(2),
    ]
    settled = Outcome(id="exec/a@1", done=Done.KEPT, action=Action.KEEP)
    report = render(make_run(Verdict.SUCCEEDED, applied=applied(changes, {"exec/a@1": settled})))
    assert report.line == "1 added, 1 replaced, 1 run, 1 removed, 3 unchanged in 14 s"
    assert report.details == (
        "+ service/a", "-/+ service/b (changed)", "> exec/a@0", "- service/c (no longer in the package)",
    )  # fmt: skip


def test_a_no_op_goes_to_the_forge_and_not_to_chat() -> None:
    report = render(make_run(Verdict.NOOP, applied=applied(kept(16)), ended_at=NOON + timedelta(milliseconds=40)))
    assert (report.state, report.line, report.silent) == (ReportState.SUCCESS, "no changes, 16 unchanged", True)


def test_a_rollback_says_where_to_and_why() -> None:
    skipped = Outcome(id="service/api", done=Done.SKIPPED, action=Action.CREATE, held_by=("service/web",))
    run = make_run(
        Verdict.ROLLED_BACK, restored=GOOD,
        applied=applied(FOUR, {"service/web": not_ready("web"), "service/api": skipped}),
        rollback=applied([change("service/web", service("web"), Action.DELETE, Why.REMOVED), *kept(3)]),
    )  # fmt: skip
    report = render(run)
    assert (report.state, report.line) == (ReportState.FAILURE, "rolled back to 1a2b3c4: web never became ready")
    assert report.details == (
        "failed: service/web: main.star:7: port http of service web did not open within 2 min",
        "skipped, as they need what failed: service/api",
        "+ task/seed",
        "~ service/db (env.LEVEL)",
        "the way back: 1 removed, 3 unchanged",
    )


def test_several_failures_name_the_first_and_count_the_rest() -> None:
    outcomes = {f"service/{name}": not_ready(name) for name in ("web", "api")}
    report = render(make_run(Verdict.ROLLED_BACK, restored=GOOD, applied=applied(FOUR, outcomes)))
    assert report.line == "rolled back to 1a2b3c4: web never became ready (and 1 more problem)"


def test_a_failed_task_says_its_message_with_its_name() -> None:
    problem = Problem(stage="apply", reason=Reason.COMMAND_FAILED, message="ended with code 3, expected 0")
    outcome = Outcome(id="task/seed", done=Done.FAILED, action=Action.RUN, problem=problem)
    report = render(make_run(Verdict.FAILED, applied=applied(FOUR, {"task/seed": outcome})))
    assert report.line == "failed: task seed: ended with code 3, expected 0 (left as it is)"


def test_a_failed_check_without_a_subject_goes_by_its_id() -> None:
    broken = [change("verify/@0", Verify(value=1, assertion="==", target=2), Action.RUN)]
    problem = Problem(stage="apply", reason=Reason.CHECK_FAILED, message="expected 1 == 2")
    outcome = Outcome(id="verify/@0", done=Done.FAILED, action=Action.RUN, problem=problem)
    report = render(make_run(Verdict.ROLLED_BACK, applied=applied(broken, {"verify/@0": outcome})))
    assert report.line == "rolled back: verify/@0: expected 1 == 2"


def test_a_rollback_that_fails_is_an_error_with_both_causes() -> None:
    back = applied([change("service/db", service("db"), Action.CREATE)], {"service/db": not_ready("db")})
    run = make_run(Verdict.ROLLBACK_FAILED, restored=GOOD, rollback=back,
                   applied=applied(FOUR, {"service/web": not_ready("web")}))  # fmt: skip
    report = render(run)
    assert report.state is ReportState.ERROR
    assert report.line == ("rollback to 1a2b3c4 failed: db never became ready; it was because web never became ready")


def test_a_commit_that_cannot_be_evaluated_says_where_and_keeps_the_authors_stack() -> None:
    problem = Problem(stage="evaluate", reason=Reason.EVALUATION_FAILED, position="main.star:3",
                      message="undefined: foo", hint="define it", stack=(("main.star", 3, "run"),))  # fmt: skip
    other = Problem(stage="evaluate", reason=Reason.EVALUATION_FAILED, message="second")
    report = render(make_run(Verdict.INVALID, problems=(problem, other)))
    assert (report.state, report.line) == (
        ReportState.FAILURE, "invalid: main.star:3: undefined: foo (and 1 more problem)",
    )  # fmt: skip
    assert report.details == ("main.star:3: undefined: foo (define it)", "  at main.star:3 in run", "second")


def test_a_superseded_commit_names_its_successor_and_is_silent() -> None:
    report = render(make_run(Verdict.SUPERSEDED, superseded_by=GOOD))
    assert (report.state, report.line, report.silent) == (ReportState.SUPERSEDED, "superseded by 1a2b3c4", True)
    assert render(make_run(Verdict.SUPERSEDED)).line == "superseded by a newer commit"


def test_a_held_run_says_what_it_waits_for() -> None:
    problem = Problem(
        stage="apply", reason=Reason.BAD_PLAN, message="this plan failed before", hint="push a new commit"
    )
    report = render(make_run(Verdict.HELD, problems=(problem,)))
    assert (report.state, report.line) == (ReportState.FAILURE, "held: this plan failed before")
    assert report.details == ("this plan failed before (push a new commit)",)


def test_what_may_pass_by_itself_is_not_final() -> None:
    away = Problem(stage="apply", reason=Reason.BACKEND_UNAVAILABLE, message="the backend is away", retry_after=30.0)
    report = render(make_run(Verdict.FAILED, problems=(away,)))
    assert (report.state, report.line) == (ReportState.PENDING, "waiting: the backend is away; tries again in 30 s")
    soon = render(make_run(Verdict.FAILED, problems=(replace(away, retry_after=None),)))
    assert (soon.state, soon.line) == (ReportState.PENDING, "waiting: the backend is away; tries again by itself")
    assert render(make_run(Verdict.HELD, problems=(away,))).state is ReportState.FAILURE


def test_a_task_that_its_failure_names_is_not_named_twice() -> None:
    problem = Problem(stage="apply", reason=Reason.COMMAND_FAILED, message="seed exited with code 3: no")
    failed = Outcome(id="task/seed", done=Done.FAILED, action=Action.RUN, problem=problem)
    run = make_run(Verdict.FAILED, applied=replace(applied(FOUR), outcomes=(failed,)), problems=(problem,))
    assert render(run).line == "failed: task seed exited with code 3: no (left as it is)"


def test_a_bug_is_an_error_of_ours() -> None:
    bug = Problem(stage="compare", reason=Reason.BUG, message="KeyError in compare")
    assert render(make_run(Verdict.FAILED, problems=(bug,))).state is ReportState.ERROR


def test_drift_that_was_healed_is_said_with_its_reason() -> None:
    missing = Drift(service="web", why=Why.MISSING, detail="")
    run = make_run(Verdict.SUCCEEDED, trigger=Trigger.DRIFT,
                   applied=applied([FOUR[0], *kept(5)], drift=(missing,)))  # fmt: skip
    assert render(run).line == "healed web (missing): 1 added, 5 unchanged in 14 s"


def test_drift_that_is_only_reported_is_not_silent_but_an_orphan_is() -> None:
    drifted = Drift(service="web", why=Why.DRIFTED, detail="another image", healed=False)
    run = make_run(Verdict.NOOP, trigger=Trigger.DRIFT, applied=applied(kept(5), drift=(drifted,)))
    report = render(run)
    assert (report.line, report.silent) == ("drift, not healed: web (another image)", False)
    orphan = replace(drifted, why=Why.REMOVED)
    assert render(replace(run, applied=applied(kept(5), drift=(orphan,)))).silent


def test_a_rollback_by_hand_says_so_and_what_it_did() -> None:
    back = applied([FOUR[3], *kept(1)])
    run = make_run(Verdict.ROLLED_BACK, trigger=Trigger.ROLLBACK, restored=GOOD, rollback=back)
    assert render(run).line == "rolled back by hand to 1a2b3c4: 1 changed, 1 unchanged in 14 s"


def test_a_way_back_that_was_interrupted_and_goes_on_says_where_it_led() -> None:
    run = make_run(Verdict.ROLLED_BACK, restored=GOOD, rollback=applied([FOUR[3], *kept(1)]))
    assert render(run).line == "rolled back to 1a2b3c4: 1 changed, 1 unchanged in 14 s"


@pytest.mark.parametrize(("seconds", "text"), [(0.44, "0.4 s"), (59, "59 s"), (125, "2 min 5 s"), (3700, "1 h 1 min")])
def test_times_are_said_as_people_do(seconds: float, text: str) -> None:
    run = make_run(Verdict.SUCCEEDED, applied=applied(FOUR), ended_at=NOON + timedelta(seconds=seconds))
    assert render(run).line.endswith(f" in {text}")


def test_long_and_hostile_text_stays_short_and_on_its_line() -> None:
    problem = Problem(stage="evaluate", reason=Reason.EVALUATION_FAILED, message="\x1b]0;x\x07a\nb\u202e" + "x" * 5000)
    report = render(make_run(Verdict.INVALID, problems=(problem,) * 90))
    assert report.line.startswith("invalid: a bxxx")
    assert len(report.line) <= 400 and len(report.details) <= 40
    assert all(len(line) <= 400 and line.isprintable() for line in (report.line, *report.details))


def test_a_start_is_pending_and_says_what_will_be_done() -> None:
    start = Start(run_id="run-1", environment="dev", commit=COMMIT)
    assert (render_start(start).state, render_start(start).line) == (ReportState.PENDING, "evaluating")
    diff = applied([*FOUR, *kept(2)]).diff
    report = render_start(replace(start, diff=diff))
    assert (report.line, report.silent) == ("applying: 3 to add, 1 to change, 2 unchanged", False)
    assert render_start(replace(start, diff=applied(kept(2)).diff)).silent


def test_positions_of_instructions_are_no_part_of_a_report_key() -> None:
    moved = [
        replace(item, after=replace(item.instruction, position=Position(file="main.star", line=9))) for item in FOUR
    ]
    one, other = (render(make_run(Verdict.SUCCEEDED, applied=applied(found))) for found in (FOUR, moved))
    assert one == other

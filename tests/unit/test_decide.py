"""What a run decides: each question of ``decide`` as a table, and how each end becomes a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gitopsd.decide import (
    Apply,
    GoBack,
    adopted,
    checked_plan,
    completed,
    decide,
    held,
    judge,
    judge_check,
    lock_of,
    pending_return,
    policy_back,
    recall,
)
from gitopsd.errors import Reason
from gitopsd.model.diff import Action, Change, Diff, Drift, Why
from gitopsd.model.ends import (
    Achieved,
    End,
    Failed,
    Held,
    Invalid,
    NothingToCheck,
    Superseded,
    Suspended,
    WentBack,
    run_of,
)
from gitopsd.model.environment import Commit, Environment, Policy, PrunePolicy, RollbackPolicy, Source
from gitopsd.model.head import SCHEME, Course, Head, LastGood, Returning, Settled, Stuck, Suspension, Under
from gitopsd.model.ops import Print
from gitopsd.model.package import Lock, Pin
from gitopsd.model.plan import Instruction, Plan, Problem
from gitopsd.model.record import Recorded, Step
from gitopsd.model.run import Applied, Done, Follow, Outcome, Run, Trigger, Verdict
from gitopsd.model.values import Frozen

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ENVIRONMENT = Environment(
    name="dev", source=Source(name="repo", url="https://example.invalid/repo"), package=".", enclave="dev"
)


def plan_of(*words: str) -> Plan:
    """A plan that says some words."""
    items = tuple(Instruction(id=f"print@{index}", op=Print(message=word)) for index, word in enumerate(words))
    return Plan(package_digest="p", args_digest="a", instructions=items)


def good_of(commit: str, *words: str) -> LastGood:
    plan = plan_of(*words)
    return LastGood(commit=commit, plan=plan, digest=plan.digest)


GOOD, OLDER, OLDEST = good_of("c1", "good"), good_of("c0", "older"), good_of("c-1", "oldest")
BAD = plan_of("bad")


def asked(
    commit: str = "c2", *, trigger: Trigger = Trigger.COMMIT, suspend: bool = False, rollback: str = "last-good"
) -> Follow:
    policy = Policy(suspend=suspend, rollback=RollbackPolicy(rollback))
    made = Commit(url=ENVIRONMENT.source.url, ref="main", id=commit)
    return Follow(environment=replace(ENVIRONMENT, policy=policy), commit=made, trigger=trigger)


def diff_of(plan: Plan, *, action: Action = Action.RUN, drift: tuple[Drift, ...] = ()) -> Diff:
    changes = tuple(Change(id=item.id, action=action, after=item) for item in plan.instructions)
    return Diff(enclave="dev", plan=plan, changes=changes, drift=drift)


def applied_of(plan: Plan, *reasons: Reason, preempted: bool = False, action: Action = Action.RUN) -> Applied:
    """An apply in which a change failed for each reason; whole without any."""
    failed = tuple(
        Outcome(
            id=f"print@{index}",
            done=Done.FAILED,
            action=action,
            problem=Problem(stage="apply", reason=reason, message=f"failed for {reason}"),
        )
        for index, reason in enumerate(reasons)
    )
    whole = () if failed else tuple(Outcome(id=i.id, done=Done.APPLIED, action=action) for i in plan.instructions)
    return Applied(diff=diff_of(plan, action=action), outcomes=(*failed, *whole), preempted=preempted)


# --- whether a commit is followed ---------------------------------------------------------------------------

SUSPENDED = Suspension(reason="suspended", by="a person")
OVER = Suspension(reason="suspended", by="a person", until=NOON - timedelta(seconds=1))
PINNED = Head(pinned="c2", good=OLDER, course=Settled())
CUT_OFF = Head(pinned="c2", good=GOOD, earlier=(OLDER,), course=Returning(good=OLDER.digest))


@pytest.mark.parametrize(
    ("head", "what", "rewrote", "expected"),
    [
        (Head(), asked(), False, None),
        (Head(), asked(suspend=True), False, Suspended()),
        (Head(suspended=SUSPENDED), asked(), False, Suspended()),
        (Head(suspended=SUSPENDED), asked(), True, Suspended()),
        (Head(suspended=OVER), asked(), False, None),
        (Head(suspended=SUSPENDED), asked(trigger=Trigger.SYNC), False, None),
        (Head(suspended=SUSPENDED), asked(trigger=Trigger.RESUME), False, Suspended()),
        (PINNED, asked(), False, Reason.SUSPENDED),
        (PINNED, asked("c3"), False, None),
        (PINNED, asked(trigger=Trigger.UPDATE), False, None),
        (CUT_OFF, asked(), False, GoBack(good=OLDER)),
        (CUT_OFF, asked("c3"), False, None),
        (Head(commit="c1"), asked(), True, Reason.HISTORY_REWRITTEN),
        (Head(commit="c1"), asked(trigger=Trigger.RESUME), True, None),
        (Head(commit="c1"), asked(trigger=Trigger.SYNC), True, None),
    ],
)
def test_what_holds_a_commit(head: Head, what: Follow, rewrote: bool, expected: object) -> None:
    found = held(head, what, now=NOON, rewrote=lambda: rewrote)
    assert (found.problems[0].reason if isinstance(found, Held) else found) == expected


def test_history_is_looked_at_only_where_nothing_else_holds() -> None:
    def never() -> bool:
        raise AssertionError("the repository was asked")

    assert held(Head(suspended=SUSPENDED), asked(), now=NOON, rewrote=never) == Suspended()
    assert held(Head(), asked(trigger=Trigger.SYNC), now=NOON, rewrote=never) is None


def test_an_update_alone_starts_without_the_lock() -> None:
    lock = Lock(pins=(Pin(root="github.com/a/b", ref="main", url="https://github.com/a/b", commit="c"),))
    head = Head(lock=lock)
    assert {trigger: lock_of(head, asked(trigger=trigger)) for trigger in (Trigger.COMMIT, Trigger.SYNC)} == {
        Trigger.COMMIT: lock,
        Trigger.SYNC: lock,
    }
    assert lock_of(head, asked(trigger=Trigger.UPDATE)) == Lock()


# --- whether a plan is applied ------------------------------------------------------------------------------

LOST = (Drift(service="task/seed", why=Why.MISSING, detail="the content of artifact x is gone", healed=False),)
REMEMBERED = Head(good=GOOD, bad_plans=(BAD.digest,))


@pytest.mark.parametrize(
    ("plan", "diff", "head", "trigger", "expected"),
    [
        (BAD, diff_of(BAD), Head(good=GOOD), Trigger.COMMIT, Apply),
        (BAD, diff_of(BAD), REMEMBERED, Trigger.COMMIT, Reason.BAD_PLAN),
        (BAD, diff_of(BAD), REMEMBERED, Trigger.RESUME, Reason.BAD_PLAN),
        (BAD, diff_of(BAD), REMEMBERED, Trigger.SYNC, Apply),
        (GOOD.plan, diff_of(GOOD.plan), REMEMBERED, Trigger.COMMIT, Apply),
        (BAD, diff_of(BAD), replace(REMEMBERED, course=Returning(good=GOOD.digest)), Trigger.COMMIT, GoBack),
        (BAD, diff_of(BAD), replace(REMEMBERED, course=Stuck(good=GOOD.digest)), Trigger.COMMIT, Reason.BAD_PLAN),
        (BAD, diff_of(BAD, drift=LOST), Head(), Trigger.COMMIT, Reason.RESULT_LOST),
        (BAD, diff_of(BAD, drift=LOST), Head(), Trigger.SYNC, Reason.RESULT_LOST),
        (BAD, diff_of(BAD, action=Action.KEEP, drift=LOST), Head(), Trigger.COMMIT, Apply),
    ],
)
def test_what_becomes_of_a_plan(plan: Plan, diff: Diff, head: Head, trigger: Trigger, expected: object) -> None:
    found = decide(plan, diff, head, asked(trigger=trigger))
    assert (found.problems[0].reason if isinstance(found, Held) else type(found)) == expected


# --- what an apply means ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("applied", "head", "rollback", "expected"),
    [
        (applied_of(BAD), Head(good=GOOD), "last-good", Achieved),
        (applied_of(BAD, preempted=True), Head(good=GOOD), "last-good", Superseded),
        (applied_of(BAD, Reason.TIMED_OUT, preempted=True), Head(good=GOOD), "last-good", Superseded),
        (applied_of(BAD, Reason.INTERRUPTED), Head(good=GOOD), "last-good", Held),
        (applied_of(BAD, Reason.TIMED_OUT, Reason.RESULT_LOST), Head(good=GOOD), "last-good", Held),
        (applied_of(BAD, Reason.BACKEND_UNAVAILABLE), Head(good=GOOD), "last-good", ("", None)),
        (
            applied_of(BAD, Reason.BACKEND_UNAVAILABLE, Reason.TIMED_OUT),
            Head(good=GOOD),
            "last-good",
            (BAD.digest, GOOD),
        ),
        (applied_of(BAD, Reason.TIMED_OUT), Head(good=GOOD), "last-good", (BAD.digest, GOOD)),
        (applied_of(BAD, Reason.TIMED_OUT), Head(good=GOOD), "none", (BAD.digest, None)),
        (applied_of(BAD, Reason.TIMED_OUT), Head(), "last-good", (BAD.digest, None)),
        (applied_of(GOOD.plan, Reason.TIMED_OUT), Head(good=GOOD), "last-good", ("", None)),
    ],
)
def test_how_following_ends(applied: Applied, head: Head, rollback: str, expected: object) -> None:
    policy = asked(rollback=rollback).environment.policy
    found = judge(applied, applied.diff.plan, head, policy, newer="c3")
    assert ((found.plan, found.back_to) if isinstance(found, Failed) else type(found)) == expected


def test_a_plan_is_blamed_by_what_the_package_asked_for_and_not_by_how_its_steps_were_paired() -> None:
    paired = replace(BAD, instructions=tuple(replace(item, id=f"{item.id}7") for item in BAD.instructions))
    end = judge(applied_of(paired, Reason.TIMED_OUT), BAD, Head(good=GOOD), Policy(), newer="")
    assert isinstance(end, Failed)
    assert end.plan == BAD.digest != paired.digest


@pytest.mark.parametrize(
    ("applied", "expected"),
    [
        (applied_of(BAD), Achieved(applied=applied_of(BAD))),
        (applied_of(BAD, preempted=True), Superseded(applied=applied_of(BAD, preempted=True), by="c3")),
        (
            applied_of(BAD, Reason.TIMED_OUT),
            Failed(applied=applied_of(BAD, Reason.TIMED_OUT), problems=applied_of(BAD, Reason.TIMED_OUT).problems),
        ),
    ],
)
def test_how_a_drift_check_ends(applied: Applied, expected: End) -> None:
    assert judge_check(applied, newer="c3") == expected


def test_a_record_of_an_older_release_is_taken_over_once_nothing_differs() -> None:
    (old,), (new,) = (
        tuple(replace(item, description=text) for item in GOOD.plan.instructions) for text in ("old", "new")
    )
    step = Step(instruction=old, serial="s")
    recorded = Recorded(head=Head(scheme=SCHEME - 1), steps=Frozen({old.id: step}))
    change = Change(id=old.id, action=Action.KEEP, before=step, after=new)
    diff = Diff(enclave="dev", plan=GOOD.plan, changes=(change,))
    after = adopted(recorded, diff)
    assert after.steps == {old.id: replace(step, instruction=new)}
    assert after.head.scheme == SCHEME
    assert adopted(after, diff) is after
    assert adopted(recorded, diff_of(GOOD.plan)) is recorded


# --- which good plan ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("course", "checked", "pending"),
    [
        (Settled(), GOOD, None),
        (Under(plan=BAD.digest), None, None),
        (Under(plan=GOOD.digest), GOOD, None),
        (Returning(good=GOOD.digest), GOOD, GOOD),
        (Returning(good=OLDER.digest), None, OLDER),
        (Returning(good="unknown"), None, None),
        (Stuck(good=GOOD.digest), None, None),
    ],
)
def test_which_plan_is_checked_and_which_return_is_unfinished(
    course: Course, checked: LastGood | None, pending: LastGood | None
) -> None:
    head = Head(good=GOOD, earlier=(OLDER,), course=course)
    assert (checked_plan(head), pending_return(head)) == (checked, pending)


def test_without_a_good_plan_there_is_nothing_to_check() -> None:
    assert checked_plan(Head()) is None


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (Head(commit="c2", good=GOOD, earlier=(OLDER,)), GOOD),
        (Head(commit="c1", good=GOOD, earlier=(OLDER, OLDEST)), OLDER),
        (Head(commit="c1", good=GOOD, earlier=(replace(OLDER, commit="c1"), OLDEST)), OLDEST),
        (Head(commit="c1", good=GOOD), Reason.ROLLBACK_FAILED),
        (Head(), Reason.ROLLBACK_FAILED),
    ],
)
def test_where_a_rollback_by_a_person_goes(head: Head, expected: object) -> None:
    found = recall(head)
    assert (found.problems[0].reason if isinstance(found, Held) else found) == expected


def test_a_way_back_deletes_what_came_since_and_leaves_what_pruning_had_left() -> None:
    deletes = tuple(
        Change(id=name, action=Action.DELETE, before=Step(instruction=Instruction(id=name, op=Print(message=""))))
        for name in ("service/orphan", "service/new")
    )
    good = replace(GOOD, serials=Frozen({"service/orphan": "s"}))
    diff = Diff(enclave="dev", plan=GOOD.plan, changes=deletes)
    kept = {
        policy: [change.id for change in completed(diff, good, Policy(prune=policy)).changes] for policy in PrunePolicy
    }
    both = ["service/orphan", "service/new"]
    assert kept == {PrunePolicy.ON: both, PrunePolicy.DATA: both, PrunePolicy.OFF: ["service/new"]}
    assert {policy: policy_back(Policy(prune=policy)).prune for policy in PrunePolicy} == {
        PrunePolicy.ON: PrunePolicy.ON,
        PrunePolicy.DATA: PrunePolicy.DATA,
        PrunePolicy.OFF: PrunePolicy.ON,
    }


# --- ends become runs ---------------------------------------------------------------------------------------

WHOLE, EMPTY = applied_of(BAD), applied_of(BAD, action=Action.KEEP)
BROKEN = applied_of(BAD, Reason.TIMED_OUT)
WHY = Failed(problems=BROKEN.problems, applied=BROKEN, plan=BAD.digest, back_to=GOOD)
HELD = Held.because(Reason.BAD_PLAN, "no", "push")


@pytest.mark.parametrize(
    ("end", "verdict", "rest"),
    [
        (Achieved(applied=WHOLE), Verdict.SUCCEEDED, {"applied": WHOLE}),
        (Achieved(applied=EMPTY), Verdict.NOOP, {"applied": EMPTY}),
        (NothingToCheck(), Verdict.NOOP, {}),
        (Invalid(problems=BROKEN.problems), Verdict.INVALID, {"problems": BROKEN.problems}),
        (HELD, Verdict.HELD, {"problems": HELD.problems}),
        (
            Held(problems=BROKEN.problems, applied=BROKEN),
            Verdict.HELD,
            {"problems": BROKEN.problems, "applied": BROKEN},
        ),
        (Suspended(), Verdict.HELD, {"problems": Suspended().problems}),
        (Superseded(applied=WHOLE, by="c3"), Verdict.SUPERSEDED, {"applied": WHOLE, "superseded_by": "c3"}),
        (Superseded(by="c3"), Verdict.SUPERSEDED, {"superseded_by": "c3"}),
        (WHY, Verdict.FAILED, {"problems": BROKEN.problems, "applied": BROKEN}),
        (
            WentBack(good=GOOD, rollback=WHOLE, failed=WHY),
            Verdict.ROLLED_BACK,
            {"applied": BROKEN, "rollback": WHOLE, "restored": "c1", "problems": BROKEN.problems},
        ),
        (WentBack(good=GOOD, rollback=WHOLE), Verdict.ROLLED_BACK, {"rollback": WHOLE, "restored": "c1"}),
        (
            WentBack(good=GOOD, rollback=BROKEN, failed=WHY),
            Verdict.ROLLBACK_FAILED,
            {"applied": BROKEN, "rollback": BROKEN, "restored": "c1", "problems": BROKEN.problems * 2},
        ),
    ],
)
def test_how_an_end_becomes_a_run(end: End, verdict: Verdict, rest: dict[str, object]) -> None:
    what, later = asked(), NOON + timedelta(seconds=2)
    run = run_of(end, run_id="r", asked=what, started_at=NOON, ended_at=later)
    plain = Run(
        id="r", environment="dev", commit=what.commit, trigger=Trigger.COMMIT, verdict=verdict, started_at=NOON,
        ended_at=later,
    )  # fmt: skip
    assert run == replace(plain, **rest)  # type: ignore[arg-type]


def test_a_crash_that_is_left_is_a_problem_of_a_run_that_went_well() -> None:
    crashed = Drift(service="web", why=Why.UNHEALTHY, detail="exited with code 1", healed=False)
    applied = Applied(diff=diff_of(BAD, action=Action.KEEP, drift=(crashed,)))
    run = run_of(Achieved(applied=applied), run_id="r", asked=asked(), started_at=NOON, ended_at=NOON)
    assert [problem.reason for problem in run.problems] == [Reason.SERVICE_CRASHED]

"""The page on a real repository, with real workers, over enclaves in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitopsd import pipeline
from gitopsd.errors import Reason
from gitopsd.model.codec import dumps
from gitopsd.model.run import ConditionState, Done, Run, Trigger, Verdict
from tests.stage.chain import PACKAGE, Chain


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Chain]:
    found = Chain(tmp_path)
    yield found
    found.close()


def done(run: Run) -> dict[str, Done]:
    assert run.applied
    return {outcome.id: outcome.done for outcome in run.applied.outcomes}


def test_a_commit_becomes_a_devnet_and_says_what_it_printed(site: Chain) -> None:
    run = site.follow(site.push())
    assert run.verdict is Verdict.SUCCEEDED, run.problems
    assert set(site.backend.observe("dev").services) == {"db", "web"}
    assert run.applied
    assert [item.text for item in run.applied.outcomes if item.text] == ["rows: output of count\n"]
    condition = site.store.condition("dev")
    assert condition and condition.state is ConditionState.READY


def test_one_argument_touches_one_service(site: Chain) -> None:
    site.follow(site.push())
    mark = len(site.backend.effects)
    run = site.follow(site.push("{level: debug}"))
    assert run.verdict is Verdict.SUCCEEDED
    assert site.backend.effects[mark:] == [("start", "web")]


def test_an_unchanged_plan_is_not_evaluated_again(site: Chain) -> None:
    commit = site.push()
    site.follow(commit)
    mark, count = len(site.backend.effects), site.evaluator.evaluations
    assert site.follow(commit).verdict is Verdict.NOOP
    assert site.evaluator.evaluations == count
    assert site.backend.effects[mark:] == []


def test_a_commit_that_changes_nothing_of_the_package_is_a_no_op(site: Chain) -> None:
    site.follow(site.push())
    mark = len(site.backend.effects)
    assert site.follow(site.push(extra="only words")).verdict is Verdict.NOOP
    assert site.backend.effects[mark:] == []


def test_a_service_that_never_becomes_ready_goes_back(site: Chain) -> None:
    good = site.push("{level: a}")
    site.follow(good)
    before = {name: site.backend.workload("dev", name).spec for name in ("db", "web")}
    run = site.follow(site.push("{level: b, broken: 'broken:1'}"), newer=lambda: "")
    assert run.verdict is Verdict.ROLLED_BACK, run.problems
    assert run.restored == good.id
    assert "web never became ready" in run.problems[0].message
    assert {name: site.backend.workload("dev", name).spec for name in ("db", "web")} == before
    assert site.ran("task") == ["genesis: /bin/sh -c make-genesis"]
    assert site.ran("exec") == ["db: init", "db: count"]


def failing(site: Chain) -> Run:
    """A commit whose new exec exits with code 1."""
    site.answers["migrate"] = 1
    package = PACKAGE.replace(
        'plan.print("rows', 'plan.exec("db", ExecRecipe(command=["migrate"]))\n    plan.print("rows'
    )
    return site.follow(site.push(package=package))


def test_a_wrong_exit_code_goes_back_and_the_plan_is_remembered(site: Chain) -> None:
    good = site.push()
    site.follow(good)
    run = failing(site)
    assert run.verdict is Verdict.ROLLED_BACK
    assert run.restored == good.id
    assert run.problems[0].position == "chain/main.star:18"
    mark = len(site.backend.effects)
    again = site.follow(run.commit)
    assert again.verdict is Verdict.HELD
    assert again.problems[0].reason is Reason.BAD_PLAN
    assert site.backend.effects[mark:] == []


def test_a_new_commit_with_the_bad_plan_is_held_and_sync_tries_it_again(site: Chain) -> None:
    site.follow(site.push())
    failing(site)
    package = (site.repository.folder / "chain/main.star").read_text()
    commit = site.push(package=package, extra="words")
    assert site.follow(commit).verdict is Verdict.HELD
    site.answers.clear()
    assert site.follow(commit, trigger=Trigger.SYNC).verdict is Verdict.SUCCEEDED


def test_a_revert_is_just_a_commit_and_repeats_nothing(site: Chain) -> None:
    site.follow(site.push())
    failing(site)
    mark = len(site.backend.effects)
    assert site.follow(site.push(extra="reverted")).verdict is Verdict.NOOP
    assert site.backend.effects[mark:] == []


def test_a_plan_that_failed_first_of_all_is_not_said_to_have_been_rolled_back(site: Chain) -> None:
    run = failing(site)
    assert run.verdict is Verdict.FAILED
    problem = site.follow(run.commit).problems[0]
    assert (problem.reason, problem.message) == (
        Reason.BAD_PLAN, "this plan failed before and is not tried again by itself",
    )  # fmt: skip


def test_without_a_last_good_it_stays_for_inspection(site: Chain) -> None:
    run = failing(site)
    assert run.verdict is Verdict.FAILED
    assert run.rollback is None
    assert "db" in site.backend.observe("dev").services
    site.answers.clear()
    assert site.follow(site.push()).verdict is Verdict.SUCCEEDED
    assert site.ran("task") == ["genesis: /bin/sh -c make-genesis"]


def test_a_package_that_cannot_be_evaluated_touches_nothing(site: Chain) -> None:
    site.follow(site.push())
    mark = len(site.backend.effects)
    run = site.follow(site.push(package="def run(plan):\n    plan.add_service(name=1)\n"))
    assert run.verdict is Verdict.INVALID
    assert run.problems[0].position.startswith("chain/main.star:2")
    assert site.backend.effects[mark:] == []


def test_a_new_commit_pre_empts_one_that_only_waits(site: Chain) -> None:
    site.follow(site.push())
    asked: list[float] = []

    def newer() -> str:
        asked.append(site.world.clock.monotonic())
        return "f" * 40 if asked[-1] - asked[0] > 0.5 else ""

    started = site.world.clock.monotonic()
    run = site.follow(site.push("{broken: 'broken:1', wait: 60s}"), newer=newer)
    assert run.verdict is Verdict.SUPERSEDED
    assert run.superseded_by == "f" * 40
    assert site.world.clock.monotonic() - started < 30, "the port's wait of 60 s was not waited for"
    assert site.follow(site.push()).verdict is Verdict.SUCCEEDED
    assert site.ran("task") == ["genesis: /bin/sh -c make-genesis"]


def test_drift_is_healed_with_the_stored_plan_alone(site: Chain) -> None:
    commit = site.push()
    site.follow(commit)
    assert site.check_drift(commit).verdict is Verdict.NOOP
    site.backend.lose("dev", "web")
    count = site.evaluator.evaluations
    run = site.check_drift(commit)
    assert run.verdict is Verdict.SUCCEEDED
    assert done(run)["service/web"] is Done.APPLIED
    assert site.evaluator.evaluations == count
    assert site.check_drift(commit).verdict is Verdict.NOOP


def test_drift_may_be_only_reported(site: Chain) -> None:
    commit = site.push(more="drift: report")
    site.follow(commit)
    site.backend.lose("dev", "web")
    run = site.check_drift(commit)
    assert "web" not in site.backend.observe("dev").services
    assert run.applied and [item.service for item in run.applied.diff.drift] == ["web"]


def test_a_manual_rollback_stays_until_a_new_commit(site: Chain) -> None:
    first = site.push("{level: a}")
    site.follow(first)
    second = site.push("{level: b}")
    environment = site.environment(second)
    site.follow(second)
    run = pipeline.roll_back(environment, site.world)
    assert run.verdict is Verdict.ROLLED_BACK
    assert run.restored == first.id
    condition = site.store.condition("dev")
    assert condition and condition.message == f"it was rolled back to {first.short}"
    assert site.follow(second).verdict is Verdict.HELD
    assert site.follow(site.push("{level: c}")).verdict is Verdict.SUCCEEDED


def test_a_suspended_environment_is_left_alone(site: Chain) -> None:
    run = site.follow(site.push(more="suspend: true"))
    assert run.verdict is Verdict.HELD
    assert site.backend.effects == []


def test_a_lost_genesis_holds_instead_of_being_made_anew(site: Chain) -> None:
    site.follow(site.push())
    genesis = site.recorded.steps["task/genesis"].output.artifacts["genesis"]
    site.backend.forget_artifact("dev", genesis)
    mark = len(site.backend.effects)
    run = site.follow(site.push("{level: other}"))
    assert run.verdict is Verdict.HELD
    assert run.problems[0].reason is Reason.RESULT_LOST
    assert site.backend.effects[mark:] == []


def test_a_secret_reaches_the_service_and_nothing_else(site: Chain) -> None:
    site.answers["count"] = 3
    commit = site.push("{password: {secret: DB_PASSWORD}}")
    site.follow(commit)
    site.answers.clear()
    run = site.follow(site.push("{password: {secret: DB_PASSWORD}}", extra="again"), trigger=Trigger.SYNC)
    assert run.verdict is Verdict.SUCCEEDED, run.problems
    canary = "canary-5up3r-s3cret"
    assert site.backend.workload("dev", "db").spec.env["PASSWORD"] == canary
    assert canary not in dumps(site.recorded)
    assert all(canary not in repr(item) for item in site.store.runs("dev"))


def test_a_secret_that_is_not_bound_is_named_and_touches_nothing(site: Chain) -> None:
    run = site.follow(site.push("{password: {secret: OTHER}}"))
    assert run.verdict is Verdict.INVALID
    assert run.problems[0].reason is Reason.SECRET_MISSING
    assert site.backend.effects == []


def test_a_dry_run_has_no_effect(site: Chain) -> None:
    commit = site.push()
    planned = pipeline.plan(site.to_follow(commit), site.world)
    assert planned.diff and [change.action for change in planned.diff.changes if change.id == "service/web"] == [
        "create"
    ]
    assert site.backend.effects == []
    assert site.record.read("dev") is None


def test_destroy_forgets_the_enclave(site: Chain) -> None:
    commit = site.push()
    environment = site.environment(commit)
    site.follow(commit)
    pipeline.destroy(environment, site.world, defined=False)
    assert not site.backend.observe("dev").exists
    assert site.recorded.steps == {}
    assert site.recorded.head.good is None


def test_a_force_push_leaves_the_enclave_as_it_is_until_a_person_agrees(site: Chain) -> None:
    site.follow(site.push())
    mark = len(site.backend.effects)
    rewritten = site.push("{level: other}", force=True)
    run = site.follow(rewritten)
    assert run.verdict is Verdict.HELD
    assert run.problems[0].reason is Reason.HISTORY_REWRITTEN
    assert site.backend.effects[mark:] == []
    assert site.follow(rewritten, trigger=Trigger.SYNC).verdict is Verdict.SUCCEEDED
    assert site.follow(site.push("{level: next}")).verdict is Verdict.SUCCEEDED

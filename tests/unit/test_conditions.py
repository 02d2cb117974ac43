"""Where an environment stands after a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitopsd.errors import Reason
from gitopsd.model.diff import Diff, Drift, Why
from gitopsd.model.environment import Commit
from gitopsd.model.plan import Plan
from gitopsd.model.run import Applied, Condition, ConditionState, Run, Trigger, Verdict, condition_after

READY = Condition(environment="dev", state=ConditionState.READY, commit="a")
CRASH = Drift(service="job", why=Why.UNHEALTHY, detail="it ended with code 3 and is started again", healed=False)


def run_with(*drift: Drift, trigger: Trigger = Trigger.DRIFT) -> Run:
    applied = Applied(diff=Diff(enclave="dev", plan=Plan(package_digest="p", args_digest="a"), drift=drift))
    return Run(
        id="r", environment="dev", commit=Commit(url="u", ref="main", id="a"), trigger=trigger, verdict=Verdict.NOOP,
        applied=applied, problems=applied.crashed,
    )  # fmt: skip


def after(run: Run, before: Condition | None) -> Condition | None:
    return condition_after(run, before, suspended=False)


@pytest.mark.parametrize("trigger", [Trigger.DRIFT, Trigger.COMMIT, Trigger.SYNC])
@pytest.mark.parametrize("before", [None, READY])
def test_a_service_that_crashes_degrades_its_environment(before: Condition | None, trigger: Trigger) -> None:
    run = run_with(CRASH, trigger=trigger)
    assert [problem.reason for problem in run.problems] == [Reason.SERVICE_CRASHED]
    found = after(run, before)
    assert found is not None
    assert (found.state, found.message) == (ConditionState.DEGRADED, f"job: {CRASH.detail}")


def test_an_environment_is_ready_when_no_service_crashes_any_more() -> None:
    degraded = after(run_with(CRASH), READY)
    found = after(run_with(), degraded)
    assert found is not None
    assert (found.state, found.message) == (ConditionState.READY, "")


def test_what_a_commit_is_held_or_degraded_for_outlasts_a_crash_and_its_end() -> None:
    for before in (
        replace(READY, state=ConditionState.HELD),
        Condition(environment="dev", state=ConditionState.DEGRADED),
    ):
        assert after(run_with(CRASH), before) is None
        assert after(run_with(), before) is None


def test_drift_that_is_only_reported_is_no_crash() -> None:
    found = after(run_with(replace(CRASH, why=Why.DRIFTED), replace(CRASH, why=Why.UNHEALTHY, healed=True)), READY)
    assert found is not None
    assert found.state is ConditionState.READY

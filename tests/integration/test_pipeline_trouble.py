"""The page when things go wrong in the middle: crashes on the way back, policies, persons, older records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gitopsd import pipeline
from gitopsd.adapters.memory import Crash
from gitopsd.errors import Reason
from gitopsd.model.environment import Commit
from gitopsd.model.head import SCHEME, Settled, Stuck
from gitopsd.model.package import EvaluationRequest
from gitopsd.model.plan import Evaluation
from gitopsd.model.record import Recorded
from gitopsd.model.run import ConditionState, ReportState, Run, Trigger, Verdict
from tests.stage.chain import PACKAGE, Chain

MIGRATE_FIRST = PACKAGE.replace(
    'plan.exec("db", ExecRecipe(command=["init"]))',
    'plan.exec("db", ExecRecipe(command=["migrate"]))\n    plan.exec("db", ExecRecipe(command=["init"]))',
)
BROKEN = "{broken: 'broken:1'}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Chain]:
    found = Chain(tmp_path)
    yield found
    found.close()


def state(site: Chain) -> ConditionState | None:
    found = site.store.condition("dev")
    return found.state if found else None


def drift(site: Chain, run: Run) -> Run:
    return site.check_drift(run.commit)


def test_a_bad_plan_is_remembered_also_when_its_nameless_steps_were_paired_otherwise(site: Chain) -> None:
    site.follow(site.push())
    site.answers["migrate"] = 1
    run = site.follow(site.push(package=MIGRATE_FIRST))
    assert run.verdict is Verdict.ROLLED_BACK
    mark = len(site.backend.effects)
    assert site.follow(run.commit).verdict is Verdict.HELD
    assert site.follow(run.commit, trigger=Trigger.RESUME).verdict is Verdict.HELD
    assert site.backend.effects[mark:] == []


def test_a_way_back_that_was_cut_off_is_finished(site: Chain) -> None:
    site.follow(site.push())
    bad = site.push(BROKEN)
    for effects in range(2, 30):
        site.backend.fuse.after = site.backend.fuse.effects + effects
        with suppress(Crash):
            site.follow(bad)
        site.backend.fuse.after = None
        if site.recorded.head.bad_plans:
            break
    assert site.recorded.head.bad_plans, "it died on the way back"
    run = site.follow(bad)
    assert run.verdict in (Verdict.ROLLED_BACK, Verdict.HELD)
    assert site.backend.workload("dev", "web").spec.image.name == "web:1"
    assert site.recorded.head.course == Settled()
    assert drift(site, run).verdict is Verdict.NOOP


def test_a_drift_check_does_not_go_back_where_the_policy_does_not(site: Chain) -> None:
    site.follow(site.push(more="rollback: none"))
    run = site.follow(site.push(BROKEN, more="rollback: none"))
    assert run.verdict is Verdict.FAILED and run.rollback is None
    mark = len(site.backend.effects)
    assert drift(site, run).verdict is Verdict.NOOP
    assert site.backend.effects[mark:] == []
    assert state(site) is ConditionState.DEGRADED


def test_a_way_back_that_fails_stops_and_holds(site: Chain) -> None:
    site.follow(site.push())
    site.ready = lambda workload: False
    run = site.follow(site.push(BROKEN))
    assert run.verdict is Verdict.ROLLBACK_FAILED
    assert isinstance(site.recorded.head.course, Stuck)
    site.ready = lambda workload: True
    mark = len(site.backend.effects)
    assert drift(site, run).verdict is Verdict.NOOP
    assert site.backend.effects[mark:] == [] and state(site) is ConditionState.DEGRADED
    assert site.follow(site.push()).verdict is Verdict.SUCCEEDED
    assert site.recorded.head.course == Settled()


def test_the_last_good_plan_that_fails_again_is_not_bad(site: Chain) -> None:
    run = site.follow(site.push())
    site.backend.lose("dev", "web")
    site.ready = lambda workload: False
    again = site.follow(site.push(extra="words"))
    assert again.verdict is Verdict.FAILED and again.rollback is None
    site.ready = lambda workload: True
    assert drift(site, run).verdict is Verdict.SUCCEEDED
    assert site.follow(site.push(extra="more words")).verdict is Verdict.NOOP


def test_going_back_twice_stays_pinned_to_the_newest_commit(site: Chain) -> None:
    commits = [site.push(f"{{level: '{level}'}}") for level in "abc"]
    for commit in commits:
        site.follow(commit)
    environment = site.environment(commits[-1])
    assert pipeline.roll_back(environment, site.world).restored == commits[1].id
    assert pipeline.roll_back(environment, site.world).restored == commits[0].id
    assert site.follow(commits[-1]).verdict is Verdict.HELD
    assert site.backend.workload("dev", "web").spec.cmd[1] == "a"
    assert site.follow(commits[-1], trigger=Trigger.SYNC).verdict is Verdict.SUCCEEDED
    assert site.ran("task") == ["genesis: /bin/sh -c make-genesis"]


def test_an_interrupted_step_holds_until_a_person_syncs(site: Chain) -> None:
    site.follow(site.push(more="interrupted: hold"))
    commit = site.push(package=MIGRATE_FIRST, more="interrupted: hold")
    write = site.record.write

    def cut(enclave: str, generation: int, before: Recorded, after: Recorded) -> None:
        write(enclave, generation, before, after)
        if after.intents.keys() - before.intents.keys():
            raise Crash

    site.record.write = cut  # type: ignore[method-assign]
    with suppress(Crash):
        site.follow(commit)
    site.record.write = write  # type: ignore[method-assign]
    held = site.follow(commit)
    assert held.verdict is Verdict.HELD and held.problems[0].reason is Reason.INTERRUPTED
    assert "db: migrate" not in site.ran("exec")
    assert site.follow(commit, trigger=Trigger.SYNC).verdict is Verdict.SUCCEEDED
    assert site.ran("exec").count("db: migrate") == 1


def test_what_was_left_alone_before_is_left_alone_on_the_way_back(site: Chain) -> None:
    extra = '    plan.add_service("extra", ServiceConfig(image="extra:1"))\n'
    more = '    plan.add_service("more", ServiceConfig(image="more:1"))\n'
    site.follow(site.push(package=PACKAGE + extra, more="prune: off"))
    site.follow(site.push(more="prune: off"))
    assert "extra" in site.backend.observe("dev").services
    site.answers["migrate"] = 1
    bad = MIGRATE_FIRST.replace("    genesis =", more + "    genesis =")
    assert site.follow(site.push(package=bad, more="prune: off")).verdict is Verdict.ROLLED_BACK
    assert set(site.backend.observe("dev").services) == {"db", "web", "extra"}


def test_an_older_record_is_taken_over_once(site: Chain) -> None:
    run = site.follow(site.push())
    site.amend(lambda head: replace(head, scheme=0))
    mark = len(site.backend.effects)
    assert drift(site, run).verdict is Verdict.NOOP
    assert site.recorded.head.scheme == SCHEME
    site.backend.lose("dev", "web")
    assert drift(site, run).verdict is Verdict.SUCCEEDED
    assert [verb for verb, _ in site.backend.effects[mark:]][-1] == "start"


def test_healed_drift_keeps_the_results_of_then_for_a_way_back(site: Chain) -> None:
    run = site.follow(site.push())
    site.backend.lose("dev", "web")
    drift(site, run)
    recorded = site.recorded
    assert recorded.head.good
    assert recorded.head.good.serials == {name: step.serial for name, step in recorded.steps.items()}


def ends_of(site: Chain, commit: Commit) -> list[ReportState]:
    """The states that the forge is told of a commit, in order."""
    return [
        item.report.state
        for item in site.store.outbox()
        if item.channel == "forge" and item.report.commit.id == commit.id
    ]


def test_a_commit_that_was_announced_and_overtaken_over_a_restart_ends_as_superseded(
    site: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: EvaluationRequest) -> Evaluation:
        raise Crash

    for before in ({}, {"level": "a"}):  # without a record, where the daemon keeps what it announced, and with one
        lost = site.push(f"{{level: lost, wait: {len(before) + 1}s}}")
        with monkeypatch.context() as patch, suppress(Crash):
            patch.setattr(site.evaluator, "evaluate", crash)
            site.follow(lost)
        assert ends_of(site, lost) == [ReportState.PENDING]
        assert (site.record.read("dev") is None) == (not before)
        live = site.push(f"{{level: found, wait: {len(before) + 1}s}}")
        assert site.follow(live).verdict is Verdict.SUCCEEDED
        assert ends_of(site, lost) == [ReportState.PENDING, ReportState.SUPERSEDED]
        assert ends_of(site, live) == [ReportState.PENDING, ReportState.SUCCESS]

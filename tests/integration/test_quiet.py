"""Checks that are left out because nothing that they depend on has changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitopsd import pipeline
from gitopsd.daemon.quiet import WHOLE_EVERY, Quiet
from gitopsd.model.environment import DriftPolicy, Environment
from gitopsd.model.run import Run, Verdict
from tests.stage.chain import Chain
from tests.stage.ports import SteppingClock


class Watched:
    """A devnet that runs, its checks, and how many of them were really made."""

    def __init__(self, folder: Path) -> None:
        self.site = Chain(folder)
        self.clock = SteppingClock()
        self.secrets = self.site.secrets
        self.world = self.site.world = replace(self.site.world, clock=self.clock)
        commit = self.site.push("{password: {secret: DB_PASSWORD}}")
        self.environment = self.site.environment(commit)
        assert self.site.follow(commit).verdict is Verdict.SUCCEEDED
        self.quiet = Quiet(self.world)
        self.made = 0

    def check(self, environment: Environment | None = None) -> Run | None:
        wanted = environment or self.environment

        def compare() -> Run:
            self.made += 1
            return pipeline.check_drift(wanted, self.world)

        return self.quiet.check(wanted, compare)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    found = Watched(tmp_path)
    yield found
    found.site.close()


def test_an_enclave_that_nobody_touches_is_compared_once(watched: Watched) -> None:
    first = watched.check()
    assert first is not None
    assert first.verdict is Verdict.NOOP
    assert [watched.check() for _ in range(3)] == [None, None, None]
    assert watched.made == 1


def test_a_service_that_went_away_is_healed_and_the_enclave_compared_until_it_is_whole(watched: Watched) -> None:
    watched.check()
    watched.site.backend.remove("dev", "web")
    healed = watched.check()
    assert healed is not None
    assert healed.verdict is Verdict.SUCCEEDED
    assert "web" in watched.site.backend.observe("dev").services
    again = watched.check()
    assert again is not None
    assert again.verdict is Verdict.NOOP
    assert watched.check() is None


def test_drift_that_is_only_reported_is_compared_each_time(watched: Watched) -> None:
    policy = replace(watched.environment.policy, drift=DriftPolicy.REPORT)
    reporting = replace(watched.environment, policy=policy)
    watched.site.backend.remove("dev", "web")
    assert watched.check(reporting) is not None
    assert watched.check(reporting) is not None


def test_another_policy_a_rotated_secret_or_a_run_in_between_is_a_reason_to_compare(watched: Watched) -> None:
    watched.check()
    ignoring = replace(watched.environment, policy=replace(watched.environment.policy, drift=DriftPolicy.IGNORE))
    assert watched.check(ignoring) is not None
    assert watched.check() is not None
    assert watched.check() is None
    watched.quiet.forget("dev")
    assert watched.check() is not None
    watched.secrets.values["DB_PASSWORD"] = "two"
    rotated = watched.check()
    assert rotated is not None
    assert rotated.verdict is Verdict.SUCCEEDED


def test_what_was_done_to_the_record_is_found_within_an_hour(watched: Watched) -> None:
    watched.check()
    assert watched.check() is None
    watched.clock.sleep(WHOLE_EVERY)
    assert watched.check() is not None


def test_an_enclave_that_cannot_be_looked_at_is_left_to_the_comparison(watched: Watched) -> None:
    watched.check()
    watched.secrets.values.clear()
    watched.site.backend.remove("dev", "web")
    run = watched.check()
    assert run is not None
    assert run.verdict is Verdict.INVALID

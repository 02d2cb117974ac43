"""What a check of a repository leads to: work for its environments, and word to people about broken ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import structlog

from gitopsd.adapters.clock import SystemClock
from gitopsd.adapters.git.mirrors import GitMirrors
from gitopsd.adapters.worker.evaluator import WorkerEvaluator
from gitopsd.daemon.checks import Asking, Checker, CheckParts
from gitopsd.daemon.roster import Roster, watched
from gitopsd.daemon.work import Work
from gitopsd.model.environment import Commit, Source
from gitopsd.model.plan import Problem
from tests.stage.repository import Checkout

GOOD = "environments:\n  dev:\n    package: net\n  ci:\n    package: net\n"
ONE_BROKEN = "environments:\n  dev:\n    package: net\n  ci:\n    package: net\n    timeout: soon\n"


@dataclass
class Desk:
    folder: Path
    works: list[Work] = field(default_factory=list)
    refusals: list[tuple[str, str, tuple[Problem, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.repository = Checkout(self.folder / "repo")
        self.source = Source(name="devnets", url=self.repository.url)
        self.roster = Roster((self.source,))
        self.git, self.evaluator, self.clock = GitMirrors(self.folder / "git"), WorkerEvaluator(), SystemClock()
        parts = CheckParts(
            world=self,  # type: ignore[arg-type]  # a check reads, and says what is refused
            roster=self.roster,
            put=self.works.append,
            delay=lambda key, seconds: None,
            drift=lambda name: None,
            watch=lambda source: None,
            unwatch=lambda key: None,
            log=structlog.wrap_logger(structlog.ReturnLogger()),
        )
        self.checker = Checker(parts)

    def refused(self, environment: str, commit: Commit, problems: tuple[Problem, ...]) -> None:
        self.refusals.append((environment, commit.id, problems))

    def push(self, environments: str) -> str:
        return self.repository.push({"gitopsd.yaml": environments, "net/kurtosis.yml": "name: github.com/a/net\n"})

    def check(self) -> None:
        self.works.clear()
        self.refusals.clear()
        self.checker.check(watched(self.source), Asking())


def test_a_moved_head_is_work_for_each_environment_and_an_unmoved_one_for_none(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    commit = desk.push(GOOD)
    desk.check()
    assert [(work.environment.name, work.commit.id) for work in desk.works] == [("ci", commit), ("dev", commit)]
    desk.check()
    assert desk.works == []


def test_a_broken_environment_gets_its_final_word_and_the_other_goes_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    commit = desk.push(ONE_BROKEN)
    desk.check()
    assert [work.environment.name for work in desk.works] == ["dev"]
    ((name, told, problems),) = desk.refusals
    assert (name, told) == ("ci", commit)
    assert problems[0].position.startswith("gitopsd.yaml:6")


def test_a_file_that_cannot_be_read_is_told_to_all_its_environments(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.push(GOOD)
    desk.check()
    desk.push("environments: [\n")
    desk.check()
    assert desk.works == []
    assert {name for name, *_ in desk.refusals} == {"ci", "dev"}

"""The page on a real repository, with real workers, over enclaves in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pygit2
import pytest

from gitopsd import pipeline
from gitopsd.adapters.clock import SystemClock
from gitopsd.adapters.downloads import HttpDownloads
from gitopsd.adapters.git.mirrors import GitMirrors, GitRules
from gitopsd.adapters.memory import MemoryBackend, MemoryRecord
from gitopsd.adapters.store import SqlStore
from gitopsd.adapters.worker.evaluator import WorkerEvaluator
from gitopsd.errors import Reason
from gitopsd.fetch import read_environments
from gitopsd.model.calls import Workload
from gitopsd.model.environment import Commit, Environment, Source
from gitopsd.model.package import EvaluationRequest
from gitopsd.model.plan import Evaluation
from gitopsd.model.run import ConditionState, Done, Run, Trigger, Verdict
from tests.worlds import BoundSecrets, Silence

PACKAGE = """
def run(plan, level="info", password="", broken="", wait="1s"):
    genesis = plan.run_sh(name="genesis", run="make-genesis", store=[StoreSpec(src="/out", name="genesis")])
    plan.upload_files(src="./static", name="static")
    db = plan.add_service("db", ServiceConfig(
        image="db:1",
        ports={"sql": PortSpec(5432, wait="2s")},
        files={"/data": Directory(persistent_key="db"), "/genesis": genesis.files_artifacts[0], "/static": "static"},
        env_vars={"PASSWORD": password},
    ))
    plan.exec("db", ExecRecipe(command=["init"]))
    plan.add_service("web", ServiceConfig(
        image="web:1" if not broken else broken,
        cmd=["--level", level, "--db", db.ip_address],
        ports={"http": PortSpec(80, wait=wait)},
    ))
    answer = plan.exec("db", ExecRecipe(command=["count"]))
    plan.print("rows: " + answer["output"])
    plan.verify(answer["code"], "==", 0)
"""
ENVIRONMENTS = """
environments:
  dev:
    package: chain
    args: {args}
    {more}
"""


class CountingEvaluator(WorkerEvaluator):
    """The real one, which also counts evaluations."""

    evaluations = 0

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        self.evaluations += 1
        return super().evaluate(request)


@dataclass
class Site:
    """A repository, a world and what a user does with them."""

    folder: Path
    answers: dict[str, int] = field(default_factory=dict)
    ready: Callable[[Workload], bool] = lambda workload: workload.spec.image.name != "broken:1"

    def __post_init__(self) -> None:
        self.repository = pygit2.init_repository(self.folder / "repo", initial_head="main")
        self.backend = MemoryBackend(answer=self.answer, ready=self.is_ready)
        self.evaluator = CountingEvaluator()
        self.store = SqlStore("sqlite://")
        self.record = MemoryRecord()
        self.world = pipeline.World(
            git=GitMirrors(self.folder / "state", GitRules()),
            downloads=HttpDownloads(self.folder / "downloads"),
            evaluator=self.evaluator,
            backends={"local": self.backend},
            records={"local": self.record},
            store=self.store,
            secrets=BoundSecrets({"DB_PASSWORD": "canary-5up3r-s3cret"}),
            clock=SystemClock(),
            journal=Silence(),
        )
        self.source = Source(name="envs", url=f"file://{self.folder / 'repo'}", ref="main")

    def is_ready(self, workload: Workload) -> bool:
        return self.ready(workload)

    def answer(self, subject: str, command: tuple[str, ...]) -> tuple[int, str]:
        return self.answers.get(command[-1], 0), f"output of {command[-1]}\n"

    def push(
        self, args: str = "{}", *, package: str = PACKAGE, more: str = "", extra: str = "", force: bool = False
    ) -> Commit:
        files = {
            "gitopsd.yaml": ENVIRONMENTS.format(args=args, more=more),
            "chain/kurtosis.yml": "name: github.com/acme/devnets/chain\n",
            "chain/main.star": package,
            "chain/static/file.txt": "static",
            "README.md": extra,
        }
        for name, text in files.items():
            path = self.folder / "repo" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.repository.index.add_all()
        self.repository.index.write()
        who = pygit2.Signature("Ann", "ann@example.org")
        parents = [] if self.repository.head_is_unborn or force else [self.repository.head.target]
        tree = self.repository.index.write_tree()
        made = self.repository.create_commit(None, who, who, "Change", tree, parents)
        self.repository.references.create("refs/heads/main", made, force=True)
        return self.world.git.head(self.source)

    def environment(self, commit: Commit) -> Environment:
        found = read_environments(self.source, commit, self.world.git, self.evaluator)
        assert not found.problems, found.problems
        return found.environments[0]

    def follow(self, commit: Commit, **options: Any) -> Run:
        return pipeline.follow(self.environment(commit), commit, self.world, **options)

    def ran(self, verb: str) -> list[str]:
        return [what for name, what in self.backend.effects if name == verb]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.store.close()


def done(run: Run) -> dict[str, Done]:
    assert run.applied
    return {outcome.id: outcome.done for outcome in run.applied.outcomes}


def test_a_commit_becomes_a_devnet_and_says_what_it_printed(site: Site) -> None:
    run = site.follow(site.push())
    assert run.verdict is Verdict.SUCCEEDED, run.problems
    assert set(site.backend.observe("dev").services) == {"db", "web"}
    assert run.applied
    assert [item.text for item in run.applied.outcomes if item.text] == ["rows: output of count\n"]
    condition = site.store.condition("dev")
    assert condition and condition.state is ConditionState.READY


def test_one_argument_touches_one_service(site: Site) -> None:
    site.follow(site.push())
    mark = len(site.backend.effects)
    run = site.follow(site.push("{level: debug}"))
    assert run.verdict is Verdict.SUCCEEDED
    assert site.backend.effects[mark:] == [("start", "web")]


def test_an_unchanged_plan_is_not_evaluated_again(site: Site) -> None:
    commit = site.push()
    site.follow(commit)
    mark, count = len(site.backend.effects), site.evaluator.evaluations
    assert site.follow(commit).verdict is Verdict.NOOP
    assert site.evaluator.evaluations == count
    assert site.backend.effects[mark:] == []


def test_a_commit_that_changes_nothing_of_the_package_is_a_no_op(site: Site) -> None:
    site.follow(site.push())
    mark = len(site.backend.effects)
    assert site.follow(site.push(extra="only words")).verdict is Verdict.NOOP
    assert site.backend.effects[mark:] == []


def test_a_service_that_never_becomes_ready_goes_back(site: Site) -> None:
    good = site.push("{level: a}")
    site.follow(good)
    before = {name: site.backend.workload("dev", name).spec for name in ("db", "web")}
    run = site.follow(site.push("{level: b, broken: 'broken:1'}"), preempt=lambda: "")
    assert run.verdict is Verdict.ROLLED_BACK, run.problems
    assert run.restored == good.id
    assert "web never became ready" in run.problems[0].message
    assert {name: site.backend.workload("dev", name).spec for name in ("db", "web")} == before
    assert site.ran("task") == ["genesis: /bin/sh -c make-genesis"]
    assert site.ran("exec") == ["db: init", "db: count"]


def failing(site: Site) -> Run:
    """A commit whose new exec exits with code 1."""
    site.answers["migrate"] = 1
    package = PACKAGE.replace(
        'plan.print("rows', 'plan.exec("db", ExecRecipe(command=["migrate"]))\n    plan.print("rows'
    )
    return site.follow(site.push(package=package))


def test_a_wrong_exit_code_goes_back_and_the_plan_is_remembered(site: Site) -> None:
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


def test_a_new_commit_with_the_bad_plan_is_held_and_sync_tries_it_again(site: Site) -> None:
    site.follow(site.push())
    failing(site)
    package = (site.folder / "repo/chain/main.star").read_text()
    commit = site.push(package=package, extra="words")
    assert site.follow(commit).verdict is Verdict.HELD
    site.answers.clear()
    assert site.follow(commit, trigger=Trigger.SYNC).verdict is Verdict.SUCCEEDED


def test_a_revert_is_just_a_commit_and_repeats_nothing(site: Site) -> None:
    site.follow(site.push())
    failing(site)
    mark = len(site.backend.effects)
    assert site.follow(site.push(extra="reverted")).verdict is Verdict.NOOP
    assert site.backend.effects[mark:] == []


def test_a_plan_that_failed_first_of_all_is_not_said_to_have_been_rolled_back(site: Site) -> None:
    run = failing(site)
    assert run.verdict is Verdict.FAILED
    problem = site.follow(run.commit).problems[0]
    assert (problem.reason, problem.message) == (
        Reason.BAD_PLAN, "this plan failed before and is not tried again by itself",
    )  # fmt: skip


def test_without_a_last_good_it_stays_for_inspection(site: Site) -> None:
    run = failing(site)
    assert run.verdict is Verdict.FAILED
    assert run.rollback is None
    assert "db" in site.backend.observe("dev").services
    site.answers.clear()
    assert site.follow(site.push()).verdict is Verdict.SUCCEEDED
    assert site.ran("task") == ["genesis: /bin/sh -c make-genesis"]


def test_a_package_that_cannot_be_evaluated_touches_nothing(site: Site) -> None:
    site.follow(site.push())
    mark = len(site.backend.effects)
    run = site.follow(site.push(package="def run(plan):\n    plan.add_service(name=1)\n"))
    assert run.verdict is Verdict.INVALID
    assert run.problems[0].position.startswith("chain/main.star:2")
    assert site.backend.effects[mark:] == []


def test_a_new_commit_pre_empts_one_that_only_waits(site: Site) -> None:
    site.follow(site.push())
    asked: list[float] = []

    def newer() -> str:
        asked.append(site.world.clock.monotonic())
        return "f" * 40 if asked[-1] - asked[0] > 0.5 else ""

    started = site.world.clock.monotonic()
    run = site.follow(site.push("{broken: 'broken:1', wait: 60s}"), preempt=newer)
    assert run.verdict is Verdict.SUPERSEDED
    assert run.superseded_by == "f" * 40
    assert site.world.clock.monotonic() - started < 30, "the port's wait of 60 s was not waited for"
    assert site.follow(site.push()).verdict is Verdict.SUCCEEDED
    assert site.ran("task") == ["genesis: /bin/sh -c make-genesis"]


def test_drift_is_healed_with_the_stored_plan_alone(site: Site) -> None:
    commit = site.push()
    site.follow(commit)
    environment = site.environment(commit)
    assert pipeline.check_drift(environment, site.world).verdict is Verdict.NOOP
    site.backend.lose("dev", "web")
    count = site.evaluator.evaluations
    run = pipeline.check_drift(environment, site.world)
    assert run.verdict is Verdict.SUCCEEDED
    assert done(run)["service/web"] is Done.APPLIED
    assert site.evaluator.evaluations == count
    assert pipeline.check_drift(environment, site.world).verdict is Verdict.NOOP


def test_drift_may_be_only_reported(site: Site) -> None:
    commit = site.push(more="drift: report")
    site.follow(commit)
    site.backend.lose("dev", "web")
    run = pipeline.check_drift(site.environment(commit), site.world)
    assert "web" not in site.backend.observe("dev").services
    assert run.applied and [item.service for item in run.applied.diff.drift] == ["web"]


def test_a_manual_rollback_stays_until_a_new_commit(site: Site) -> None:
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


def test_a_suspended_environment_is_left_alone(site: Site) -> None:
    run = site.follow(site.push(more="suspend: true"))
    assert run.verdict is Verdict.HELD
    assert site.backend.effects == []


def test_a_lost_genesis_holds_instead_of_being_made_anew(site: Site) -> None:
    site.follow(site.push())
    genesis = site.record.load("dev").steps["task/genesis"].output.artifacts["genesis"]
    site.backend.forget_artifact("dev", genesis)
    mark = len(site.backend.effects)
    run = site.follow(site.push("{level: other}"))
    assert run.verdict is Verdict.HELD
    assert run.problems[0].reason is Reason.RESULT_LOST
    assert site.backend.effects[mark:] == []


def test_a_secret_reaches_the_service_and_nothing_else(site: Site) -> None:
    site.answers["count"] = 3
    commit = site.push("{password: {secret: DB_PASSWORD}}")
    site.follow(commit)
    site.answers.clear()
    run = site.follow(site.push("{password: {secret: DB_PASSWORD}}", extra="again"), trigger=Trigger.SYNC)
    assert run.verdict is Verdict.SUCCEEDED, run.problems
    canary = "canary-5up3r-s3cret"
    assert site.backend.workload("dev", "db").spec.env["PASSWORD"] == canary
    assert canary not in site.record.texts["dev"]
    assert all(canary not in repr(item) for item in site.store.runs("dev"))


def test_a_secret_that_is_not_bound_is_named_and_touches_nothing(site: Site) -> None:
    run = site.follow(site.push("{password: {secret: OTHER}}"))
    assert run.verdict is Verdict.INVALID
    assert run.problems[0].reason is Reason.SECRET_MISSING
    assert site.backend.effects == []


def test_a_dry_run_has_no_effect(site: Site) -> None:
    commit = site.push()
    planned = pipeline.plan(site.environment(commit), commit, site.world)
    assert planned.diff and [change.action for change in planned.diff.changes if change.id == "service/web"] == [
        "create"
    ]
    assert site.backend.effects == []
    assert site.record.texts == {}


def test_destroy_forgets_the_enclave(site: Site) -> None:
    commit = site.push()
    environment = site.environment(commit)
    site.follow(commit)
    pipeline.destroy(environment, site.world)
    assert not site.backend.observe("dev").exists
    assert site.record.load("dev").steps == {}
    assert replace(site.record.load("dev")).last_good is None


def test_a_force_push_leaves_the_enclave_as_it_is_until_a_person_agrees(site: Site) -> None:
    site.follow(site.push())
    mark = len(site.backend.effects)
    rewritten = site.push("{level: other}", force=True)
    run = site.follow(rewritten)
    assert run.verdict is Verdict.HELD
    assert run.problems[0].reason is Reason.HISTORY_REWRITTEN
    assert site.backend.effects[mark:] == []
    assert site.follow(rewritten, trigger=Trigger.SYNC).verdict is Verdict.SUCCEEDED
    assert site.follow(site.push("{level: next}")).verdict is Verdict.SUCCEEDED

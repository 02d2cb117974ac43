"""Applying a diff: one-shots over failures and interruptions, deadlines, newer commits."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from gitopsd.adapters.memory import Crash
from gitopsd.apply import apply
from gitopsd.errors import Reason, TransientError
from gitopsd.model.calls import CommandResult
from gitopsd.model.diff import Diff
from gitopsd.model.environment import InterruptedPolicy, Policy, StepPolicy, StepRule
from gitopsd.model.plan import Plan
from gitopsd.model.run import Done
from tests.stage.devnet import ENCLAVE, Devnet
from tests.stage.scripts import Script, plan_of, text


def migration(command: str = "migrate") -> Plan:
    def write(s: Script) -> None:
        s.service("db", data="db")
        s.exec("db", command)

    return plan_of(write)


def database_alone(s: Script) -> None:
    s.service("db", data="db")


def web_alone(s: Script) -> None:
    s.service("web")


def test_a_one_shot_that_failed_runs_again_after_another_one_took_its_place() -> None:
    net = Devnet()
    net.backend.answer = lambda subject, command: (1, "no\n")
    assert not net.deploy(migration()).ok
    net.backend.answer = lambda subject, command: (0, "yes\n")
    assert net.deploy(migration("another"), "c2").ok
    assert net.deploy(migration(), "c3").ok
    assert net.recorded.steps["exec/db@0"].output.values["output"] == "yes\n"


def test_a_one_shot_that_failed_runs_again_the_next_time() -> None:
    net = Devnet()
    net.backend.answer = lambda subject, command: (1, "no\n")
    assert not net.deploy(migration()).ok
    assert not net.deploy(migration()).ok
    net.backend.answer = lambda subject, command: (0, "yes\n")
    assert net.deploy(migration()).ok
    assert len(net.effects_since(0, "exec")) == 3


def test_a_transient_failure_of_a_one_shot_is_tried_again_under_its_key() -> None:
    net = Devnet()
    keys: list[str] = []
    plain = net.backend.execute

    def execute(enclave: str, service: str, command: tuple[str, ...], *, key: str, timeout: float) -> CommandResult:
        keys.append(key)
        done = plain(enclave, service, command, key=key, timeout=timeout)
        if len(keys) < 3:
            raise TransientError(Reason.BACKEND_UNAVAILABLE, "the line went dead")
        return done

    net.backend.execute = execute  # type: ignore[method-assign]
    net.backend.answer = lambda subject, command: (1, "no\n")
    assert not net.deploy(migration()).ok
    assert len(set(keys)) == 1
    assert len(net.effects_since(0, "exec")) == 1, "it failed once, and was not run again for that"


def test_an_interrupted_one_shot_without_a_trace_holds_when_asked_to() -> None:
    net = Devnet(policy=Policy(interrupted=InterruptedPolicy.HOLD))
    assert net.deploy(plan_of(database_alone)).ok
    for effects in range(20):
        net.fuse.after = net.fuse.effects + effects
        with suppress(Crash):
            net.deploy(migration(), "c2")
        net.fuse.after = None
        if "exec/db@0" in net.recorded.intents:
            break
    applied = net.deploy(migration(), "c2")
    problems = [item.problem.reason for item in applied.failed if item.problem]
    assert problems == [Reason.INTERRUPTED] and net.effects_since(0, "exec") == []
    net.policy = Policy(interrupted=InterruptedPolicy.RERUN)
    assert net.deploy(migration(), "c2").ok


def test_a_step_with_the_policy_always_runs_once_per_commit() -> None:
    net = Devnet(policy=Policy(steps=(StepRule(glob="exec/*", policy=StepPolicy.ALWAYS),)))
    for commit in ("c1", "c1", "c2"):
        assert net.deploy(migration(), commit).ok
    assert len(net.effects_since(0, "exec")) == 2
    assert net.compare(migration(), "c2").empty


def test_a_step_with_the_policy_once_runs_once_for_ever() -> None:
    net = Devnet(policy=Policy(steps=(StepRule(glob="exec/*", policy=StepPolicy.ONCE),)))
    assert net.deploy(migration()).ok
    assert net.deploy(migration("reworded"), "c2").ok
    assert net.deploy(plan_of(database_alone), "c3").ok
    assert net.deploy(migration(), "c4").ok
    assert len(net.effects_since(0, "exec")) == 1
    assert "exec/db@0" in net.recorded.steps


def test_force_update_restarts_once_per_commit() -> None:
    def write(s: Script) -> None:
        s.service("web", force=True)

    net, plan = Devnet(), plan_of(write)
    for commit in ("c1", "c1", "c2", "c2"):
        assert net.deploy(plan, commit).ok
    assert len(net.effects_since(0, "start")) == 2


def test_nothing_starts_after_the_deadline() -> None:
    net = Devnet(policy=Policy(timeout=5.0))

    def answer(subject: str, command: tuple[str, ...]) -> tuple[int, str]:
        net.clock.seconds += 10
        return 0, ""

    net.backend.answer = answer

    def write(s: Script) -> None:
        s.task("slow", "sleep")
        s.template("config", "text")
        s.service("web", artifacts={"/etc": "config"})

    applied = net.deploy(plan_of(write))
    assert {item.problem.reason for item in applied.failed if item.problem} == {Reason.TIMED_OUT}
    assert net.effects_since(0, "start") == []


def test_a_run_that_was_done_when_something_newer_came_is_a_whole_one() -> None:
    net = Devnet()
    diff = net.compare(migration())
    applied = apply(diff, net.site("c1"), lambda: "newer" if net.effects_since(0, "exec") else "")
    assert applied.ok and not applied.preempted


def test_a_run_is_left_between_steps_and_the_newer_one_converges() -> None:
    net = Devnet()

    def write(s: Script) -> None:
        s.service("a")
        made = s.task("genesis", "make")
        s.service("b", env={"G": text("", made)})

    diff = net.compare(plan_of(write))
    applied = apply(diff, net.site("c1"), lambda: "newer" if net.effects_since(0, "start") else "")
    assert applied.preempted and "service/a" in net.recorded.steps
    assert net.deploy(migration(), "c2").ok
    assert set(net.backend.observe(ENCLAVE).services) == {"db"}


def test_a_service_that_was_begun_only_is_ended_by_a_plan_without_it() -> None:
    net = Devnet()
    net.backend.ready = lambda workload: workload.name != "web"
    assert not net.deploy(plan_of(web_alone)).ok
    assert "web" in net.backend.observe(ENCLAVE).services
    assert net.deploy(migration(), "c2").ok
    assert set(net.backend.observe(ENCLAVE).services) == {"db"}


def test_a_change_that_nothing_lets_start_is_no_success() -> None:
    net = Devnet()
    diff = net.compare(plan_of(web_alone))
    (one,) = diff.changes
    applied = net.apply(Diff(enclave=ENCLAVE, plan=diff.plan, changes=(replace(one, needs=(one.id,)),)))
    assert not applied.ok
    assert {item.problem.reason for item in applied.failed if item.problem} == {Reason.BUG}


def test_many_rechecks_at_once_are_settled_by_worker_threads() -> None:
    def plan(run: str) -> Plan:
        def write(s: Script) -> None:
            made = s.task("t", run)
            for number in range(60):
                s.service(f"s{number}", env={"T": text("", made)})

        return plan_of(write)

    net = Devnet()
    net.backend.answer = lambda subject, command: (0, "same\n")
    assert net.deploy(plan("one")).ok
    mark = len(net.backend.effects)
    applied = net.deploy(plan("two"), "c2")
    assert applied.ok and [verb for verb, _ in net.effects_since(mark)] == ["task"]
    assert sum(item.done is Done.KEPT for item in applied.outcomes) == 60

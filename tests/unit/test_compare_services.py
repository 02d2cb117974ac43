"""Services in the diff: lives and their ends, incarnations, addresses, drift and what was left half-way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gitopsd.model.codec import dumps
from gitopsd.model.diff import Diff, Why
from gitopsd.model.environment import DriftPolicy, Policy, StepPolicy, StepRule
from gitopsd.model.plan import Plan
from gitopsd.model.record import Intent, State
from gitopsd.model.run import Applied
from gitopsd.model.values import Frozen, Secret
from tests.stage.devnet import ENCLAVE, Devnet, lines_of
from tests.stage.scripts import Script, plan_of, text


def actions(diff: Diff) -> dict[str, str]:
    return {change.id: change.action.value for change in diff.changes}


def states(net: Devnet) -> dict[str, State]:
    return {name: service.state for name, service in net.backend.observe(ENCLAVE).services.items()}


def settled(net: Devnet, plan: Plan, commit: str = "c2") -> Applied:
    """Deploys and finds nothing left to do."""
    applied = net.deploy(plan, commit)
    assert applied.ok, applied.failed
    again = net.compare(plan, commit)
    assert again.empty, lines_of(again)
    return applied


def net_with(plan: Plan, drift: DriftPolicy = DriftPolicy.HEAL) -> Devnet:
    net = Devnet(policy=Policy(drift=drift))
    assert net.deploy(plan).ok
    return net


def lives(first: str, second: str) -> Plan:
    def write(s: Script) -> None:
        s.service("web", image="seed:1")
        s.exec("web", first)
        s.remove("web")
        s.service("web", image="app:1")
        s.exec("web", second)

    return plan_of(write)


def test_a_first_life_that_is_brought_up_makes_the_second_start_anew() -> None:
    net = net_with(lives("seed", "use"))
    settled(net, lives("seed more", "use"))
    assert states(net) == {"web": State.RUNNING}
    assert net.backend.workload(ENCLAVE, "web").spec.image.name == "app:1"


def ending(how: str) -> Plan:
    def write(s: Script) -> None:
        s.service("job")
        if how == "stopped":
            s.stop("job")
        if how == "absent":
            s.remove("job")

    return plan_of(write)


ENDS = {"running": {"job": State.RUNNING}, "stopped": {"job": State.STOPPED}, "absent": {}}


@pytest.mark.parametrize("drift", DriftPolicy)
@pytest.mark.parametrize("after", ENDS)
@pytest.mark.parametrize("before", ENDS)
def test_another_end_of_a_service_is_no_drift(before: str, after: str, drift: DriftPolicy) -> None:
    net = net_with(ending(before), drift)
    settled(net, ending(after))
    assert states(net) == ENDS[after]


def finished_net() -> Devnet:
    net = net_with(ending("running"))
    net.backend.edit(ENCLAVE, "job", state=State.FINISHED, exit_code=0)
    return net


def test_a_finished_service_is_as_it_should_be() -> None:
    net = finished_net()
    diff = net.compare(ending("running"), "c2")
    assert (diff.empty, diff.drift) == (True, ())
    assert net.deploy(ending("running"), "c2").ok
    assert states(net) == {"job": State.FINISHED}


def test_a_finished_service_runs_again_for_another_spec_and_for_one_forced() -> None:
    def plan(image: str, force: bool) -> Plan:
        return plan_of(lambda s: s.service("job", image=image, force=force) and None)

    for after in (plan("app:2", False), plan("app:1", True)):
        net = finished_net()
        settled(net, after)
        assert states(net) == {"job": State.RUNNING}


def test_a_finished_service_that_shall_be_stopped_is_stopped() -> None:
    net = finished_net()
    settled(net, ending("stopped"))
    assert states(net) == {"job": State.STOPPED}


def test_start_runs_a_finished_service_again() -> None:
    def plan(s: Script) -> None:
        s.service("job")
        s.start("job")

    net = finished_net()
    settled(net, plan_of(plan))
    assert states(net) == {"job": State.RUNNING}


@pytest.mark.parametrize("state", [State.CRASHED, State.RUNNING])
@pytest.mark.parametrize("drift", DriftPolicy)
def test_a_service_that_its_platform_starts_again_is_told_of_and_left_to_it(drift: DriftPolicy, state: State) -> None:
    net = net_with(ending("running"), drift)
    net.backend.edit(ENCLAVE, "job", state=state, exit_code=3, crashes=4)
    diff = net.compare(ending("running"))
    assert diff.empty
    told = [(item.service, item.why, item.detail, item.healed) for item in diff.drift]
    text = "it ended with code 3, 4 times so far, and is started again"
    assert told == ([] if drift is DriftPolicy.IGNORE else [("job", Why.UNHEALTHY, text, False)])


def test_a_crashed_service_that_nobody_starts_again_is_healed() -> None:
    net = net_with(ending("running"))
    net.backend.edit(ENCLAVE, "job", state=State.CRASHED, exit_code=3)
    assert lines_of(net.compare(ending("running")))[0].startswith("update   service/job (unhealthy)")
    settled(net, ending("running"))


def test_a_crashing_service_that_changes_is_replaced_and_not_told_of() -> None:
    net = net_with(ending("running"))
    net.backend.edit(ENCLAVE, "job", state=State.CRASHED, exit_code=3, crashes=4)
    diff = net.compare(plan_of(lambda s: s.service("job", image="app:2") and None))
    assert (actions(diff), diff.drift) == ({"service/job": "replace"}, ())


def test_a_crashing_service_that_was_left_half_way_is_converged() -> None:
    net = net_with(ending("running"))
    net.backend.edit(ENCLAVE, "job", state=State.CRASHED, exit_code=3, crashes=4)
    net.keep_begun(Intent(id="service/job", key=""))
    assert actions(net.compare(ending("running"))) == {"service/job": "update"}


def test_a_stopped_service_whose_input_turns_out_another_is_stopped_again() -> None:
    def plan(run: str) -> Plan:
        def write(s: Script) -> None:
            s.service("job", env={"T": text("", s.task("t", run))})
            s.stop("job")

        return plan_of(write)

    net = net_with(plan("one"))
    settled(net, plan("two"))
    assert states(net) == {"job": State.STOPPED}


def test_a_stopped_service_comes_up_for_a_step_while_its_own_input_is_open() -> None:
    def plan(run: str, command: str) -> Plan:
        def write(s: Script) -> None:
            s.service("job", env={"T": text("", s.task("t", run))}, data="job")
            s.exec("job", command)
            s.stop("job")

        return plan_of(write)

    net = net_with(plan("one", "x"))
    net.backend.answer = lambda service, command: (0, net.recorded.steps["task/t"].output.values["output"])  # type: ignore[return-value]
    settled(net, plan("two", "y"))
    assert states(net) == {"job": State.STOPPED}


def database(image: str = "db:1", data: str = "db") -> Plan:
    def write(s: Script) -> None:
        s.service("db", image=image, data=data)
        s.exec("db", "init")

    return plan_of(write)


def test_a_persistent_directory_deleted_by_hand_is_made_and_initialised_anew() -> None:
    net = net_with(database())
    net.backend.remove_volume(ENCLAVE, "db")
    mark = len(net.backend.effects)
    settled(net, database(), "c1")
    assert net.effects_since(mark) == [("volume", "db"), ("start", "db"), ("exec", "db: init")]


def test_a_persistent_directory_deleted_by_hand_is_only_reported_when_drift_is() -> None:
    net = net_with(database(), DriftPolicy.REPORT)
    net.backend.remove_volume(ENCLAVE, "db")
    diff = net.compare(database())
    assert diff.empty
    assert [item.why for item in diff.drift] == ["missing"]


def test_a_service_recreated_by_hand_is_another_incarnation() -> None:
    net = net_with(database(data=""))
    net.backend.edit(ENCLAVE, "db", incarnation="by hand")
    assert actions(net.compare(database(data=""))) == {"service/db": "replace", "exec/db@0": "run"}


def test_a_restart_by_the_platform_is_none() -> None:
    net = net_with(database(data=""))
    net.backend.edit(ENCLAVE, "db", restarts=3)
    assert net.compare(database(data="")).empty
    net.backend.edit(ENCLAVE, "db", state=State.CRASHED)
    assert actions(net.compare(database(data=""))) == {"service/db": "update", "exec/db@0": "keep"}


@pytest.mark.parametrize("drift", DriftPolicy)
def test_a_service_left_half_replaced_is_brought_back_whatever_the_drift_policy(drift: DriftPolicy) -> None:
    net = net_with(database(data=""), drift)
    net.backend.ready = lambda workload: workload.spec.image.name != "broken"
    assert not net.apply(net.compare(database("broken", ""), "c2"), "c2").ok
    mark = len(net.backend.effects)
    assert net.go_back().ok
    assert net.backend.workload(ENCLAVE, "db").spec.image.name == "db:1"
    assert net.effects_since(mark, "exec") == [("exec", "db: init")], "the fresh container lost what init made"
    assert net.compare(database(data="")).empty


@pytest.mark.parametrize("drift", [DriftPolicy.REPORT, DriftPolicy.IGNORE])
def test_an_address_that_drifted_and_is_left_alone_restarts_no_reader(drift: DriftPolicy) -> None:
    def write(s: Script) -> None:
        s.service("reader", env={"A": text("http://", s.service("web"))})

    net = net_with(plan_of(write), drift)
    net.backend.edit(ENCLAVE, "web", address="10.9.9.9")
    assert net.compare(plan_of(write)).empty


BREAKS: dict[str, Callable[[Devnet], None]] = {
    "stopped": lambda net: net.backend.edit(ENCLAVE, "web", state=State.STOPPED),
    "lost": lambda net: net.backend.lose(ENCLAVE, "web"),
    "edited": lambda net: net.backend.edit(ENCLAVE, "web", config_digest="other"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_drift_that_is_only_reported_is_mended_when_the_commit_touches_the_service(name: str) -> None:
    def plan(image: str) -> Plan:
        def write(s: Script) -> None:
            s.service("web", image=image)
            s.service("other")

        return plan_of(write)

    net = net_with(plan("app:1"), DriftPolicy.REPORT)
    BREAKS[name](net)
    assert net.compare(plan("app:1"), "c2").empty
    settled(net, plan("app:2"))
    assert states(net)["web"] is State.RUNNING


def test_a_rotated_secret_restarts_who_reads_a_result_that_it_stands_in() -> None:
    def write(s: Script) -> None:
        made = s.task("url", text("make ", Secret(name="PW")))
        s.service("web", env={"URL": text("db://", made)})
        s.service("other")

    net = Devnet()
    net.backend.answer = lambda subject, command: (0, command[-1].removeprefix("make "))
    net.secrets.values["PW"] = "first-secret"
    assert net.deploy(plan_of(write)).ok
    assert "first-secret" not in dumps(net.recorded)
    net.secrets.values["PW"] = "second-secret"
    mark = len(net.backend.effects)
    settled(net, plan_of(write))
    assert ("start", "web") in net.effects_since(mark) and ("start", "other") not in net.effects_since(mark)
    assert net.backend.workload(ENCLAVE, "web").spec.env["URL"] == "db://second-secret"


def test_on_the_way_back_a_life_that_was_over_keeps_the_results_of_then() -> None:
    def plan(*, over: bool) -> Plan:
        def write(s: Script) -> None:
            s.service("tool")
            s.service("web", env={"K": text("", s.exec("tool", "make-key"))})
            if over:
                s.remove("tool")

        return plan_of(write)

    net = net_with(plan(over=True))
    net.backend.answer = lambda service, command: (1, "no")
    assert not net.apply(net.compare(plan(over=False), "c2"), "c2").ok
    net.backend.answer = lambda service, command: (0, "another key")
    mark = len(net.backend.effects)
    assert net.go_back().ok
    assert net.effects_since(mark) == [("remove", "tool")]


def test_a_get_that_an_older_release_recorded_is_read_again_only_with_its_service() -> None:
    def plan(image: str) -> Plan:
        def write(s: Script) -> None:
            s.service("db", image=image, data="db")
            s.service("reader", env={"ID": s.request("db", "GET", "/identity")})

        return plan_of(write)

    net = net_with(plan("db:1"))
    step = net.recorded.steps["request/db@0"]
    net.keep_finished(replace(step, inputs=Frozen()))
    assert net.compare(plan("db:1"), "c2").empty
    assert actions(net.compare(plan("db:2"), "c2"))["request/db@0"] == "run"


@pytest.mark.parametrize(("policy", "asked"), [(StepPolicy.ONCE, 0), (StepPolicy.ALWAYS, 1)])
def test_the_policy_of_a_step_holds_for_requests_of_either_kind(policy: StepPolicy, asked: int) -> None:
    def write(s: Script) -> None:
        s.service("db", data="db")
        s.request("db", "GET", "/height")
        s.request("db", "POST", "/deploy")

    net = Devnet(policy=Policy(steps=(StepRule(glob="request/*", policy=policy),)))
    assert net.deploy(plan_of(write)).ok
    mark = len(net.backend.effects)
    assert net.deploy(plan_of(write), "c2").ok
    assert [what for _, what in net.effects_since(mark, "request")] == ["db: GET /height", "db: POST /deploy"] * asked


def test_a_stop_that_is_put_before_a_start_leaves_the_service_running() -> None:
    def plan(*, stopped_first: bool) -> Plan:
        def write(s: Script) -> None:
            s.service("web")
            if stopped_first:
                s.stop("web")
            s.start("web")

        return plan_of(write)

    net = net_with(plan(stopped_first=False))
    settled(net, plan(stopped_first=True))
    assert states(net) == {"web": State.RUNNING}

"""Services whose process ends, on this machine and over the whole page: finished, or started again and again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitopsd import pipeline
from gitopsd.adapters.local.backend import LocalBackend
from gitopsd.adapters.local.settings import LocalSettings
from gitopsd.errors import Reason, StepError
from gitopsd.model.parts import Persistent, Port
from gitopsd.model.record import State
from gitopsd.model.run import Applied, ConditionState, Run, Trigger, Verdict
from gitopsd.model.values import Frozen
from tests.integration.local_enclave import ENCLAVE, PYTHON, says, shell, start
from tests.stage.local import LocalSite
from tests.stage.waiting import until

DATA = Frozen({"/data": Persistent(key="data")})
QUICK = LocalSettings(grace=1.0, backoff=(0.05, 0.2), steady=2.0)
PACKAGE = """
def run(plan, extra="", level="1", code=0, steps="", port=False):
    plan.add_service("job", ServiceConfig(
        image="busybox", entrypoint=["sh", "-c"],
        cmd=["echo ran $LEVEL; echo made >> /made; exit %d" % code],
        env_vars={"LEVEL": level}))
    plan.add_service("db", ServiceConfig(
        image="busybox", entrypoint=["sh", "-c"], cmd=["exec sleep 1000"], env_vars={"EXTRA": extra}))
    if "exec" in steps:
        plan.exec("job", ExecRecipe(command=["true"]))
    if "stop" in steps:
        plan.stop_service("job")
    if "start" in steps:
        plan.start_service("job")
    if "store" in steps:
        plan.store_service_files("job", "/made", name="made")
"""
FINISHING = """
import json, os, sys
from gitopsd.adapters.local import supervisor

sync = os.fsync

def told(descriptor):
    with open(f"/proc/self/fd/{descriptor}") as file:
        print(json.load(file)["phase"])
    sync(descriptor)

os.fsync = told
found = supervisor.Supervisor(json.loads(sys.argv[1]))
found._tell("running", pid=1)
found._tell("finished", exit_code=0, pid=None)
"""


class Net(LocalSite):
    """The package above, followed over real processes that are started again at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, QUICK)

    def new_daemon(self) -> None:
        """What the daemon knew in memory is gone."""
        self.backend = LocalBackend(self.enclaves, QUICK)
        self.world = replace(self.world, backends={"local": self.backend})

    def pushed(self, package: str = PACKAGE, **args: Any) -> Run:
        """Follows a package with these arguments."""
        return self.apply({"kurtosis.yml": "name: github.com/a/net\n", "main.star": package}, args)

    def check(self) -> Run:
        return self.check_drift(self.head())

    def state_of(self, service: str = "job") -> State | None:
        live = self.backend.inspect("dev", service)
        return None if live is None else live.state

    def finished(self) -> None:
        until(lambda: self.state_of() is State.FINISHED)

    @property
    def runs(self) -> list[str]:
        """What the job said, a line for each time that it ran."""
        return list(self.backend.logs("dev", "job"))

    @property
    def condition(self) -> ConditionState | None:
        found = self.store.condition("dev")
        return None if found is None else found.state

    @property
    def shim(self) -> int:
        path = next((self.enclaves / "enclaves").glob("*/services/job/run/shim.json"))
        return int(json.loads(path.read_text())["pid"])


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    made = Net(tmp_path)
    yield made
    made.backend.destroy("dev")


def changed(applied: Applied | None) -> list[str]:
    assert applied is not None
    return [change.id for change in applied.diff.changes if change.action.value != "keep"]


# --- finished -----------------------------------------------------------------------------------------------


def test_a_finished_service_runs_once_whatever_comes(net: Net) -> None:
    first = net.pushed()
    assert first.verdict is Verdict.SUCCEEDED
    net.finished()
    assert net.check().verdict is Verdict.NOOP
    assert net.condition is ConditionState.READY
    assert net.pushed().verdict is Verdict.NOOP
    assert changed(net.pushed(extra="more").applied) == ["service/db"]
    back = pipeline.roll_back(net.environment(net.head()), net.world)
    assert back.verdict is Verdict.ROLLED_BACK
    assert (net.state_of(), net.runs) == (State.FINISHED, ["ran 1"])


def test_a_finished_service_stays_so_though_its_shim_is_gone_and_the_daemon_new(net: Net) -> None:
    net.pushed()
    net.finished()
    os.kill(net.shim, signal.SIGKILL)
    net.new_daemon()
    assert net.check().verdict is Verdict.NOOP
    assert (net.state_of(), net.runs) == (State.FINISHED, ["ran 1"])


def test_a_machine_that_goes_down_does_not_make_a_finished_service_a_stopped_one(net: Net) -> None:
    net.pushed()
    net.finished()
    os.kill(net.shim, signal.SIGTERM)
    until(lambda: not Path(f"/proc/{net.shim}").exists())
    assert net.check().verdict is Verdict.NOOP
    assert (net.state_of(), net.runs) == (State.FINISHED, ["ran 1"])


def test_another_spec_runs_a_finished_service_again(net: Net) -> None:
    net.pushed()
    net.finished()
    assert changed(net.pushed(level="2").applied) == ["service/job"]
    net.finished()
    assert net.runs == ["ran 1", "ran 2"]


def test_a_command_in_a_finished_service_says_that_it_ended(net: Net) -> None:
    net.pushed()
    net.finished()
    run = net.pushed(steps="exec")
    assert run.verdict is Verdict.ROLLED_BACK
    assert run.problems[0].reason is Reason.SERVICE_CRASHED
    assert "has ended with code 0" in run.problems[0].message
    assert "run_sh" in run.problems[0].hint
    assert (net.state_of(), net.runs) == (State.FINISHED, ["ran 1"])


def test_start_runs_a_finished_service_again_and_stop_makes_it_a_stopped_one(net: Net) -> None:
    net.pushed()
    net.finished()
    net.pushed(steps="start")
    until(lambda: net.runs == ["ran 1"] * 2)
    net.finished()
    assert net.check().verdict is Verdict.NOOP
    assert net.pushed(steps="stop").verdict is Verdict.SUCCEEDED
    assert net.state_of() is State.STOPPED
    assert net.check().verdict is Verdict.NOOP
    assert net.runs == ["ran 1"] * 2
    net.pushed()
    net.finished()
    assert net.runs == ["ran 1"] * 3


def test_a_service_that_is_stopped_and_started_runs_twice(net: Net) -> None:
    net.pushed(steps="stop start")
    net.finished()
    assert net.check().verdict is Verdict.NOOP
    assert net.runs[-1] == "ran 1"


def test_files_of_a_finished_service_are_stored_until_its_shim_is_gone(net: Net) -> None:
    net.pushed()
    net.finished()
    assert net.pushed(steps="store").verdict is Verdict.SUCCEEDED
    assert net.artifact("made") == {"made": b"made\n"}
    assert net.runs == ["ran 1"]
    os.kill(net.shim, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{net.shim}").exists())
    with pytest.raises(StepError, match="has ended with code 0, and its files"):
        net.backend.capture("dev", "job", "/made")


def test_a_job_that_fails_is_tried_until_it_is_finished(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path, QUICK)
    try:
        start(backend, "job", shell("echo x >> /data/tries; [ $(wc -l < /data/tries) -ge 3 ]", files=DATA))
        until(lambda: (live := backend.inspect(ENCLAVE, "job")) and live.state is State.FINISHED)
        live = backend.inspect(ENCLAVE, "job")
        assert live is not None
        assert (live.restarts, live.exit_code) == (2, 0)
    finally:
        backend.destroy(ENCLAVE)


def test_a_shell_that_reads_commands_waits_for_them_and_is_not_finished(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path, QUICK)
    try:
        start(backend, "tool", replace(shell(""), entrypoint=("/bin/sh",), cmd=()))
        time.sleep(1.0)
        live = backend.inspect(ENCLAVE, "tool")
        assert live is not None
        assert (live.state, live.restarts) == (State.RUNNING, 0)
        assert says(backend, "tool", "echo made > /tmp/made; cat /tmp/made") == "made"
        assert says(backend, "tool", "cat") == ""
    finally:
        backend.destroy(ENCLAVE)


def test_each_start_reads_from_an_input_that_waits_whatever_the_last_one_did_to_it(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path, QUICK)
    try:
        text = "import os; print(os.get_blocking(0), flush=True); os.set_blocking(0, False); raise SystemExit(3)"
        start(backend, "job", replace(shell(""), image=PYTHON, entrypoint=("python", "-c"), cmd=(text,)))
        until(lambda: len(list(backend.logs(ENCLAVE, "job"))) >= 3)
        assert set(backend.logs(ENCLAVE, "job")) == {"True"}
    finally:
        backend.destroy(ENCLAVE)


def test_a_finished_service_that_gets_a_port_is_a_service_that_has_to_run(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path, QUICK)
    try:
        start(backend, "job", shell("sleep 0.3"))
        start(backend, "job", shell("sleep 0.3", ports=Frozen({"http": Port(number=8000)})))
        until(lambda: (live := backend.inspect(ENCLAVE, "job")) and live.restarts > 0)
        start(backend, "job", shell("sleep 0.3"))
        until(lambda: (live := backend.inspect(ENCLAVE, "job")) and live.state is State.FINISHED)
        start(backend, "job", shell("sleep 0.3", ports=Frozen({"http": Port(number=8000)})))
        live = backend.inspect(ENCLAVE, "job")
        assert live is not None
        assert live.state is not State.FINISHED
    finally:
        backend.destroy(ENCLAVE)


def test_a_service_that_has_to_run_is_not_taken_for_finished(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path, QUICK)
    try:
        workload = start(backend, "web", shell("exec sleep 1000", ports=Frozen({"http": Port(number=8000)})))
        home = tmp_path / "enclaves" / ENCLAVE / "services" / "web" / "run"
        os.kill(int(json.loads((home / "shim.json").read_text())["pid"]), signal.SIGKILL)
        until(lambda: (live := backend.inspect(ENCLAVE, "web")) and live.state is State.STOPPED)
        state = json.loads((home / "state.json").read_text())  # it got its port while its process ended
        (home / "state.json").write_text(json.dumps(state | {"phase": "finished", "exit_code": 0}))
        live = backend.inspect(ENCLAVE, "web")
        assert live is not None
        assert (live.state, live.exit_code) == (State.CRASHED, 0)
        backend.converge(ENCLAVE, workload)
        live = backend.inspect(ENCLAVE, "web")
        assert live is not None
        assert live.state is State.RUNNING
    finally:
        backend.destroy(ENCLAVE)


def test_that_a_service_has_finished_is_on_the_disk_before_anybody_is_told(tmp_path: Path) -> None:
    limits = {"log_bytes": 1000, "log_files": 1, "output_bytes": 0, "artifact_bytes": 0}
    job = {"kind": "service", "folder": str(tmp_path), "config": "", **limits}
    said = subprocess.run(
        [sys.executable, "-c", FINISHING, json.dumps(job)], capture_output=True, text=True, timeout=30, check=True
    )
    assert said.stdout.split() == ["finished"]


# --- crashed ------------------------------------------------------------------------------------------------

CRASHING = """
def run(plan, extra=""):
    plan.add_service("job", ServiceConfig(
        image="busybox", entrypoint=["sh", "-c"],
        cmd=["echo ran; [ -e /data/mended ] || exit 3; exec sleep 1000"],
        files={"/data": Directory(persistent_key="job")}))
    plan.add_service("db", ServiceConfig(
        image="busybox", entrypoint=["sh", "-c"], cmd=["exec sleep 1000"], env_vars={"EXTRA": extra}))
"""


def crashing(net: Net) -> None:
    assert net.pushed(CRASHING).verdict is Verdict.SUCCEEDED
    until(lambda: (live := net.backend.inspect("dev", "job")) and live.crashes >= 2)


def test_a_service_that_crashes_is_left_to_its_supervisor_and_degrades_the_environment_once(net: Net) -> None:
    crashing(net)
    shim = net.shim
    first = net.check()
    assert first.verdict is Verdict.NOOP
    assert [problem.reason for problem in first.problems] == [Reason.SERVICE_CRASHED]
    assert re.search(r"job.* ended with code 3, \d+ times", first.problems[0].message)
    condition = net.store.condition("dev")
    assert condition is not None
    assert (condition.state, condition.message) == (ConditionState.DEGRADED, first.problems[0].message)
    until(lambda: (live := net.backend.inspect("dev", "job")) and live.crashes >= 4)
    net.check()
    later = net.store.condition("dev")
    assert later is not None
    assert (later.state, later.since) == (condition.state, condition.since)
    assert net.shim == shim
    assert [run.trigger for run in net.store.runs("dev")] == [Trigger.DRIFT, Trigger.COMMIT]


def test_another_commit_does_not_call_an_environment_ready_whose_service_still_crashes(net: Net) -> None:
    crashing(net)
    shim = net.shim
    assert changed(net.pushed(CRASHING, extra="more").applied) == ["service/db"]
    assert net.condition is ConditionState.DEGRADED
    assert net.pushed(CRASHING, extra="more").verdict is Verdict.NOOP
    assert (net.condition, net.shim) == (ConditionState.DEGRADED, shim)


def test_a_service_that_is_steady_again_makes_the_environment_ready(net: Net) -> None:
    crashing(net)
    net.check()
    data = next((net.enclaves / "enclaves").glob("*/volumes/*/data"))
    (data / "mended").touch()
    assert net.condition is ConditionState.DEGRADED
    until(lambda: (live := net.backend.inspect("dev", "job")) and not live.crashes)
    assert net.check().problems == ()
    assert net.condition is ConditionState.READY
    net.check()
    drifts = [run for run in net.store.runs("dev") if run.trigger is Trigger.DRIFT]
    assert [len(run.problems) for run in drifts] == [0, 1]


def test_a_crashed_service_whose_shim_is_gone_is_healed(net: Net) -> None:
    crashing(net)
    os.kill(net.shim, signal.SIGKILL)
    until(lambda: net.state_of() is State.STOPPED)
    healed = net.check()
    assert healed.verdict is Verdict.SUCCEEDED
    assert changed(healed.applied) == ["service/job"]


# --- what an older release left -----------------------------------------------------------------------------


def test_what_the_shim_of_an_older_release_wrote_is_read(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path, QUICK)
    try:
        workload = start(backend, "job", shell("exec sleep 1000"))
        home = tmp_path / "enclaves" / ENCLAVE / "services" / "job"
        for path, key in ((home / "workload.json", "may_finish"), (home / "run" / "state.json", "crashes")):
            path.write_text(
                json.dumps({name: item for name, item in json.loads(path.read_text()).items() if name != key})
            )
        before = backend.inspect(ENCLAVE, "job")
        assert before is not None
        assert (before.state, before.crashes) == (State.RUNNING, 0)
        state = json.loads((home / "run" / "state.json").read_text())
        backend.converge(ENCLAVE, workload)
        assert json.loads((home / "run" / "state.json").read_text()) == state
        (home / "run" / "state.json").write_text(
            json.dumps(state | {"phase": "backoff", "restarts": 2, "exit_code": 3})
        )
        crashed = backend.inspect(ENCLAVE, "job")
        assert crashed is not None
        assert (crashed.state, crashed.exit_code, crashed.crashes) == (State.CRASHED, 3, 3)
    finally:
        backend.destroy(ENCLAVE)

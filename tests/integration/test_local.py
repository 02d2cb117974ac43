"""The local backend on this machine: real processes, killed daemons, other hands."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitopsd.adapters.local.backend import LocalBackend
from gitopsd.adapters.local.settings import LocalSettings
from gitopsd.errors import Reason, StepError
from gitopsd.model.calls import HttpCall
from gitopsd.model.parts import Image, Persistent, Port, ServiceSpec
from gitopsd.model.record import State
from gitopsd.model.values import Frozen
from tests.integration.local_enclave import (
    ENCLAVE,
    HTTP,
    PYTHON,
    daemon,
    run,
    says,
    shell,
    start,
    task,
    web,
)
from tests.stage.processes import processes_with
from tests.stage.waiting import until

DATA = Frozen({"/data": Persistent(key="data")})
Make = Callable[[LocalSettings], LocalBackend]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def make(state: Path) -> Iterator[Make]:
    yield lambda settings: LocalBackend(state, settings)
    LocalBackend(state).destroy(ENCLAVE)


@pytest.fixture
def backend(make: Make) -> LocalBackend:
    return make(LocalSettings(grace=3.0, backoff=(0.05, 0.2)))


def run_file(state: Path, service: str, name: str) -> dict[str, object]:
    text = (state / "enclaves" / ENCLAVE / "services" / service / "run" / name).read_text()
    return dict(json.loads(text))


def pid_of(state: Path, service: str) -> int:
    return int(str(run_file(state, service, "state.json")["pid"]))


# --- a daemon that dies -------------------------------------------------------------------------------------


def test_services_outlive_a_killed_daemon_and_are_adopted(state: Path, backend: LocalBackend) -> None:
    first = daemon(state, "start(backend, 'web', web())\nprint('up', flush=True)\nimport time; time.sleep(60)")
    with first:
        assert first.stdout is not None
        assert first.stdout.readline() == "up\n"
        first.send_signal(signal.SIGKILL)
    pid = pid_of(state, "web")
    until(lambda: backend.open_port(ENCLAVE, "web", HTTP))
    live = backend.inspect(ENCLAVE, "web")
    assert live is not None
    assert (live.state, live.ready, live.restarts) == (State.RUNNING, True, 0)
    start(backend, "web", web())
    assert pid_of(state, "web") == pid
    assert backend.request(ENCLAVE, "web", HTTP, HttpCall(method="GET", url_path="/")).code == 200


def test_an_execution_is_joined_after_its_daemon_was_killed(state: Path, backend: LocalBackend) -> None:
    start(backend, "db", shell("exec sleep 1000", files=DATA))
    text = "echo ran >> /data/runs; touch /data/begun; while [ ! -e /data/go ]; do sleep 0.05; done; echo over; exit 3"
    first = daemon(state, f"run(backend, 'db', {text!r}, key='once')")
    with first:
        until(lambda: run(backend, "db", "test -e /data/begun").code == 0)
        first.send_signal(signal.SIGKILL)
    assert backend.has_trace(ENCLAVE, "once")
    run(backend, "db", "touch /data/go")
    result = run(backend, "db", text, key="once")
    assert (result.code, result.output, result.recovered) == (3, "over\n", True)
    assert says(backend, "db", "cat /data/runs") == "ran"


def test_the_files_of_a_task_are_kept_though_its_daemon_was_killed(state: Path, backend: LocalBackend) -> None:
    text = "echo begun; sleep 0.5; date +%N > /tmp/out; echo done"
    code = f"print('go', flush=True); backend.run_task(ENCLAVE, task({text!r}, store=('/tmp/out',)), key='once')"
    first = daemon(state, code)
    with first:
        until(lambda: backend.has_trace(ENCLAVE, "once"))
        first.send_signal(signal.SIGKILL)
    results = [backend.run_task(ENCLAVE, task(text, store=("/tmp/out",)), key="once") for _ in range(2)]
    assert results[0] == results[1]
    assert results[0].recovered
    (file,) = backend.get_artifact(ENCLAVE, results[0].stored[0])
    assert (file.path, len(file.content.strip())) == ("out", 9)


def test_an_execution_whose_shim_was_killed_leaves_no_trace_and_runs_again(state: Path, backend: LocalBackend) -> None:
    start(backend, "db", shell("exec sleep 1000", files=DATA))
    first = daemon(state, "run(backend, 'db', 'touch /data/begun; exec sleep 500.125', key='once')")
    with first:
        until(lambda: run(backend, "db", "test -e /data/begun").code == 0)
        first.send_signal(signal.SIGKILL)
    for entry in (state / "enclaves" / ENCLAVE / "keyed").glob("*/shim.json"):
        if not (entry.parent / "result.json").exists():
            os.kill(json.loads(entry.read_text())["pid"], signal.SIGKILL)
    until(lambda: not processes_with("500.125"))
    assert not backend.has_trace(ENCLAVE, "once")
    assert run(backend, "db", "echo again", key="once").output == "again\n"


# --- other hands --------------------------------------------------------------------------------------------


def test_a_killed_process_is_started_again_and_counted(state: Path, backend: LocalBackend) -> None:
    start(backend, "web", web())
    pid = pid_of(state, "web")
    os.kill(pid, signal.SIGKILL)
    until(lambda: backend.open_port(ENCLAVE, "web", HTTP) and pid_of(state, "web") != pid)
    live = backend.inspect(ENCLAVE, "web")
    assert live is not None
    assert (live.state, live.restarts) == (State.RUNNING, 1)


def test_a_killed_shim_is_a_stopped_service_that_converges_again(state: Path, backend: LocalBackend) -> None:
    workload = start(backend, "web", web())
    before = backend.inspect(ENCLAVE, "web")
    assert before is not None
    os.kill(int(str(run_file(state, "web", "shim.json")["pid"])), signal.SIGKILL)
    until(lambda: (live := backend.inspect(ENCLAVE, "web")) and live.state is State.STOPPED)
    after = backend.converge(ENCLAVE, workload)
    assert (after.state, after.config_digest) == (State.RUNNING, before.config_digest)


def test_an_edited_description_is_drift_and_is_healed_without_a_restart(state: Path, backend: LocalBackend) -> None:
    workload = start(backend, "web", web())
    before, pid = backend.inspect(ENCLAVE, "web"), pid_of(state, "web")
    assert before is not None
    path = state / "enclaves" / ENCLAVE / "services" / "web" / "workload.json"
    path.write_text(path.read_text().replace("8000", "9000"))
    edited = backend.inspect(ENCLAVE, "web")
    assert edited is not None
    assert edited.config_digest != before.config_digest
    path.write_text("{")
    assert backend.observe(ENCLAVE).services["web"].config_digest != before.config_digest
    assert backend.converge(ENCLAVE, workload).config_digest == before.config_digest
    assert pid_of(state, "web") == pid


def test_a_number_that_went_to_another_process_is_not_adopted(state: Path, backend: LocalBackend) -> None:
    start(backend, "web", web())
    path = state / "enclaves" / ENCLAVE / "services" / "web" / "run" / "shim.json"
    named = path.read_text()
    for wrong in ({"start": 1}, {"boot": "another"}, {"pid": os.getpid()}):
        path.write_text(json.dumps(json.loads(named) | wrong))
        live = backend.inspect(ENCLAVE, "web")
        assert live is not None
        assert live.state is State.STOPPED
    path.write_text(named)
    live = backend.inspect(ENCLAVE, "web")
    assert live is not None
    assert live.state is State.RUNNING


# --- starting, restarting, ending ---------------------------------------------------------------------------


def test_only_what_the_process_is_made_of_restarts_it(state: Path, backend: LocalBackend) -> None:
    workload = start(backend, "web", web())
    pid = pid_of(state, "web")
    renamed = replace(workload, spec=replace(workload.spec, labels=Frozen({"team": "a"}), min_cpu=5))
    backend.converge(ENCLAVE, renamed)
    assert pid_of(state, "web") == pid
    backend.converge(ENCLAVE, replace(workload, spec=replace(workload.spec, env=Frozen({"A": "1"}))))
    second = pid_of(state, "web")
    assert second != pid
    backend.converge(ENCLAVE, replace(workload, spec=replace(workload.spec, env=Frozen({"A": "1"})), restart=True))
    assert pid_of(state, "web") not in (pid, second)


def test_a_service_that_ends_is_crashed_with_its_code(backend: LocalBackend) -> None:
    start(backend, "bad", shell("echo no; exit 9"))

    def crashed() -> bool:
        live = backend.inspect(ENCLAVE, "bad")
        return live is not None and live.state is State.CRASHED and live.exit_code == 9 and live.restarts >= 1

    until(crashed)
    assert "no" in list(backend.logs(ENCLAVE, "bad"))


def test_a_process_that_ignores_the_request_to_end_is_killed_with_its_children(make: Make) -> None:
    backend = make(LocalSettings(grace=0.3))
    start(backend, "deaf", shell("trap '' TERM; setsid sleep 500.25 & while true; do sleep 500.25; done"))
    until(lambda: len(processes_with("500.25")) >= 2)
    backend.remove(ENCLAVE, "deaf")
    assert not processes_with("500.25")


def test_a_command_that_is_not_there_is_named(backend: LocalBackend) -> None:
    with pytest.raises(StepError, match="no-such-program") as caught:
        start(backend, "bad", ServiceSpec(image=PYTHON, entrypoint=("no-such-program",)))
    assert caught.value.reason is Reason.SERVICE_INVALID


def test_an_image_without_a_command_says_what_to_do(make: Make, backend: LocalBackend) -> None:
    spec = ServiceSpec(image=Image(name="ethereum/client-go:v1.14"), cmd=("echo started; exec sleep 100",))
    with pytest.raises(StepError, match="map the image to a command"):
        start(backend, "geth", replace(spec, cmd=()))
    mapped = make(LocalSettings(images=Frozen({"client-go:*": ("sh", "-c")})))
    start(mapped, "geth", spec)
    until(lambda: "started" in list(mapped.logs(ENCLAVE, "geth")))


def test_a_cmd_that_was_meant_for_the_entrypoint_of_an_unmapped_image_says_so(
    make: Make, backend: LocalBackend
) -> None:
    spec = ServiceSpec(image=Image(name="ethereum/client-go:v1.14"), cmd=("--http", "--port=1"))
    with pytest.raises(StepError, match="--http: not found") as caught:
        start(backend, "geth", spec)
    assert caught.value.hint == (
        "the configuration maps the image 'ethereum/client-go:v1.14' to no command, so its cmd stands alone: "
        "map it under `images` of the backend, or give the service an entrypoint"
    )
    mapped = make(LocalSettings(images=Frozen({"client-go:*": ("no-such-program",)})))
    with pytest.raises(StepError, match="no-such-program: not found") as caught:
        start(mapped, "geth", spec)
    assert not caught.value.hint


def test_a_service_knows_its_own_address(backend: LocalBackend) -> None:
    env = Frozen({"URL": "http://KURTOSIS_IP_ADDR_PLACEHOLDER:80", "KEPT": "OTHER"})
    start(backend, "web", shell("echo me KURTOSIS_IP_ADDR_PLACEHOLDER; exec sleep 1000", env=env))
    address = backend.reserve(ENCLAVE, "web")
    until(lambda: f"me {address}" in list(backend.logs(ENCLAVE, "web")))
    assert says(backend, "web", "echo $URL $KEPT") == f"http://{address}:80 OTHER"


# --- ports --------------------------------------------------------------------------------------------------


def test_a_port_that_another_service_holds_on_every_address_is_reported_with_both(backend: LocalBackend) -> None:
    start(backend, "greedy", web("0.0.0.0"))
    until(lambda: backend.open_port(ENCLAVE, "greedy", HTTP))
    with pytest.raises(StepError, match=r"port 8000 of service 'web' is held by service 'greedy'"):
        start(backend, "web", web())


def test_a_service_that_asks_for_every_address_and_fails_is_reported_with_both(backend: LocalBackend) -> None:
    start(backend, "web", web())
    until(lambda: backend.open_port(ENCLAVE, "web", HTTP))
    start(backend, "greedy", web("0.0.0.0"))

    def reported() -> bool:
        try:
            assert not backend.open_port(ENCLAVE, "greedy", HTTP)
        except StepError as error:
            return "of service 'greedy' is held by service 'web'" in error.message
        return False

    until(reported)
    assert backend.open_port(ENCLAVE, "web", HTTP)


def test_services_listen_on_the_same_port_of_their_own_addresses(backend: LocalBackend) -> None:
    for name in ("one", "two"):
        start(backend, name, web())
        until(lambda name=name: backend.open_port(ENCLAVE, name, HTTP))
    assert not backend.open_port(ENCLAVE, "one", Port(number=8001))


def test_a_request_without_an_answer_fails(backend: LocalBackend) -> None:
    start(backend, "web", shell("exec sleep 1000"))
    with pytest.raises(StepError, match="GET http://web:8000/x") as caught:
        backend.request(ENCLAVE, "web", HTTP, HttpCall(method="GET", url_path="/x", timeout=2))
    assert caught.value.reason is Reason.REQUEST_FAILED


# --- logs and the end ---------------------------------------------------------------------------------------


def test_logs_are_followed_over_a_rotation(state: Path, make: Make) -> None:
    backend = make(LocalSettings(log_bytes=2000, grace=1.0))
    start(
        backend, "talker", shell("i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i; sleep 0.002; done; sleep 99")
    )
    seen = []
    for line in backend.logs(ENCLAVE, "talker", follow=True, tail=1000):
        seen.append(line)
        if line == "line 400":
            break
    numbers = [int(line.split()[1]) for line in seen]
    assert numbers == list(range(numbers[0], 401))
    assert list(backend.logs(ENCLAVE, "talker", tail=2)) == ["line 399", "line 400"]
    kept = (state / "enclaves" / ENCLAVE / "services" / "talker" / "run").glob("output.log*")
    assert max(path.stat().st_size for path in kept) <= 2000


def test_destroy_leaves_no_process_no_mount_and_no_file(state: Path, backend: LocalBackend) -> None:
    start(backend, "web", shell("setsid sleep 500.75 & exec sleep 500.75", files=DATA))
    start(backend, "bad", shell("exit 1"))
    first = daemon(state, "backend.run_task(ENCLAVE, task('sleep 500.75'), key='t')")
    until(lambda: len(processes_with("500.75")) >= 5)
    mounts = Path("/proc/self/mountinfo").read_text()
    backend.destroy(ENCLAVE)
    out, _ = first.communicate(timeout=20)
    assert "ended from outside" in out
    assert not processes_with("500.75")
    assert not processes_with(str(state))
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert not list((state / "enclaves").iterdir())
    assert json.loads((state / "addresses.json").read_text()) == {"addresses": {}, "uids": {}}


def test_a_service_opens_its_input_and_output_by_name(backend: LocalBackend) -> None:
    start(backend, "talker", shell("echo spoken >/dev/stdout; echo aside >/dev/stderr; exec cat /dev/stdin"))
    until(lambda: list(backend.logs(ENCLAVE, "talker")) == ["spoken", "aside"])
    live = backend.inspect(ENCLAVE, "talker")
    assert live is not None
    assert (live.state, live.restarts) == (State.RUNNING, 0)

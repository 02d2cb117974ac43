"""The fork server of real workers: how it starts and ends, and what its workers have of it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from gitopsd.adapters.worker import process
from gitopsd.adapters.worker.evaluator import WorkerEvaluator, WorkerLimits, WorkerSettings
from gitopsd.adapters.worker.server import FORK
from gitopsd.daemon.offline import Offline
from gitopsd.errors import Reason, TransientError
from gitopsd.model.package import EvaluationRequest
from gitopsd.model.values import Frozen
from tests.stage.packages import request
from tests.stage.processes import children_of, cpu_of, program
from tests.stage.waiting import until

ENDLESS = "for i in range(1000000000000): pass"
NEEDED = 8
"""Descriptors that a call needs at once: both ends of three pipes and a socket."""
SHORTLY = WorkerSettings(evaluation=WorkerLimits(wall=5.0))


@pytest.fixture
def slow(tmp_path: Path) -> EvaluationRequest:
    """An evaluation that runs until it is ended."""
    return request(tmp_path / "slow.git", {"main.star": f"def run(plan):\n    {ENDLESS}\n"})


def test_all_calls_share_one_server_which_ends_with_its_evaluator(tmp_path: Path) -> None:
    before, workers = children(), WorkerEvaluator()
    workers.prepare()
    (server,) = children() - before
    asked = request(tmp_path / "mirror.git", {"main.star": "def run(plan):\n    return 1\n"})
    assert workers.evaluate(asked) == workers.evaluate(asked)
    assert workers.extract(".a", Frozen({"a": 1})) == (1,)
    assert children() - before == {server}
    assert children(server) == set()
    assert len(list(Path(f"/proc/{server}/task").iterdir())) == 1, "a fork would lose the other threads"
    del workers
    assert children() - before == set()


def test_the_server_is_started_again_when_somebody_ended_it() -> None:
    before, workers = children(), WorkerEvaluator()
    assert workers.extract(".a", Frozen({"a": 1})) == (1,)
    (server,) = children() - before
    os.kill(server, signal.SIGKILL)
    assert workers.extract(".a", Frozen({"a": 2})) == (2,)
    assert (children() - before).isdisjoint({server})


def test_workers_end_with_their_server_and_another_answers(slow: EvaluationRequest) -> None:
    with evaluating(WorkerEvaluator(SHORTLY), slow) as (server, worker, failed):
        os.kill(server, signal.SIGKILL)
        until(lambda: not alive(worker), "the worker ended")
        assert failed == []
        until(grandchildren, "another worker evaluates")
    assert "ran longer than" in str(failed[0])


@pytest.fixture
def adopting() -> Iterator[None]:
    """While orphans become this process's children, as they do where the daemon is process 1."""
    prctl, adopt = ctypes.CDLL(None).prctl, 36
    prctl(adopt, 1, 0, 0, 0)
    yield
    prctl(adopt, 0, 0, 0, 0)


@pytest.mark.usefixtures("adopting")
def test_orphans_of_a_server_that_somebody_ended_do_not_stay_as_zombies(slow: EvaluationRequest) -> None:
    before = children()
    with evaluating(WorkerEvaluator(SHORTLY), slow) as (server, orphan, _):
        os.kill(server, signal.SIGKILL)
        until(lambda: not alive(server) and not alive(orphan), "both are gone", seconds=4)
    assert len(children() - before) <= 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> WorkerEvaluator:
    monkeypatch.setattr(process, "_PATIENCE", 1.0)
    return WorkerEvaluator(WorkerSettings(small=WorkerLimits(wall=8.0)))


def test_a_server_that_hangs_is_told_soon_after_the_time_of_a_call_and_replaced(impatient: WorkerEvaluator) -> None:
    before = children()
    assert impatient.extract(".a", Frozen({"a": 1})) == (1,)
    (server,) = children() - before
    os.kill(server, signal.SIGSTOP)
    assert is_passing(failure(impatient), "the fork server does not answer")
    assert not alive(server)
    assert impatient.extract(".a", Frozen({"a": 2})) == (2,)


def test_a_server_that_takes_no_more_requests_is_replaced(impatient: WorkerEvaluator) -> None:
    before = children()
    impatient.prepare()
    (server,) = children() - before
    os.kill(server, signal.SIGSTOP)
    with contextlib.suppress(TimeoutError):
        while True:
            impatient._server._running().send(FORK)
    assert impatient.extract(".a", Frozen({"a": 1})) == (1,)
    assert not alive(server)


def test_a_server_that_hangs_ends_with_its_evaluator(impatient: WorkerEvaluator) -> None:
    before = children()
    impatient.prepare()
    (server,) = children() - before
    os.kill(server, signal.SIGSTOP)
    impatient._server.stop()
    assert not alive(server)


def test_a_fork_that_fails_is_told_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = tmp_path / "full"
    failing = (
        f"import errno, os\nfork = os.fork\ndef failing():\n    if os.path.exists({str(full)!r}):\n"
        "        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))\n    return fork()\nos.fork = failing\n"
    )
    monkeypatch.setattr(process, "_BOOT", failing + process._BOOT)
    before, workers = children(), WorkerEvaluator()
    assert workers.extract(".a", Frozen({"a": 1})) == (1,)
    (server,) = children() - before
    until(lambda: len(sockets(server)) == 1, "the life line was closed")
    full.touch()
    assert is_passing(failure(workers), "Resource temporarily unavailable")
    until(lambda: len(sockets(server)) == 1, "nothing is left open")
    full.unlink()
    assert workers.extract(".a", Frozen({"a": 2})) == (2,)
    assert children() - before == {server}


def test_a_request_whose_descriptors_did_not_all_arrive_ends_nothing() -> None:
    before, workers = children(), WorkerEvaluator()
    assert workers.extract(".a", Frozen({"a": 1})) == (1,)
    (server,) = children() - before
    used = max(numbers(server))
    resource.prlimit(server, resource.RLIMIT_NOFILE, (used + 3, used + 3))
    assert is_passing(failure(workers), "the fork server ended, or has no descriptors left")
    assert children() - before == {server}


@pytest.mark.parametrize("is_prepared", [True, False])
def test_without_descriptors_left_a_call_fails_and_leaves_none_open(is_prepared: bool) -> None:
    workers = WorkerEvaluator()
    if is_prepared:
        workers.extract(".a", Frozen({"a": 0}))
    used, (soft, hard) = numbers(os.getpid()), resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [number for number in range(100) if number not in used]
    try:
        for number in free[:NEEDED]:
            resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
            workers.prepare()  # what is wrong is told by the call
            assert is_passing(failure(workers), "Too many open files")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert numbers(os.getpid()) - {workers._server._running().fileno()} <= used
    assert workers.extract(".a", Frozen({"a": 1})) == (1,)


@pytest.mark.parametrize("limit", ["-n 64", "-d 200000", "-t 5", "-f 4096", "-c 0"])
def test_a_process_with_lower_limits_than_a_worker_s_can_evaluate(tmp_path: Path, limit: str) -> None:
    assert answer_after(f"ulimit {limit}; exec", tmp_path) == "an answer"


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_a_process_without_standard_descriptors_can_evaluate(tmp_path: Path, closed: tuple[int, ...]) -> None:
    without = " ".join(f"{number}>&-" for number in closed)
    assert answer_after(f"exec {without}; exec", tmp_path) == "an answer"


def test_workers_are_reaped_where_the_daemon_was_started_with_signals_blocked() -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        workers = WorkerEvaluator(WorkerSettings(small=WorkerLimits(wall=8.0)))
        assert workers.extract(".a", Frozen({"a": 1})) == (1,)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def test_calls_of_many_threads_get_each_its_own_answer_and_leave_nothing_open() -> None:
    before, workers = children(), WorkerEvaluator()
    workers.extract(".a", Frozen({"a": 0}))
    kept = numbers(os.getpid())
    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(lambda number: workers.extract(".", number), range(120)))
    assert found == [(number,) for number in range(120)]
    (server,) = children() - before
    assert children(server) == set()
    assert numbers(os.getpid()) <= kept


def test_a_package_is_validated_by_workers_of_one_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **more: started.append(args) or popen(*args, **more))
    (tmp_path / "kurtosis.yml").write_text("name: github.com/example/net\n")
    (tmp_path / "main.star").write_text(
        "def run(plan):\n    plan.render_templates({'a': struct(template='{{.x}}', data={'x': 1})})\n"
    )
    (tmp_path / "args.json").write_text("{}")
    offline = Offline(folder=tmp_path, cache=tmp_path / "cache")
    assert offline.examine(tmp_path / "args.json") == ()
    assert len(started) == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_plan_that_is_ended_by_a_signal_leaves_no_process(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "kurtosis.yml").write_text("name: github.com/example/net\n")
    (tmp_path / "main.star").write_text(f"def run(plan):\n    {ENDLESS}\n")
    command = program("plan", str(tmp_path))
    with subprocess.Popen(command, start_new_session=True) as plan:
        workers = until(lambda: {pid for server in children(plan.pid) for pid in children(server)}, "a worker")
        servers = children(plan.pid)
        os.killpg(plan.pid, how)
    until(lambda: not any(map(alive, workers | servers)), "all ended", seconds=10)


def test_a_worker_over_its_time_is_gone_when_the_caller_is_told(slow: EvaluationRequest) -> None:
    workers = WorkerEvaluator(SHORTLY)
    with evaluating(workers, slow) as (server, worker, failed):
        until(lambda: failed, "the limit was told")
        assert not alive(worker)
        assert children(server) == set()
    assert "ran longer than" in str(failed[0])


def test_a_worker_has_no_descriptor_of_another_or_of_the_server(slow: EvaluationRequest) -> None:
    workers = WorkerEvaluator(SHORTLY)
    with evaluating(workers, slow) as (server, first, _), evaluating(workers, slow) as (_, second, _):
        kept = [
            {name for name in descriptors(pid) if name.startswith(("pipe:", "socket:"))}
            for pid in (server, first, second)
        ]
    assert [len(each) for each in kept[1:]] == [2, 2], kept
    assert all(one.isdisjoint(other) for one, other in combinations(kept, 2)), kept


def test_a_worker_has_no_file_of_the_daemon_no_environment_and_no_privileges_to_gain(
    slow: EvaluationRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", "canary-4711")
    with (tmp_path / "planted").open("wb") as planted:
        os.set_inheritable(planted.fileno(), True)
        with evaluating(WorkerEvaluator(SHORTLY), slow) as (server, worker, _):
            files = [name for pid in (server, worker) for name in descriptors(pid)]
            environment = Path(f"/proc/{worker}/environ").read_bytes()
            status = Path(f"/proc/{worker}/status").read_text()
    assert not [name for name in files if "planted" in name]
    assert b"canary" not in environment
    assert "NoNewPrivs:\t1" in status


@contextlib.contextmanager
def evaluating(workers: WorkerEvaluator, asked: EvaluationRequest) -> Iterator[tuple[int, int, list[Exception]]]:
    """While a worker evaluates: the server's process id, the worker's, and how it failed once it has."""
    failed: list[Exception] = []

    def act() -> None:
        try:
            workers.evaluate(asked)
        except Exception as error:
            failed.append(error)

    before = grandchildren()
    thread = threading.Thread(target=act)
    thread.start()
    until(lambda: any(cpu_of(pid) > 0.05 for pid in grandchildren() - before), "the worker evaluates")
    (worker,) = grandchildren() - before
    (server,) = (child for child in children() if worker in children(child))
    yield server, worker, failed
    thread.join()


def answer_after(shell: str, folder: Path) -> str:
    """What a fresh process gets from a worker that a shell has started after it has changed something of itself."""
    text = (
        "from gitopsd.adapters.worker.evaluator import WorkerEvaluator\n"
        f"found = WorkerEvaluator().extract('.', 'an answer')\nopen({str(folder / 'found')!r}, 'w').write(*found)"
    )
    subprocess.run(["sh", "-c", f'{shell} "$@"', "sh", sys.executable, "-c", text], check=True)
    return (folder / "found").read_text()


def failure(workers: WorkerEvaluator) -> Exception:
    with pytest.raises(Exception) as caught:
        workers.extract(".a", Frozen({"a": 0}))
    return caught.value


def is_passing(error: Exception, said: str) -> bool:
    """Whether it is an error that is tried again, and says why."""
    return isinstance(error, TransientError) and error.reason is Reason.BACKEND_UNAVAILABLE and said in error.message


def grandchildren() -> set[int]:
    return {worker for child in children() for worker in children(child)}


def children(parent: int | None = None) -> set[int]:
    """The process ids of the children of a process, by default of this one."""
    return children_of(parent or os.getpid())


def numbers(pid: int) -> set[int]:
    """The open descriptors of a process, without the one that lists them."""
    found = list(Path(f"/proc/{pid}/fd").iterdir())
    return {int(item.name) for item in found if item.is_symlink()}


def sockets(pid: int) -> list[str]:
    return [name for name in descriptors(pid) if name.startswith("socket:")]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def descriptors(pid: int) -> list[str]:
    found = []
    for item in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            found.append(str(item.readlink()))
    return found

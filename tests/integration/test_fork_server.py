"""The fork server of real workers: how it starts and ends, and what its workers have of it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from gitopsd.adapters.worker import WorkerEvaluator, WorkerLimits, WorkerSettings
from gitopsd.model.values import Frozen
from gitopsd.ports import EvaluationRequest
from tests.benchmarks.measuring import cpu_of
from tests.daemons import until
from tests.evaluating import request

ENDLESS = "for i in range(1000000000000): pass"
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


def grandchildren() -> set[int]:
    return {worker for child in children() for worker in children(child)}


def children(parent: int | None = None) -> set[int]:
    """The process ids of the children of a process, by default of this one."""
    tasks = Path(f"/proc/{parent or 'self'}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def descriptors(pid: int) -> list[str]:
    found = []
    for item in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            found.append(str(item.readlink()))
    return found

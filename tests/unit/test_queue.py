"""The keyed queue, and what waiting work becomes together."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from gitopsd.daemon.queue import KeyedQueue
from gitopsd.daemon.work import Asked, Work, merge, takes_place
from gitopsd.model.environment import Commit, Environment, Source
from gitopsd.model.run import Run

SOURCE = Source(name="r", url="file:///r")


def work(asked: Asked, commit: str = "a" * 40, **more: object) -> Work:
    environment = Environment(name="dev", source=SOURCE, package="p", enclave="dev")
    return Work(asked=asked, environment=environment, commit=Commit(url=SOURCE.url, ref="main", id=commit), **more)  # type: ignore[arg-type]


def test_waiting_work_of_a_key_becomes_one_and_keeps_its_place() -> None:
    queue: KeyedQueue[str, str] = KeyedQueue(lambda waiting, new: f"{waiting}+{new}")
    queue.put("a", "1")
    queue.put("b", "2")
    queue.put("a", "3")
    assert [queue.take(), queue.take()] == [("a", "1+3"), ("b", "2")]


def test_a_key_is_never_worked_on_twice_at_once_and_others_go_on() -> None:
    queue: KeyedQueue[str, str] = KeyedQueue(lambda _, new: new)
    queue.put("a", "1")
    assert queue.take() == ("a", "1")
    queue.put("a", "2")
    queue.put("b", "3")
    assert queue.take() == ("b", "3")
    assert queue.waiting("a") == "2"
    queue.done("a")
    assert queue.take() == ("a", "2")


def test_a_closed_queue_hands_back_what_waited_and_wakes_its_workers() -> None:
    queue: KeyedQueue[str, str] = KeyedQueue(lambda _, new: new)
    taken: list[object] = []
    worker = threading.Thread(target=lambda: taken.append(queue.take()))
    worker.start()
    assert queue.close() == ()
    worker.join(5)
    assert taken == [None]
    assert not queue.put("a", "1")


@pytest.mark.parametrize(
    ("waiting", "new", "winner"),
    [
        (Asked.COMMIT, Asked.COMMIT, Asked.COMMIT),
        (Asked.DRIFT, Asked.COMMIT, Asked.COMMIT),
        (Asked.COMMIT, Asked.DRIFT, Asked.COMMIT),
        (Asked.SYNC, Asked.COMMIT, Asked.SYNC),
        (Asked.UPDATE, Asked.COMMIT, Asked.UPDATE),
        (Asked.ROLLBACK, Asked.COMMIT, Asked.COMMIT),
        (Asked.COMMIT, Asked.ROLLBACK, Asked.ROLLBACK),
        (Asked.ROLLBACK, Asked.RETRY, Asked.ROLLBACK),
        (Asked.DESTROY, Asked.COMMIT, Asked.DESTROY),
        (Asked.SYNC, Asked.DESTROY, Asked.DESTROY),
        (Asked.DRIFT, Asked.START, Asked.START),
    ],
)
def test_which_of_two_waiting_pieces_of_work_is_done(waiting: Asked, new: Asked, winner: Asked) -> None:
    assert merge(work(waiting), work(new)).asked is winner


def test_the_newest_commit_wins_and_all_who_wait_get_its_run() -> None:
    first: Future[Run | None] = Future()
    second: Future[Run | None] = Future()
    merged = merge(work(Asked.SYNC, "1" * 40, tickets=(first,)), work(Asked.COMMIT, "2" * 40, tickets=(second,)))
    assert (merged.commit.id, merged.tickets) == ("2" * 40, (first, second))


def test_only_something_newer_takes_the_place_of_a_run() -> None:
    running = work(Asked.COMMIT, "1" * 40)
    assert takes_place(running, None) == ""
    assert takes_place(running, work(Asked.DRIFT)) == ""
    assert takes_place(running, work(Asked.COMMIT, "1" * 40)) == ""
    assert takes_place(running, work(Asked.COMMIT, "2" * 40)) == "2" * 40
    assert takes_place(running, work(Asked.ROLLBACK)) == "rollback"
    assert takes_place(work(Asked.DRIFT, "1" * 40), work(Asked.COMMIT, "1" * 40)) == "1" * 40

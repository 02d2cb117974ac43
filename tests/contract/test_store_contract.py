"""The contract of the store: what is kept comes back, over restarts, threads and releases."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitopsd.adapters.store import Limits, SqlStore
from gitopsd.errors import Reason, TransientError, UserError
from gitopsd.model.codec import dumps
from gitopsd.model.environment import Commit, Environment, Source
from gitopsd.model.ops import Print
from gitopsd.model.plan import Evaluation, Instruction, Plan
from gitopsd.model.run import Condition, ConditionState, Outgoing, Report, ReportState, Run, Trigger, Verdict
from gitopsd.model.values import Frozen
from gitopsd.ports import Store
from tests.stage.threads import at_once

COMMIT = Commit(url="https://git.invalid/net.git", ref="main", id="1a2b3c4d" * 5, subject="Grow the net")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def make_run(number: int, environment: str = "dev", verdict: Verdict = Verdict.SUCCEEDED) -> Run:
    return Run(id=f"run-{number}", environment=environment, commit=COMMIT, trigger=Trigger.COMMIT, verdict=verdict,
               started_at=NOON + timedelta(seconds=number))  # fmt: skip


def make_report(line: str = "3 added") -> Report:
    return Report(key="dev/1a2b3c4d/success", environment="dev", commit=COMMIT, state=ReportState.SUCCESS, line=line)


def make_item(key: str) -> Outgoing:
    return Outgoing(key=key, channel="forge", stream="forge/dev", report=make_report(), queued_at=NOON)


def make_evaluation(text: str) -> Evaluation:
    said = Instruction(id="print/@0", op=Print(message=text))
    return Evaluation(plan=Plan(package_digest="p", args_digest="a", instructions=(said,)))


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore(f"sqlite:///{tmp_path}/state/gitopsd.db" if request.param == "file" else "sqlite://")
    yield opened
    opened.close()


def test_it_is_a_store(store: SqlStore) -> None:
    port: Store = store
    assert port.runs("dev") == ()


def test_runs_come_back_newest_first_and_per_environment(store: SqlStore) -> None:
    for number in range(4):
        store.save_run(make_run(number))
    store.save_run(make_run(9, "other"))
    assert [run.id for run in store.runs("dev", limit=3)] == ["run-3", "run-2", "run-1"]
    assert store.runs("other") == (make_run(9, "other"),)


def test_a_run_saved_again_takes_the_place_of_the_first(store: SqlStore) -> None:
    store.save_run(make_run(1, verdict=Verdict.FAILED))
    store.save_run(make_run(2))
    store.save_run(make_run(1))
    assert store.runs("dev") == (make_run(2), make_run(1))


def test_only_so_many_runs_of_an_environment_are_kept() -> None:
    store = SqlStore("sqlite://", limits=Limits(runs=3))
    for number in range(7):
        store.save_run(make_run(number))
        store.save_run(make_run(100 + number, "other") if number < 2 else make_run(number))
    assert [run.id for run in store.runs("dev")] == ["run-6", "run-5", "run-4"]
    assert len(store.runs("other")) == 2
    store.close()


def test_conditions_and_environments_are_replaced_and_forgotten(store: SqlStore) -> None:
    assert store.condition("dev") is None
    source = Source(name="net", url=COMMIT.url)
    environment = Environment(name="dev", source=source, package="net", enclave="dev", args=Frozen({"n": 3}))
    store.save_environment(environment, COMMIT)
    store.save_condition(Condition(environment="dev", state=ConditionState.PENDING, since=NOON))
    ready = Condition(environment="dev", state=ConditionState.READY, message="ok", since=NOON)
    store.save_condition(ready)
    assert store.condition("dev") == ready
    assert store.environments() == ((environment, COMMIT),)
    store.forget_environment("dev")
    assert store.environments() == ()
    assert store.condition("dev") is None


def test_what_was_sent_is_known_with_its_remote_id(store: SqlStore) -> None:
    assert store.sent("key") is None
    store.mark_sent("key", "")
    assert store.sent("key") == ""
    store.mark_sent("key", "1700.1")
    assert store.sent("key") == "1700.1"


def test_the_outbox_keeps_order_and_takes_a_key_once(store: SqlStore) -> None:
    assert [store.enqueue(make_item(key)) for key in ("b", "a", "b")] == [True, True, False]
    assert store.outbox() == (make_item("b"), make_item("a"))
    later = NOON + timedelta(seconds=90)
    store.reschedule("b", attempts=2, due_at=later)
    first = store.outbox(limit=1)[0]
    assert (first.key, first.attempts, first.due_at) == ("b", 2, later)
    store.mark_sent("b", "")
    store.dequeue("b")
    assert not store.enqueue(make_item("b"))
    assert [item.key for item in store.outbox()] == ["a"]


def test_plans_are_cached_by_key(store: SqlStore) -> None:
    assert store.cached_plan("one") is None
    store.keep_plan("one", make_evaluation("hello"))
    store.keep_plan("two", make_evaluation("world"))
    assert store.cached_plan("one") == make_evaluation("hello")
    assert store.cached_plan("two") == make_evaluation("world")


def test_a_plan_that_was_read_lately_is_not_read_again(store: SqlStore) -> None:
    store.keep_plan("one", make_evaluation("hello"))
    found = store.cached_plan("one")
    assert store.cached_plan("one") is found
    store.keep_plan("one", make_evaluation("world"))
    assert store.cached_plan("one") == make_evaluation("world")


def test_plans_in_memory_have_a_bound() -> None:
    store = SqlStore("sqlite://", limits=Limits(read_plan_bytes=1))
    store.keep_plan("one", make_evaluation("hello"))
    found = store.cached_plan("one")
    assert found == make_evaluation("hello")
    assert store.cached_plan("one") == found
    assert store.cached_plan("one") is not found
    store.close()


def test_the_plans_unused_for_longest_go_first() -> None:
    evaluations = {key: make_evaluation(hashlib.sha512(key.encode()).hexdigest()) for key in "abcd"}
    room = 3 * max(len(zlib.compress(dumps(item).encode(), 3)) for item in evaluations.values()) + 3 * 32 + 20
    store = SqlStore("sqlite://", limits=Limits(plan_bytes=room))
    for key, evaluation in evaluations.items():
        if key == "d":
            assert store.cached_plan("a") is not None
        store.keep_plan(key, evaluation)
    assert [key for key in "abcd" if store.cached_plan(key) is not None] == ["a", "c", "d"]
    store.keep_plan("huge", make_evaluation("".join(hashlib.sha512(bytes([n])).hexdigest() for n in range(50))))
    assert store.cached_plan("huge") is None
    assert store.cached_plan("a") is not None
    store.close()


def test_everything_survives_a_restart_in_a_file_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "state" / "gitopsd.db"
    first = SqlStore(f"sqlite:///{path}")
    first.save_run(make_run(1))
    first.enqueue(make_item("a"))
    first.mark_sent("m", "1.2")
    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}.items() >= {
        "gitopsd.db": 0o600
    }.items()
    assert all(file.stat().st_mode & 0o077 == 0 for file in path.parent.iterdir())
    first.close()
    second = SqlStore(f"sqlite:///{path}")
    assert second.runs("dev") == (make_run(1),)
    assert second.outbox() == (make_item("a"),)
    assert second.sent("m") == "1.2"
    second.close()


def test_threads_and_two_open_stores_share_one_file(tmp_path: Path) -> None:
    stores = [SqlStore(f"sqlite:///{tmp_path}/gitopsd.db") for _ in range(2)]

    def work(number: int) -> None:
        mine = stores[number % 2]
        for step in range(10):
            mine.save_run(make_run(number * 100 + step, f"env-{number}"))
            mine.enqueue(make_item(f"shared-{step}"))
            mine.keep_plan(f"plan-{step}", make_evaluation("x"))
            mine.cached_plan(f"plan-{step}")
            mine.runs(f"env-{number}")

    at_once(work, range(4))
    assert len(stores[0].outbox()) == 10
    assert all(len(stores[1].runs(f"env-{number}")) == 10 for number in range(4))
    for opened in stores:
        opened.close()


def test_threads_share_a_store_in_memory() -> None:
    store = SqlStore("sqlite://")
    at_once(lambda number: store.save_run(make_run(number)), range(8))
    assert len(store.runs("dev")) == 8
    store.close()


def test_a_row_of_a_newer_release_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "gitopsd.db"
    store = SqlStore(f"sqlite:///{path}")
    store.save_run(make_run(1))
    store.save_run(make_run(2))
    with sqlite3.connect(path) as raw:
        raw.execute("update gitopsd_runs set body = ? where id = 'run-2'", (b"not what was written",))
    raw.close()
    assert store.runs("dev") == (make_run(1),)
    store.close()


def test_a_store_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gitopsd.db"
    SqlStore(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as raw:
        raw.execute("update gitopsd_meta set value = '99'")
    raw.close()
    with pytest.raises(UserError, match="layout '99'") as caught:
        SqlStore(f"sqlite:///{path}")
    assert caught.value.reason is Reason.RECORD_NEWER


def test_a_file_that_is_no_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "gitopsd.db"
    path.write_bytes(b"this is no database at all, but a text of some length" * 40)
    with pytest.raises(UserError, match="damaged or no database") as caught:
        SqlStore(f"sqlite:///{path}")
    assert "move it away" in caught.value.hint


@pytest.mark.parametrize("url", ["nonsense", "oracle9://u:canary-pw@h/db", "postgresql+nodriver://u:canary-pw@h/db"])
def test_a_bad_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UserError) as caught:
        SqlStore(url)
    assert caught.value.reason is Reason.CONFIG_INVALID
    assert "canary-pw" not in str(caught.value)


def test_a_locked_database_is_transient(tmp_path: Path) -> None:
    path = tmp_path / "gitopsd.db"
    store = SqlStore(f"sqlite:///{path}", limits=Limits(busy_seconds=0.05))
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError) as caught:
        store.mark_sent("a", "")
    assert caught.value.reason is Reason.BACKEND_UNAVAILABLE
    raw.execute("ROLLBACK")
    raw.close()
    store.mark_sent("a", "")
    store.close()


def test_what_another_hand_wrote_or_moved_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "gitopsd.db"
    other = SqlStore(f"sqlite:///{path}", key=b"another installation")
    other.keep_plan("foreign", make_evaluation("rm -rf"))
    other.close()
    first = SqlStore(f"sqlite:///{path}", key=b"this one")
    for key in ("one", "two"):
        first.keep_plan(key, make_evaluation(key))
    first.save_run(make_run(1))
    first.close()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute(
            "update gitopsd_plans set body = (select body from gitopsd_plans where key = 'one') where key = 'two'"
        )
        raw.execute("update gitopsd_runs set environment = 'elsewhere'")
    store = SqlStore(f"sqlite:///{path}", key=b"this one")
    assert [store.cached_plan(key) is None for key in ("foreign", "one", "two")] == [True, False, True]
    assert store.runs("elsewhere") == ()
    store.close()

"""The contract of the port Records, which sessions write as in production: what is written comes back, and only its
last claimant writes it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from threading import Thread

import pytest

from gitopsd.errors import Reason, TransientError
from gitopsd.model.head import SCHEME, Under, achieved, begun
from gitopsd.model.ops import UploadFiles
from gitopsd.model.plan import Instruction
from gitopsd.model.record import Intent, Recorded, finished, forgotten, headed, intended
from gitopsd.model.values import Frozen
from gitopsd.ports import Records
from gitopsd.session import Session, Sessions
from tests.contract.conftest import Storage
from tests.contract.recording import (
    ENCLAVE,
    NOON,
    finish,
    headed_by,
    make_exec,
    make_good,
    make_service,
    make_step,
    recorded_in,
    session,
)

ODD = ("exec/web#1", "z", "a", "täsk/☃ /..", "b" * 300, "one\nline\udcff", "")


@pytest.fixture
def records(storage: Storage) -> Records:
    return storage.records()


@pytest.fixture
def opened(records: Records) -> Session:
    return session(records)


def test_an_unknown_enclave_has_no_record(records: Records) -> None:
    assert records.read(ENCLAVE) is None


def test_a_claim_makes_an_empty_record(records: Records, storage: Storage) -> None:
    made = records.claim(ENCLAVE, "me")
    assert made.recorded == Recorded()
    assert storage.records().read(ENCLAVE) == made


def test_steps_come_back_in_the_order_in_which_they_finished(opened: Session, storage: Storage) -> None:
    steps = [make_step(name, serial=name) for name in ODD]
    finish(opened, *steps)
    assert list(recorded_in(storage.records()).steps.items()) == [(step.id, step) for step in steps]
    again = make_step("z", serial="again")
    finish(opened, again)
    assert list(recorded_in(storage.records()).steps) == list(ODD)


def test_steps_may_change_their_order(opened: Session, storage: Storage) -> None:
    steps = {name: make_step(name, serial=name) for name in "abc"}
    finish(opened, *steps.values())
    opened.change(lambda found: replace(found, steps=found.steps.without("a").with_({"a": steps["a"]})))
    assert list(recorded_in(storage.records()).steps.items()) == [(name, steps[name]) for name in "bca"]


def test_an_intent_stays_until_its_step_is_finished(opened: Session, storage: Storage) -> None:
    intent = Intent(id="exec/web#1", key="k1", when=NOON)
    opened.change(partial(intended, intent=intent))
    assert recorded_in(storage.records()).intents == {intent.id: intent}
    finish(opened, make_step(intent.id))
    assert not recorded_in(storage.records()).intents


def test_a_replaced_result_moves_to_the_past_newest_first(opened: Session, storage: Storage) -> None:
    steps = [make_step("exec/web#1", make_exec(word), serial=word) for word in ("one", "two", "three")]
    finish(opened, *steps)
    found = recorded_in(storage.records())
    assert found.steps == {"exec/web#1": steps[2]}
    assert found.past == (steps[1], steps[0])


def test_a_result_of_the_past_that_is_recalled_is_current_again(opened: Session, storage: Storage) -> None:
    one, two = (make_step("exec/web#1", make_exec(word), serial=word) for word in ("one", "two"))
    finish(opened, one, two, one)
    found = recorded_in(storage.records())
    assert found.steps == {"exec/web#1": one}
    assert found.past == (two,)


def test_forgotten_results_move_to_the_past_and_services_are_dropped(opened: Session, storage: Storage) -> None:
    done, service = make_step("exec/web#1"), make_step("service/web", make_service(), serial="s2")
    finish(opened, service, done)
    opened.change(partial(forgotten, ids=(done.id, service.id, "never/was")))
    found = recorded_in(storage.records())
    assert not found.steps
    assert found.past == (done,)


def test_the_past_is_bounded_but_keeps_what_the_last_good_plan_needs(opened: Session, storage: Storage) -> None:
    good = make_step("exec/web#1", make_exec("good"), serial="good")
    finish(opened, good)
    opened.change(partial(headed, change=partial(achieved, good=make_good(good))))
    finish(opened, *(make_step("exec/web#1", make_exec(str(number)), serial=str(number)) for number in range(20)))
    found = recorded_in(storage.records()).past
    assert found == opened.recorded.past
    assert [step.serial for step in found] == [str(number) for number in range(18, 10, -1)] + ["good"]


def test_the_past_may_be_any(opened: Session, storage: Storage) -> None:
    steps = tuple(make_step("exec/web#1", make_exec(word), serial=word) for word in ("one", "two", "three"))
    for past in (steps, steps[::-1], steps[1:], ()):
        opened.change(lambda found, past=past: replace(found, past=past))  # type: ignore[misc]
        assert recorded_in(storage.records()).past == past


def test_the_head_is_kept_and_leaves_the_steps_alone(opened: Session, storage: Storage) -> None:
    step = make_step("exec/web#1")
    finish(opened, step)
    opened.change(partial(intended, intent=Intent(id="task/seed", key="k")))
    for number in range(7):
        opened.change(partial(headed, change=partial(achieved, good=make_good(step, commit=f"c{number}"))))
    opened.change(partial(headed, change=partial(begun, plan="digest")))
    opened.change(lambda found: headed_by(found, environment="dev", pinned="c0", bad_plans=("bad",), scheme=1))
    found = recorded_in(storage.records())
    assert found == opened.recorded
    assert found.head.course == Under(plan="digest")
    assert [good.commit for good in found.head.goods] == ["c6", "c5", "c4", "c3", "c2"]
    assert found.head.scheme == 1
    opened.change(lambda found: headed_by(found, good=None, scheme=SCHEME))
    found = recorded_in(storage.records())
    assert (found.head.good, found.head.scheme, len(found.head.earlier)) == (None, SCHEME, 4)


def test_an_equal_value_of_another_type_is_a_change(opened: Session, storage: Storage) -> None:
    step = make_step("exec/web#1")
    for value in (1, True, 1.0, 0.0, -0.0, False):
        finish(opened, replace(step, inputs=step.inputs.with_({"value": value})))
        assert repr(recorded_in(storage.records()).steps[step.id].inputs["value"]) == repr(value)


def test_where_content_is_read_from_is_kept_though_it_makes_no_difference(opened: Session, storage: Storage) -> None:
    for source in ("repository@1", "repository@2"):
        finish(opened, make_step("artifact/a", UploadFiles(name="a", source=source, content="c"), serial="s"))
        op = recorded_in(storage.records()).steps["artifact/a"].instruction.op
        assert isinstance(op, UploadFiles)
        assert op.source == source


@pytest.mark.parametrize("text", ["é\ud800\n" * 50_000, "\ud83d\ude00", '"\\\x00\x7f\u2028', "x" * 10_000_000])
def test_every_text_comes_back_whole(opened: Session, storage: Storage, text: str) -> None:
    step = replace(make_step("exec/web#1", output=text), inputs=Frozen({"large": text}))
    finish(opened, step)
    assert recorded_in(storage.records()).steps[step.id] == step


def test_a_write_without_a_claim_is_refused(records: Records, storage: Storage) -> None:
    for generation in (0, 1):
        with pytest.raises(TransientError) as caught:
            records.write(ENCLAVE, generation, Recorded(), headed_by(Recorded(), commit="c"))
        assert caught.value.reason is Reason.RECORD_FENCED
    assert storage.records().read(ENCLAVE) is None
    session(records)
    with pytest.raises(TransientError):
        records.write(ENCLAVE, 0, Recorded(), headed_by(Recorded(), commit="c"))
    assert recorded_in(storage.records()) == Recorded()


def test_a_second_claim_fences_the_first(opened: Session, storage: Storage) -> None:
    step = make_step("exec/web#1")
    finish(opened, step)
    second = session(storage.records(), "two")
    assert second.recorded == opened.recorded
    for attempt in (partial(finish, opened, make_step("a")), opened.delete):
        with pytest.raises(TransientError) as caught:
            attempt()
        assert caught.value.reason is Reason.RECORD_FENCED
    assert list(finish(second, make_step("b")).steps) == ["exec/web#1", "b"]
    assert recorded_in(storage.records()) == second.recorded


def test_a_session_stays_open_until_another_one_claims(records: Records, storage: Storage) -> None:
    mine, other = Sessions(records, writer="me"), Sessions(storage.records(), writer="other")
    first = mine.open(ENCLAVE)
    assert mine.open(ENCLAVE) is first
    finish(other.open(ENCLAVE), make_step("a"))
    second = mine.open(ENCLAVE)
    assert second is not first
    assert list(finish(second, make_step("b")).steps) == ["a", "b"]


def test_a_deleted_record_is_none_and_its_writer_is_fenced(opened: Session, storage: Storage) -> None:
    finish(opened, make_step("exec/web#1"))
    opened.delete()
    assert storage.records().read(ENCLAVE) is None
    with pytest.raises(TransientError) as caught:
        finish(opened, make_step("exec/web#1"))
    assert caught.value.reason is Reason.RECORD_FENCED
    again = session(storage.records())
    assert list(finish(again, make_step("b")).steps) == ["b"]
    with pytest.raises(TransientError):
        finish(opened, make_step("exec/web#1"))


def test_what_is_not_there_may_be_deleted(records: Records) -> None:
    records.delete(ENCLAVE, 1)
    assert records.read(ENCLAVE) is None


def test_records_of_enclaves_are_apart(records: Records, opened: Session) -> None:
    other = Sessions(records, writer="test").open("other")
    finish(opened, make_step("exec/web#1"))
    assert not other.recorded.steps
    other.delete()
    assert list(recorded_in(records).steps) == ["exec/web#1"]


def test_a_read_that_fails_is_an_error_and_never_an_empty_record(opened: Session, storage: Storage) -> None:
    finish(opened, make_step("exec/web#1"))
    records = storage.records()
    with storage.fails("read"):
        for attempt in (records.read, Sessions(records, writer="w").peek, Sessions(records, writer="w").open):
            with pytest.raises(TransientError) as caught:
                attempt(ENCLAVE)
            assert caught.value.reason is Reason.BACKEND_UNAVAILABLE
    assert list(recorded_in(records).steps) == ["exec/web#1"]


def test_a_write_that_fails_changes_nothing_and_the_session_goes_on(opened: Session, storage: Storage) -> None:
    finish(opened, make_step("a"))
    with storage.fails("write"):
        for attempt in (partial(finish, opened, make_step("b")), partial(session, storage.records(), "two")):
            with pytest.raises(TransientError) as caught:
                attempt()
            assert caught.value.reason is Reason.BACKEND_UNAVAILABLE
        assert list(opened.recorded.steps) == ["a"]
    assert list(finish(opened, make_step("c")).steps) == ["a", "c"]
    assert recorded_in(storage.records()) == opened.recorded


def test_a_session_that_cannot_read_what_became_of_a_write_says_so(opened: Session, storage: Storage) -> None:
    finish(opened, make_step("a"))
    with storage.fails("read", "write"):
        with pytest.raises(TransientError):
            finish(opened, make_step("b"))
        with pytest.raises(TransientError):
            _ = opened.recorded
    assert list(finish(opened, make_step("c")).steps) == ["a", "c"]


def test_threads_share_a_session_and_lose_nothing(opened: Session, storage: Storage) -> None:
    def write(name: str) -> None:
        for number in range(20):
            opened.change(partial(intended, intent=Intent(id=f"{name}/{number}", key="k")))
            opened.change(partial(finished, step=make_step(f"{name}/{number}", serial=name)))

    threads = [Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = recorded_in(storage.records())
    assert set(found.steps) == {f"{name}/{number}" for name in "abcd" for number in range(20)}
    assert not found.intents
    assert found == opened.recorded


def test_an_instruction_may_come_again_after_another_one(opened: Session, storage: Storage) -> None:
    one, two = Instruction(id="a", op=make_exec("1")), Instruction(id="a", op=make_exec("2"))
    for number, instruction in enumerate((one, two, one, two)):
        finish(opened, replace(make_step("a", serial=str(number)), instruction=instruction))
        assert recorded_in(storage.records()).steps["a"].instruction == instruction

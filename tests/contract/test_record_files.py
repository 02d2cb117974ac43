"""Records in files: what a kill, a full disk, damage and another process leave of them."""

from __future__ import annotations

import errno
import itertools
import json
import multiprocessing
import os
import shutil
import stat
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from gitopsd.adapters.local import ledger_file
from gitopsd.adapters.local.record import FileRecords
from gitopsd.errors import Reason, TransientError, UserError
from gitopsd.model.head import SCHEME, achieved
from gitopsd.model.ops import Op
from gitopsd.model.record import Recorded, finished, forgotten, headed
from gitopsd.session import Session, Sessions
from tests.contract.conftest import full_disk
from tests.contract.recording import (
    ENCLAVE,
    finish,
    killed_at,
    make_exec,
    make_good,
    make_service,
    make_step,
    recorded_in,
    session,
)

NAMES = tuple("abcd")
STEPS = tuple(make_step(name, serial=name) for name in NAMES)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def records(state: Path) -> FileRecords:
    return FileRecords(state)


@pytest.fixture
def opened(records: FileRecords) -> Session:
    return session(records)


def folder_in(state: Path) -> Path:
    return state / "enclaves" / ENCLAVE / "record"


def journal_in(state: Path) -> Path:
    return folder_in(state) / "record.jsonl"


def lines_in(state: Path) -> list[bytes]:
    return journal_in(state).read_bytes().split(b"\n")[:-1]


# --- how it is kept -----------------------------------------------------------------------------------------


def test_each_write_is_one_line_that_holds_the_difference(opened: Session, state: Path) -> None:
    for number, step in enumerate(STEPS):
        finish(opened, step)
        lines = lines_in(state)
        assert len(lines) == number + 2
        assert len(lines[-1]) < 700
    finish(opened, make_step("a", serial="again"))
    said = json.loads(lines_in(state)[-1][9:])
    assert (said["steps"], said["past"], "instructions" in said) == ({"a": 4}, {"front": [0], "gone": []}, False)


def test_a_change_that_changes_nothing_writes_nothing(opened: Session, state: Path) -> None:
    finish(opened, *STEPS)
    before = journal_in(state).stat()
    opened.change(lambda found: found)
    opened.change(partial(headed, change=lambda head: head))
    assert journal_in(state).stat() == before


def test_long_texts_are_kept_once(opened: Session, state: Path) -> None:
    for name in NAMES:
        finish(opened, make_step(name, serial=name, output="é\ud800\n" * 100_000))
    assert 500_000 < journal_in(state).stat().st_size < 1_000_000
    found = list(recorded_in(FileRecords(state)).steps.values())
    assert all(step.output.values["output"] is found[0].output.values["output"] for step in found)


def test_plans_and_steps_share_their_instructions(opened: Session, state: Path) -> None:
    finish(opened, *STEPS)
    for number in range(5):
        good = make_good(*STEPS[: 4 - number % 2], commit=str(number))
        opened.change(partial(headed, change=partial(achieved, good=good)))
    found = recorded_in(FileRecords(state))
    for good in found.head.goods:
        assert all(item is found.steps[item.id].instruction for item in good.plan.instructions)
    assert found == opened.recorded


def test_files_are_for_their_owner_alone(opened: Session, state: Path) -> None:
    finish(opened, make_step("a", output="x" * 10_000))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (state, *state.rglob("*"))}
    assert modes == {0o700, 0o600}


def test_reading_makes_nothing(records: FileRecords, state: Path) -> None:
    assert records.read(ENCLAVE) is None
    assert not state.exists()


def test_a_record_that_has_not_changed_is_not_read_again(opened: Session, records: FileRecords, state: Path) -> None:
    finish(opened, *STEPS)
    other = FileRecords(state)
    one = recorded_in(other)
    assert recorded_in(other) is one
    finish(opened, make_step("e"))
    two = recorded_in(other)
    assert two.steps["a"] is one.steps["a"], "what was appended is read alone"
    assert two == opened.recorded
    assert recorded_in(records) is opened.recorded


def test_the_file_is_written_anew_when_it_has_grown(
    opened: Session, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_file, "ENOUGH", 4000)
    other, sizes = FileRecords(state), []
    again = session(FileRecords(state))
    for number in range(60):
        finish(again, make_step("a", make_exec(str(number)), serial=str(number)))
        sizes.append(journal_in(state).stat().st_size)
        assert recorded_in(other) == again.recorded
    assert max(sizes) < 20_000
    assert sum(after < before for before, after in itertools.pairwise(sizes)) > 2
    assert recorded_in(FileRecords(state)) == again.recorded


def test_a_file_that_cannot_be_written_anew_is_no_reason_to_fail(
    records: FileRecords, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_file, "ENOUGH", 1000)
    opened = session(records)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(ledger_file, "write_file", refuse)
    finish(opened, *STEPS)
    assert recorded_in(FileRecords(state)) == opened.recorded


# --- kills ---------------------------------------------------------------------------------------------------


def write_all(state: Path, done: Callable[[], None]) -> None:
    """Steps are finished, replaced and forgotten, a plan is good; ``done`` after each."""
    opened = session(FileRecords(state))
    done()
    for change in changes():
        opened.change(change)
        done()


def changes() -> list[Callable[[Recorded], Recorded]]:
    good = partial(headed, change=partial(achieved, good=make_good(*STEPS)))
    again = [partial(finished, step=make_step(name, serial=f"{name} again")) for name in "ab"]
    return [*(partial(finished, step=step) for step in STEPS), good, *again, partial(forgotten, ids=("c", "never"))]


@pytest.mark.parametrize("enough", [300, ledger_file.ENOUGH], ids=["written anew", "appended"])
@pytest.mark.parametrize("there", [False, True], ids=["new", "there before"])
def test_killed_anywhere_nothing_that_was_told_is_lost(
    state: Path, monkeypatch: pytest.MonkeyPatch, enough: int, there: bool
) -> None:
    monkeypatch.setattr(ledger_file, "ENOUGH", enough)
    states = [Recorded()]
    for change in changes():
        states.append(change(states[-1]))
    for number in itertools.count(1):
        shutil.rmtree(state, ignore_errors=True)
        if there:
            session(FileRecords(state))
        ended, told = killed_at(number, partial(write_all, state))
        found = FileRecords(state).read(ENCLAVE)
        allowed = states[max(told - 1, 0) : told + 1]
        if there or told:
            assert found is not None
        assert found is None or found.recorded in allowed
        again = session(FileRecords(state))
        assert again.recorded in allowed
        finish(again, make_step("after"))
        assert recorded_in(FileRecords(state)) == again.recorded
        assert {path.name for path in folder_in(state).iterdir()} == {"lock", "head.json", "record.jsonl"}
        if ended:
            break
    assert number > 15


def test_killed_while_it_is_deleted_a_record_is_there_or_not(state: Path) -> None:
    for number in itertools.count(1):
        shutil.rmtree(state, ignore_errors=True)
        finish(session(FileRecords(state)), *STEPS)

        def delete(_: object) -> None:
            session(FileRecords(state)).delete()

        ended, _ = killed_at(number, delete)
        found = FileRecords(state).read(ENCLAVE)
        assert found is None or list(found.recorded.steps) == list(NAMES)
        again = session(FileRecords(state))
        finish(again, make_step("after"))
        assert recorded_in(FileRecords(state)) == again.recorded
        if ended:
            break
    assert found is None


@pytest.mark.parametrize("length", [1, 5, 12, 40, -1], ids=lambda length: f"{length} bytes")
def test_a_torn_end_is_left_out_and_cut_off(opened: Session, state: Path, length: int) -> None:
    finish(opened, *STEPS)
    *_, last = journal_in(state).read_bytes().splitlines(keepends=True)
    whole = journal_in(state).read_bytes()
    journal_in(state).write_bytes(whole[: -len(last)] + last[:length])
    assert list(recorded_in(FileRecords(state)).steps) == ["a", "b", "c"]
    again = session(FileRecords(state))
    assert list(finish(again, make_step("e")).steps) == ["a", "b", "c", "e"]
    assert recorded_in(FileRecords(state)) == again.recorded


def test_a_last_line_whose_pages_never_came_is_torn(opened: Session, state: Path) -> None:
    finish(opened, *STEPS)
    *_, last = journal_in(state).read_bytes().splitlines(keepends=True)
    whole = journal_in(state).read_bytes()
    journal_in(state).write_bytes(whole[: -len(last)] + b"\0" * (len(last) - 1) + b"\n")
    assert list(finish(session(FileRecords(state)), make_step("e")).steps) == ["a", "b", "c", "e"]


# --- damage --------------------------------------------------------------------------------------------------


def _flipped(data: bytes) -> bytes:
    return data[:-40] + bytes([data[-40] ^ 1]) + data[-39:]


DAMAGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "first": lambda lines: [_flipped(lines[0]), *lines[1:]],
    "middle": lambda lines: [*lines[:2], _flipped(lines[2]), *lines[3:]],
    "lost": lambda lines: [*lines[:2], *lines[3:]],
    "twice": lambda lines: [*lines[:2], lines[1], *lines[2:]],
    "swapped": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "alone": lambda lines: [_flipped(lines[0])],
    "empty": lambda _: [],
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_damage_is_named_and_never_written_over(opened: Session, state: Path, damage: str) -> None:
    finish(opened, *STEPS)
    lines = DAMAGES[damage](journal_in(state).read_bytes().splitlines(keepends=True))
    journal_in(state).write_bytes(b"".join(lines))
    before = journal_in(state).read_bytes()
    attempts: list[Callable[[], object]] = [
        lambda: FileRecords(state).read(ENCLAVE),
        lambda: session(FileRecords(state)),
        lambda: finish(opened, make_step("e")),
    ]
    for attempt in attempts:
        with pytest.raises(UserError) as caught:
            attempt()
        assert caught.value.reason is Reason.RESULT_LOST
        assert "record/record.jsonl" in caught.value.message
        assert str(journal_in(state)) in caught.value.hint
    assert journal_in(state).read_bytes() == before


def test_a_line_that_is_damaged_is_numbered(opened: Session, state: Path) -> None:
    finish(opened, *STEPS)
    lines = journal_in(state).read_bytes().splitlines(keepends=True)
    journal_in(state).write_bytes(b"".join([*lines[:2], _flipped(lines[2]), *lines[3:]]))
    with pytest.raises(UserError, match="line 3 "):
        FileRecords(state).read(ENCLAVE)


def test_a_file_that_is_missing_is_no_empty_record(opened: Session, state: Path) -> None:
    finish(opened, *STEPS)
    journal_in(state).unlink()
    for attempt in (partial(FileRecords(state).read, ENCLAVE), partial(session, FileRecords(state))):
        with pytest.raises(UserError, match="not there"):
            attempt()


@pytest.mark.parametrize("place", ["head.json", "record.jsonl"])
def test_a_file_that_cannot_be_read_is_an_error_with_its_path(opened: Session, state: Path, place: str) -> None:
    finish(opened, *STEPS)
    path = folder_in(state) / place
    path.rename(path.with_name("aside"))
    path.symlink_to(path)
    with pytest.raises(TransientError, match=f"record/{place}: Too many levels") as caught:
        FileRecords(state).read(ENCLAVE)
    assert caught.value.reason is Reason.BACKEND_UNAVAILABLE


def test_a_folder_that_cannot_be_read_is_an_error(state: Path) -> None:
    folder_in(state).parent.mkdir(parents=True)
    folder_in(state).write_text("no folder")
    for attempt in (partial(FileRecords(state).read, ENCLAVE), partial(session, FileRecords(state))):
        with pytest.raises(TransientError, match=str(folder_in(state))):
            attempt()


@pytest.mark.parametrize("place", ["head.json", "record.jsonl"])
def test_a_record_of_a_newer_release_is_refused(opened: Session, state: Path, place: str) -> None:
    finish(opened, *STEPS)
    if place == "head.json":
        (folder_in(state) / place).write_text(json.dumps({"scheme": SCHEME + 1}))
    else:
        said = json.dumps({"scheme": SCHEME + 1, "generation": 7}).encode()
        journal_in(state).write_bytes(b"%08x %s\n" % (ledger_file.zlib.crc32(said), said))
    for attempt in (partial(FileRecords(state).read, ENCLAVE), partial(session, FileRecords(state))):
        with pytest.raises(UserError, match=f"scheme {SCHEME + 1}; this release knows up to {SCHEME}") as caught:
            attempt()
        assert caught.value.reason is Reason.RECORD_NEWER


# --- writes that fail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 1, 9, 100, 300])
def test_a_disk_that_fills_up_in_the_middle_leaves_nothing_behind(opened: Session, state: Path, room: int) -> None:
    finish(opened, *STEPS)
    before = journal_in(state).read_bytes()
    with full_disk(len(before) + room), pytest.raises(TransientError, match=r"record\.jsonl: File too large"):
        finish(opened, make_step("e"))
    assert journal_in(state).read_bytes() == before
    assert list(finish(opened, make_step("f")).steps) == [*NAMES, "f"]
    assert recorded_in(FileRecords(state)) == opened.recorded


@pytest.mark.parametrize("failing", [("fdatasync",), ("fdatasync", "ftruncate"), ("pwrite", "ftruncate")])
def test_whatever_a_failed_write_leaves_the_session_goes_on_from_it(
    opened: Session, state: Path, monkeypatch: pytest.MonkeyPatch, failing: tuple[str, ...]
) -> None:
    finish(opened, *STEPS)
    pwrite = os.pwrite

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def half(descriptor: int, data: bytes, offset: int) -> int:
        pwrite(descriptor, data[: len(data) // 2], offset)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        for name in failing:
            patch.setattr(os, name, half if name == "pwrite" else fail)
        with pytest.raises(TransientError) as caught:
            finish(opened, make_step("e"))
        assert caught.value.reason is Reason.BACKEND_UNAVAILABLE
        if failing == ("pwrite", "ftruncate"):
            with pytest.raises(TransientError):
                finish(opened, make_step("f"))
    written = list(opened.recorded.steps)
    assert written == [*NAMES, *(("e",) if failing == ("fdatasync", "ftruncate") else ())]
    assert list(finish(opened, make_step("g")).steps) == [*written, "g"]
    assert recorded_in(FileRecords(state)) == opened.recorded


# --- other processes -----------------------------------------------------------------------------------------


def _finish_as(state: Path, writer: str, count: int) -> None:
    opened = Sessions(FileRecords(state), writer=writer).open(ENCLAVE)
    for number in range(count):
        finish(opened, make_step(f"{writer}/{number}", make_service(), serial=str(number)))


def test_a_claim_of_another_process_fences_this_one(opened: Session, state: Path) -> None:
    finish(opened, make_step("mine"))
    other = multiprocessing.get_context("spawn").Process(target=_finish_as, args=(state, "other", 3))
    other.start()
    other.join()
    assert other.exitcode == 0
    with pytest.raises(TransientError, match="taken over by 'other'") as caught:
        finish(opened, make_step("e"))
    assert caught.value.reason is Reason.RECORD_FENCED
    again = session(FileRecords(state))
    assert list(again.recorded.steps) == ["mine", "other/0", "other/1", "other/2"]


def test_a_reader_beside_a_writer_sees_every_state_whole(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_file, "ENOUGH", 5000)
    session(FileRecords(state))
    pid = os.fork()
    if not pid:
        try:
            _finish_as(state, "writer", 60)
            os._exit(0)
        finally:
            os._exit(1)
    reader, seen = FileRecords(state), 0
    while not os.waitpid(pid, os.WNOHANG)[0]:
        steps = list(recorded_in(reader).steps)
        assert steps == [f"writer/{number}" for number in range(len(steps))]
        assert len(steps) >= seen
        seen = len(steps)
        time.sleep(0.001)
    assert len(recorded_in(reader).steps) == 60


def test_300_finishes_are_linear(opened: Session, state: Path) -> None:
    def op(number: int) -> Op:
        return make_exec(str(number))

    seconds = []
    for number in range(300):
        step = make_step(f"exec/web@{number}", op(number), serial=str(number))
        start = time.process_time()
        finish(opened, step)
        seconds.append(time.process_time() - start)
    assert sum(seconds[-50:]) < 10 * sum(seconds[:50])
    assert recorded_in(FileRecords(state)) == opened.recorded

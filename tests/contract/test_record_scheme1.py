"""Records that a release before scheme 2 wrote (``tests/golden/record_scheme1``): read, and taken over by a claim."""

from __future__ import annotations

import itertools
import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from gitopsd.adapters.local.record import FileRecords
from gitopsd.errors import Reason, TransientError, UserError
from gitopsd.model.head import Course, Returning, Settled, Stuck, Under, adopted
from gitopsd.model.record import Intent, headed
from tests.contract.recording import ENCLAVE, NOON, finish, killed_at, make_step, recorded_in, session

GOLDEN = Path(__file__).parents[1] / "golden" / "record_scheme1"
OLD = {path.relative_to(GOLDEN): path.read_bytes() for path in GOLDEN.rglob("*") if path.is_file()}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    restore(tmp_path / "state")
    return tmp_path / "state"


def folder_in(state: Path) -> Path:
    return state / "enclaves" / ENCLAVE / "record"


def restore(state: Path) -> None:
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(GOLDEN, folder_in(state))
    (folder_in(state) / "lock").touch()


def rewrite(state: Path, **head: object) -> None:
    """Changes fields of the old head."""
    path = folder_in(state) / "head.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"head": data["head"] | head}))


def test_it_is_read_as_it_is_meant_now(state: Path) -> None:
    kept = FileRecords(state).read(ENCLAVE)
    assert kept is not None
    assert kept.generation == 0
    found, head = kept.recorded, kept.recorded.head
    assert list(found.steps) == ["service/web", "exec/web@0", "täsk/☃ /.."]
    assert found.steps["exec/web@0"].output.values["output"] == "é\ud800\n" * 1400
    assert [step.serial for step in found.past] == ["s1"]
    assert found.intents == {"exec/web@1": Intent(id="exec/web@1", key="k1", when=NOON)}
    assert (head.scheme, head.environment, head.repository, head.commit) == (1, "dev", "", "c2")
    assert (head.bad_plans, head.pinned, head.course) == (("bad",), "c0", Under(plan="e" * 64))
    assert [pin.commit for pin in head.lock.pins] == ["d" * 40]
    assert [good.commit for good in head.goods] == ["c1", "c0"]
    assert all(good.digest == good.plan.digest for good in head.goods)
    assert head.good is not None
    assert head.good.serials == {"service/web": "w1", "exec/web@0": "s2", "täsk/☃ /..": "s3"}


def test_reading_converts_nothing(state: Path) -> None:
    recorded_in(FileRecords(state))
    left = {path.relative_to(folder_in(state)) for path in folder_in(state).rglob("*") if path.is_file()}
    assert left == {*OLD, Path("lock")}


def test_how_far_a_plan_was_is_a_course_now(state: Path) -> None:
    good = recorded_in(FileRecords(state)).head.good
    assert good is not None
    courses: dict[str, Course] = {
        "": Settled(),
        "stuck": Stuck(good=good.digest),
        good.digest: Returning(good=good.digest),
        "other": Under(plan="other"),
    }
    for unfinished, course in courses.items():
        rewrite(state, unfinished=unfinished)
        assert recorded_in(FileRecords(state)).head.course == course


def test_a_claim_takes_it_over_and_leaves_the_number_of_its_scheme(state: Path) -> None:
    before = recorded_in(FileRecords(state))
    opened = session(FileRecords(state))
    assert opened.recorded == before
    assert opened.generation == 1
    assert {path.name for path in folder_in(state).iterdir()} == {"lock", "head.json", "record.jsonl"}
    assert json.loads((folder_in(state) / "head.json").read_text())["scheme"] == 2
    again = session(FileRecords(state))
    finish(again, make_step("e"))
    found = recorded_in(FileRecords(state))
    assert (found.head, list(found.steps)) == (before.head, [*before.steps, "e"])
    again.change(partial(headed, change=adopted))
    assert recorded_in(FileRecords(state)).head.scheme == 2
    assert found.head.good is not None
    assert found.steps["exec/web@0"].instruction is found.head.good.plan.instructions[1]


def test_a_write_before_a_claim_is_refused(state: Path) -> None:
    records = FileRecords(state)
    with pytest.raises(TransientError) as caught:
        records.write(ENCLAVE, 0, recorded_in(records), recorded_in(records))
    assert caught.value.reason is Reason.RECORD_FENCED


def test_killed_anywhere_in_the_claim_each_release_sees_all_of_it_or_refuses(state: Path) -> None:
    before = recorded_in(FileRecords(state))
    for number in itertools.count(1):
        restore(state)
        ended, _ = killed_at(number, lambda _: session(FileRecords(state)) and None)
        scheme = json.loads((folder_in(state) / "head.json").read_text())["scheme"]
        if scheme == 1:  # what the older release reads is as it was
            assert all((folder_in(state) / path).read_bytes() == content for path, content in OLD.items())
        assert recorded_in(FileRecords(state)) == before
        opened = session(FileRecords(state))
        assert opened.recorded == before
        finish(opened, make_step("e"))
        assert recorded_in(FileRecords(state)) == opened.recorded
        assert {path.name for path in folder_in(state).iterdir()} == {"lock", "head.json", "record.jsonl"}
        if ended:
            break
    assert number > 15


def test_what_an_older_release_wrote_after_a_killed_claim_counts(state: Path) -> None:
    session(FileRecords(state))
    journal = (folder_in(state) / "record.jsonl").read_bytes()
    restore(state)
    (folder_in(state) / "record.jsonl").write_bytes(journal)
    rewrite(state, commit="c3")
    assert recorded_in(FileRecords(state)).head.commit == "c3"
    assert session(FileRecords(state)).recorded.head.commit == "c3"


def test_a_record_without_a_head_is_one(state: Path) -> None:
    (folder_in(state) / "head.json").unlink()
    found = recorded_in(FileRecords(state))
    assert (found.head.commit, found.head.scheme, len(found.steps)) == ("", 1, 3)
    assert session(FileRecords(state)).recorded == found


@pytest.mark.parametrize("path", sorted(map(str, OLD.keys() - {Path("number")})))
def test_damage_is_named_and_nothing_is_converted(state: Path, path: str) -> None:
    file = folder_in(state) / path
    if "blobs" in path:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:40])
    for attempt in (partial(FileRecords(state).read, ENCLAVE), partial(session, FileRecords(state))):
        with pytest.raises(UserError) as caught:
            attempt()
        assert caught.value.reason is Reason.RESULT_LOST
        assert file.name in str(caught.value)
    assert not (folder_in(state) / "record.jsonl").exists()


def test_a_file_that_cannot_be_read_is_an_error_of_another_kind(state: Path) -> None:
    path = folder_in(state) / "last_good.json"
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(TransientError, match=r"last_good\.json") as caught:
        FileRecords(state).read(ENCLAVE)
    assert caught.value.reason is Reason.BACKEND_UNAVAILABLE

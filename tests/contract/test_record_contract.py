"""The contract of the port Record: what is written comes back, over restarts; results of the past are kept."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitopsd.adapters.local.record import FileRecord
from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.model.ops import AddService, Exec, Op
from gitopsd.model.parts import ExecRecipe, Image, ServiceSpec
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.record import SCHEME, Intent, LastGood, RecordedEnclave, Step, StepOutput
from gitopsd.model.values import Frozen, Secret, StepResult, Text
from gitopsd.ports import Record

ENCLAVE = "net"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def make_exec(word: str = "one") -> Op:
    command = ("echo", Text(parts=("x=", StepResult(step="task/a", field="output"))), Secret(name="token"), word)
    return Exec(service="web", life="service/web", recipe=ExecRecipe(command=command))


def make_service() -> Op:
    return AddService(name="web", spec=ServiceSpec(image=Image(name="busybox")))


def make_step(name: str, op: Op, *, serial: str, output: str = "done\n") -> Step:
    return Step(
        instruction=Instruction(id=name, op=op),
        inputs=Frozen({"value": 1.5, "$odd": ("a", None, True)}),
        output=StepOutput(values=Frozen({"output": output, "code": 0}), artifacts=Frozen({"genesis": "ab" * 32})),
        incarnation="first",
        serial=serial,
        when=NOON,
    )


def test_an_unknown_enclave_has_an_empty_record(record: Record) -> None:
    assert record.load(ENCLAVE) == RecordedEnclave(name=ENCLAVE)


def test_steps_come_back_in_the_order_in_which_they_finished(record: Record) -> None:
    record.claim(ENCLAVE, "me")
    steps = [make_step(name, make_exec(), serial=name) for name in ("exec/web#1", "z", "a", "täsk/☃ /..", "b" * 300)]
    for step in steps:
        record.finish(ENCLAVE, step)
    assert list(record.load(ENCLAVE).steps.items()) == [(step.id, step) for step in steps]


def test_an_intent_stays_until_its_step_is_finished(record: Record) -> None:
    record.claim(ENCLAVE, "me")
    intent = Intent(id="exec/web#1", key="k1", when=NOON)
    record.begin(ENCLAVE, intent)
    assert record.load(ENCLAVE).intents == {intent.id: intent}
    record.finish(ENCLAVE, make_step(intent.id, make_exec(), serial="s1"))
    assert not record.load(ENCLAVE).intents


def test_a_replaced_result_moves_to_the_past_newest_first(record: Record) -> None:
    record.claim(ENCLAVE, "me")
    steps = [make_step("exec/web#1", make_exec(word), serial=word) for word in ("one", "two", "three")]
    for step in steps:
        record.finish(ENCLAVE, step)
    found = record.load(ENCLAVE)
    assert found.steps == {"exec/web#1": steps[2]}
    assert found.past == (steps[1], steps[0])


def test_a_result_of_the_past_that_is_recalled_is_current_again(record: Record) -> None:
    record.claim(ENCLAVE, "me")
    one, two = (make_step("exec/web#1", make_exec(word), serial=word) for word in ("one", "two"))
    for step in (one, two, one):
        record.finish(ENCLAVE, step)
    found = record.load(ENCLAVE)
    assert found.steps == {"exec/web#1": one}
    assert found.past == (two,)


def test_forgotten_results_move_to_the_past_and_services_are_dropped(record: Record) -> None:
    record.claim(ENCLAVE, "me")
    done, service = (
        make_step("exec/web#1", make_exec(), serial="s1"),
        make_step("service/web", make_service(), serial="s2"),
    )
    record.finish(ENCLAVE, service)
    record.finish(ENCLAVE, done)
    record.forget(ENCLAVE, (done.id, service.id, "never/was"))
    found = record.load(ENCLAVE)
    assert not found.steps
    assert found.past == (done,)


def test_the_past_is_bounded_but_keeps_what_the_last_good_plan_needs(record: Record) -> None:
    record.claim(ENCLAVE, "me")
    record.finish(ENCLAVE, make_step("exec/web#1", make_exec("good"), serial="good"))
    good = LastGood(
        commit="c1", plan=Plan(package_digest="p", args_digest="a"), serials=Frozen({"exec/web#1": "good"}), when=NOON
    )
    record.save_head(ENCLAVE, replace(record.load(ENCLAVE), last_good=good))
    for number in range(20):
        record.finish(ENCLAVE, make_step("exec/web#1", make_exec(str(number)), serial=str(number)))
    past = [step.serial for step in record.load(ENCLAVE).past]
    assert past[0] == "18"
    assert past[-1] == "good"
    assert len(past) < 15


def test_the_head_is_kept_and_leaves_the_steps_alone(record: Record) -> None:
    record.claim(ENCLAVE, "me")
    step = make_step("exec/web#1", make_exec(), serial="s1")
    record.finish(ENCLAVE, step)
    record.begin(ENCLAVE, Intent(id="task/seed", key="k"))
    plan = Plan(package_digest="p", args_digest="a", instructions=(step.instruction,))
    head = RecordedEnclave(
        name=ENCLAVE, environment="dev", commit="c1", plan_digest=plan.digest, bad_plans=("bad",), pinned="c0",
        last_good=LastGood(commit="c1", plan=plan, serials=Frozen({step.id: "s1"}), when=NOON), generation=1,
    )  # fmt: skip
    record.save_head(ENCLAVE, head)
    found = record.load(ENCLAVE)
    assert (found.environment, found.commit, found.bad_plans, found.pinned) == ("dev", "c1", ("bad",), "c0")
    assert found.last_good == head.last_good
    assert list(found.steps) == ["exec/web#1"]
    assert list(found.intents) == ["task/seed"]
    record.save_head(ENCLAVE, replace(head, last_good=None, pinned=""))
    assert record.load(ENCLAVE).last_good is None


def test_a_large_output_comes_back_whole(record: Record) -> None:
    record.claim(ENCLAVE, "me")
    step = make_step("exec/web#1", make_exec(), serial="s1", output="é\ud800\n" * 50_000)
    record.finish(ENCLAVE, step)
    assert record.load(ENCLAVE).steps[step.id] == step


def test_each_claim_raises_the_generation(record: Record) -> None:
    first = record.claim(ENCLAVE, "me")
    assert record.claim(ENCLAVE, "me") == first + 1
    assert record.load(ENCLAVE).generation == first + 1


def test_a_deleted_record_is_empty(record: Record) -> None:
    record.claim(ENCLAVE, "me")
    record.finish(ENCLAVE, make_step("exec/web#1", make_exec(), serial="s1"))
    record.delete(ENCLAVE)
    record.delete(ENCLAVE)
    assert record.load(ENCLAVE) == RecordedEnclave(name=ENCLAVE)
    record.claim(ENCLAVE, "me")
    record.finish(ENCLAVE, make_step("exec/web#1", make_exec(), serial="s2"))
    assert list(record.load(ENCLAVE).steps) == ["exec/web#1"]


def test_records_of_enclaves_are_apart(record: Record) -> None:
    record.claim(ENCLAVE, "me")
    record.claim("other", "me")
    record.finish(ENCLAVE, make_step("exec/web#1", make_exec(), serial="s1"))
    assert not record.load("other").steps


class TestFiles:
    """What only a record in files can show."""

    def test_another_process_reads_what_was_written(self, tmp_path: Path) -> None:
        one = FileRecord(tmp_path)
        one.claim(ENCLAVE, "me")
        steps = [make_step("exec/web#1", make_exec(word), serial=word) for word in ("one", "two")]
        for step in steps:
            one.finish(ENCLAVE, step)
        found = FileRecord(tmp_path).load(ENCLAVE)
        assert (dict(found.steps), found.past) == ({"exec/web#1": steps[1]}, (steps[0],))

    def test_a_daemon_whose_claim_was_taken_over_cannot_write(self, tmp_path: Path) -> None:
        one, two = FileRecord(tmp_path), FileRecord(tmp_path)
        one.claim(ENCLAVE, "one")
        two.claim(ENCLAVE, "two")
        step = make_step("exec/web#1", make_exec(), serial="s1")
        with pytest.raises(TransientError) as caught:
            one.finish(ENCLAVE, step)
        assert caught.value.reason is Reason.RECORD_FENCED
        assert "'two'" in str(caught.value)
        with pytest.raises(TransientError):
            one.save_head(ENCLAVE, RecordedEnclave(name=ENCLAVE))
        with pytest.raises(TransientError):
            FileRecord(tmp_path).begin(ENCLAVE, Intent(id="a", key="k"))
        two.finish(ENCLAVE, step)
        assert list(one.load(ENCLAVE).steps) == ["exec/web#1"]

    def test_a_record_of_a_newer_release_is_refused(self, tmp_path: Path) -> None:
        record = FileRecord(tmp_path)
        record.claim(ENCLAVE, "me")
        head = tmp_path / "enclaves" / ENCLAVE / "record" / "head.json"
        head.write_text(json.dumps(json.loads(head.read_text()) | {"scheme": SCHEME + 1}))
        for attempt in (lambda: record.load(ENCLAVE), lambda: record.claim(ENCLAVE, "me")):
            with pytest.raises(UserError) as caught:
                attempt()
            assert caught.value.reason is Reason.RECORD_NEWER

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        record = FileRecord(tmp_path)
        record.claim(ENCLAVE, "me")
        record.finish(ENCLAVE, make_step("exec/web#1", make_exec(), serial="s1"))
        (file,) = (tmp_path / "enclaves" / ENCLAVE / "record" / "steps").iterdir()
        file.write_text(file.read_text()[:40])
        with pytest.raises(GitopsdError, match=r"steps/exec%2Fweb%231\.json"):
            FileRecord(tmp_path).load(ENCLAVE)

    def test_an_older_scheme_is_told_until_the_record_is_taken_over(self, tmp_path: Path) -> None:
        FileRecord(tmp_path).claim(ENCLAVE, "old")
        head = tmp_path / "enclaves" / ENCLAVE / "record" / "head.json"
        head.write_text(json.dumps(json.loads(head.read_text()) | {"scheme": SCHEME - 1}))
        record = FileRecord(tmp_path)
        record.claim(ENCLAVE, "new")
        record.finish(ENCLAVE, make_step("a", make_exec(), serial="1"))
        assert FileRecord(tmp_path).load(ENCLAVE).scheme == SCHEME - 1
        record.save_head(ENCLAVE, replace(record.load(ENCLAVE), scheme=SCHEME))
        assert FileRecord(tmp_path).load(ENCLAVE).scheme == SCHEME

    def test_equal_instructions_of_steps_and_last_good_plan_are_the_same_object(self, tmp_path: Path) -> None:
        record = FileRecord(tmp_path)
        record.claim(ENCLAVE, "me")
        step = make_step("a", make_exec(), serial="1")
        record.finish(ENCLAVE, step)
        plan = Plan(package_digest="p", args_digest="a", instructions=(step.instruction,))
        good = LastGood(commit="c", plan=plan)
        record.save_head(ENCLAVE, RecordedEnclave(name=ENCLAVE, last_good=good, earlier=(good,)))
        found = FileRecord(tmp_path).load(ENCLAVE)
        assert found.last_good and found.steps["a"].instruction is found.last_good.plan.instructions[0]
        assert found.earlier == (good,)

    def test_files_are_for_their_owner_alone(self, tmp_path: Path) -> None:
        record = FileRecord(tmp_path / "state")
        record.claim(ENCLAVE, "me")
        record.finish(ENCLAVE, make_step("exec/web#1", make_exec(), serial="s1", output="x" * 10_000))
        paths = [tmp_path / "state", *(tmp_path / "state").rglob("*")]
        modes = {stat.S_IMODE(path.stat().st_mode) for path in paths}
        assert modes == {0o700, 0o600}

    def test_equal_large_outputs_are_kept_once_and_dropped_when_unused(self, tmp_path: Path) -> None:
        record = FileRecord(tmp_path)
        record.claim(ENCLAVE, "me")
        for name in ("one", "two"):
            record.finish(ENCLAVE, make_step(name, make_service(), serial=name, output="x" * 10_000))
        blobs = tmp_path / "enclaves" / ENCLAVE / "record" / "blobs"
        assert len(list(blobs.iterdir())) == 1
        record.forget(ENCLAVE, ("one", "two"))
        record.claim(ENCLAVE, "me")
        assert not list(blobs.iterdir())

    def test_a_step_is_written_alone(self, tmp_path: Path) -> None:
        record = FileRecord(tmp_path)
        record.claim(ENCLAVE, "me")
        for number in range(5):
            record.finish(ENCLAVE, make_step(f"task/{number}", make_exec(), serial=str(number)))
        folder = tmp_path / "enclaves" / ENCLAVE / "record"
        good = LastGood(commit="c", plan=Plan(package_digest="p", args_digest="a"))
        record.save_head(ENCLAVE, RecordedEnclave(name=ENCLAVE, last_good=good, earlier=(good,)))
        before = {path: path.stat().st_ino for path in folder.rglob("*.json")}
        record.finish(ENCLAVE, make_step("task/5", make_exec(), serial="5"))
        after = {path: path.stat().st_ino for path in folder.rglob("*.json")}
        assert {path for path in after if after[path] != before.get(path)} == {folder / "steps" / "task%2F5.json"}

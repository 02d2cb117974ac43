"""The contract of the port Heads: what is kept outlives the daemon, and what cannot be read is an error."""

from __future__ import annotations

import itertools
import json
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gitopsd.adapters.heads import FileHeads
from gitopsd.errors import Reason, TransientError, UserError
from gitopsd.model.head import SCHEME, Head, Suspension, Under
from gitopsd.ports import Heads
from tests.contract.conftest import full_disk, hidden
from tests.contract.recording import NOON, killed_at, make_good, make_step

SUSPENDED = Suspension(reason="suspended", by="mallory", since=NOON, until=NOON)
HEAD = Head(
    environment="dev", repository="r", commit="c1", course=Under(plan="d"), suspended=SUSPENDED,
    good=make_good(make_step("a")), earlier=(make_good(make_step("b")),), bad_plans=("x",),
)  # fmt: skip
OLDER = {"dev": "suspended by a person", "prod / ☃": "destroyed by a person"}


def in_files(state: Path) -> FileHeads:
    return FileHeads(state / "heads", older=state / "suspended.json")


def test_an_unknown_environment_has_no_head(heads: Heads) -> None:
    assert heads.load("dev") is None
    heads.drop("dev")


def test_a_head_is_kept_in_place_of_an_earlier_one(heads: Heads) -> None:
    heads.keep("dev", Head(environment="dev"))
    heads.keep("dev", HEAD)
    assert heads.load("dev") == HEAD
    older = replace(HEAD, scheme=SCHEME - 1)
    heads.keep("dev", older)
    assert heads.load("dev") == older


def test_a_head_that_was_dropped_is_none(heads: Heads) -> None:
    heads.keep("dev", HEAD)
    heads.drop("dev")
    assert heads.load("dev") is None


@pytest.mark.parametrize("name", ["prod/eu", "..", ".", "☃ \ud800", "a" * 400, "x.json", "DEV", "%2F", ""])
def test_environments_are_apart_whatever_they_are_called(heads: Heads, name: str) -> None:
    heads.keep("dev", HEAD)
    heads.keep(name, replace(HEAD, environment=name))
    heads.drop("dev")
    assert heads.load(name) == replace(HEAD, environment=name)


class TestFiles:
    """What only files can show."""

    def test_another_process_reads_what_was_kept(self, tmp_path: Path) -> None:
        in_files(tmp_path).keep("dev", HEAD)
        assert in_files(tmp_path).load("dev") == HEAD

    def test_files_are_for_their_owner_alone(self, tmp_path: Path) -> None:
        in_files(tmp_path / "state").keep("dev", HEAD)
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").rglob("*")}
        assert modes == {0o700, 0o600}

    def test_reading_makes_nothing(self, tmp_path: Path) -> None:
        in_files(tmp_path).load("dev")
        assert not list(tmp_path.iterdir())

    def test_a_read_that_fails_is_an_error(self, tmp_path: Path) -> None:
        heads = in_files(tmp_path)
        heads.keep("dev", HEAD)
        with hidden(tmp_path / "heads" / "dev.json"), pytest.raises(TransientError, match=r"heads/dev\.json") as caught:
            heads.load("dev")
        assert caught.value.reason is Reason.BACKEND_UNAVAILABLE
        assert heads.load("dev") == HEAD

    def test_a_write_that_fails_leaves_what_was_there(self, tmp_path: Path) -> None:
        heads = in_files(tmp_path)
        heads.keep("dev", HEAD)
        with full_disk(), pytest.raises(TransientError) as caught:
            heads.keep("dev", Head())
        assert caught.value.reason is Reason.BACKEND_UNAVAILABLE
        assert heads.load("dev") == HEAD
        assert [path.name for path in (tmp_path / "heads").iterdir()] == ["dev.json"]

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"scheme":2}', '{"scheme":2,"of":2,"head":7}'])
    def test_damage_is_named(self, tmp_path: Path, text: str) -> None:
        heads = in_files(tmp_path)
        heads.keep("dev", HEAD)
        (tmp_path / "heads" / "dev.json").write_text(text)
        with pytest.raises(UserError, match=r"heads/dev\.json") as caught:
            heads.load("dev")
        assert caught.value.reason is Reason.RESULT_LOST

    def test_a_head_of_a_newer_release_is_refused(self, tmp_path: Path) -> None:
        heads = in_files(tmp_path)
        heads.keep("dev", HEAD)
        (tmp_path / "heads" / "dev.json").write_text(json.dumps({"scheme": SCHEME + 1}))
        with pytest.raises(UserError) as caught:
            heads.load("dev")
        assert caught.value.reason is Reason.RECORD_NEWER

    def test_killed_anywhere_a_head_is_as_before_or_after(self, tmp_path: Path) -> None:
        for number in itertools.count(1):
            shutil.rmtree(tmp_path / "heads", ignore_errors=True)
            in_files(tmp_path).keep("dev", HEAD)
            ended, _ = killed_at(number, lambda _: in_files(tmp_path).keep("dev", Head()))
            assert in_files(tmp_path).load("dev") in (HEAD, Head())
            if ended:
                break
        assert number > 2


class TestOlder:
    """The suspensions that releases before kept in one file."""

    @pytest.fixture
    def older(self, tmp_path: Path) -> Path:
        path = tmp_path / "suspended.json"
        path.write_text(json.dumps(OLDER))
        return path

    def test_they_are_read_and_the_file_stays_until_something_is_written(self, tmp_path: Path, older: Path) -> None:
        assert_taken_over(in_files(tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == ["suspended.json"]
        in_files(tmp_path).keep("other", HEAD)
        assert not older.exists()
        assert_taken_over(in_files(tmp_path))

    def test_one_that_is_resumed_is_gone_for_good(self, tmp_path: Path, older: Path) -> None:
        in_files(tmp_path).drop("dev")
        assert in_files(tmp_path).load("dev") is None
        assert in_files(tmp_path).load("prod / ☃") is not None

    def test_killed_anywhere_nothing_is_lost(self, tmp_path: Path, older: Path) -> None:
        for number in itertools.count(1):
            shutil.rmtree(tmp_path / "heads", ignore_errors=True)
            older.write_text(json.dumps(OLDER))
            ended, _ = killed_at(number, lambda _: in_files(tmp_path).keep("other", HEAD))
            assert_taken_over(in_files(tmp_path))
            in_files(tmp_path).drop("another")
            assert_taken_over(in_files(tmp_path))
            assert not older.exists()
            if ended:
                break
        assert number > 8

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"dev": 1}'])
    def test_damage_is_an_error_and_never_no_suspension(self, tmp_path: Path, older: Path, text: str) -> None:
        older.write_text(text)
        heads = in_files(tmp_path)
        attempts: list[Callable[[], object]] = [
            partial(heads.load, "dev"),
            partial(heads.keep, "dev", HEAD),
            partial(heads.drop, "dev"),
        ]
        for attempt in attempts:
            with pytest.raises(UserError, match=r"suspended\.json") as caught:
                attempt()
            assert caught.value.reason is Reason.RESULT_LOST
        assert older.read_text() == text

    def test_one_that_cannot_be_read_is_an_error(self, tmp_path: Path, older: Path) -> None:
        with hidden(older), pytest.raises(TransientError, match=r"suspended\.json"):
            in_files(tmp_path).load("dev")


def assert_taken_over(heads: Heads) -> None:
    for name, why in OLDER.items():
        found = heads.load(name)
        assert found is not None
        assert (found.environment, str(found.suspended)) == (name, why)

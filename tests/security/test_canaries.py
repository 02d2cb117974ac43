"""Secrets planted wherever the daemon may hold one come out nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitopsd.model.run import Verdict
from tests.security.canaries import (
    AWS,
    FAILURES,
    GIT_TOKEN,
    KEY,
    MARK,
    PACKAGE,
    PASSWORD,
    CommandLines,
    Planted,
    files_with_marks,
    marks,
    planted,
)
from tests.stage.servers import HAS_HTTP_BACKEND

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_HTTP_BACKEND, reason="needs git http-backend"),
]
OWN = re.compile(
    r"backends/local/enclaves/dev/(artifacts/|services/[^/]+/(mounts|scratch|run/output\.log)|keyed/[^/]+/output\.log)"
)
"""What services and commands themselves work with and say; the folder of the enclave lets nobody else in."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Planted]:
    with planted(tmp_path) as found:
        yield found


def live(place: Planted) -> None:
    """Deploys, changes nothing, fails in every way that could tell a secret, and ends with a package that is wrong."""
    good = place.push({})
    place.daemon.start()
    assert place.run_of(good).verdict is Verdict.SUCCEEDED, place.run_of(good).problems
    assert place.run_of(place.push({}, readme="words")).verdict is Verdict.NOOP
    for failure in FAILURES:
        run = place.run_of(place.push({"fail": failure}))
        assert run.verdict is Verdict.ROLLED_BACK, (failure, run)
        place.shown.append(f"{failure}: {run.problems}")
        assert place.run_of(place.push({}, readme=failure)).verdict is Verdict.NOOP
    wrong = place.push({"nope": {"secret": "PASSWORD"}}, package=PACKAGE + "\ndef (")
    assert place.run_of(wrong).verdict is Verdict.INVALID


def ask_everything(place: Planted) -> None:
    for verb in (("status",), ("status", "dev"), ("history", "dev"), ("why", "dev"), ("diff", "dev"), ("version",)):
        place.verb(*verb)
        place.verb(*verb, "--output", "json")
    run = place.run_of(str(place.repository.git.references["refs/heads/main"].target))
    place.verb("history", "dev", run.id, "-o", "json")
    place.verb("logs", "dev", "db")
    place.verb("logs", "dev", "-o", "json")
    place.verb("sync", "dev")
    place.verb("rollback", "dev")


def test_no_secret_comes_out_of_a_life_with_failures(place: Planted) -> None:
    lines = CommandLines()
    try:
        live(place)
        ask_everything(place)
    finally:
        lines.close()
    assert not lines.found
    assert place.chat.messages
    assert {status.state for status in place.forge.statuses} >= {"pending", "success", "failure"}
    assert [text for text in place.shown if text.startswith("$ gitopsd logs dev db") and "starting with" in text]
    for text in place.told().splitlines():
        assert not marks(text), marks(text)
    found = files_with_marks(place.daemon.state)
    assert [name for name in found if not OWN.match(name.as_posix())] == [], found
    assert found, "the services have their secrets"
    assert_closed(place.daemon.state, found)
    assert not [name for name, texts in found.items() for text in texts if AWS in text or GIT_TOKEN in text]


def assert_closed(state: Path, found: dict[Path, list[str]]) -> None:
    """Every file is below a folder that only its owner may enter."""
    for name in found:
        parents = [state / parent for parent in name.parents]
        assert any(parent.stat().st_mode & 0o077 == 0 for parent in parents), name


def test_the_canaries_would_be_found() -> None:
    assert all(MARK in value for value in (PASSWORD, KEY, AWS, GIT_TOKEN))
    assert marks(f"x{PASSWORD}")

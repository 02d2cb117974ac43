"""Which servers a run of the tests uses. No real server is needed; where one is up, see ``test_lifecycle.py``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.testbed import fixtures, testbed
from tests.testbed import kubectl as kubectl_module


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the tests is set, and none that is set stays."""
    for name in ("GITOPSD_TEST_KUBECTL", *(name for names in fixtures.VARIABLES.values() for name in names)):
        monkeypatch.delenv(name, raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")


def asked(*_: object) -> str:
    raise AssertionError("the testbed was asked")


@pytest.mark.parametrize("part", fixtures.VARIABLES)
def test_what_the_environment_gives_is_taken_and_no_testbed_asked(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testbed, "why_not", asked)
    given = {name: f"given as {name}" for name in fixtures.VARIABLES[part]}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert fixtures.values(part).items() >= given.items()


@pytest.mark.parametrize("lacking", fixtures.VARIABLES["forge"])
def test_half_of_a_forge_in_the_environment_is_none(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testbed, "why_not", asked)
    for name in set(fixtures.VARIABLES["forge"]) - {lacking}:
        monkeypatch.setenv(name, "given")
    with pytest.raises(AssertionError, match="the testbed was asked"):
        fixtures.values("forge")


def test_a_machine_that_can_have_no_testbed_skips_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testbed, "why_not", lambda: "lacks kubernetes, gitea")
    with pytest.raises(pytest.skip.Exception) as skipped:
        fixtures.values("forge")
    assert str(skipped.value) == (
        "no forge: set GITOPSD_TEST_FORGE_URL and GITOPSD_TEST_FORGE_TOKEN, or run `python -m tests.testbed build` "
        "as root (this machine lacks kubernetes, gitea)"
    )


def test_a_testbed_that_does_not_come_up_fails_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "python"
    failing.write_text('#!/bin/sh\necho "testbed: $4 of session $5 does not start" >&2\nexit 1\n')
    failing.chmod(0o755)
    monkeypatch.setattr(testbed, "why_not", str)
    monkeypatch.setattr(sys, "executable", str(failing))
    said = f"the testbed did not come up: testbed: second of session {os.environ[fixtures.SESSION]} does not start"
    with pytest.raises(pytest.fail.Exception, match=said):
        fixtures.values("second")


@pytest.fixture
def machines_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kubectl in PATH; the testbed's is another."""
    program = tmp_path / "kubectl"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(kubectl_module, "binary", lambda _, name: Path("/pinned", name))
    return str(program)


@pytest.mark.usefixtures("machines_kubectl")
def test_the_testbed_is_asked_with_the_kubectl_that_is_pinned_for_it() -> None:
    assert kubectl_module.program() == "/pinned/kubectl"


def test_a_cluster_of_the_environment_is_asked_with_the_kubectl_of_the_machine(
    machines_kubectl: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITOPSD_TEST_KUBECONFIG", "/theirs")
    assert kubectl_module.program() == machines_kubectl


@pytest.mark.usefixtures("machines_kubectl")
def test_the_kubectl_that_the_environment_names_is_used_for_every_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITOPSD_TEST_KUBECONFIG", "/theirs")
    monkeypatch.setenv("GITOPSD_TEST_KUBECTL", "/named")
    assert kubectl_module.program() == "/named"

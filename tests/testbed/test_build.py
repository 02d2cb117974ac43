"""What a build asks of a machine, and what it leaves when it is killed. Nothing is installed or built."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.testbed import packages
from tests.testbed.build import GO, TABLE, go
from tests.testbed.fixtures import ROOT
from tests.testbed.places import TestbedError

PATCH, NEEDS_IT = max((module.patch_of_go(), module.name) for module in TABLE)
EXPECTED = f"{GO}.{PATCH}, which {NEEDS_IT} needs, or a newer {GO}"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is the only ``go`` in PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "go"


def asked(program: Path, version: str) -> str:
    program.write_text(f"#!/bin/sh\n[ $# = 2 ] && [ $1 = env ] && [ $2 = GOVERSION ] && echo '{version}'\n")
    program.chmod(0o755)
    return go.__wrapped__()


@pytest.mark.parametrize("version", [f"{GO}.{PATCH}", f"{GO}.{PATCH + 10}", f"{GO}.{PATCH} X:jsonv2"])
def test_a_go_that_is_new_enough_for_every_module_builds(program: Path, version: str) -> None:
    assert asked(program, version) == version


@pytest.mark.parametrize("version", [GO, f"{GO}.{PATCH - 1}", f"{GO}rc1", "go1.2.6", "go1.27.0", f"{GO}0.9"])
def test_another_go_is_refused_with_the_module_that_needs_a_newer_one(program: Path, version: str) -> None:
    with pytest.raises(TestbedError) as refused:
        asked(program, version)
    assert str(refused.value) == f"{program} is {version}: put {EXPECTED}, first in PATH"


def test_a_machine_without_go_is_told_which_one_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TestbedError, match=f"no `go` in PATH: install {EXPECTED}"):
        go.__wrapped__()


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that packages ask whether their services may start."""
    monkeypatch.setattr(packages, "POLICY", tmp_path / "policy-rc.d")
    return tmp_path / "policy-rc.d"


def answer(policy: Path) -> int:
    return subprocess.run([policy, "containerd", "start"], check=False).returncode


def test_no_service_starts_while_packages_are_installed(policy: Path) -> None:
    with packages.no_services():
        assert answer(policy) == 101
    assert not policy.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.testbed import packages

packages.POLICY = Path(sys.argv[1])
with packages.no_services():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_build_leaves_forbids_no_service_and_goes_with_the_next(policy: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, policy], cwd=ROOT, check=False).returncode
    assert ended == -signal.SIGKILL
    assert answer(policy) == 0
    with packages.no_services():
        assert answer(policy) == 101
    assert not policy.exists()


def test_a_policy_of_the_machine_stays_as_it_is(policy: Path) -> None:
    policy.write_text("#!/bin/sh\nexit 104\n")
    policy.chmod(0o755)
    with packages.no_services():
        assert answer(policy) == 104
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"

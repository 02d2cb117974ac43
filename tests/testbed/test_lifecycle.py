"""`up` and `down` on a machine that has no testbed up. These tests come last, since they end the one of the others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed import fixtures, machine, node, testbed
from tests.testbed.fixtures import ROOT, SESSION
from tests.testbed.kubectl import Kubectl, eventually
from tests.testbed.ledger import Ledger
from tests.testbed.places import BRIDGE, CGROUP, DATA, FIRST, FOREIGN, LOOPBACK, SECOND
from tests.testbed.processes import alive, started
from tests.testbed.test_storage import claim
from tests.testbed.test_workloads import DEPLOYMENT
from tests.testbed.undo import undo

pytestmark = pytest.mark.testbed

USER_OF_A_CLAIM = """
apiVersion: v1
kind: Pod
metadata: {name: user}
spec:
  containers:
    - {name: main, image: busybox, command: [sleep, "1000"], volumeMounts: [{name: data, mountPath: /data}]}
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"""


def begin(*words: str, folder: Path = ROOT) -> subprocess.Popen[str]:
    """The command, running in a folder."""
    command = [sys.executable, "-m", "tests.testbed", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=pipe, stderr=pipe)


def run(*words: str, folder: Path = ROOT) -> str:
    """The output of the command; it must succeed."""
    with begin(*words, folder=folder) as process:
        output, trouble = process.communicate(timeout=180)
    assert process.returncode == 0, trouble
    return output


def refusal(*words: str) -> str:
    """What the command says when it refuses."""
    with begin(*words) as process:
        _, trouble = process.communicate(timeout=180)
    assert process.returncode == 1, trouble
    return trouble


def processes(name: str) -> list[tuple[int, int]]:
    """Pid and start time of a component, once it is in the ledger."""
    return [(entry["pid"], entry["start"]) for entry in Ledger().entries("process") if entry["name"] == name]


@pytest.fixture
def bare_machine() -> Iterator[dict[str, set[str]]]:
    """The state of a machine where no testbed is up; whatever a test leaves is taken down."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("ends the testbed that all workers share: run it without -n")
    if why := testbed.why_not():
        pytest.skip(f"no testbed: run `python -m tests.testbed build` as root (this machine {why})")
    testbed.end_session(int(os.environ[SESSION]))
    if Ledger().entries():
        pytest.skip("a testbed of somebody else is up: run `python -m tests.testbed down` first")
    yield machine.state()
    testbed.down()


def test_down_leaves_nothing_of_a_busy_cluster(bare_machine: dict[str, set[str]]) -> None:
    forwarding = machine.forwarding()
    run("up", "cluster", "second")
    assert BRIDGE in machine.state()["links"]
    kubectl = Kubectl(kubeconfig=FIRST.kubeconfig)
    eventually(lambda: kubectl.get("serviceaccount", "default"))
    kubectl.apply(f"{DEPLOYMENT}---{claim('data')}---{USER_OF_A_CLAIM}")
    kubectl.run("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl.wait("Ready", "pod/user")
    assert machine.forwarding() - forwarding == {BRIDGE}
    changed = {kind: found ^ bare_machine[kind] for kind, found in machine.state().items()}
    assert all(changed.values()), "the comparison must see each kind of change"
    run("down")
    left = {kind: found ^ bare_machine[kind] for kind, found in machine.state().items()}
    assert left == {kind: set() for kind in left}
    assert run("status") == "down\n"


def test_an_up_that_is_killed_in_the_middle_is_cleaned_by_the_next(bare_machine: dict[str, set[str]]) -> None:
    with begin("up", "cluster") as process:
        [kubelet] = eventually(lambda: processes("kubelet"), seconds=60)
        process.kill()
        process.communicate()
    assert alive(*kubelet)
    assert "did not come to its end" in run("status")
    run("up", "second")
    assert not alive(*kubelet)
    assert BRIDGE not in machine.state()["links"]
    assert machine.sysctls() == bare_machine["sysctls"]
    run("down")
    left = {kind: found ^ bare_machine[kind] for kind, found in machine.state().items()}
    assert left == {kind: set() for kind in left}


def test_an_up_that_fails_says_why_and_leaves_nothing(bare_machine: dict[str, set[str]]) -> None:
    with socket.create_server((LOOPBACK, SECOND.etcd_port)):
        told = refusal("up", "second")
    assert "second-etcd ended with 1 before it was ready" in told
    assert "address already in use" in told
    assert machine.state()["processes"] == set()
    assert not DATA.exists()


def test_what_others_put_into_folders_that_the_testbed_needs_stays(bare_machine: dict[str, set[str]]) -> None:
    made = [folder for folder in FOREIGN if not folder.exists()]
    theirs = [folder / "theirs" for folder in FOREIGN]
    try:
        run("up", "cluster")
        for file in theirs:
            file.touch()
        run("down")
        assert [file for file in theirs if not file.exists()] == []
    finally:
        for file in theirs:
            file.unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()


@pytest.mark.usefixtures("deaf_proxy")
def test_a_proxy_in_the_environment_is_not_asked(bare_machine: dict[str, set[str]]) -> None:
    run("up", "cluster", "forge")
    kubectl = Kubectl(kubeconfig=FIRST.kubeconfig)
    eventually(lambda: kubectl.get("serviceaccount", "default"))
    kubectl.run("run", "greeter", "--image=busybox", "--", "sh", "-c", "echo hello; sleep 1000")
    kubectl.wait("Ready", "pod/greeter")
    assert kubectl.run("logs", "greeter") == "hello\n", "the API server asks the kubelet at the bridge's address"


def test_a_server_without_root_starts_from_a_folder_that_only_root_reads(
    bare_machine: dict[str, set[str]], tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    run("up", "forge", folder=tmp_path)


def test_two_runs_side_by_side_refuse_each_other(bare_machine: dict[str, set[str]]) -> None:
    with begin("up", "second") as first:
        eventually(lambda: processes("second-etcd"))
        told = refusal("up", "second")
        assert f"in the hands of process {first.pid}, up" in told
        _, trouble = first.communicate(timeout=60)
    assert first.returncode == 0, trouble
    assert "a testbed is up already (second)" in refusal("up", "second")


def test_a_testbed_of_a_session_is_safe_from_others_while_that_lives(bare_machine: dict[str, set[str]]) -> None:
    with subprocess.Popen(["sleep", "1000"]) as session:
        run("ensure", "second", str(session.pid))
        [server] = processes("second-apiserver")
        run("ensure", "second", str(session.pid))
        assert f"for the tests of process {session.pid}" in refusal("ensure", "second", str(os.getpid()))
        assert processes("second-apiserver") == [server]
        session.send_signal(signal.SIGKILL)
        session.wait()
    run("ensure", "second", str(os.getpid()))
    assert not alive(*server)
    testbed.end_session(os.getpid())
    assert run("status") == "down\n"


def test_a_server_that_has_ended_is_told_and_the_testbed_made_anew(bare_machine: dict[str, set[str]]) -> None:
    run("up", "second")
    [(pid, _)] = processes("second-apiserver")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not started(pid))
    assert "has ended" in run("status")
    run("up", "second")
    assert "has ended" not in run("status")


def test_a_part_that_there_is_not_is_refused(bare_machine: dict[str, set[str]]) -> None:
    assert "there is no part 'thrid': expected some of cluster, second, forge, helm" in refusal("up", "thrid")


def test_the_testbed_that_is_up_is_taken_before_one_is_brought_up(
    bare_machine: dict[str, set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for names in fixtures.VARIABLES.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    run("up", "second")
    by_hand = processes("second-apiserver")
    assert fixtures.values("second")["GITOPSD_TEST_SECOND_KUBECONFIG"] == str(SECOND.kubeconfig)
    assert processes("second-apiserver") == by_hand
    run("down")
    assert fixtures.values("second")["GITOPSD_TEST_SECOND_KUBECONFIG"] == str(SECOND.kubeconfig)
    assert f"for the tests of process {os.environ[SESSION]}" in run("status")


def test_env_prints_variables_for_a_shell(bare_machine: dict[str, set[str]]) -> None:
    assert run("env") == ""
    run("up", "second")
    variable = 'eval "$(cat)"; [ -s "$GITOPSD_TEST_SECOND_KUBECONFIG" ]'
    subprocess.run(["sh", "-euc", variable], input=run("env"), text=True, check=True)


@pytest.fixture
def version_2(tmp_path: Path) -> Iterator[Path]:
    """The tree of cgroups of version 2, which each kernel has, with what the machine does not use in version 1."""
    root = tmp_path / "cgroups"
    root.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "cgroup2", root], check=True)
    yield root
    subprocess.run(["umount", root], check=True)


def test_in_cgroups_of_version_2_pods_get_the_controllers_that_the_kubelet_wants(
    bare_machine: dict[str, set[str]], version_2: Path, tmp_path: Path
) -> None:
    offered = set((version_2 / "cgroup.controllers").read_text("ascii").split())
    enabled = (version_2 / "cgroup.subtree_control").read_text("ascii")
    ledger = Ledger(tmp_path / "ledger")
    try:
        node.make_cgroups(ledger, version_2)
        given = set((version_2 / CGROUP / "cgroup.controllers").read_text("ascii").split())
        assert given >= offered & set(node.CONTROLLERS)
    finally:
        undo(ledger)
    assert (version_2 / "cgroup.subtree_control").read_text("ascii") == enabled
    assert not (version_2 / CGROUP).exists()

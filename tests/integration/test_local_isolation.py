"""What a service of the local backend sees of this machine, and what it cannot reach."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitopsd.adapters.local.backend import LocalBackend
from gitopsd.adapters.local.settings import LocalSettings
from gitopsd.errors import Reason, StepError
from gitopsd.model.calls import TaskSpec
from gitopsd.model.environment import Owner
from gitopsd.model.ops import RunPython, RunSh
from gitopsd.model.package import TreeFile
from gitopsd.model.parts import Artifacts, Image, Persistent, Toleration, User
from gitopsd.model.values import Frozen
from tests.integration.local_enclave import (
    ENCLAVE,
    HTTP,
    PYTHON,
    run,
    says,
    shell,
    start,
    task,
    web,
)
from tests.stage.processes import processes_with
from tests.stage.waiting import until

IDLE = "exec sleep 1000"
DATA = Frozen({"/data": Persistent(key="data")})
CANARY = "canary-7f3a91c2"
Make = Callable[[LocalSettings], LocalBackend]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def make(state: Path) -> Iterator[Make]:
    yield lambda settings: LocalBackend(state, settings)
    LocalBackend(state).destroy(ENCLAVE)


@pytest.fixture
def backend(make: Make) -> LocalBackend:
    return make(LocalSettings(grace=3.0, backoff=(0.05, 0.2)))


@pytest.fixture
def isolated(backend: LocalBackend) -> LocalBackend:
    if backend.isolation == "plain":
        pytest.skip("this kernel allows this user no mount namespaces")
    return backend


def test_services_find_each_other_by_name(isolated: LocalBackend) -> None:
    start(isolated, "client", shell(IDLE))
    start(isolated, "web", web())
    until(lambda: isolated.open_port(ENCLAVE, "web", HTTP))
    fetch = "python -c \"import urllib.request as u; print(u.urlopen('http://web:8000/').status)\""
    assert says(isolated, "client", fetch) == "200"
    isolated.remove(ENCLAVE, "web")
    assert run(isolated, "client", "grep web /etc/hosts").code == 1
    assert says(isolated, "client", "hostname") == "client"


def test_artifacts_are_at_their_paths_merged_in_order_and_writable(isolated: LocalBackend) -> None:
    script = TreeFile(path="bin/run", mode=0o755, content=b"#!/bin/sh\necho ran\n")
    one = isolated.put_artifact(ENCLAVE, [TreeFile(path="a", mode=0o644, content=b"1"), script])
    two = isolated.put_artifact(ENCLAVE, [TreeFile(path="a", mode=0o644, content=b"2")])
    files = Frozen({"/opt/app/conf": Artifacts(names=("one", "two")), "/usr/share/extra": Artifacts(names=("two",))})
    start(isolated, "web", shell(IDLE, files=files), artifacts=Frozen({"one": one, "two": two}))
    assert says(isolated, "web", "cat /opt/app/conf/a /usr/share/extra/a; /opt/app/conf/bin/run") == "22ran"
    assert says(isolated, "web", "echo 3 > /opt/app/conf/a; cat /opt/app/conf/a") == "3"
    assert isolated.get_artifact(ENCLAVE, two)[0].content == b"2"
    assert not Path("/opt/app/conf").exists()
    assert not Path("/usr/share/extra").exists()


def test_scratch_files_survive_a_restart_but_not_an_incarnation_and_data_survives_both(isolated: LocalBackend) -> None:
    workload = start(isolated, "db", shell(IDLE, files=DATA))
    says(isolated, "db", "mkdir /made; echo 1 > /made/x; echo 2 > /etc/own.conf; echo 3 > /tmp/t; echo 4 > /data/d")
    assert not Path("/made").exists()
    read = "cat /made/x /etc/own.conf /tmp/t /data/d 2>/dev/null | tr -d '\\n'"
    isolated.converge(ENCLAVE, replace(workload, restart=True))
    assert run(isolated, "db", read).output == "1234"
    isolated.converge(ENCLAVE, replace(workload, incarnation="second"))
    assert run(isolated, "db", read).output == "4"


def test_the_state_folder_and_masked_files_cannot_be_read(tmp_path: Path, state: Path, make: Make) -> None:
    secret, folder = tmp_path / "token", Path("/usr/local")
    secret.write_text(CANARY)
    backend = make(LocalSettings(grace=3.0, masks=(str(secret), str(folder / "share"))))
    if backend.isolation == "plain":
        pytest.skip("this kernel allows this user no mount namespaces")
    start(backend, "spy", shell(IDLE))
    for path in (secret, state / "addresses.json", state / "key"):
        assert not run(backend, "spy", f"cat {path} 2>/dev/null").output
    assert not run(backend, "spy", f"ls -A {state} 2>/dev/null").output
    assert says(backend, "spy", f"ls {folder}/share 2>/dev/null | wc -l") == "0"
    assert run(backend, "spy", "ls /proc/1/root/; cat /proc/1/environ /proc/1/maps").code != 0


def test_the_environment_is_scrubbed(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITOPSD_TOKEN", CANARY)
    start(backend, "web", shell(IDLE, env=Frozen({"OWN": "mine"})))
    names = {line.partition("=")[0] for line in says(backend, "web", "env").splitlines()}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "HOME", "LANG", "TMPDIR", "OWN"}
    assert CANARY not in backend.run_task(ENCLAVE, task("env"), key="t").output


def test_no_descriptor_is_inherited_and_no_privilege_can_be_gained(backend: LocalBackend) -> None:
    with Path("/dev/null").open() as extra:
        os.set_inheritable(extra.fileno(), True)
        start(backend, "web", shell("ls /proc/self/fd > /tmp/fds; exec sleep 1000"))
        assert says(backend, "web", "ls /proc/self/fd | wc -l") == "4"  # the fourth is the folder that ls reads
    assert says(backend, "web", "grep NoNewPrivs /proc/self/status").split()[1] == "1"
    assert says(backend, "web", "ulimit -c") == "0"
    effective = int(says(backend, "web", "grep CapEff /proc/self/status").split()[1], 16)
    assert effective & ~(1 << 10) == 0  # at most CAP_NET_BIND_SERVICE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a service another user")
def test_a_daemon_of_root_runs_services_as_other_users(isolated: LocalBackend) -> None:
    start(isolated, "web", shell(IDLE, files=DATA))
    uid = int(says(isolated, "web", "id -u"))
    assert uid >= 1_000_000
    start(isolated, "own", shell(IDLE, files=DATA, user=User(uid=54_321, gid=54_322)))
    assert says(isolated, "own", "id -u; id -g").split() == ["54321", "54322"]
    says(isolated, "own", "echo 1 > /data/x")
    assert says(isolated, "web", "cat /data/x") == "1"
    start(isolated, "root", shell(IDLE, user=User(uid=0)))
    assert int(says(isolated, "root", "id -u")) == uid
    isolated.prepare("other", Owner(repository="https://example.org/nets.git", environment="other"))
    other = isolated.run_task("other", TaskSpec(name="who", command=("id", "-u"), image="busybox"), key="w")
    isolated.destroy("other")
    assert int(other.output) != uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can let a service bind a port below 1024")
def test_a_service_may_listen_on_a_low_port(isolated: LocalBackend) -> None:
    bind = "import socket,sys; socket.create_server((sys.argv[1], 81)); print('bound')"
    start(isolated, "web", shell(IDLE))
    address = isolated.reserve(ENCLAVE, "web")
    assert says(isolated, "web", f'python -c "{bind}" {address}') == "bound"


def test_links_that_a_service_leaves_in_the_place_of_folders_lead_nowhere(
    isolated: LocalBackend, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    before = victim.stat()
    workload = start(isolated, "web", shell(IDLE))
    says(
        isolated,
        "web",
        f"mv /tmp /old; ln -s {victim} /tmp; ln -s /proc/1/root{victim} /trap; ln -s {victim} /etc/site",
    )
    digest = isolated.put_artifact(ENCLAVE, [TreeFile(path="a", mode=0o644, content=b"1")])
    files = Frozen({"/trap/sub": Artifacts(names=("a",)), "/etc/site/sub": Artifacts(names=("a",))})
    changed = replace(workload, spec=replace(workload.spec, files=files), artifacts=Frozen({"a": digest}))
    isolated.converge(ENCLAVE, changed)
    after = victim.stat()
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)
    assert not list(victim.iterdir())
    assert says(isolated, "web", "stat -c %F /tmp") == "directory"


def test_values_of_the_environment_are_never_written_down(state: Path, backend: LocalBackend) -> None:
    spec = shell(IDLE, env=Frozen({"TOKEN": CANARY}))
    start(backend, "web", replace(spec, entrypoint=("sh", "-c"), cmd=(f"exec sleep 1000 # {CANARY}",)))
    assert says(backend, "web", "echo $TOKEN") == CANARY
    backend.run_task(ENCLAVE, replace(task("true"), env=Frozen({"TOKEN": CANARY})), key="t")
    written = [path for path in state.rglob("*") if path.is_file() and not path.is_symlink()]
    holding = {path.name for path in written if CANARY in path.read_bytes().decode("latin-1")}
    assert holding == {"output.log"}  # the test printed it


def test_state_is_for_its_owner_alone(state: Path, backend: LocalBackend) -> None:
    start(backend, "web", shell(IDLE, files=DATA))
    backend.put_artifact(ENCLAVE, [TreeFile(path="a/b", mode=0o755, content=b"1")])
    for path in (state, *state.glob("*"), *state.glob("enclaves/*"), *state.glob("enclaves/*/artifacts/*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.name == "hosts", path


@pytest.mark.parametrize("path", ["../x", "/x", "a/../b", "a//b", "", ".", "a/./b"])
def test_paths_that_leave_an_artifact_are_refused(backend: LocalBackend, path: str) -> None:
    with pytest.raises(StepError) as caught:
        backend.put_artifact(ENCLAVE, [TreeFile(path=path, mode=0o644, content=b"1")])
    assert caught.value.reason is Reason.PATH_REFUSED


@pytest.mark.parametrize("path", ["/", "relative", "/a/../b", "/proc/self", "/dev"])
def test_mounts_at_impossible_paths_are_refused(backend: LocalBackend, path: str) -> None:
    with pytest.raises(StepError, match="mounted") as caught:
        start(backend, "web", shell(IDLE, files=Frozen({path: Persistent(key="data")})))
    assert caught.value.reason is Reason.SERVICE_INVALID


def test_a_capture_takes_folders_files_and_links_inside(isolated: LocalBackend) -> None:
    start(isolated, "web", shell(IDLE))
    says(
        isolated, "web", "mkdir -p /out/sub; echo 1 > /out/sub/f; ln -s sub/f /out/l; chmod +x /out/sub/f; mkdir /out/e"
    )
    expected = [("l", 0o755, b"1\n"), ("sub/f", 0o755, b"1\n")]
    for path in ("/out", "/out/", "/out/*"):
        files = isolated.get_artifact(ENCLAVE, isolated.capture(ENCLAVE, "web", path))
        assert [(file.path, file.mode, file.content) for file in files] == expected
    (file,) = isolated.get_artifact(ENCLAVE, isolated.capture(ENCLAVE, "web", "/out/sub/f"))
    assert file.path == "f"


@pytest.mark.parametrize("trap", ["ln -s /etc/passwd /out/l", "mkfifo /out/l", "ln -s .. /out/l", "ln -s . /out/l"])
def test_a_capture_refuses_what_is_no_file_inside(isolated: LocalBackend, trap: str) -> None:
    start(isolated, "web", shell(IDLE))
    says(isolated, "web", f"mkdir -p /out; {trap}")
    with pytest.raises(StepError, match="/out/l") as caught:
        isolated.capture(ENCLAVE, "web", "/out")
    assert caught.value.reason is Reason.PATH_REFUSED
    made = task(f"mkdir -p /out; {trap}", store=("/out",))
    with pytest.raises(StepError, match="/out/l"):
        isolated.run_task(ENCLAVE, made, key="t")


def test_what_is_not_there_is_missing(isolated: LocalBackend) -> None:
    start(isolated, "web", shell(IDLE))
    with pytest.raises(StepError) as caught:
        isolated.capture(ENCLAVE, "web", "/nowhere")
    assert caught.value.reason is Reason.ARTIFACT_MISSING
    assert isolated.run_task(ENCLAVE, task("true", store=("/nowhere",)), key="t").stored == ("",)


def test_time_runs_out_for_commands_and_tasks(backend: LocalBackend) -> None:
    start(backend, "web", shell(IDLE))
    for _ in range(2):
        with pytest.raises(StepError, match="half way") as caught:
            backend.execute(ENCLAVE, "web", ("sh", "-c", "echo half way; exec sleep 99"), key="k", timeout=0.3)
        assert caught.value.reason is Reason.TIMED_OUT
    with pytest.raises(StepError) as caught:
        backend.run_task(ENCLAVE, task("sleep 99", timeout=0.3), key="t")
    assert caught.value.reason is Reason.TIMED_OUT


def test_a_task_mounts_files_and_starts_fresh(isolated: LocalBackend) -> None:
    digest = isolated.put_artifact(ENCLAVE, [TreeFile(path="in.txt", mode=0o644, content=b"5\n")])
    made = replace(task("ls / | grep -c made; mkdir /made; cat /in/in.txt"), files=Frozen({"/in": (digest,)}))
    for key in ("one", "two"):
        assert isolated.run_task(ENCLAVE, made, key=key).output == "0\n5\n"


def test_python_packages_are_refused_unless_they_are_configured(backend: LocalBackend) -> None:
    with pytest.raises(StepError, match="requests") as caught:
        backend.run_task(ENCLAVE, replace(task("true"), packages=("requests",)), key="t")
    assert caught.value.reason is Reason.UNSUPPORTED


def test_fields_that_mean_nothing_here_are_named(backend: LocalBackend) -> None:
    spec = shell(IDLE, max_cpu=100, privileged=True, bind_mounts=Frozen({"/": "/host"}), max_memory=100)
    assert backend.ignored_fields(spec) == ("max_cpu", "privileged", "bind_mounts", "image")
    assert backend.ignored_fields(shell(IDLE)) == ("image",)
    assert backend.ignored_fields(web()) == ()


def test_fields_of_tasks_that_mean_nothing_here_are_named(backend: LocalBackend, make: Make) -> None:
    one = RunSh(
        name="a", run="true", image=Image(name="busybox"), node_selectors=Frozen({"a": "b"}), privileged=True,
        tolerations=(Toleration(key="a"),), host_pid=True, bind_mounts=Frozen({"/var/run/docker.sock": "/s"}),
    )  # fmt: skip
    other = RunPython(name="b", run="pass", image=PYTHON)
    assert set(backend.ignored_fields(one)) == {
        "image", "node_selectors", "privileged", "tolerations", "host_pid", "bind_mounts",
    }  # fmt: skip
    assert backend.ignored_fields(other) == ()
    assert backend.ignored_fields(replace(other, node_selectors=Frozen({"a": "b"}))) == ("node_selectors",)
    mapped = make(LocalSettings(images=Frozen({"busybox*": ("sh",)}), memory_limits=False))
    assert mapped.ignored_fields(shell(IDLE)) == ()
    assert mapped.ignored_fields(shell(IDLE, max_memory=100)) == ("max_memory",)


def test_a_size_and_a_registry_that_mean_nothing_here_are_named(backend: LocalBackend) -> None:
    assert backend.ignored_fields(web(files=Frozen({"/data": Persistent(key="d", size=5)}))) == ("size",)
    assert backend.ignored_fields(web(files=Frozen({"/data": Persistent(key="d")}))) == ()
    assert backend.ignored_fields(replace(web(), image=replace(PYTHON, registry="r.example.org"))) == (
        "image.registry",
    )


def test_without_namespaces_paths_in_arguments_are_rewritten(make: Make) -> None:
    backend = make(LocalSettings(namespaces=False, grace=1.0))
    digest = backend.put_artifact(ENCLAVE, [TreeFile(path="f", mode=0o644, content=b"hello\n")])
    spec = shell("cat /cfg/f; cp /cfg/f /data/f; exec sleep 1000", files=DATA.with_({"/cfg": Artifacts(names=("a",))}))
    start(backend, "web", spec, artifacts=Frozen({"a": digest}))
    until(lambda: "hello" in list(backend.logs(ENCLAVE, "web")))
    assert "rewritten" in next(iter(backend.logs(ENCLAVE, "web")))
    assert says(backend, "web", "cat /data/f") == "hello"
    assert backend.ignored_fields(spec) == ("image", "files")
    result = backend.run_task(ENCLAVE, task("mkdir -p /out; echo 1 > /out/x", store=("/out/x",)), key="t")
    assert backend.get_artifact(ENCLAVE, result.stored[0])[0].content == b"1\n"
    assert not Path("/out").exists()


def test_processes_end_when_somebody_deletes_the_state_by_hand(state: Path, backend: LocalBackend) -> None:
    start(backend, "web", shell("exec sleep 500.375"))
    until(lambda: processes_with("500.375"))
    shutil.rmtree(state / "enclaves")
    until(lambda: not processes_with("500.375"))


@pytest.mark.parametrize("place", ["hidden", "seen"])
@pytest.mark.parametrize("closed", ["itself", "its parent"])
def test_tools_that_only_root_could_reach_are_shown_to_services(
    tmp_path: Path, make: Make, place: str, closed: str
) -> None:
    # /tmp is empty for a service, /var/tmp is the machine's
    with tempfile.TemporaryDirectory(dir=tmp_path if place == "hidden" else "/var/tmp") as folder:
        tools = Path(folder) / "tools"
        (tools / "bin").mkdir(parents=True)
        (tools / "bin/tool").write_text("#!/bin/sh\necho a tool\n")
        (tools / "bin/tool").chmod(0o755)
        Path(folder).chmod(0o700 if closed == "its parent" else 0o755)
        tools.chmod(0o700 if closed == "itself" else 0o755)
        backend = make(LocalSettings(grace=3.0, visible=(str(tools),)))
        if backend.isolation != "root":
            pytest.skip("only a daemon of root gives services another user")
        for incarnation in ("first", "second"):
            start(backend, "box", shell(IDLE), incarnation=incarnation, restart=True)
            assert says(backend, "box", f"{tools}/bin/tool") == "a tool"
        start(backend, "box", shell(IDLE), incarnation="second", restart=True)
        assert says(backend, "box", f"{tools}/bin/tool") == "a tool"
        backend.remove(ENCLAVE, "box")

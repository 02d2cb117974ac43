"""The contract of the port Backend; services are small real processes where the backend has any."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitopsd.errors import Reason, StepError
from gitopsd.kit.content import content_digest
from gitopsd.model.calls import TaskSpec, Workload
from gitopsd.model.environment import Owner
from gitopsd.model.package import TreeFile
from gitopsd.model.parts import Artifacts, ExecRecipe, Image, Persistent, Port, Probe, ServiceSpec
from gitopsd.model.record import LiveService, State
from gitopsd.model.values import Frozen
from gitopsd.ports import Backend
from tests.contract.conftest import ENCLAVE
from tests.stage.threads import at_once
from tests.stage.waiting import until

OWNER = Owner(repository="https://example.org/nets.git", environment="dev")
READY = Probe(recipe=ExecRecipe(command=("true",)), field="code", assertion="==", target=0)
STAMP = ("sh", "-c", "date +%s.%N")
"""A command whose output tells one run from another."""


def make_workload(name: str = "web", *, text: str = "one", incarnation: str = "first", **fields: object) -> Workload:
    spec = ServiceSpec(
        image=Image(name="busybox"), entrypoint=("sh", "-c"), cmd=(f"echo {text}; exec sleep 1000",), **fields
    )  # type: ignore[arg-type]
    return Workload(name=name, spec=spec, incarnation=incarnation)


def make_job(code: int = 0, **fields: object) -> Workload:
    """A service whose process says when it ran, and ends."""
    spec = ServiceSpec(
        image=Image(name="busybox"), entrypoint=("sh", "-c"), cmd=(f"date +%s.%N; exit {code}",), **fields
    )  # type: ignore[arg-type]
    return Workload(name="job", spec=spec, incarnation="first")


def job_in(backend: Backend) -> LiveService:
    live = backend.inspect(ENCLAVE, "job")
    assert live is not None
    return live


def make_task(*command: str, store: tuple[str, ...] = ()) -> TaskSpec:
    return TaskSpec(name="seed", command=command, image="busybox", store=store, timeout=20.0)


def make_files(**contents: str) -> list[TreeFile]:
    return [TreeFile(path=f"{name}.txt", mode=0o644, content=text.encode()) for name, text in contents.items()]


def test_an_enclave_exists_from_prepare_to_destroy(backend: Backend) -> None:
    assert not backend.observe(ENCLAVE).exists
    backend.prepare(ENCLAVE, OWNER)
    backend.prepare(ENCLAVE, OWNER)
    assert backend.observe(ENCLAVE).exists
    backend.destroy(ENCLAVE)
    backend.destroy(ENCLAVE)
    assert not backend.observe(ENCLAVE).exists


def test_addresses_are_known_before_a_start_distinct_and_stay(backend: Backend) -> None:
    backend.prepare(ENCLAVE, OWNER)
    web, store = backend.reserve(ENCLAVE, "web"), backend.reserve(ENCLAVE, "store")
    assert web != store
    assert backend.converge(ENCLAVE, make_workload()).address == web
    assert backend.converge(ENCLAVE, make_workload(text="two")).address == web
    assert backend.reserve(ENCLAVE, "web") == web


def test_a_converged_service_runs_with_its_incarnation(backend: Backend) -> None:
    live = backend.converge(ENCLAVE, make_workload())
    assert (live.name, live.state, live.incarnation) == ("web", State.RUNNING, "first")
    assert backend.inspect(ENCLAVE, "web") == live
    assert backend.observe(ENCLAVE).services == {"web": live}


def test_converging_again_to_the_same_changes_nothing(backend: Backend) -> None:
    first = backend.converge(ENCLAVE, make_workload())
    assert backend.converge(ENCLAVE, make_workload()) == first
    assert backend.inspect(ENCLAVE, "web") == first


def test_a_changed_command_changes_the_configuration_but_not_the_incarnation(backend: Backend) -> None:
    first = backend.converge(ENCLAVE, make_workload())
    second = backend.converge(ENCLAVE, make_workload(text="two"))
    assert second.config_digest != first.config_digest
    assert second.incarnation == first.incarnation
    assert second.state is State.RUNNING


def test_a_stopped_service_keeps_its_address_and_starts_again(backend: Backend) -> None:
    workload = make_workload()
    first = backend.converge(ENCLAVE, workload)
    stopped = Workload(name="web", spec=workload.spec, incarnation="first", running=False)
    assert backend.converge(ENCLAVE, stopped).state is State.STOPPED
    assert backend.converge(ENCLAVE, stopped).address == first.address
    again = backend.converge(ENCLAVE, workload)
    assert (again.state, again.address) == (State.RUNNING, first.address)


def test_a_service_without_ports_that_ends_well_is_finished_and_keeps_its_address(backend: Backend) -> None:
    address = backend.converge(ENCLAVE, make_job()).address
    until(lambda: job_in(backend).state is State.FINISHED)
    live = job_in(backend)
    assert (live.address, live.exit_code, live.restarts, live.ready) == (address, 0, 0, True)
    assert backend.observe(ENCLAVE).services == {"job": live}
    logs = list(backend.logs(ENCLAVE, "job"))
    assert backend.converge(ENCLAVE, make_job()) == live
    assert list(backend.logs(ENCLAVE, "job")) == logs


def test_a_finished_service_runs_again_when_it_is_asked_to_or_stopped_in_between(backend: Backend) -> None:
    job = make_job()
    for again in (job, replace(job, restart=True), replace(job, incarnation="second")):
        backend.converge(ENCLAVE, again)
        until(lambda: job_in(backend).state is State.FINISHED)
    assert backend.converge(ENCLAVE, replace(job, running=False)).state is State.STOPPED
    backend.converge(ENCLAVE, job)
    until(lambda: job_in(backend).state is State.FINISHED)


@pytest.mark.parametrize("fields", [{"ports": Frozen({"http": Port(number=8000)})}, {"ready": READY}])
def test_a_service_that_others_wait_for_is_never_finished(backend: Backend, fields: dict[str, object]) -> None:
    backend.converge(ENCLAVE, make_job(**fields))
    until(lambda: job_in(backend).state is State.CRASHED)
    assert job_in(backend).exit_code == 0


def test_a_service_that_ends_badly_is_never_finished(backend: Backend) -> None:
    backend.converge(ENCLAVE, make_job(3))
    until(lambda: job_in(backend).state is State.CRASHED)
    assert job_in(backend).exit_code == 3


def test_a_command_in_a_finished_service_fails_with_its_code_and_a_hint(backend: Backend) -> None:
    backend.converge(ENCLAVE, make_job())
    until(lambda: job_in(backend).state is State.FINISHED)
    with pytest.raises(StepError, match="ended with code 0") as caught:
        backend.execute(ENCLAVE, "job", STAMP, key="a", timeout=20)
    assert caught.value.hint
    assert not backend.has_trace(ENCLAVE, "a")


def test_files_of_a_finished_service_can_be_taken(backend: Backend) -> None:
    content = backend.put_artifact(ENCLAVE, make_files(motd="hello"))
    job = make_job(files=Frozen({"/site": Artifacts(names=("site",))}))
    backend.converge(ENCLAVE, replace(job, artifacts=Frozen({"site": content})))
    until(lambda: job_in(backend).state is State.FINISHED)
    captured = backend.capture(ENCLAVE, "job", "/site/motd.txt")
    assert [file.path for file in backend.get_artifact(ENCLAVE, captured)] == ["motd.txt"]


def test_a_removed_service_is_gone(backend: Backend) -> None:
    backend.converge(ENCLAVE, make_workload())
    backend.remove(ENCLAVE, "web")
    backend.remove(ENCLAVE, "web")
    assert backend.inspect(ENCLAVE, "web") is None
    assert not backend.observe(ENCLAVE).services


def test_a_persistent_directory_keeps_its_identity_until_it_is_deleted(backend: Backend) -> None:
    backend.prepare(ENCLAVE, OWNER)
    identity = backend.volume(ENCLAVE, "chain", 10)
    files = Frozen({"/data": Persistent(key="chain")})
    backend.converge(ENCLAVE, make_workload(files=files))
    backend.remove(ENCLAVE, "web")
    assert backend.volume(ENCLAVE, "chain", 10) == identity
    assert backend.observe(ENCLAVE).volumes == {"chain": identity}
    backend.remove_volume(ENCLAVE, "chain")
    backend.remove_volume(ENCLAVE, "chain")
    assert not backend.observe(ENCLAVE).volumes
    assert backend.volume(ENCLAVE, "chain", 10) != identity


def test_a_command_runs_once_for_its_key(backend: Backend) -> None:
    backend.converge(ENCLAVE, make_workload())
    assert not backend.has_trace(ENCLAVE, "a")
    first = backend.execute(ENCLAVE, "web", STAMP, key="a", timeout=20)
    assert backend.has_trace(ENCLAVE, "a")
    second = backend.execute(ENCLAVE, "web", STAMP, key="a", timeout=20)
    assert (first.code, first.recovered) == (0, False)
    assert (second.output, second.recovered) == (first.output, True)
    assert backend.execute(ENCLAVE, "web", STAMP, key="b", timeout=20).output != first.output


def test_an_exit_code_is_a_result_and_no_error(backend: Backend) -> None:
    backend.converge(ENCLAVE, make_workload())
    result = backend.execute(ENCLAVE, "web", ("sh", "-c", "echo out; echo err >&2; exit 7"), key="a", timeout=20)
    assert result.code == 7
    assert result.output == "out\nerr\n"


def test_a_command_in_a_service_that_does_not_run_fails_and_leaves_no_trace(backend: Backend) -> None:
    backend.prepare(ENCLAVE, OWNER)
    with pytest.raises(StepError):
        backend.execute(ENCLAVE, "web", STAMP, key="a", timeout=20)
    assert not backend.has_trace(ENCLAVE, "a")


def test_a_task_runs_once_for_its_key_and_its_files_are_kept(backend: Backend) -> None:
    backend.prepare(ENCLAVE, OWNER)
    task = make_task("sh", "-c", "date +%s.%N | tee /tmp/seed.txt", store=("/tmp/seed.txt",))
    first = backend.run_task(ENCLAVE, task, key="a")
    second = backend.run_task(ENCLAVE, task, key="a")
    assert first.code == 0
    assert (second.output, second.stored, second.recovered) == (first.output, first.stored, True)
    (file,) = backend.get_artifact(ENCLAVE, first.stored[0])
    assert file.path.endswith("seed.txt")
    assert file.content.decode() == first.output


def test_artifacts_are_kept_once_by_their_content(backend: Backend) -> None:
    backend.prepare(ENCLAVE, OWNER)
    files = make_files(one="1", two="2")
    digest = backend.put_artifact(ENCLAVE, files)
    assert backend.put_artifact(ENCLAVE, reversed(files)) == digest
    assert digest == content_digest((file.path, file.mode, file.content) for file in files)
    assert backend.observe(ENCLAVE).artifacts == (digest,)
    assert backend.get_artifact(ENCLAVE, digest) == tuple(files)


def test_an_empty_artifact_is_an_artifact(backend: Backend) -> None:
    backend.prepare(ENCLAVE, OWNER)
    assert backend.get_artifact(ENCLAVE, backend.put_artifact(ENCLAVE, [])) == ()


def test_an_unknown_artifact_is_missing(backend: Backend) -> None:
    backend.prepare(ENCLAVE, OWNER)
    with pytest.raises(StepError) as caught:
        backend.get_artifact(ENCLAVE, "0" * 64)
    assert caught.value.reason is Reason.ARTIFACT_MISSING


def test_a_service_mounts_artifacts_by_name(backend: Backend) -> None:
    backend.prepare(ENCLAVE, OWNER)
    digest = backend.put_artifact(ENCLAVE, make_files(motd="hello"))
    bare = make_workload(files=Frozen({"/etc/site": Artifacts(names=("site",))}))
    mounted = Workload(name="web", spec=bare.spec, artifacts=Frozen({"site": digest}), incarnation="first")
    live = backend.converge(ENCLAVE, mounted)
    other = backend.put_artifact(ENCLAVE, make_files(motd="good bye"))
    changed = Workload(name="web", spec=bare.spec, artifacts=Frozen({"site": other}), incarnation="first")
    assert backend.converge(ENCLAVE, changed).config_digest != live.config_digest


def test_what_is_captured_can_be_read(backend: Backend) -> None:
    digest_of_site = backend.put_artifact(ENCLAVE, make_files(motd="hello"))
    spec = make_workload(files=Frozen({"/site": Artifacts(names=("site",))})).spec
    backend.converge(ENCLAVE, Workload(name="web", spec=spec, artifacts=Frozen({"site": digest_of_site})))
    captured = backend.capture(ENCLAVE, "web", "/site/motd.txt")
    assert [file.path for file in backend.get_artifact(ENCLAVE, captured)] == ["motd.txt"]
    assert captured in backend.observe(ENCLAVE).artifacts


def test_a_port_of_udp_counts_as_open(backend: Backend) -> None:
    backend.converge(ENCLAVE, make_workload())
    assert backend.open_port(ENCLAVE, "web", Port(number=9, transport="UDP"))


def test_every_service_can_converge_at_the_same_time(backend: Backend) -> None:
    backend.prepare(ENCLAVE, OWNER)
    names = [f"node-{number}" for number in range(4)]
    at_once(lambda name: backend.converge(ENCLAVE, make_workload(name)), names)
    live = backend.observe(ENCLAVE).services
    assert sorted(live) == names
    assert {service.state for service in live.values()} == {State.RUNNING}
    assert len({service.address for service in live.values()}) == len(names)


def test_logs_end_unless_they_are_followed(backend: Backend) -> None:
    backend.converge(ENCLAVE, make_workload())
    assert all(isinstance(line, str) for line in backend.logs(ENCLAVE, "web"))


def test_enclaves_do_not_share_anything(backend: Backend) -> None:
    backend.converge(ENCLAVE, make_workload())
    digest = backend.put_artifact(ENCLAVE, make_files(one="1"))
    try:
        other = backend.converge("other", make_workload())
        assert other.address != backend.reserve(ENCLAVE, "web")
        with pytest.raises(StepError):
            backend.get_artifact("other", digest)
    finally:
        backend.destroy("other")
    assert backend.inspect(ENCLAVE, "web") is not None

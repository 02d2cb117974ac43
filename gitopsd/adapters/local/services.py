"""Services of enclaves: what they shall be (``workload.json``), what their shims say, and the way from one to the
other."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gitopsd.adapters.local import processes
from gitopsd.adapters.local.addresses import Addresses
from gitopsd.adapters.local.collisions import Holder, holders
from gitopsd.adapters.local.folders import Folders, folders_in, locked, parsed, read_if_there, read_json, remove_tree
from gitopsd.adapters.local.jobs import Jobs
from gitopsd.adapters.local.keyed import read_output
from gitopsd.adapters.local.sockets import Listener, listeners, places, reached, reaches
from gitopsd.errors import Reason, StepError
from gitopsd.kit.files import make_folder, write_file
from gitopsd.model.calls import Workload
from gitopsd.model.parts import Artifacts as ArtifactMount
from gitopsd.model.record import LiveService, State

_STARTED = 60.0
_TAIL = 400
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_STATES = {
    "running": State.RUNNING,
    "backoff": State.CRASHED,
    "failed": State.CRASHED,
    "finished": State.FINISHED,
    "stopped": State.STOPPED,
}


class Services:
    """The services of every enclave of a state folder."""

    def __init__(self, folders: Folders, jobs: Jobs, addresses: Addresses, *, grace: float) -> None:
        self._folders = folders
        self._jobs = jobs
        self._addresses = addresses
        self._grace = grace

    def converge(self, enclave: str, workload: Workload) -> LiveService:
        """Starts, restarts or stops a service, or only writes down what needs no restart."""
        folder = make_folder(self._folders.service(enclave, workload.name))
        with locked(folder.with_name(f".{folder.name}.lock")):
            address = self._addresses.reserve(enclave, workload.name)
            wanted = _described(workload, self._jobs.fingerprint(workload, address), address)
            process = processes.process_of(folder / "run")
            holds = workload.running and not workload.restart and _holds(folder, wanted, alive=process is not None)
            if process and not holds:
                processes.end(process, grace=self._grace)
            _save(folder, wanted)
            if workload.running and not holds:
                self._start(enclave, workload, address)
        live = self.inspect(enclave, workload.name)
        if live is None:
            raise StepError(Reason.SERVICE_CRASHED, f"service {workload.name!r} was removed while it started")
        return live

    def _start(self, enclave: str, workload: Workload, address: str) -> None:
        name, folder = workload.name, self._folders.service(enclave, workload.name) / "run"
        ports = [port.number for port in workload.spec.ports.values() if port.transport == "TCP"]
        self._refuse_collision(enclave, name, [(address, number) for number in ports])
        job = self._jobs.service(enclave, workload, address)
        if workload.spec.files and job["mode"] == "plain":
            _note(folder, "no mount namespaces on this machine: paths in arguments and environment are rewritten")
        processes.spawn(job)
        processes.wait_for(lambda: _state(folder).get("phase", "starting") != "starting", timeout=_STARTED)
        state = _state(folder)
        if state.get("phase", "starting") in ("failed", "starting"):
            why = state.get("error") or "its shim ended or does not answer"
            message, hint = f"service {name!r} cannot be started: {why}", self._jobs.advice(workload.spec)
            raise StepError(Reason.SERVICE_INVALID, message, hint=hint)

    def _refuse_collision(self, enclave: str, service: str, wanted: list[tuple[str, int]]) -> None:
        """StepError when something else already listens where the service shall."""
        taken = {
            listener.inode: listener
            for listener in listeners()
            if any(reaches(listener, address, number) for address, number in wanted)
        }
        for holder, listener in self._holders(taken):
            if (holder.enclave, holder.service) != (enclave, service):
                raise _collision(service, listener, holder)

    def _holders(self, taken: dict[str, Listener]) -> Iterator[tuple[Holder, Listener]]:
        if taken:
            for inode, holder in holders(frozenset(taken), self._shims()).items():
                yield holder, taken[inode]

    def _shims(self) -> Iterator[tuple[str, str, int]]:
        """Enclave, service and pid of the shim of every living service."""
        for head in self._folders.enclaves.glob("*/enclave.json"):
            enclave = str(read_json(head).get("name", head.parent.name))
            for folder in self._of(enclave):
                process = processes.process_of(f"{folder}/run")
                if process is not None:
                    yield enclave, _name(folder, read_json(f"{folder}/workload.json")), process.pid

    def owns(self, enclave: str, service: str, where: tuple[str, int], *, opened: bool) -> bool:
        """Whether an open port is the service's own. StepError SERVICE_INVALID when it, or a port that a crashed
        service could not open, is another's."""
        found = {item.inode: item for item in listeners() if reaches(item, *where)}
        if opened and any(item.address == where[0] for item in found.values()):
            return True
        others = [
            (holder, listener)
            for holder, listener in self._holders(found)
            if (holder.enclave, holder.service) != (enclave, service)
        ]
        own = len(found) > len(others)
        if others and not own and (opened or self._crashes(enclave, service)):
            holder, listener = others[0]
            raise _collision(service, listener, holder)
        if not opened and self._crashes(enclave, service):
            self._find_wildcard_collision(enclave, service, where[1])
        return opened

    def _find_wildcard_collision(self, enclave: str, service: str, number: int) -> None:
        """A service that asks for every address fails to get a port that another has on its own address."""
        output = read_output(self._folders.service(enclave, service) / "run")[-4000:].lower()
        if "in use" not in output:
            return
        found = {item.inode: item for item in listeners() if item.port == number}
        for holder, listener in self._holders(found):
            if holder.service and (holder.enclave, holder.service) != (enclave, service):
                raise _collision(service, listener, holder)

    def _crashes(self, enclave: str, service: str) -> bool:
        state = _state(self._folders.service(enclave, service) / "run")
        return state.get("phase") in ("backoff", "failed") or int(state.get("restarts", 0)) > 0

    def shim(self, enclave: str, service: str, *, files: bool = False) -> tuple[int, Mapping[str, Any]]:
        """Pid and state of the shim of a running service, or, where only its ``files`` are wanted, of a finished one.
        StepError SERVICE_CRASHED when there is none."""
        folder = self._folders.service(enclave, service) / "run"
        process = processes.process_of(folder)
        state = _state(folder)
        if state.get("phase") == "finished" and not (files and process):
            raise _over(service, files=files)
        if process is None or state.get("phase") not in ("running", "backoff", "finished"):
            code = state.get("exit_code")
            ended = f"it ended with code {code}" if code is not None else "it is stopped or was never started"
            output = read_output(folder)[-_TAIL:].strip()
            raise StepError(
                Reason.SERVICE_CRASHED,
                f"service {service!r} is not running: {ended}"
                + (f"; its output ended with: {output}" if output else ""),
            )
        return process.pid, state

    def all(self, enclave: str) -> Iterator[LiveService]:
        """Every service of an enclave, by name."""
        listening, addresses = places(listeners()), self._addresses.addresses(enclave)
        for folder in self._of(enclave):
            live = _live(folder, listening, addresses)
            if live is not None:
                yield live

    def inspect(self, enclave: str, service: str) -> LiveService | None:
        """One service; None when there is none."""
        folder = str(self._folders.service(enclave, service))
        return _live(folder, places(listeners()), self._addresses.addresses(enclave))

    def _of(self, enclave: str) -> list[str]:
        folder = str(self._folders.services(enclave))
        return [f"{folder}/{name}" for name in folders_in(folder)]

    def remove(self, enclave: str, service: str) -> None:
        """Ends a service, deletes its folder, gives its address back."""
        folder = self._folders.service(enclave, service)
        if folder.is_dir():
            with locked(folder.with_name(f".{folder.name}.lock")):
                process = processes.process_of(folder / "run")
                if process is not None:
                    processes.end(process, grace=self._grace)
                remove_tree(folder)
        self._addresses.release(enclave, service)
        self.write_hosts(enclave)

    def running(self, enclave: str) -> list[processes.ProcessId]:
        """The shims of an enclave's services."""
        found = (processes.process_of(f"{folder}/run") for folder in self._of(enclave))
        return [process for process in found if process is not None]

    def write_hosts(self, enclave: str) -> None:
        """Lists the enclave's services in the hosts file that each of them sees. It is written in place: a bind
        mount shows a file, not a name."""
        path = self._folders.hosts(enclave)
        if not path.parent.is_dir():
            return
        names = sorted(self._addresses.addresses(enclave).items())
        lines = ["127.0.0.1 localhost", "::1 localhost", *(f"{a} {name}" for name, a in names if _HOST.fullmatch(name))]
        text = "\n".join(lines).encode() + b"\n"
        with locked(path.with_name("hosts.lock")):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if os.pread(descriptor, len(text) + 1, 0) != text:
                    os.fchmod(descriptor, 0o644)
                    os.pwrite(descriptor, text, 0)
                    os.ftruncate(descriptor, len(text))
            finally:
                os.close(descriptor)


def _live(folder: str, listening: frozenset[tuple[str, int]], addresses: dict[str, str]) -> LiveService | None:
    process = processes.process_of(f"{folder}/run")
    written = read_if_there(f"{folder}/workload.json")
    described = parsed(written)
    if process is None and not described:
        return None
    state = _state(f"{folder}/run")
    phase = str(state.get("phase", "starting"))
    if process is None and phase not in ("failed", "finished"):
        phase = "stopped"
    if phase == "finished" and not described.get("running", True):
        phase = "stopped"
    if phase == "finished" and not described.get("may_finish", True):
        phase = "failed"  # it got its port or condition while its process ended
    crashes = _crashes(state) if process and phase in ("running", "backoff") else 0
    name = _name(folder, described)
    address = addresses.get(name, "")
    ports = [int(port["number"]) for port in described.get("ports", {}).values() if port["waits"]]
    return LiveService(
        name=name,
        state=_STATES.get(phase, State.STARTING),
        incarnation=str(described.get("incarnation", "")),
        config_digest=_digest(written, str(state.get("config", "")) if process or phase == "finished" else ""),
        address=address,
        ready=phase in ("running", "finished") and all(reached(listening, address, port) for port in ports),
        exit_code=state.get("exit_code") if phase != "running" or crashes else None,
        restarts=int(state.get("restarts", 0)),
        crashes=crashes,
    )


def _crashes(state: Mapping[str, Any]) -> int:
    """Ends since the service was last steady; the shim of an older release counts none, but waits after one."""
    older = int(state.get("restarts", 0)) + 1 if state.get("phase") == "backoff" else 0
    return int(state.get("crashes", older))


def _described(workload: Workload, process: str, address: str) -> dict[str, Any]:
    """What is written down about a service: nothing of its arguments or environment, which may hold secrets."""
    spec = workload.spec
    return {
        "name": workload.name,
        "process": process,
        "incarnation": workload.incarnation,
        "running": workload.running,
        "may_finish": spec.may_finish,
        "address": address,
        "image": spec.image.name,
        "ports": {
            name: {"number": port.number, "waits": port.wait is not None and port.transport == "TCP"}
            for name, port in spec.ports.items()
        },
        "files": {
            path: list(mount.names) if isinstance(mount, ArtifactMount) else mount.key
            for path, mount in spec.files.items()
        },
        "labels": dict(spec.labels),
    }


def _holds(folder: Path, wanted: dict[str, Any], *, alive: bool) -> bool:
    """Whether the process that runs, or has finished, is the wanted one; a hand that edits the description is no
    reason to restart."""
    state, known = _state(folder / "run"), read_json(folder / "workload.json")
    finished = state.get("phase") == "finished" and wanted["may_finish"] and known.get("running", True)
    running = alive and state.get("phase") in ("running", "backoff")
    same = state.get("config") == wanted["process"]
    same = same and known.get("incarnation", wanted["incarnation"]) == wanted["incarnation"]
    return bool(same and (running or finished))


def _save(folder: Path, wanted: dict[str, Any]) -> None:
    data = json.dumps(wanted, indent=1, sort_keys=True).encode()
    path = folder / "workload.json"
    if not path.is_file() or path.read_bytes() != data:
        write_file(path, data, durable=True)


def _digest(written: bytes, config: str) -> str:
    """Of what is written down, as it is on disk, and of what the shim runs."""
    return hashlib.sha256(written + b"\0" + config.encode()).hexdigest()


def _state(folder: Path | str) -> Mapping[str, Any]:
    return read_json(f"{folder}/state.json")


def _name(folder: str, described: Mapping[str, Any]) -> str:
    return str(described.get("name", folder.rpartition("/")[2]))


def _note(folder: Path, text: str) -> None:
    make_folder(folder)
    with (folder / "output.log").open("a") as file:
        file.write(f"[gitopsd: {text}]\n")


def _over(service: str, *, files: bool) -> StepError:
    """What is said to who wants something of a finished service that only a running one has."""
    lost = ", and its files went with the process that kept them" if files else ", so no command can run in it"
    return StepError(
        Reason.SERVICE_CRASHED,
        f"service {service!r} has ended with code 0{lost}",
        hint="a service without ports and ready condition is not started again when it is done: let its command go on, "
        "or make it a task (run_sh)",
    )


def _collision(service: str, listener: Listener, holder: Holder) -> StepError:
    return StepError(
        Reason.SERVICE_INVALID,
        f"port {listener.port} of service {service!r} is held by {holder.text}, "
        f"which listens on {listener.address}:{listener.port}",
        hint="all services of this machine share its ports: let each listen on its own address "
        "(KURTOSIS_IP_ADDR_PLACEHOLDER) or give it another number",
    )

"""The port Backend over processes of this machine."""

from __future__ import annotations

import os
import platform
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gitopsd.adapters.local import processes
from gitopsd.adapters.local.addresses import Addresses
from gitopsd.adapters.local.artifacts import read_tree
from gitopsd.adapters.local.calls import send
from gitopsd.adapters.local.folders import Folders, is_folder, names_in, read_json, remove_tree, write_json
from gitopsd.adapters.local.ignored import ignored_fields
from gitopsd.adapters.local.jobs import Jobs, place_of
from gitopsd.adapters.local.keyed import Keyed, facts_of
from gitopsd.adapters.local.logs import lines
from gitopsd.adapters.local.services import Services
from gitopsd.adapters.local.settings import LocalSettings
from gitopsd.errors import Reason, StepError, UserError
from gitopsd.kit.files import make_folder
from gitopsd.model.calls import CommandResult, HttpAnswer, HttpCall, TaskSpec, Workload
from gitopsd.model.environment import Owner
from gitopsd.model.ops import Task
from gitopsd.model.package import TreeFile
from gitopsd.model.parts import Port, ServiceSpec
from gitopsd.model.record import LiveEnclave, LiveService
from gitopsd.model.values import Frozen

_CONNECT = 0.2
_ROUNDS = 5


class LocalBackend:
    """Enclaves as folders below ``state``, services as processes. Safe over threads and over several daemons.

    Raises UserError UNSUPPORTED on anything but Linux.
    """

    def __init__(self, state: Path, settings: LocalSettings | None = None) -> None:
        if platform.system() != "Linux":
            raise UserError(
                Reason.UNSUPPORTED,
                f"the local backend runs on Linux only, this is {platform.system()}",
                hint="use the kubernetes backend, or run gitopsd in a Linux machine",
            )
        self._settings = settings or LocalSettings()
        self._folders = Folders(Path(os.path.realpath(make_folder(state.absolute()))))
        self._addresses = Addresses(self._folders.state, uids=self._settings.uids)
        self._jobs = Jobs(self._folders, self._settings, self._addresses)
        self._keyed = Keyed(self._folders, self._jobs)
        self._services = Services(self._folders, self._jobs, self._addresses, grace=self._settings.grace)

    @property
    def cluster_type(self) -> str:
        """What packages see."""
        return self._settings.cluster_type

    @property
    def isolation(self) -> str:
        """How far processes are kept apart: ``root``, ``user`` or ``plain``, see ``sandbox.py``."""
        return self._jobs.mode

    def ignored_fields(self, spec: ServiceSpec | Task) -> tuple[str, ...]:
        """Fields that mean nothing to a process on this machine; an image, unless the configuration says what it stands
        for or it is one of Python."""
        separate = self._jobs.owners.separate
        return ignored_fields(spec, self._settings, separate=separate, mounted=self.isolation != "plain")

    def prepare(self, enclave: str, owner: Owner) -> None:
        """Makes the enclave's folder, which says whose it is, and deletes traces that are older than any run."""
        self._make(enclave, owner)
        self._keyed.forget_old(enclave)

    def _make(self, enclave: str, owner: Owner | None = None) -> None:
        head = self._folders.head(enclave)
        described: dict[str, object] = {"name": enclave}
        if owner is not None:
            described["owner"] = {"repository": owner.repository, "environment": owner.environment}
        if not head.is_file():
            make_folder(self._folders.enclave(enclave))
            self._services.write_hosts(enclave)
        elif owner is None or read_json(head) == described:
            return
        write_json(head, described, durable=True)

    def observe(self, enclave: str) -> LiveEnclave:
        """What is there now."""
        if not self._folders.head(enclave).is_file():
            return LiveEnclave(name=enclave, exists=False, observed_at=datetime.now(UTC))
        return LiveEnclave(
            name=enclave,
            exists=True,
            services=Frozen({service.name: service for service in self._services.all(enclave)}),
            volumes=Frozen(self._volumes(enclave)),
            artifacts=self._jobs.artifacts(enclave).digests(),
            observed_at=datetime.now(UTC),
        )

    def _volumes(self, enclave: str) -> dict[str, str]:
        found: dict[str, str] = {}
        volumes = str(self._folders.volumes(enclave))
        for name in names_in(volumes):
            named = read_json(f"{volumes}/{name}/identity")
            if named and is_folder(f"{volumes}/{name}/data"):
                found[str(named["key"])] = str(named["identity"])
        return found

    def reserve(self, enclave: str, service: str) -> str:
        """The address in 127.0.0.0/8 that a service has until it is removed."""
        address = self._addresses.reserve(enclave, service)
        self._services.write_hosts(enclave)
        return address

    def converge(self, enclave: str, workload: Workload) -> LiveService:
        """Starts or updates a service. StepError SERVICE_INVALID when it cannot be started, or a port that it wants
        is held by another service."""
        self._make(enclave)
        self.reserve(enclave, workload.name)
        return self._services.converge(enclave, workload)

    def open_port(self, enclave: str, service: str, port: Port) -> bool:
        """Whether the service accepts a connection on the port. StepError SERVICE_INVALID when another service
        holds it."""
        if port.transport != "TCP":
            return True
        address = self.reserve(enclave, service)
        try:
            socket.create_connection((address, port.number), timeout=_CONNECT).close()
            opened = True
        except OSError:
            opened = False
        return self._services.owns(enclave, service, (address, port.number), opened=opened)

    def inspect(self, enclave: str, service: str) -> LiveService | None:
        """One service as it is now."""
        return self._services.inspect(enclave, service)

    def remove(self, enclave: str, service: str) -> None:
        """Ends a service with every process of it."""
        self._services.remove(enclave, service)

    def volume(self, enclave: str, key: str, size: int) -> str:
        """The identity of a persistent directory, which is made if it is not there. Its size is not limited."""
        self._make(enclave)
        return self._jobs.volume(enclave, key)

    def remove_volume(self, enclave: str, key: str) -> None:
        """Deletes a persistent directory."""
        _remove_at_once(self._folders.volume(enclave, key))

    def execute(
        self, enclave: str, service: str, command: tuple[str, ...], *, key: str, timeout: float
    ) -> CommandResult:
        """Runs a command in the view of a service, once for its key."""

        def job(folder: Path) -> dict[str, object]:
            shim, state = self._services.shim(enclave, service)
            facts = facts_of(shim, state)
            join = {"pid": shim, "view": state.get("view")}
            made = self._jobs.inside("exec", folder, facts, join)
            return made | {"argv": place_of(facts).rewrite_all(command), "timeout": timeout}

        return self._keyed.run(enclave, key, f"the command in service {service!r}", job)

    def run_task(self, enclave: str, task: TaskSpec, *, key: str) -> CommandResult:
        """Runs a task, once for its key."""
        if task.packages and not self._settings.pip_packages:
            raise StepError(
                Reason.UNSUPPORTED,
                f"task {task.name!r} asks for Python packages ({', '.join(task.packages)}); "
                "the local backend installs none",
                hint="install them for the daemon's interpreter and set pip_packages, or use another backend",
            )
        self._make(enclave)
        return self._keyed.run(
            enclave, key, f"task {task.name!r}", lambda folder: self._jobs.task(enclave, task, folder)
        )

    def has_trace(self, enclave: str, key: str) -> bool:
        """Whether a key runs or has a result."""
        return self._keyed.has_trace(enclave, key)

    def request(self, enclave: str, service: str, port: Port, call: HttpCall) -> HttpAnswer:
        """Sends an HTTP request to a service."""
        return send(self.reserve(enclave, service), port, call, service=service)

    def put_artifact(self, enclave: str, files: Iterable[TreeFile]) -> str:
        """Keeps files under their content digest."""
        self._make(enclave)
        return self._jobs.artifacts(enclave).put(files)

    def get_artifact(self, enclave: str, content: str) -> tuple[TreeFile, ...]:
        """The files of a content digest."""
        return self._jobs.artifacts(enclave).get(content)

    def capture(self, enclave: str, service: str, path: str) -> str:
        """Takes a path out of a running or finished service. StepError PATH_REFUSED when it holds what is no file."""
        shim, state = self._services.shim(enclave, service, files=True)
        facts = facts_of(shim, state)
        folder = self._folders.keyed(enclave) / f"take-{secrets.token_hex(8)}"
        job = self._jobs.inside("take", folder, facts, {"pid": shim, "view": state.get("view")})
        try:
            processes.spawn(job | {"store": [place_of(facts).inside(path)]})
            while (process := processes.process_of(folder)) is not None:
                process.wait(2.0)
            result = read_json(folder / "result.json")
            if not result or result["problem"]:
                why = result.get("problem", "the process that reads it ended too early")
                raise StepError(Reason.PATH_REFUSED, f"{path} of service {service!r} cannot be stored: {why}")
            if not result["stored"][0]:
                raise StepError(Reason.ARTIFACT_MISSING, f"service {service!r} has nothing at {path}")
            return self._jobs.artifacts(enclave).put(read_tree(folder / "stored" / "0"))
        finally:
            remove_tree(folder)

    def logs(self, enclave: str, service: str, *, tail: int = 200, follow: bool = False) -> Iterator[str]:
        """Lines of a service's output."""
        folder = self._folders.service(enclave, service)
        return lines(folder / "run", tail=tail, follow=follow, gone=lambda: not folder.is_dir())

    def destroy(self, enclave: str) -> None:
        """Ends every process of an enclave and deletes its folder, data included."""
        for _ in range(_ROUNDS):
            living = [*self._keyed.running(enclave), *self._services.running(enclave)]
            processes.kill(living)
            if not living:
                break
        _remove_at_once(self._folders.enclave(enclave))
        self._addresses.release(enclave)


def _remove_at_once(folder: Path) -> None:
    """Renames first, so that nobody ever sees half of it; and clears what an interrupted call left."""
    with suppress(FileNotFoundError):
        folder.rename(folder.with_name(f".gone-{secrets.token_hex(6)}"))
    for left in folder.parent.glob(".gone-*"):
        remove_tree(left)

"""Enclaves and records in memory: for tests and dry runs. A fuse can end the world between any two effects."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from gitopsd.errors import Reason, StepError, TransientError
from gitopsd.kit.content import content_digest
from gitopsd.model.calls import CommandResult, HttpAnswer, HttpCall, TaskSpec, Workload
from gitopsd.model.codec import digest, dumps, loads
from gitopsd.model.environment import Owner
from gitopsd.model.ops import Task
from gitopsd.model.package import TreeFile
from gitopsd.model.parts import Port, ServiceSpec
from gitopsd.model.record import Kept, LiveEnclave, LiveService, Recorded, State
from gitopsd.model.values import Frozen


class Crash(BaseException):
    """The daemon dies here: no code of it may catch this."""


@dataclass(kw_only=True)
class Fuse:
    """Burns through after ``after`` effects (None: never); from then on every effect crashes until it is renewed."""

    after: int | None = None
    effects: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tick(self) -> None:
        """One boundary between two effects. Raises :class:`Crash`."""
        with self.lock:
            if self.after is not None and self.effects >= self.after:
                raise Crash
            self.effects += 1


def plain_answer(service: str, command: tuple[str, ...]) -> tuple[int, str]:
    """Code 0 and an output that depends on what was run alone."""
    return 0, hashlib.sha256(repr((service, command)).encode()).hexdigest()[:8] + "\n"


@dataclass(kw_only=True)
class _Enclave:
    owner: Owner | None = None
    services: dict[str, LiveService] = field(default_factory=dict)
    workloads: dict[str, Workload] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, tuple[TreeFile, ...]] = field(default_factory=dict)
    results: dict[str, CommandResult] = field(default_factory=dict)


class MemoryBackend:
    """A world of names. ``answer`` decides what commands and tasks give, ``ready`` whether a port opens, ``ends`` the
    code that a service's process ends with at once (None: it goes on); ``effects`` lists everything that happened as
    ``(verb, subject)``."""

    cluster_type = "docker"

    def __init__(
        self,
        *,
        answer: Callable[[str, tuple[str, ...]], tuple[int, str]] = plain_answer,
        ready: Callable[[Workload], bool] = lambda _: True,
        ends: Callable[[Workload], int | None] = lambda _: None,
        fuse: Fuse | None = None,
    ) -> None:
        self.answer = answer
        self.ready = ready
        self.ends = ends
        self.fuse = fuse or Fuse()
        self.effects: list[tuple[str, str]] = []
        self._enclaves: dict[str, _Enclave] = {}
        self._counter = 0
        self._lock = threading.RLock()

    def _effect(self, verb: str, subject: str) -> None:
        self.fuse.tick()
        self.effects.append((verb, subject))

    def _next(self) -> int:
        with self._lock:
            self._counter += 1
            return self._counter

    def _of(self, enclave: str) -> _Enclave:
        with self._lock:
            return self._enclaves.setdefault(enclave, _Enclave())

    def ignored_fields(self, spec: ServiceSpec | Task) -> tuple[str, ...]:
        """None: every field is honoured by doing nothing about it."""
        return ()

    def prepare(self, enclave: str, owner: Owner) -> None:
        self._of(enclave).owner = owner

    def observe(self, enclave: str) -> LiveEnclave:
        with self._lock:
            found = self._enclaves.get(enclave)
            if found is None:
                return LiveEnclave(name=enclave, exists=False)
            return LiveEnclave(
                name=enclave,
                exists=True,
                services=Frozen(found.services),
                volumes=Frozen(found.volumes),
                artifacts=tuple(sorted(found.artifacts)),
            )

    def reserve(self, enclave: str, service: str) -> str:
        addresses = self._of(enclave).addresses
        if service not in addresses:
            self._effect("reserve", service)
            number = self._next()
            addresses[service] = f"10.0.{number // 250}.{number % 250 + 1}"
        return addresses[service]

    def converge(self, enclave: str, workload: Workload) -> LiveService:
        found = self._of(enclave)
        before = found.services.get(workload.name)
        state, code = self._end(workload)
        config = digest((workload.spec, workload.artifacts, workload.incarnation))
        same = before is not None and before.config_digest == config and before.state is state
        if before is not None and same and not workload.restart:
            return before
        self._effect("start" if workload.running else "stop", workload.name)
        live = LiveService(
            name=workload.name,
            state=state,
            incarnation=workload.incarnation,
            config_digest=config,
            address=self.reserve(enclave, workload.name),
            exit_code=code,
        )
        found.services[workload.name] = live
        found.workloads[workload.name] = workload
        return live

    def _end(self, workload: Workload) -> tuple[State, int | None]:
        if not workload.running:
            return State.STOPPED, None
        code = self.ends(workload)
        if code is None:
            return State.RUNNING, None
        return (State.CRASHED if code or not workload.spec.may_finish else State.FINISHED), code

    def open_port(self, enclave: str, service: str, port: Port) -> bool:
        return self.ready(self._of(enclave).workloads[service])

    def inspect(self, enclave: str, service: str) -> LiveService | None:
        return self._of(enclave).services.get(service)

    def remove(self, enclave: str, service: str) -> None:
        found = self._of(enclave)
        if service in found.services or service in found.addresses:
            self._effect("remove", service)
            found.services.pop(service, None)
            found.addresses.pop(service, None)

    def volume(self, enclave: str, key: str, size: int) -> str:
        volumes = self._of(enclave).volumes
        if key not in volumes:
            self._effect("volume", key)
            volumes[key] = f"v{self._next()}"
        return volumes[key]

    def remove_volume(self, enclave: str, key: str) -> None:
        if self._of(enclave).volumes.pop(key, None):
            self._effect("remove volume", key)

    def execute(
        self, enclave: str, service: str, command: tuple[str, ...], *, key: str, timeout: float
    ) -> CommandResult:
        live = self._of(enclave).services.get(service)
        if live is not None and live.state is State.FINISHED:
            raise StepError(
                Reason.SERVICE_CRASHED, f"{service} has ended with code {live.exit_code}", hint="give it a port"
            )
        if live is None or live.state is not State.RUNNING:
            raise StepError(Reason.COMMAND_FAILED, f"{service} does not run")
        return self._by_key(enclave, key, service, command, "exec")

    def _by_key(self, enclave: str, key: str, subject: str, command: tuple[str, ...], verb: str) -> CommandResult:
        results = self._of(enclave).results
        if key in results:
            return replace(results[key], recovered=True)
        self._effect(verb, f"{subject}: {' '.join(command)}")
        code, output = self.answer(subject, command)
        results[key] = CommandResult(code=code, output=output)
        return results[key]

    def run_task(self, enclave: str, task: TaskSpec, *, key: str) -> CommandResult:
        done = self._by_key(enclave, key, task.name, task.command, "task")
        stored = tuple(
            self.put_artifact(enclave, [TreeFile(path=path.lstrip("/"), mode=0o644, content=done.output.encode())])
            for path in task.store
        )
        return replace(done, stored=stored)

    def has_trace(self, enclave: str, key: str) -> bool:
        return key in self._of(enclave).results

    def request(self, enclave: str, service: str, port: Port, call: HttpCall) -> HttpAnswer:
        if service not in self._of(enclave).services:
            raise StepError(Reason.REQUEST_FAILED, f"{service} does not answer")
        self._effect("request", f"{service}: {call.method} {call.url_path}")
        code, body = self.answer(service, (call.method, call.url_path, call.body))
        return HttpAnswer(code=code or 200, body=body)

    def put_artifact(self, enclave: str, files: Iterable[TreeFile]) -> str:
        kept = tuple(sorted(files, key=lambda item: item.path))
        content = content_digest((item.path, item.mode, item.content) for item in kept)
        if content not in self._of(enclave).artifacts:
            self._effect("artifact", content)
            self._of(enclave).artifacts[content] = kept
        return content

    def get_artifact(self, enclave: str, content: str) -> tuple[TreeFile, ...]:
        found = self._of(enclave).artifacts.get(content)
        if found is None:
            raise StepError(Reason.ARTIFACT_MISSING, f"no artifact has the content {content[:12]}")
        return found

    def capture(self, enclave: str, service: str, path: str) -> str:
        live = self._of(enclave).services.get(service)
        if live is None:
            raise StepError(Reason.ARTIFACT_MISSING, f"{service} is not there")
        self._effect("capture", service)
        content = f"{service} {path} {live.incarnation}".encode()
        return self.put_artifact(
            enclave, [TreeFile(path=path.rpartition("/")[2] or "file", mode=0o644, content=content)]
        )

    def logs(self, enclave: str, service: str, *, tail: int = 200, follow: bool = False) -> Iterator[str]:
        yield from ()

    def destroy(self, enclave: str) -> None:
        with self._lock:
            if self._enclaves.pop(enclave, None) is not None:
                self._effect("destroy", enclave)

    # --- another hand ---------------------------------------------------------------------------------------

    def edit(self, enclave: str, service: str, **changes: object) -> None:
        """What another hand does to a service: any field of :class:`LiveService`."""
        services = self._of(enclave).services
        services[service] = replace(services[service], **changes)  # type: ignore[arg-type]

    def owner(self, enclave: str) -> Owner | None:
        """Who an enclave was prepared for."""
        return self._of(enclave).owner

    def workload(self, enclave: str, service: str) -> Workload:
        """What a service was converged to last."""
        return self._of(enclave).workloads[service]

    def forget_artifact(self, enclave: str, content: str) -> None:
        """Another hand deletes stored content."""
        self._of(enclave).artifacts.pop(content)

    def lose(self, enclave: str, service: str) -> None:
        """Another hand deletes a service altogether."""
        self._of(enclave).services.pop(service)


class MemoryRecords:
    """Records as text, so that every read is a round trip through the codec.

    ``failing`` names what does not work, as with a disk that is gone: ``read``, ``claim``, ``write``, ``delete``, and
    ``answer`` for a claim, a write or a delete that comes through and is told to have failed all the same.
    """

    def __init__(self, *, fuse: Fuse | None = None) -> None:
        self.fuse = fuse or Fuse()
        self.texts: dict[str, str] = {}
        self.failing: set[str] = set()
        self._generations: dict[str, int] = {}
        self._lock = threading.RLock()

    def read(self, enclave: str) -> Kept | None:
        self._try("read")
        with self._lock:
            return self._read(enclave)

    def _read(self, enclave: str) -> Kept | None:
        found = loads(self.texts[enclave]) if enclave in self.texts else None
        assert found is None or isinstance(found, Kept)
        return found

    def claim(self, enclave: str, writer: str) -> Kept:
        self._try("claim")
        with self._lock:
            self.fuse.tick()
            found = self._read(enclave)
            generation = self._generations[enclave] = self._generations.get(enclave, 0) + 1
            self.texts[enclave] = dumps(
                Kept(generation=generation, recorded=Recorded() if found is None else found.recorded)
            )
        self._try("answer")
        return loads(self.texts[enclave])  # type: ignore[no-any-return]

    def write(self, enclave: str, generation: int, before: Recorded, after: Recorded) -> None:
        self._try("write")
        with self._lock:
            if enclave not in self.texts:
                raise self._fenced(enclave)
            self._check(enclave, generation)
            self.fuse.tick()
            self.texts[enclave] = dumps(Kept(generation=generation, recorded=after))
        self._try("answer")

    def delete(self, enclave: str, generation: int) -> None:
        self._try("delete")
        with self._lock:
            if enclave in self.texts:
                self._check(enclave, generation)
                self.fuse.tick()
                del self.texts[enclave]
        self._try("answer")

    def _check(self, enclave: str, generation: int) -> None:
        if not generation or generation != self._generations.get(enclave):
            raise self._fenced(enclave)

    def _fenced(self, enclave: str) -> TransientError:
        return TransientError(Reason.RECORD_FENCED, f"the record of enclave {enclave!r} was taken over by another")

    def _try(self, verb: str) -> None:
        if verb in self.failing:
            raise TransientError(Reason.BACKEND_UNAVAILABLE, f"the record does not work: {verb}")

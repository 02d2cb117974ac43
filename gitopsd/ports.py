"""The world behind ports: every Protocol of the product on one page.

Implementations live in ``adapters``; one contract suite per port runs over all of them (``tests/contract``).
Blocking calls take a timeout in seconds and raise :class:`~gitopsd.errors.TransientError` when the other side does
not answer, :class:`~gitopsd.errors.UserError` when only another input helps, and
:class:`~gitopsd.errors.StepError` when the step itself failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # a short command uses a few ports, and pays for the classes that are made
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from gitopsd.model.calls import CommandResult, HttpAnswer, HttpCall, TaskSpec, Workload
    from gitopsd.model.environment import Commit, Environment, Owner, Source
    from gitopsd.model.head import Head
    from gitopsd.model.ops import Task
    from gitopsd.model.package import Download, EvaluationRequest, Missing, Pin, TreeFile, YamlDocument
    from gitopsd.model.parts import Port, ServiceSpec
    from gitopsd.model.plan import Evaluation, Instruction, Problem
    from gitopsd.model.record import Kept, LiveEnclave, LiveService, Recorded
    from gitopsd.model.run import Condition, Outgoing, Report, Run, Start
    from gitopsd.model.values import Json

# --- Git --------------------------------------------------------------------------------------------------


class Git(Protocol):
    """Repositories at commits. Reads are confined to the tree; what leaves it is refused with one message."""

    def head(self, source: Source) -> Commit:
        """The newest commit of the watched ref; fetches only when the ref moved."""

    def pin(self, missing: Missing, *, environment: str) -> Pin:
        """The commit that a locator's repository has at a ref, fetched into a mirror within the rules of the
        environment (anonymously, or with a credential that the operator bound to it)."""

    def read(self, url: str, commit: str, path: str) -> bytes:
        """The content of one file of a commit. UserError PATH_REFUSED when it is no file inside the tree."""

    def files(self, url: str, commit: str, path: str) -> tuple[TreeFile, ...]:
        """The files below a folder (or the one file) of a commit, sorted by path."""

    def commits(self, source: Source, *, limit: int = 50) -> tuple[Commit, ...]:
        """The newest commits of the watched ref, newest first, from the mirror alone."""

    def rewrote(self, url: str, before: str, after: str) -> bool:
        """Whether ``after`` does not descend from ``before``: the ref was moved by force in between. False when the
        mirror does not hold both."""

    def mirror(self, url: str) -> str:
        """The folder of the bare mirror, for a worker that reads objects by itself."""


class Downloads(Protocol):
    """Contents of ``http(s)://`` uploads, fetched within limits and kept by content digest."""

    def fetch(self, url: str) -> Download:
        """Fetches and keeps what a URL holds; refuses private, loopback and link-local addresses."""

    def files(self, download: Download) -> tuple[TreeFile, ...]:
        """What a kept download holds: one file, named as in the URL; fetched again when it was lost, and refused when
        its content is another one by now."""


# --- evaluation -------------------------------------------------------------------------------------------


class Evaluator(Protocol):
    """Everything a package author wrote that can loop or read the environment runs behind this port, in a fresh,
    limited worker process per call. A bomb ends its worker: UserError EVALUATION_LIMIT."""

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        """The package's plan, or its problems, or what it still needs."""

    def render(self, files: Mapping[str, tuple[str, Json]]) -> dict[str, bytes]:
        """Go templates by path, each with its text and data. StepError TEMPLATE_FAILED says which and where."""

    def extract(self, program: str, document: Json) -> tuple[Json, ...]:
        """The results of a jq program over a document. StepError EXTRACT_FAILED for a program that fails."""

    def load_yaml(self, text: bytes, origin: str) -> YamlDocument:
        """A YAML (or JSON) text as data, with the line and column of each value."""


# --- enclaves ---------------------------------------------------------------------------------------------


class Backend(Protocol):
    """Where enclaves live. One contract suite runs over every implementation.

    Every method but ``observe``, ``logs`` and ``request`` may be called again after a crash with the same arguments
    and ends in the same state; ``execute`` and ``run_task`` are idempotent by ``key``: called again they join what
    runs, or return what was recorded.
    """

    @property
    def cluster_type(self) -> str:
        """What ``plan.get_cluster_type()`` answers."""

    def ignored_fields(self, spec: ServiceSpec | Task) -> tuple[str, ...]:
        """Names of the fields of a service or a task that this backend cannot honour, for warnings."""

    def prepare(self, enclave: str, owner: Owner) -> None:
        """Makes the enclave if it is not there, and writes down whose it is."""

    def observe(self, enclave: str) -> LiveEnclave: ...

    def reserve(self, enclave: str, service: str) -> str:
        """The address of a service, fixed from now on until it is removed; known before it starts."""

    def converge(self, enclave: str, workload: Workload) -> LiveService:
        """Starts or updates one service and returns when its process is started (not when it is ready)."""

    def open_port(self, enclave: str, service: str, port: Port) -> bool:
        """Whether the port accepts a connection now (UDP: True)."""

    def inspect(self, enclave: str, service: str) -> LiveService | None:
        """One service as it is now; None when there is none."""

    def remove(self, enclave: str, service: str) -> None:
        """Ends a service and gives its address back; persistent directories stay."""

    def volume(self, enclave: str, key: str, size: int) -> str:
        """Makes a persistent directory (size in MB) if it is not there; its identity, new when it is made again."""

    def remove_volume(self, enclave: str, key: str) -> None:
        """Deletes a persistent directory with its data."""

    def execute(
        self, enclave: str, service: str, command: tuple[str, ...], *, key: str, timeout: float
    ) -> CommandResult:
        """Runs a command inside a service and waits for it."""

    def run_task(self, enclave: str, task: TaskSpec, *, key: str) -> CommandResult:
        """Runs a task and waits for it; StepError TIMED_OUT after its timeout."""

    def has_trace(self, enclave: str, key: str) -> bool:
        """Whether ``execute`` or ``run_task`` with this key left a trace: it runs, or its result is there."""

    def request(self, enclave: str, service: str, port: Port, call: HttpCall) -> HttpAnswer:
        """Sends an HTTP request to a port of a service. StepError REQUEST_FAILED when there is no answer."""

    def put_artifact(self, enclave: str, files: Iterable[TreeFile]) -> str:
        """Keeps files under their content digest (see ``kit.content``) and returns it."""

    def get_artifact(self, enclave: str, content: str) -> tuple[TreeFile, ...]:
        """The files of a content digest. StepError ARTIFACT_MISSING when it is not there."""

    def capture(self, enclave: str, service: str, path: str) -> str:
        """Takes a path out of a service as an artifact and returns its content digest: the contents of a folder,
        or one file under its own name; a final ``/*`` is the folder."""

    def logs(self, enclave: str, service: str, *, tail: int = 200, follow: bool = False) -> Iterator[str]:
        """Lines of a service's output, oldest first; with ``follow`` until the caller closes the iterator."""

    def destroy(self, enclave: str) -> None:
        """Ends everything of an enclave and deletes it, data included."""


class Records(Protocol):
    """The records of one backend's enclaves: what we believe we did, kept with the enclave. An adapter reads, claims,
    writes differences and deletes; only a :class:`~gitopsd.session.Session` calls the last three.

    A write or a delete under a generation that another claim has followed raises TransientError RECORD_FENCED, and one
    that never was claimed as well. What cannot be read or written raises TransientError BACKEND_UNAVAILABLE, a damaged
    record UserError RESULT_LOST, one that a newer release wrote UserError RECORD_NEWER: never is it an empty record.
    """

    def read(self, enclave: str) -> Kept | None:
        """The record and its generation; None when there is none. Never writes; cheap when nothing has changed."""

    def claim(self, enclave: str, writer: str) -> Kept:
        """Makes ``writer`` the only writer of an enclave's record, which is made if there is none, under a new
        generation."""

    def write(self, enclave: str, generation: int, before: Recorded, after: Recorded) -> None:
        """Stores the difference, durably and in an order in which a kill in between loses no finished step; after an
        error the record is as it was, or as it was to be."""

    def delete(self, enclave: str, generation: int) -> None:
        """Deletes the record; nothing there is fine."""


class Heads(Protocol):
    """Heads of environments that have no record, by the environment's name: of one that a person destroyed or that was
    suspended before its first run. They are kept with the daemon and outlive enclave, history and restart.

    Errors are those of :class:`Records`.
    """

    def load(self, environment: str) -> Head | None:
        """The head; None when none is kept."""

    def keep(self, environment: str, head: Head) -> None:
        """Keeps a head, durably, in the place of an earlier one."""

    def drop(self, environment: str) -> None:
        """Forgets a head; none is fine."""


class Secrets(Protocol):
    """Values of secrets that the operator bound to environments."""

    def names(self, environment: str) -> tuple[str, ...]: ...

    def reveal(self, environment: str, name: str) -> str:
        """The value. UserError SECRET_MISSING when it is not bound to the environment or cannot be read."""

    def keyed_digest(self, value: str) -> str:
        """A digest under a key of this installation: tells a changed value, not the value."""


# --- history and reports ----------------------------------------------------------------------------------


class Store(Protocol):
    """History, events, conditions and what was reported. Losing it loses no enclave."""

    def save_run(self, run: Run) -> None: ...

    def runs(self, environment: str, *, limit: int = 20) -> tuple[Run, ...]:
        """Newest first."""

    def save_condition(self, condition: Condition) -> None: ...

    def condition(self, environment: str) -> Condition | None: ...

    def save_environment(self, environment: Environment, commit: Commit) -> None:
        """What was followed last, so that an environment can be operated while its repository is away."""

    def environments(self) -> tuple[tuple[Environment, Commit], ...]: ...

    def forget_environment(self, name: str) -> None: ...

    def sent(self, key: str) -> str | None:
        """The remote id of what was sent under a key ("" when it has none), None when nothing was."""

    def mark_sent(self, key: str, remote_id: str) -> None: ...

    def enqueue(self, item: Outgoing) -> bool:
        """Keeps a report for sending, durably. False, and nothing is kept, when one with its key waits already or
        was sent."""

    def outbox(self, *, limit: int = 200) -> tuple[Outgoing, ...]:
        """What waits to be sent, oldest first."""

    def reschedule(self, key: str, *, attempts: int, due_at: datetime) -> None:
        """Puts the next attempt of a waiting report off."""

    def dequeue(self, key: str) -> None:
        """Takes a report out of the outbox, sent or given up."""

    def cached_plan(self, key: str) -> Evaluation | None:
        """An evaluation kept by the digest of everything that it is a function of."""

    def keep_plan(self, key: str, evaluation: Evaluation) -> None: ...


class Forge(Protocol):
    """A code forge: commit statuses now; pull requests and comments belong here too."""

    def matches(self, url: str) -> bool:
        """Whether a repository URL belongs to this forge."""

    def set_status(self, report: Report, *, context: str, target_url: str = "") -> None:
        """Sets the commit status of a context (``gitopsd/<environment>``). TransientError, with ``retry_after`` when
        the forge limits; UserError when it refuses, for the token or the repository."""


class Chat(Protocol):
    """A chat channel: one message per environment and run, edited in place, details in its thread."""

    def post(self, report: Report, message_id: str) -> str:
        """Posts a report's line, or edits ``message_id`` when it is not empty; returns the message's id.
        TransientError with ``retry_after`` when the chat limits, UserError when it refuses."""

    def reply(self, report: Report, message_id: str) -> None:
        """Posts a report's details into the thread of a message; raises as ``post`` does."""


class Reports(Protocol):
    """Where a run tells people how it goes; never a reason for it to fail."""

    def began(self, start: Start) -> None: ...

    def ended(self, run: Run) -> None: ...


class Clock(Protocol):
    """Time, so that tests can hold it."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> None: ...


class Journal(Protocol):
    """Where a run tells what happens, for logs and live progress; never a reason for it to fail."""

    def step(self, environment: str, instruction: Instruction, text: str) -> None: ...

    def problem(self, environment: str, problem: Problem) -> None: ...

"""What people and programs may ask of gitopsd: one Protocol, with frozen requests and answers.

The Unix socket, the command line without a daemon and the web pages all speak it. An implementation gives any number
of :class:`Told` and :class:`LogLine` and ends with one :class:`Result`; what went wrong is raised as a
:class:`~gitopsd.errors.GitopsdError`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gitopsd.model import codec
from gitopsd.model.diff import Diff
from gitopsd.model.plan import Evaluation, Problem
from gitopsd.model.record import LiveService
from gitopsd.model.run import Condition, Run, Verdict

# --- requests ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRequest:
    """All environments, or one. ``live`` asks the backend for the services as they are now."""

    environment: str = ""
    live: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRequest:
    """The newest runs of an environment, or one by the beginning of its id."""

    environment: str
    limit: int = 20
    run_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What the newest commit of an environment asks for and what it would change; nothing is done. ``update``: with
    dependencies where their refs are now."""

    environment: str
    update: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """Follow the newest commit now: asks the repository, clears a bad plan and a pin. ``update`` moves dependencies
    that name no commit to where their refs are now."""

    environment: str
    update: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequest:
    """Back to the last good plan, and stay there until a new commit or a ``sync``."""

    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendRequest:
    """Nothing is done for the environment until it is resumed; its services run on."""

    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRequest:
    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyRequest:
    """Ends the enclave and deletes it, data included; an environment that is still defined stays suspended."""

    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsRequest:
    """The output of one service, or of all of an environment."""

    environment: str
    service: str = ""
    tail: int = 200
    follow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyRequest:
    """What an environment is doing or waiting for, and its last problem."""

    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRequest:
    pass


Request = (
    StatusRequest | HistoryRequest | PlanRequest | SyncRequest | RollbackRequest | SuspendRequest | ResumeRequest
    | DestroyRequest | LogsRequest | WhyRequest | VersionRequest
)  # fmt: skip

# --- answers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something that happened meanwhile; ``instruction`` is the step that it is about, if any."""

    text: str
    environment: str = ""
    instruction: str = ""
    when: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    service: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentStatus:
    """Where an environment stands. ``doing`` says what runs or waits right now; ``vanished``: its definition left
    the repository and the enclave was left as it is."""

    name: str
    package: str = ""
    repository: str = ""
    ref: str = ""
    backend: str = ""
    enclave: str = ""
    commit: str = ""
    subject: str = ""
    condition: Condition | None = None
    doing: str = ""
    suspended: bool = False
    vanished: bool = False
    problems: tuple[Problem, ...] = ()
    last_run: str = ""
    last_verdict: Verdict | None = None
    ended_at: datetime | None = None
    services: tuple[LiveService, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryStatus:
    """A watched repository: what it was at when it last answered, and what it failed with since then."""

    name: str
    url: str
    ref: str
    commit: str = ""
    checked_at: datetime | None = None
    failures: int = 0
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusAnswer:
    environments: tuple[EnvironmentStatus, ...] = ()
    repositories: tuple[RepositoryStatus, ...] = ()
    daemon: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAnswer:
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAnswer:
    """``diff`` is None when the evaluation gave no plan."""

    evaluation: Evaluation
    diff: Diff | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAnswer:
    """The run that a request led to; None where there was nothing to run."""

    run: Run | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """A step in progress: what it does or waits for, and since when."""

    instruction: str
    text: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyAnswer:
    """``doing`` holds the steps of a run in progress; ``waiting`` says what comes next and when."""

    status: EnvironmentStatus
    doing: tuple[Doing, ...] = ()
    waiting: str = ""
    since: datetime | None = None
    last_problem: Problem | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionAnswer:
    version: str
    pid: int = 0
    started_at: datetime | None = None


AnyAnswer = StatusAnswer | HistoryAnswer | PlanAnswer | RunAnswer | WhyAnswer | VersionAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The last of the answers; None where only lines were asked for."""

    value: AnyAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """On the wire only: the error that ended a request. ``kind`` names its class."""

    kind: str
    problem: Problem


Answer = Told | LogLine | Result


class Commands(Protocol):
    """The one way in."""

    def ask(self, request: Request) -> Iterator[Answer]:
        """Does what is asked. Closing the iterator ends a follow, never a run that has begun."""
        ...


codec.register(sys.modules[__name__])

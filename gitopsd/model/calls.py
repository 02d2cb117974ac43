"""What a backend is asked for, all references resolved, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitopsd.model.values import Frozen

if TYPE_CHECKING:
    from gitopsd.model.parts import ServiceSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A service to converge, all references resolved.

    ``spec`` holds plain values only; ``artifacts`` maps artifact names to content digests; ``incarnation`` is the one
    that the service shall have; ``restart`` tells that its process must start anew even if nothing differs.
    ``running`` False converges to a stopped service that keeps its address.
    """

    name: str
    spec: ServiceSpec
    artifacts: Frozen[str] = Frozen()
    incarnation: str = ""
    restart: bool = False
    running: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """A task to run once. ``command`` is argv, ``files`` maps mount paths to content digests in order of merging,
    ``store`` paths to take out. ``timeout`` in seconds, None for no limit; ``packages`` are what a Python task needs
    of PyPI."""

    name: str
    command: tuple[str, ...]
    image: str
    env: Frozen[str] = Frozen()
    files: Frozen[tuple[str, ...]] = Frozen()
    store: tuple[str, ...] = ()
    timeout: float | None = None
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """Exit code and merged output of a command. ``stored`` are content digests, in the order of ``TaskSpec.store``
    (empty string: the path was not there); ``recovered`` tells that an earlier call had already run it."""

    code: int
    output: str
    stored: tuple[str, ...] = ()
    recovered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """A request to a port of a service; ``timeout`` in seconds."""

    method: str
    url_path: str
    headers: Frozen[str] = Frozen()
    body: str = ""
    timeout: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """The status code and the body of an answer, whatever the code is."""

    code: int
    body: str

"""Environments and where they come from: what an environment repository says, and what the operator bound."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gitopsd.model.values import Frozen, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A watched repository and ref, as the operator configured it. ``credential`` is a name, never a value."""

    name: str
    url: str
    ref: str = "main"
    credential: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit of a repository. ``when`` is its committer time in seconds since 1970."""

    url: str
    ref: str
    id: str
    subject: str = ""
    author: str = ""
    when: int = 0

    @property
    def short(self) -> str:
        return self.id[:7]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose an enclave is: the address of the repository that defines the environment, and the environment's name."""

    repository: str
    environment: str


class RollbackPolicy(StrEnum):
    LAST_GOOD = "last-good"
    NONE = "none"


class DriftPolicy(StrEnum):
    HEAL = "heal"
    REPORT = "report"
    IGNORE = "ignore"


class PrunePolicy(StrEnum):
    """What happens to what left the package: ``on`` keeps persistent data, ``data`` deletes it too."""

    ON = "on"
    OFF = "off"
    DATA = "data"


class OrderMode(StrEnum):
    STAGED = "staged"
    GRAPH = "graph"
    SERIAL = "serial"


class InterruptedPolicy(StrEnum):
    RERUN = "rerun"
    HOLD = "hold"


class StepPolicy(StrEnum):
    """How often a one-shot runs: once for ever, once per incarnation and inputs, or for each new commit."""

    ONCE = "once"
    PER_INCARNATION = "per-incarnation"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRule:
    """The first rule whose glob matches an instruction's id decides its policy."""

    glob: str
    policy: StepPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """``timeout`` of a whole run in seconds; ``retries`` of transient failures of one run."""

    rollback: RollbackPolicy = RollbackPolicy.LAST_GOOD
    drift: DriftPolicy = DriftPolicy.HEAL
    prune: PrunePolicy = PrunePolicy.ON
    order: OrderMode = OrderMode.STAGED
    retries: int = 3
    timeout: float = 3600.0
    interrupted: InterruptedPolicy = InterruptedPolicy.RERUN
    steps: tuple[StepRule, ...] = ()
    suspend: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentsFile:
    """Arguments kept in a file of the environment repository, relative to its root."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """gitopsd's unit: a package, arguments, a git ref, an enclave and policy.

    ``package`` is a path in the repository or a locator ``github.com/owner/repo[/path]@ref``; ``args`` is the
    inline object (``{"secret": "NAME"}`` stands for a secret), or a file that holds one. ``main_file`` is relative to
    the package's folder.
    """

    name: str
    source: Source
    package: str
    enclave: str
    backend: str = "local"
    args: Frozen[Json] | ArgumentsFile = Frozen()
    main_file: str = "main.star"
    main_function: str = "run"
    policy: Policy = Policy()
    position: str = ""

    @property
    def owner(self) -> Owner:
        """Who its enclave is made for."""
        return Owner(repository=self.source.url, environment=self.name)

"""The daemon's configuration: a YAML file, overridden by ``GITOPSD_...`` variables, checked as a whole.

Every mistake is reported at once, with file, line, key path, value and what was expected. Secrets never stand in the
file: a reference names an environment variable or a file. Every key is described in ``docs/configuration.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gitopsd.kit.duration import parse_duration
from gitopsd.kit.text import suggestion
from gitopsd.kit.units import parse_size

PREFIX = "GITOPSD_"
NESTED = "__"
PRIVATE = "private"
"""Type of a mistake whose value is in no message."""


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return _refuse_number(value, "a duration such as 30s")
    try:
        return parse_duration(value)
    except ValueError:
        raise ValueError("expected a duration such as 30s, 5m or 1h30m") from None


def _size(value: Any) -> Any:
    return parse_size(value) if isinstance(value, str) else value


def _refuse_number(value: Any, expected: str) -> Any:
    if isinstance(value, (int, float)):
        raise ValueError(f"expected {expected}, with its unit")
    return value


def _url(value: str) -> str:
    if not value:
        raise ValueError("expected an address, got nothing")
    if "://" not in value and not value.startswith("/"):
        raise ValueError("expected an address such as https://host/owner/repo.git, ssh://git@host/… or file:///…")
    if "@" in value.split("://", 1)[-1].split("/", 1)[0] and not value.startswith("ssh://"):
        raise PydanticCustomError(PRIVATE, "an address must not carry a user or a password; use credentials")
    return value


Duration = Annotated[float, BeforeValidator(_duration), Field(gt=0)]
"""Seconds, written as ``30s``, ``5m``, ``1h30m``."""
Size = Annotated[int, BeforeValidator(_size), Field(gt=0)]
"""Bytes, written as ``512MiB``, ``20MB`` or a number."""
Url = Annotated[str, AfterValidator(_url)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$")]


class Part(BaseModel):
    """A part of the configuration: unknown keys are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Reference(Part):
    """Where a secret value is: an environment variable of the daemon, or a file (one final newline is dropped)."""

    env: str = ""
    file: str = ""

    @model_validator(mode="before")
    @classmethod
    def _not_inline(cls, data: Any) -> Any:
        if not isinstance(data, (dict, cls)):
            raise PydanticCustomError(PRIVATE, "secrets are not written here: expected {env: NAME} or {file: PATH}")
        return data

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.env) == bool(self.file):
            raise ValueError("expected exactly one of env and file")
        return self


class Repository(Part):
    """A watched environment repository."""

    url: Url
    ref: str = "main"
    interval: Duration = 30.0
    credential: str = ""


class Credential(Part):
    """What a git host lets us in with, and the only places that it is used for."""

    token: Reference | None = None
    username: str = "x-access-token"
    ssh_key: Reference | None = None
    passphrase: Reference | None = None
    known_hosts: Reference | None = None
    urls: tuple[Url, ...] = ()
    environments: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.token is None) == (self.ssh_key is None):
            raise ValueError("expected exactly one of token and ssh_key")
        if self.ssh_key is not None and self.known_hosts is None:
            raise ValueError("ssh_key needs known_hosts: a host whose key is not known is refused")
        return self


class SecretBinding(Reference):
    """A secret for packages, and the environments (globs) that may name it."""

    environments: tuple[str, ...] = Field(min_length=1)


class LocalBackend(Part):
    """Services as processes of this machine. ``images`` maps globs over image names to the command that stands for
    the image's own entrypoint; ``uids`` is the first of the user ids for enclaves, and their count."""

    type: Literal["local"] = "local"
    images: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    cluster_type: Literal["docker", "kubernetes", "podman"] = "docker"
    namespaces: bool = True
    masks: tuple[str, ...] = ()
    visible: tuple[str, ...] = ()
    uids: tuple[int, int] = (1_610_000, 60_000)
    grace: Duration = 10.0
    memory_limits: bool = True
    open_files: int = Field(default=65_536, gt=0)
    pip_packages: bool = False
    env: dict[str, str] = Field(default_factory=dict)


class EvaluationLimits(Part):
    """Limits of one worker process."""

    memory: Size = 256 * 2**20
    cpu: Duration = 20.0
    time: Duration = 60.0


class GitLimits(Part):
    """Limits of what is taken from a repository, and of how long a host may take."""

    connect_timeout: Duration = 10.0
    timeout: Duration = 60.0
    fetch_time: Duration = 900.0
    transfer: Size = 512 * 2**20
    objects: int = Field(default=5_000_000, gt=0)
    file: Size = 64 * 2**20
    tree: Size = 512 * 2**20
    files: int = Field(default=20_000, gt=0)


class DownloadLimits(Part):
    """Limits of what ``upload_files`` takes from a web address. ``private_hosts`` (``name`` or ``name:port``) may have
    addresses that are not public: packages may read what is there."""

    time: Duration = 300.0
    timeout: Duration = 30.0
    size: Size = 256 * 2**20
    private_hosts: tuple[str, ...] = ()


class Limits(Part):
    """How much of the machine gitopsd takes."""

    evaluation: EvaluationLimits = EvaluationLimits()
    git: GitLimits = GitLimits()
    downloads: DownloadLimits = DownloadLimits()
    runs: int = Field(default=16, gt=0, le=1000)
    checks: int = Field(default=8, gt=0, le=1000)
    grace: Duration = 20.0


class StoreSettings(Part):
    """Where history is kept: an SQLAlchemy URL, or where one with a password is found; without either in
    ``history.sqlite`` of the state directory."""

    url: Annotated[str, AfterValidator(_url)] = ""
    url_from: Reference | None = None

    @model_validator(mode="after")
    def _one_at_most(self) -> Self:
        if self.url and self.url_from is not None:
            raise ValueError("expected url or url_from, not both")
        return self


class ForgeSettings(Part):
    """A code forge that gets commit statuses. ``repositories`` maps git addresses to ``owner/name`` where the address
    does not tell, such as a mirror or a folder."""

    type: Literal["github", "gitlab", "gitea", "forgejo"]
    url: Annotated[str, AfterValidator(_url)] = ""
    api: Annotated[str, AfterValidator(_url)] = ""
    token: Reference
    repositories: dict[str, str] = Field(default_factory=dict)


class SlackSettings(Part):
    """The chat channel."""

    channel: str = Field(min_length=1)
    token: Reference
    api: Annotated[str, AfterValidator(_url)] = ""


class Drift(Part):
    """How often live enclaves are compared with what was applied."""

    interval: Duration = 300.0


class Log(Part):
    """What the daemon writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class Settings(BaseSettings):
    """The whole file. A variable such as ``GITOPSD_LIMITS__EVALUATION__TIME=90s`` overrides the key of that path."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=NESTED, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    state_dir: Path = Path("/var/lib/gitopsd")
    repositories: dict[Name, Repository] = Field(default_factory=dict)
    credentials: dict[Name, Credential] = Field(default_factory=dict)
    secrets: dict[str, SecretBinding] = Field(default_factory=dict)
    rewrites: dict[str, str] = Field(default_factory=dict)
    backends: dict[Name, LocalBackend] = Field(default_factory=lambda: {"local": LocalBackend()}, min_length=1)
    store: StoreSettings = StoreSettings()
    limits: Limits = Limits()
    forges: dict[Name, ForgeSettings] = Field(default_factory=dict)
    slack: SlackSettings | None = None
    drift: Drift = Drift()
    constants: dict[str, str] = Field(default_factory=dict)
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **sources: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables first, then the file, which is given as keyword arguments; nothing else."""
        return sources["env_settings"], sources["init_settings"]

    @model_validator(mode="after")
    def _credentials_exist(self) -> Self:
        missing = [
            f"repositories.{name}.credential: {repository.credential!r} is not among credentials"
            + (f"; {hint}" if (hint := suggestion(repository.credential, self.credentials)) else "")
            for name, repository in self.repositories.items()
            if repository.credential and repository.credential not in self.credentials
        ]
        if missing:
            raise ValueError("\n".join(missing))
        return self

"""Parts of ops: what a service or a task is made of, as data with its defaults filled in.

Durations are seconds (``None``: no limit, or no wait); memory is MB (10^6 bytes), CPU millicores.
The language: ``starlark-api.md`` of the reference, section 7.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitopsd.model.values import Frozen, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of a service; ``wait`` is how long it may take to open, ``None`` disables the wait."""

    number: int
    transport: str = "TCP"
    application: str = ""
    wait: float | None = 120.0
    url: Value = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifacts:
    """Files artifacts mounted on one path, merged in order."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Persistent:
    """A persistent directory; services with the same key share it. ``size`` in MB."""

    key: str
    size: int = 1024


Mount = Artifacts | Persistent


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image by name; ``registry`` and the credentials are those of ``ImageSpec``; ``build`` holds the fields of an
    ``ImageBuildSpec`` or ``NixBuildSpec``, and as ``content`` the content digest of what it is built from."""

    name: str
    registry: str = ""
    username: Value = ""
    password: Value = ""
    build: Frozen[Value] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecRecipe:
    """A command (argv, no shell) and jq programs over its output, given to jq as a JSON string."""

    command: tuple[Value, ...]
    extract: Frozen[str] = Frozen()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRecipe:
    """A request to a port of a service, and jq programs over the JSON body. ``method`` is GET or POST."""

    method: str
    port: str
    endpoint: Value
    body: Value = ""
    content_type: Value = "application/json"
    headers: Frozen[Value] = Frozen()
    extract: Frozen[str] = Frozen()


Recipe = ExecRecipe | HttpRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A recipe asked again every ``interval`` until ``field assertion target`` holds, or ``timeout`` is over."""

    recipe: Recipe
    field: str
    assertion: str
    target: Value
    interval: float = 1.0
    timeout: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    uid: int
    gid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    count: int = 0
    device_ids: tuple[str, ...] = ()
    shm_size: int = 0
    ulimits: Frozen[int] = Frozen()
    driver: Value = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """``ServiceConfig`` with its defaults."""

    image: Image
    ports: Frozen[Port] = Frozen()
    public_ports: Frozen[Port] = Frozen()
    files: Frozen[Mount] = Frozen()
    entrypoint: tuple[Value, ...] = ()
    cmd: tuple[Value, ...] = ()
    env: Frozen[Value] = Frozen()
    own_address: str = "KURTOSIS_IP_ADDR_PLACEHOLDER"
    max_cpu: int = 0
    min_cpu: int = 0
    max_memory: int = 0
    min_memory: int = 0
    ready: Probe | None = None
    labels: Frozen[str] = Frozen()
    user: User | None = None
    tolerations: tuple[Toleration, ...] = ()
    node_selectors: Frozen[str] = Frozen()
    files_to_be_moved: Frozen[str] = Frozen()
    tini: bool = True
    tty: bool = False
    devices: tuple[str, ...] = ()
    publish_udp: bool = False
    capabilities: tuple[str, ...] = ()
    gpu: Gpu | None = None
    privileged: bool = False
    host_pid: bool = False
    bind_mounts: Frozen[str] = Frozen()

    @property
    def may_finish(self) -> bool:
        """Whether its work is done when its process ends with code 0: nobody waits for a port or a condition of it."""
        return not self.ports and self.ready is None

    def persistent_keys(self) -> tuple[str, ...]:
        """Keys of the persistent directories, sorted."""
        return tuple(sorted({m.key for m in self.files.values() if isinstance(m, Persistent)}))

    def artifact_names(self) -> tuple[str, ...]:
        """Names of the mounted artifacts, in order of mounting, each once."""
        names = [name for m in self.files.values() if isinstance(m, Artifacts) for name in m.names]
        return tuple(dict.fromkeys(names))

"""Ops: what one plan method asks for, as data. One class per plan method of the package language.

Defaults are filled in and ``description`` is left out, so that equality of two ops is equality of their *spec*.
Durations are seconds (``None``: no limit, or no wait); memory is MB (10^6 bytes), CPU millicores.
The language: ``starlark-api.md`` of the reference, sections 6 and 7.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from gitopsd.model.parts import Artifacts, ExecRecipe, HttpRecipe, Image, Probe, ServiceSpec, Toleration
from gitopsd.model.values import Frozen, Value


class Kind(StrEnum):
    """How an op is treated by the diff."""

    DESIRED = "desired"
    ONE_SHOT = "one-shot"
    CAPTURE = "capture"
    CHECK = "check"
    PURE = "pure"


# --- desired state ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AddService:
    """``add_service``, one entry of ``add_services``, with every later ``set_service`` merged in."""

    name: str
    spec: ServiceSpec
    force_update: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetService:
    """``set_service``: already merged into the ``AddService`` of ``name``; kept so that the plan shows it."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartService:
    name: str
    life: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopService:
    name: str
    life: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveService:
    name: str
    life: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFiles:
    """``content`` is the content digest of what ``source`` (a locator with its commit, or a URL) held. Where the
    same content is read from makes no difference: another commit is no change."""

    name: str
    source: str = field(compare=False)
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    text: Value
    data: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderTemplates:
    """``files`` maps the path inside the artifact to a template and its data."""

    name: str
    files: Frozen[Template]


# --- one-shots --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """``life`` is the id of the instruction that made the service: ``service/web``, ``service/web#2``."""

    service: str
    life: str
    recipe: ExecRecipe
    codes: tuple[int, ...] = (0,)
    any_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    service: str
    life: str
    recipe: HttpRecipe
    codes: tuple[int, ...] = (200, 201, 202, 203, 204, 205, 206, 207, 208, 226)
    any_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A path taken out of a task as an artifact."""

    src: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSh:
    """``run`` is the shell text. ``wait`` in seconds, ``None``: no limit."""

    name: str
    run: Value
    image: Image
    files: Frozen[Artifacts] = Frozen()
    store: tuple[Store, ...] = ()
    env: Frozen[Value] = Frozen()
    wait: float | None = 180.0
    codes: tuple[int, ...] = (0,)
    any_code: bool = False
    node_selectors: Frozen[str] = Frozen()
    tolerations: tuple[Toleration, ...] = ()
    privileged: bool = False
    host_pid: bool = False
    bind_mounts: Frozen[str] = Frozen()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPython:
    """``run`` is Python text, ``args`` its arguments, ``packages`` what pip installs before."""

    name: str
    run: Value
    image: Image
    args: tuple[Value, ...] = ()
    packages: tuple[str, ...] = ()
    files: Frozen[Artifacts] = Frozen()
    store: tuple[Store, ...] = ()
    wait: float | None = 180.0
    codes: tuple[int, ...] = (0,)
    any_code: bool = False
    node_selectors: Frozen[str] = Frozen()
    tolerations: tuple[Toleration, ...] = ()


# --- captures, checks, pure -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreServiceFiles:
    service: str
    life: str
    src: str
    name: str
    depends_on: Value = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    service: str
    life: str
    probe: Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    value: Value
    assertion: str
    target: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Print:
    message: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class GetService:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GetServices:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class GetFilesArtifact:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GetClusterType:
    answer: str


Desired = AddService | SetService | StartService | StopService | RemoveService | UploadFiles | RenderTemplates
Task = RunSh | RunPython
OneShot = Exec | Request | Task
Pure = Print | GetService | GetServices | GetFilesArtifact | GetClusterType
Op = Desired | OneShot | StoreServiceFiles | Wait | Verify | Pure

_KINDS: tuple[tuple[Kind, tuple[type, ...]], ...] = (
    (
        Kind.DESIRED,
        (AddService, SetService, StartService, StopService, RemoveService, UploadFiles, RenderTemplates),
    ),
    (Kind.ONE_SHOT, (Exec, Request, RunSh, RunPython)),
    (Kind.CAPTURE, (StoreServiceFiles,)),
    (Kind.CHECK, (Wait, Verify)),
    (Kind.PURE, (Print, GetService, GetServices, GetFilesArtifact, GetClusterType)),
)
KIND_BY_OP: dict[type, Kind] = {op: kind for kind, ops in _KINDS for op in ops}

METHOD_BY_OP: dict[type, str] = {
    AddService: "add_service", SetService: "set_service", StartService: "start_service",
    StopService: "stop_service", RemoveService: "remove_service", UploadFiles: "upload_files",
    RenderTemplates: "render_templates", Exec: "exec", Request: "request", RunSh: "run_sh",
    RunPython: "run_python", StoreServiceFiles: "store_service_files", Wait: "wait", Verify: "verify",
    Print: "print", GetService: "get_service", GetServices: "get_services",
    GetFilesArtifact: "get_files_artifact", GetClusterType: "get_cluster_type",
}  # fmt: skip


def spec_of(op: Op) -> Op:
    """What is compared of an op: all of it but the commit that an upload was read from, since its content decides."""
    return replace(op, source="") if isinstance(op, UploadFiles) else op


def kind_of(op: Op) -> Kind:
    """The class of an op, which decides how it is treated. A request that only reads is a capture."""
    return Kind.CAPTURE if isinstance(op, Request) and op.recipe.method == "GET" else KIND_BY_OP[type(op)]


def method_of(op: Op) -> str:
    """The plan method that an op stands for."""
    return METHOD_BY_OP[type(op)]


def is_barrier(op: Op) -> bool:
    """Whether the ``staged`` order puts every earlier instruction before it and every later one behind it."""
    return kind_of(op) in (Kind.ONE_SHOT, Kind.CAPTURE, Kind.CHECK) or isinstance(
        op, (StartService, StopService, RemoveService)
    )


def service_of(op: Op) -> str | None:
    """The service that an op acts on, by name."""
    if isinstance(op, (AddService, SetService, StartService, StopService, RemoveService, GetService)):
        return op.name
    if isinstance(op, (Exec, Request, StoreServiceFiles, Wait)):
        return op.service
    return None


def life_of(op: Op) -> str | None:
    """The id of the service's life that an op acts on."""
    if isinstance(op, (Exec, Request, StoreServiceFiles, Wait, StartService, StopService, RemoveService)):
        return op.life
    return None


def artifacts_used_by(op: Op) -> tuple[str, ...]:
    """Names of the artifacts whose content is an input of the op."""
    if isinstance(op, AddService):
        return op.spec.artifact_names()
    if isinstance(op, (RunSh, RunPython)):
        return tuple(dict.fromkeys(name for mount in op.files.values() for name in mount.names))
    if isinstance(op, GetFilesArtifact):
        return (op.name,)
    return ()


def artifacts_made_by(op: Op) -> tuple[str, ...]:
    """Names of the artifacts that the op produces."""
    if isinstance(op, (UploadFiles, RenderTemplates, StoreServiceFiles)):
        return (op.name,)
    if isinstance(op, (RunSh, RunPython)):
        return tuple(store.name for store in op.store)
    return ()

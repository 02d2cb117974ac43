"""Kurtosis type objects as parts of ops, with defaults filled in (``starlark-api.md`` section 7).

Every function takes the fields of one object and raises HostError for what only shows when the object is used:
elements of a wrong type, and fields that do not go together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gitopsd.evaluate.arguments import wrong
from gitopsd.evaluate.engine import HostError, StarlarkValue, StructValue
from gitopsd.evaluate.printing import printed, shown, type_name
from gitopsd.evaluate.reading import Fields, instance
from gitopsd.evaluate.references import References
from gitopsd.evaluate.rules import RECIPES
from gitopsd.kit.duration import format_duration
from gitopsd.model.ops import Store
from gitopsd.model.parts import (
    Artifacts,
    ExecRecipe,
    Gpu,
    HttpRecipe,
    Image,
    Mount,
    Persistent,
    Port,
    Probe,
    Recipe,
    ServiceSpec,
    Toleration,
    User,
)
from gitopsd.model.values import Frozen, Value

_IMAGES = ("ImageSpec", "ImageBuildSpec", "NixBuildSpec")
LISTS = ("IN", "NOT_IN")
_INTERVAL = 1.0
_BACKENDS = ("docker", "kubernetes")


def image(value: StarlarkValue, what: str, references: References) -> Image:
    """An image by name, or an ImageSpec, ImageBuildSpec or NixBuildSpec."""
    if isinstance(value, str):
        if not value:
            raise wrong(what, value, "the name of an image")
        return Image(name=references.plain(value, what))
    if not isinstance(value, StructValue) or value.type_name not in _IMAGES:
        raise wrong(what, value, "a string or " + " or ".join(_IMAGES))
    given = Fields(value.type_name, value.fields, references)
    if value.type_name == "ImageSpec":
        return Image(
            name=given.known("image"),
            registry=given.known("registry"),
            username=given.text("username"),
            password=given.text("password"),
        )
    build: dict[str, Value] = {"kind": value.type_name}
    build |= {name: given.plain(name) for name, item in value.fields.items() if isinstance(item, str)}
    if value.type_name == "ImageBuildSpec":
        build.setdefault("build_file", "Dockerfile")
        build |= {"build_args": given.text_map("build_args")} if "build_args" in given else {}
    build = {name: item for name, item in build.items() if name not in ("image_name", "description")}
    return Image(name=given.known("image_name"), build=Frozen(build))


def port(value: StarlarkValue, what: str, references: References) -> Port:
    """A PortSpec."""
    given = Fields(what, instance(value, what, "PortSpec").fields, references)
    if "number" not in given:
        raise HostError(f"{what}: the argument 'number' of PortSpec is missing, expected 1 to 65535")
    return Port(
        number=given.integer("number"),
        transport=given.plain("transport_protocol", "TCP"),
        application=given.known("application_protocol"),
        wait=given.seconds_or_none("wait", 120.0),
        url=given.text("url"),
    )


def mount(value: StarlarkValue, what: str, references: References) -> Mount:
    """What ``files`` maps a path to: an artifact's name, or a Directory."""
    if isinstance(value, str):
        return Artifacts(names=(references.plain(value, what),))
    given = Fields(what, instance(value, what, "string", "Directory").fields, references)
    if ("artifact_names" in given) == ("persistent_key" in given):
        raise wrong(what, value, "a Directory with exactly one of artifact_names and persistent_key")
    if "persistent_key" in given:
        return Persistent(key=given.plain("persistent_key"), size=given.integer("size", 1024))
    if "size" in given:
        raise wrong(what, value, "size together with persistent_key only")
    return Artifacts(names=given.plains("artifact_names"))


def task_files(given: Fields) -> Frozen[Artifacts]:
    """``files`` of a task: paths to names of artifacts."""

    def read(value: StarlarkValue, what: str) -> Artifacts:
        if not isinstance(value, str):
            raise wrong(what, value, "the name of an artifact, as a string: a Directory is for services only")
        return Artifacts(names=(given.references.plain(value, what),))

    return given.pairs("files", read)


def store(value: StarlarkValue, what: str, references: References) -> tuple[str, str]:
    """An entry of a task's ``store``: its path, and its name ("" when it has none)."""
    if isinstance(value, str):
        if not value:
            raise wrong(what, value, "a path")
        return references.opaque(value, what), ""
    given = Fields(what, instance(value, what, "string", "StoreSpec").fields, references)
    return given.plain("src"), given.plain("name")


def recipe(value: StarlarkValue, what: str, references: References) -> Recipe:
    """An ExecRecipe, GetHttpRequestRecipe or PostHttpRequestRecipe."""
    given = Fields(what, (found := instance(value, what, *RECIPES)).fields, references)
    if found.type_name == "ExecRecipe":
        return ExecRecipe(command=given.texts("command"), extract=given.plain_map("extract"))
    post = found.type_name == "PostHttpRequestRecipe"
    return HttpRecipe(
        method="POST" if post else "GET",
        port=given.plain("port_id"),
        endpoint=given.text("endpoint"),
        body=given.text("body"),
        content_type=given.text("content_type", "application/json") if post else "",
        headers=given.text_map("headers"),
        extract=given.plain_map("extract"),
    )


def probe(given: Fields, timeout: float) -> Probe:
    """The arguments that ``ReadyCondition`` and ``plan.wait`` share; ``timeout`` is the default in seconds. Upstream
    fails in the run for an interval that is not above zero, so it counts as none."""
    interval = given.seconds("interval", _INTERVAL)
    if interval <= 0:
        given.remark("interval", f"not above zero: taken for {format_duration(_INTERVAL)}")
    return Probe(
        recipe=recipe(given.get("recipe"), given.what("recipe"), given.references),
        field=given.plain("field"),
        assertion=given.plain("assertion"),
        target=target(given),
        interval=interval if interval > 0 else _INTERVAL,
        timeout=given.seconds("timeout", timeout),
    )


def target(given: Fields) -> Value:
    """``target_value``. With what the assertion cannot compare, or what no result can be, such as None or an object of
    a Kurtosis type, it never holds; that is only remarked upon."""
    value = given.get("target_value")
    assertion = given.get("assertion")
    if (assertion in LISTS) != isinstance(value, (list, tuple, range)) and assertion not in ("==", "!="):
        given.remark("target_value", f"{'no list' if assertion in LISTS else 'a list'}: {assertion} can never hold")
    try:
        if value is not None:
            return given.free("target_value")
    except HostError:
        pass
    given.remark("target_value", f"a {type_name(value)}: no result can equal it")
    return Frozen({type_name(value): printed(value)})


def user(value: StructValue, references: References) -> User:
    """A User."""
    given = Fields("User", value.fields, references)
    return User(uid=given.integer("uid"), gid=given.integer("gid") if "gid" in given else None)


def toleration(value: StarlarkValue, what: str, references: References) -> Toleration:
    """A Toleration; without a key only ``Exists`` makes sense, and ``Exists`` has no value."""
    given = Fields(what, instance(value, what, "Toleration").fields, references)
    operator = given.plain("operator", "Equal")
    if not given.plain("key") and operator != "Exists":
        raise wrong(what, value, "a key, or the operator 'Exists'")
    if given.plain("value") and operator == "Exists":
        raise wrong(what, value, "no value with the operator 'Exists'")
    return Toleration(
        key=given.plain("key"),
        operator=operator,
        value=given.plain("value"),
        effect=given.plain("effect"),
        seconds=given.integer("toleration_seconds") if "toleration_seconds" in given else None,
    )


def tolerations(given: Fields) -> tuple[Toleration, ...]:
    return given.items("tolerations", lambda value, what: toleration(value, what, given.references))


def gpu(value: StructValue, references: References) -> Gpu:
    """A GpuConfig; ``driver`` is a string, or a dict with strings at ``docker`` and ``kubernetes``, or left out."""
    given = Fields("GpuConfig", value.fields, references)
    driver = given.get("driver")
    names = {key: driver.get(key, "-") for key in _BACKENDS} if isinstance(driver, dict) else {"": driver}
    if "driver" in given and not all(isinstance(name, str) and name for name in names.values()):
        raise wrong("GpuConfig: driver", driver, "a name, or a dict with names at 'docker' and 'kubernetes'")
    if isinstance(driver, dict) and (others := [key for key in driver if key not in _BACKENDS]):
        references.remarks.append(f"GpuConfig: driver is read at 'docker' and 'kubernetes', not at {shown(others)}")
        driver = {key: driver[key] for key in _BACKENDS if key in driver}
    return Gpu(
        count=given.integer("count"),
        device_ids=given.plains("device_ids"),
        shm_size=given.integer("shm_size"),
        ulimits=given.pairs("ulimits", _ulimit),
        driver=references.value(driver, given.what("driver")),
    )


def _ulimit(value: StarlarkValue, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise wrong(what, value, "an int of 64 bits")
    return value


def _ports(name: str) -> Callable[[Fields], Frozen[Port]]:
    return lambda given: given.pairs(name, lambda value, what: port(value, what, given.references))


def _ready(given: Fields) -> Probe:
    found = instance(given.get("ready_conditions"), given.what("ready_conditions"), "ReadyCondition")
    return probe(given.of(found), 900.0)


_READERS: dict[str, tuple[str, Callable[[Fields], Any]]] = {
    "image": ("image", lambda given: image(given.get("image"), given.what("image"), given.references)),
    "ports": ("ports", _ports("ports")),
    "public_ports": ("public_ports", _ports("public_ports")),
    "files": ("files", lambda given: given.pairs("files", lambda v, what: mount(v, what, given.references))),
    "entrypoint": ("entrypoint", lambda given: given.texts("entrypoint")),
    "cmd": ("cmd", lambda given: given.texts("cmd")),
    "env_vars": ("env", lambda given: given.text_map("env_vars")),
    "private_ip_address_placeholder": (
        "own_address", lambda given: given.plain("private_ip_address_placeholder"),
    ),
    "cpu_allocation": ("max_cpu", lambda given: given.integer("cpu_allocation")),
    "memory_allocation": ("max_memory", lambda given: given.integer("memory_allocation")),
    "max_cpu": ("max_cpu", lambda given: given.integer("max_cpu")),
    "min_cpu": ("min_cpu", lambda given: given.integer("min_cpu")),
    "max_memory": ("max_memory", lambda given: given.integer("max_memory")),
    "min_memory": ("min_memory", lambda given: given.integer("min_memory")),
    "ready_conditions": ("ready", _ready),
    "labels": ("labels", lambda given: given.known_map("labels")),
    "user": ("user", lambda given: user(given.get("user"), given.references)),
    "tolerations": ("tolerations", tolerations),
    "node_selectors": ("node_selectors", lambda given: given.plain_map("node_selectors")),
    "files_to_be_moved": ("files_to_be_moved", lambda given: given.plain_map("files_to_be_moved")),
    "tini_enabled": ("tini", lambda given: given.flag("tini_enabled", True)),
    "tty_enabled": ("tty", lambda given: given.flag("tty_enabled")),
    "devices": ("devices", lambda given: given.plains("devices")),
    "publish_udp": ("publish_udp", lambda given: given.flag("publish_udp")),
    "capabilities": ("capabilities", lambda given: given.plains("capabilities")),
    "gpu": ("gpu", lambda given: gpu(given.get("gpu"), given.references)),
    "privileged": ("privileged", lambda given: given.flag("privileged")),
    "host_pid_namespace": ("host_pid", lambda given: given.flag("host_pid_namespace")),
    "bind_mounts": ("bind_mounts", lambda given: given.plain_map("bind_mounts")),
}  # fmt: skip


def service_fields(given: Fields) -> dict[str, Any]:
    """The fields of ``ServiceSpec`` that a ServiceConfig sets."""
    return {field: read(given) for name, (field, read) in _READERS.items() if name in given}


def service_spec(given: Fields) -> ServiceSpec:
    """A ServiceConfig with its defaults."""
    return ServiceSpec(**service_fields(given))


SPEC_FIELD_BY_ARGUMENT: dict[str, str] = {name: field for name, (field, _) in _READERS.items()}


def stores(given: Fields) -> tuple[tuple[str, str], ...]:
    """``store`` of a task as paths and names; paths have to differ."""
    found = given.items("store", lambda value, what: store(value, what, given.references))
    seen: set[str] = set()
    for src, _ in found:
        if src in seen:
            raise HostError(f"{given.what('store')} names the path {src!r} twice, expected each path once")
        seen.add(src)
    return found


def named(stored: tuple[tuple[str, str], ...], names: tuple[str, ...]) -> tuple[Store, ...]:
    """Entries of a task's ``store`` with the names that the artifacts got."""
    return tuple(Store(src=src, name=name) for (src, _), name in zip(stored, names, strict=True))

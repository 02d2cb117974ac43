"""Plan methods about services: add, get, set, start, stop, remove."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gitopsd.evaluate.arguments import BOOL, DICT, TEXT, may, need, non_empty, signature
from gitopsd.evaluate.engine import HostError, StarlarkValue, StructValue
from gitopsd.evaluate.methods.method import Method
from gitopsd.evaluate.methods.probes import warn_of_field
from gitopsd.evaluate.reading import Fields, instance
from gitopsd.evaluate.recorder import Recorder, Registered
from gitopsd.evaluate.specs import SPEC_FIELD_BY_ARGUMENT, service_fields, service_spec
from gitopsd.kit.duration import go_duration
from gitopsd.kit.text import suggestion
from gitopsd.model.ops import (
    AddService,
    GetClusterType,
    GetService,
    GetServices,
    RemoveService,
    SetService,
    StartService,
    StopService,
)
from gitopsd.model.parts import HttpRecipe, Port, ServiceSpec
from gitopsd.model.values import Address, Value

_REFUSED_BY_SET = ("env_vars", "entrypoint", "cmd", "ports", "public_ports", "files")
_TAKEN_BY_SET = (
    "image", "cpu_allocation", "memory_allocation", "max_cpu", "min_cpu", "max_memory", "min_memory", "user", "labels",
    "tolerations", "privileged", "host_pid_namespace", "bind_mounts",
)  # fmt: skip


def _add_service(recorder: Recorder, given: Fields) -> StructValue:
    return _added(recorder, given.plain("name"), given.of(given.get("config")), given.flag("force_update"))


def _add_services(recorder: Recorder, given: Fields) -> dict[str, StructValue]:
    configs = given.pairs("configs", lambda value, what: instance(value, what, "ServiceConfig"))
    force = given.flag("force_update")
    return {name: _added(recorder, name, given.of(config), force) for name, config in configs.items()}


def _added(recorder: Recorder, name: str, config: Fields, force_update: bool) -> StructValue:
    spec = service_spec(Fields(f"service {name!r}", config.values, config.references))
    spec = replace(spec, image=recorder.sourced(spec.image))
    _warn_of_bounds(recorder, name, spec)
    _warn_of_ready(recorder, name, spec)
    life = recorder.new_life(name)
    value = _service_value(recorder, name, spec)
    recorder.services[name] = Registered(life=life, index=len(recorder.instructions), value=value)
    recorder.add(life, AddService(name=name, spec=spec, force_update=force_update))
    return value


def _warn_of_bounds(recorder: Recorder, service: str, spec: ServiceSpec) -> None:
    """A lower bound above the upper one is no error everywhere: a container engine takes it, a cluster refuses it."""
    for kind, lowest, highest in (("cpu", spec.min_cpu, spec.max_cpu), ("memory", spec.min_memory, spec.max_memory)):
        if lowest > highest > 0:
            recorder.warn(f"service {service!r}: min_{kind} {lowest} is more than max_{kind} {highest}")


def _warn_of_ready(recorder: Recorder, service: str, spec: ServiceSpec) -> None:
    """What upstream finds out only while it waits for a service to be ready."""
    if spec.ready is None:
        return
    warn_of_field(recorder, service, spec.ready)
    if isinstance(spec.ready.recipe, HttpRecipe) and (port := spec.ready.recipe.port) not in spec.ports:
        recorder.warn(f"service {service!r} has no port {port!r} for its ready_conditions: it never gets ready")


def _service_value(recorder: Recorder, name: str, spec: ServiceSpec) -> StructValue:
    """What the script gets: the name and the ports are plain, host name and address are placeholders."""
    token = recorder.references.token
    return StructValue(
        type_name="Service",
        fields={
            "name": name,
            "hostname": token(Address(service=name, field="hostname")),
            "ip_address": token(Address(service=name, field="ip_address")),
            "ports": {port_id: _port_value(recorder, name, port) for port_id, port in spec.ports.items()},
        },
    )


def _port_value(recorder: Recorder, service: str, port: Port) -> StructValue:
    fields: dict[str, StarlarkValue] = {"number": port.number, "transport_protocol": port.transport}
    if port.application:
        fields["application_protocol"] = port.application
    if port.wait is not None:
        fields["wait"] = go_duration(round(port.wait * 10**9))
    if url := _given_url(recorder, port.url):
        fields["url"] = url
    elif port.application:
        fields["url"] = f"{port.application}://{service}:{port.number}"
    return StructValue(type_name="PortSpec", fields=fields)


def _given_url(recorder: Recorder, url: Value) -> str:
    return recorder.references.untext(url)


def _get_service(recorder: Recorder, given: Fields) -> StructValue:
    name = given.plain("name")
    found = _registered(recorder, given, name)
    recorder.add(recorder.nameless_id("get_service", name), GetService(name=name))
    return found.value


def _registered(recorder: Recorder, given: Fields, name: str) -> Registered:
    found = recorder.services.get(name)
    if found is None:
        known = ", ".join(sorted(recorder.services)) or "none so far"
        near = suggestion(name, recorder.services)
        raise HostError(
            f"{given.owner}: there is no service {name!r} here, expected one that was added before it in this plan "
            f"({known})" + (f"; {near}" if near else "")
        )
    return found


def _get_services(recorder: Recorder, _given: Fields) -> list[StructValue]:
    recorder.add(recorder.nameless_id("get_services"), GetServices())
    return [recorder.services[name].value for name in sorted(recorder.services)]


def _set_service(recorder: Recorder, given: Fields) -> None:
    name = given.plain("name")
    config = Fields(f"set_service {name!r}", given.get("config").fields, given.references)
    found = _registered(recorder, given, name)
    for argument in _REFUSED_BY_SET:
        if config.get(argument):
            raise HostError(f"{config.what(argument)} cannot be changed, expected only {', '.join(_TAKEN_BY_SET)}")
    taken = {item: value for item in _TAKEN_BY_SET if (value := config.get(item))}
    changes = service_fields(Fields(config.owner, taken, config.references))
    changes |= {"image": recorder.sourced(changes["image"])}
    ignored = [
        item for item in config.values
        if item in SPEC_FIELD_BY_ARGUMENT and item not in _TAKEN_BY_SET and item not in _REFUSED_BY_SET
    ]  # fmt: skip
    if ignored:
        recorder.warn(f"set_service of {name!r} does not change {', '.join(ignored)}")
    earlier = recorder.instructions[found.index]
    if isinstance(earlier.op, AddService):
        merged = replace(earlier.op, spec=replace(earlier.op.spec, **changes))
        recorder.instructions[found.index] = replace(earlier, op=merged)
        _warn_of_bounds(recorder, name, merged.spec)
    recorder.add(recorder.nameless_id("set_service", name), SetService(name=name))


def _lifecycle(
    kind: str, op: Callable[..., StartService | StopService | RemoveService]
) -> Callable[[Recorder, Fields], None]:
    def record(recorder: Recorder, given: Fields) -> None:
        name = given.plain("name")
        recorder.add(recorder.nameless_id(kind, name), op(name=name, life=recorder.life(name)))
        if kind == "remove":
            recorder.services.pop(name, None)

    return record


def _get_cluster_type(recorder: Recorder, _given: Fields) -> str:
    recorder.add(recorder.nameless_id("get_cluster_type"), GetClusterType(answer=recorder.cluster_type))
    return recorder.cluster_type


_NAME = need("name", TEXT, non_empty)
_CONFIG = need("config", ("ServiceConfig",))
_FORCE = may("force_update", BOOL)

METHODS = (
    Method(signature("add_service", _NAME, _CONFIG, _FORCE), _add_service),
    Method(signature("add_services", need("configs", DICT, non_empty), _FORCE), _add_services),
    Method(signature("get_service", _NAME), _get_service),
    Method(signature("get_services"), _get_services),
    Method(signature("set_service", _NAME, _CONFIG), _set_service),
    Method(signature("remove_service", _NAME), _lifecycle("remove", RemoveService)),
    Method(signature("start_service", _NAME), _lifecycle("start", StartService)),
    Method(signature("stop_service", _NAME), _lifecycle("stop", StopService)),
    Method(signature("get_cluster_type"), _get_cluster_type),
)

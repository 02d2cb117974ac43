"""Kurtosis' validation phase as far as it is static (``starlark-api.md`` section 10): a plan is walked in order with
the services, ports and artifacts that are there by then, and everything that is wrong is reported together."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from gitopsd.errors import Reason
from gitopsd.evaluate import rules
from gitopsd.kit.text import suggestion
from gitopsd.model.ops import (
    AddService,
    Exec,
    GetFilesArtifact,
    Op,
    RemoveService,
    Request,
    RunPython,
    RunSh,
    SetService,
    StartService,
    StopService,
    StoreServiceFiles,
    Wait,
    artifacts_made_by,
    artifacts_used_by,
    service_of,
)
from gitopsd.model.parts import HttpRecipe, Persistent, Recipe, ServiceSpec
from gitopsd.model.plan import Instruction, Problem

_ON_A_SERVICE = (Exec, Request, Wait, StoreServiceFiles, SetService, StartService, StopService, RemoveService)


def check(instructions: tuple[Instruction, ...]) -> tuple[Problem, ...]:
    """Every problem of a plan, each at the author's position, in the plan's order. Pure."""
    services: dict[str, ServiceSpec] = {}
    artifacts: set[str] = set()
    problems: list[Problem] = []
    for item in instructions:
        problems += (_problem(item, message) for message in _check(item.op, services, artifacts))
        if isinstance(item.op, AddService):
            services[item.op.name] = item.op.spec
        elif isinstance(item.op, RemoveService):
            services.pop(item.op.name, None)
        artifacts.update(artifacts_made_by(item.op))
    return tuple(problems)


def _problem(item: Instruction, message: str) -> Problem:
    return Problem(stage="evaluate", reason=Reason.PLAN_INVALID, message=message, position=str(item.position))


def _check(op: Op, services: dict[str, ServiceSpec], artifacts: set[str]) -> Iterator[str]:
    if isinstance(op, AddService):
        yield from _added(op, services)
    elif isinstance(op, _ON_A_SERVICE):
        yield from _acts(op, services)
    if isinstance(op, (AddService, RunSh, RunPython, GetFilesArtifact)):
        for name in artifacts_used_by(op):
            if name not in artifacts:
                yield _unknown("files artifact", name, artifacts)
    if isinstance(op, (RunSh, RunPython)):
        names = artifacts_made_by(op)
        for name in sorted(set(names)):
            if names.count(name) > 1:
                yield f"the task stores the artifact {name!r} twice, expected a name of its own for each"


def _added(op: AddService, services: dict[str, ServiceSpec]) -> Iterator[str]:
    if expected := rules.service_name(op.name):
        yield f"the service name {op.name!r} is invalid, expected {expected}"
    if op.name in services:
        yield f"the service {op.name!r} is added twice, expected a name of its own or remove_service before"
    for port_id in op.spec.ports:
        if expected := rules.port_id(port_id):
            yield f"service {op.name!r}: the port id {port_id!r} is invalid, expected {expected}"
    paths: dict[str, str] = {}
    for path, mount in op.spec.files.items():
        if isinstance(mount, Persistent) and (expected := rules.service_name(mount.key)):
            yield f"service {op.name!r}: the persistent_key {mount.key!r} is invalid, expected {expected}"
        if not path.startswith("/"):
            yield f"service {op.name!r}: the mount path {path!r} is invalid, expected an absolute path"
        if (first := paths.setdefault(posixpath.normpath(path).lstrip("/"), path)) != path:
            yield f"service {op.name!r}: the mount paths {first!r} and {path!r} are one, expected each path once"


def _acts(op: Op, services: dict[str, ServiceSpec]) -> Iterator[str]:
    name = service_of(op) or ""
    spec = services.get(name)
    if spec is None:
        yield _unknown("service", name, services)
    elif isinstance(op, Request):
        yield from _recipe(name, spec, op.recipe)
    elif isinstance(op, Wait):
        yield from _recipe(name, spec, op.probe.recipe)


def _recipe(service: str, spec: ServiceSpec, recipe: Recipe) -> Iterator[str]:
    if isinstance(recipe, HttpRecipe) and recipe.port not in spec.ports:
        yield f"service {service!r} has no port {recipe.port!r}, expected one of its ports: {_listed(spec.ports)}"


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    near = suggestion(name, known)
    expected = f"expected one that is made earlier in the plan: {_listed(known)}"
    return f"there is no {kind} {name!r} at this point, {expected}" + (f"; {near}" if near else "")


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join(found[:20]) + (", …" if len(found) > 20 else "") or "none"

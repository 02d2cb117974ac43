"""The conformance table says what the code does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitopsd.adapters.local.backend import LocalBackend
from gitopsd.adapters.local.settings import LocalSettings
from gitopsd.evaluate.methods import METHODS
from gitopsd.evaluate.specs import SPEC_FIELD_BY_ARGUMENT
from gitopsd.evaluate.types import SIGNATURES
from gitopsd.model.ops import Kind
from gitopsd.model.parts import Image, ServiceSpec, User
from gitopsd.resolve.closure import ARGUMENTS, warned
from tests.kurtosis_page import ON_LOCAL, PAGE, TASKS, WARNED, WARNED_OF, on_local, page
from tests.stage.scripted import Script, ScriptedPlan, evaluate_script

SAMPLES: dict[str, Callable[[ScriptedPlan], Any]] = {
    "public_ports": lambda plan: {"http": plan.make("PortSpec", 80)},
    "files": lambda plan: {"/data": plan.make("Directory", persistent_key="data", size=5)},
    "cpu_allocation": lambda plan: 100,
    "max_cpu": lambda plan: 100,
    "min_cpu": lambda plan: 100,
    "min_memory": lambda plan: 100,
    "max_memory": lambda plan: 100,
    "memory_allocation": lambda plan: 100,
    "user": lambda plan: plan.make("User", 1000),
    "tolerations": lambda plan: [plan.make("Toleration", key="a")],
    "node_selectors": lambda plan: {"disk": "ssd"},
    "files_to_be_moved": lambda plan: {"/a": "/b"},
    "tini_enabled": lambda plan: False,
    "tty_enabled": lambda plan: True,
    "devices": lambda plan: ["/dev/kvm"],
    "publish_udp": lambda plan: True,
    "capabilities": lambda plan: ["NET_ADMIN"],
    "gpu": lambda plan: plan.make("GpuConfig", count=1),
    "privileged": lambda plan: True,
    "host_pid_namespace": lambda plan: True,
    "bind_mounts": lambda plan: {"/var/run/docker.sock": "/var/run/docker.sock"},
}
"""A value of its own for each argument whose effect a process may lack."""
SHOWN_AS = {"cpu_allocation": "max_cpu", "memory_allocation": "max_memory", "files": "Directory.size"}


def warnings_of(script: Script, backend: LocalBackend) -> list[str]:
    evaluated = evaluate_script(script, {"Dockerfile": "FROM scratch"})
    plan = warned(evaluated, backend.ignored_fields, by="this backend").plan
    assert plan is not None
    return [item.message for item in plan.warnings]


@pytest.mark.parametrize("name", [item.name for item in SIGNATURES["ServiceConfig"].parameters if item.name in SAMPLES])
def test_a_service_is_given_what_it_asks_for_or_a_warning_names_it_and_the_field(name: str, tmp_path: Path) -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> None:
        plan.add_service("web", plan.make("ServiceConfig", "python:3.11", **{name: SAMPLES[name](plan)}))

    settings = LocalSettings(memory_limits=False)
    backend = LocalBackend(tmp_path, settings)
    expected = [f"this backend does not honour `{SHOWN_AS.get(name, name)}` of service/web"]
    if name == "user" and backend.ignored_fields(ServiceSpec(image=Image(name="python:3"), user=User(uid=1))) == ():
        expected = []
    if name == "files" and backend.isolation == "plain":
        expected.append("this backend does not honour `files` of service/web")
    assert warnings_of(script, backend) == expected


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_given_what_it_asks_for_or_a_warning_names_it_and_the_field(task: str, tmp_path: Path) -> None:
    names = [item.name for item in METHODS[task].signature.parameters if on_local(task, item.name) == WARNED]
    assert names

    def script(plan: ScriptedPlan, args: dict[str, Any]) -> None:
        getattr(plan, task)(name="t", run="x", image="python:3.11", **{name: SAMPLES[name](plan) for name in names})

    told = {f"this backend does not honour `{name}` of task/t" for name in names}
    assert set(warnings_of(script, LocalBackend(tmp_path))) == told


def test_an_image_that_is_not_there_or_needs_a_registry_or_a_build_is_warned_of(tmp_path: Path) -> None:
    images: dict[str, Callable[[ScriptedPlan], Any]] = {
        "image": lambda plan: "redis:7",
        "image.registry": lambda plan: plan.make("ImageSpec", "python:3.11", registry="https://r.example.org"),
        "image.build": lambda plan: plan.make("ImageBuildSpec", "python:3.11", "./"),
    }
    for field, image in images.items():

        def script(plan: ScriptedPlan, args: dict[str, Any], made: Callable[[ScriptedPlan], Any] = image) -> None:
            plan.add_service("web", plan.make("ServiceConfig", made(plan)))

        assert warnings_of(script, LocalBackend(tmp_path)) == [f"this backend does not honour `{field}` of service/web"]


def test_every_argument_of_a_service_is_settled_or_tried_here() -> None:
    settled = {"image", "ports", "entrypoint", "cmd", "env_vars", "private_ip_address_placeholder", "ready_conditions",
               "labels", "description"}  # fmt: skip
    assert settled | set(SAMPLES) == {item.name for item in SIGNATURES["ServiceConfig"].parameters}


def test_the_page_is_what_the_code_makes_of_it() -> None:
    assert PAGE.read_text("utf-8") == page(), "write it anew with: python -m tests.kurtosis_page"


def test_every_method_and_type_has_its_table() -> None:
    text = page()
    assert all(f"\n### plan.{name} (" in text for name in METHODS)
    assert all(f"\n### {name}\n" in text for name in SIGNATURES)
    assert all(f"({kind.value})\n" in text for kind in Kind)


def test_every_warning_of_the_local_backend_is_in_the_table_under_the_name_that_packages_use() -> None:
    arguments = {item.name for item in SIGNATURES["ServiceConfig"].parameters}
    assert arguments >= WARNED_OF
    for argument, field in SPEC_FIELD_BY_ARGUMENT.items():
        told = on_local("ServiceConfig", argument)
        assert (told == WARNED) == (ARGUMENTS.get(field, field) in WARNED_OF), argument
    for task in TASKS:
        names = {item.name for item in METHODS[task].signature.parameters}
        assert {name for name in names if on_local(task, name) == WARNED} == names & WARNED_OF


@pytest.mark.parametrize(("owner", "name"), ON_LOCAL)
def test_every_remark_is_about_something_that_exists(owner: str, name: str) -> None:
    signature = SIGNATURES[owner] if owner in SIGNATURES else METHODS[owner].signature
    assert name in {item.name for item in signature.parameters}

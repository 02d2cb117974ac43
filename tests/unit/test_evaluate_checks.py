"""The validation of a plan: everything that is wrong, together, at the author's lines."""

from __future__ import annotations

from typing import Any

import pytest

from gitopsd.errors import Reason
from tests.stage.scripted import Script, ScriptedPlan, evaluate_script


def problems_of(script: Script) -> list[str]:
    evaluation = evaluate_script(script)
    assert {item.reason for item in evaluation.problems} <= {Reason.PLAN_INVALID}
    assert (evaluation.plan is None) == bool(evaluation.problems)
    return [str(item) for item in evaluation.problems]


def config(plan: ScriptedPlan, **fields: Any) -> Any:
    return plan.make("ServiceConfig", image="img", **fields)


def test_all_problems_are_told_together_in_order() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("Web_1", config(plan))
        plan.add_service("web", config(plan, files={"/a": "nope"}))
        plan.add_service("web", config(plan))
        plan.stop_service("wbe")

    found = problems_of(script)
    assert [item.split(": ")[0] for item in found] == [f"main.star:{line}" for line in (1, 2, 3, 4)]
    assert "'Web_1' is invalid, expected 1 to 63 lower-case letters" in found[0]
    assert "no files artifact 'nope' at this point, expected one that is made earlier in the plan: none" in found[1]
    assert "'web' is added twice" in found[2]
    assert "no service 'wbe' at this point" in found[3]
    assert "did you mean 'web'?" in found[3]


def test_one_mount_path_is_taken_once_however_it_is_written() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        mounts = {path: plan.make("Directory", persistent_key=key) for path, key in (("/a/b", "x"), ("/a//b/", "y"))}
        plan.add_service("web", config(plan, files=mounts))

    (problem,) = problems_of(script)
    assert "the mount paths '/a/b' and '/a//b/' are one, expected each path once" in problem


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ports": "HTTP"}, "the port id 'HTTP' is invalid, expected 1 to 15"),
        ({"ports": "x" * 16}, "is invalid, expected 1 to 15"),
        ({"key": "Data"}, "the persistent_key 'Data' is invalid"),
        ({"path": "data"}, "the mount path 'data' is invalid, expected an absolute path"),
    ],
)
def test_a_service_is_checked(fields: dict[str, Any], said: str) -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        given = dict(fields)
        if "ports" in given:
            given["ports"] = {given["ports"]: plan.make("PortSpec", 80)}
        path, key = given.pop("path", "/data"), given.pop("key", "data")
        given["files"] = {path: plan.make("Directory", persistent_key=key)}
        plan.add_service("web", config(plan, **given))

    (problem,) = problems_of(script)
    assert said in problem


def test_a_request_needs_a_port_that_the_service_has() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("web", config(plan, ports={"http": plan.make("PortSpec", 80)}))
        get = plan.make("GetHttpRequestRecipe", port_id="rpc", endpoint="/")
        plan.request(service_name="web", recipe=get)
        plan.wait(service_name="web", recipe=get, field="code", assertion="==", target_value=200)

    found = problems_of(script)
    assert len(found) == 2
    assert all("service 'web' has no port 'rpc', expected one of its ports: http" in item for item in found)


def test_a_probe_that_asks_for_a_field_that_its_recipe_has_not_is_warned_of() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        command = plan.make("ExecRecipe", ["x"], extract={"k": "."})
        ready = plan.make("ReadyCondition", command, "body", "==", 1)
        plan.add_service("web", config(plan, ready_conditions=ready))
        plan.wait("web", command, "extract.k", "==", 1)

    plan = evaluate_script(script).plan
    assert plan is not None
    (warning,) = plan.warnings
    assert "its recipe has no result 'body', only code, output, extract.k" in warning.message


def test_a_removed_service_is_gone() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("web", config(plan))
        plan.remove_service("web")
        plan.stop_service("web")
        plan.store_service_files("web", "/x", name="x")
        plan.add_service("web", config(plan))

    assert [item.split(": ")[0] for item in problems_of(script)] == ["main.star:3", "main.star:4"]


def test_artifacts_have_to_be_made_before_they_are_used() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.run_sh(name="t", run="x", files={"/a": "later"})
        plan.get_files_artifact("later")
        plan.render_templates({"a": plan.struct(template="", data={})}, name="later")
        plan.get_files_artifact("later")

    assert [item.split(": ")[0] for item in problems_of(script)] == ["main.star:1", "main.star:2"]


def test_a_task_stores_each_artifact_once() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        spec = [plan.make("StoreSpec", src, "same") for src in ("/a", "/b")]
        plan.run_sh(name="t", run="x", store=spec)

    assert problems_of(script) == [
        "main.star:1: the task stores the artifact 'same' twice, expected a name of its own for each"
    ]

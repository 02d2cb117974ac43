"""What instructions need of earlier ones."""

from __future__ import annotations

from typing import Any

from tests.stage.scripted import Script, ScriptedPlan, evaluate_script


def needs_of(script: Script, files: dict[str, str] | None = None) -> dict[str, set[str]]:
    evaluation = evaluate_script(script, files)
    assert evaluation.problems == ()
    assert evaluation.plan is not None
    return {item.id: set(item.needs) for item in evaluation.plan.instructions}


def config(plan: ScriptedPlan, **fields: Any) -> Any:
    return plan.make("ServiceConfig", image="img", **fields)


def recipe(plan: ScriptedPlan, *command: str) -> Any:
    return plan.make("ExecRecipe", list(command) or ["x"])


def test_a_service_needs_what_its_references_and_artifacts_come_from() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        db = plan.add_service("db", config(plan))
        seed = plan.run_sh(name="seed", run="x", store=[plan.make("StoreSpec", "/o", "out")])
        tpl = plan.render_templates({"a": plan.struct(template="", data={})}, name="tpl")
        files = {"/a": "out", "/b": plan.make("Directory", [tpl])}
        plan.add_service("w", config(plan, cmd=[db.fields["ip_address"], seed.fields["output"]], files=files))

    assert needs_of(script)["service/w"] == {"service/db", "task/seed", "artifact/tpl"}


def test_a_name_that_stands_as_a_word_makes_a_need_and_a_part_of_a_word_does_not() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        for name in ("el", "el-1", "db", "cache"):
            plan.add_service(name, config(plan))
        plan.add_service("a", config(plan, cmd=["--peer=http://el-1:80/x", "my_db", "dbs", "cache2"]))
        plan.add_service("b", config(plan, env_vars={"X": "db.local,el"}))
        plan.exec("el", recipe(plan, "curl", "cache:80"))

    found = needs_of(script)
    assert found["service/a"] == {"service/el-1"}
    assert found["service/b"] == {"service/db", "service/el"}
    assert found["exec/el@0"] == {"service/el", "service/cache"}


def test_names_in_port_urls_templates_and_uploaded_texts_make_needs() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        files = {"c": plan.struct(template="peer = one", data={"x": ["http://two:80"]})}
        plan.render_templates(files, name="tpl")
        plan.upload_files("static", name="up")
        for name in ("one", "two", "three", "four", "five"):
            plan.add_service(name, config(plan))
        port = plan.make("PortSpec", 80, url="http://four:80/")
        plan.add_service("w", config(plan, files={"/a": "tpl", "/b": "up"}, ports={"p": port}))
        plan.run_sh(name="t", run="x", files={"/b": "up"})

    found = needs_of(script, {"static/peers.txt": "- three\n", "static/binary": "\0five"})
    assert found["artifact/tpl"] == set()
    services = {"service/one", "service/two", "service/three", "service/four"}
    assert found["service/w"] == {"artifact/tpl", "artifact/up", *services}
    assert found["task/t"] == {"artifact/up", "service/three"}


def test_only_earlier_services_are_needed() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("a", config(plan, cmd=["b"]))
        plan.add_service("b", config(plan, cmd=["a", "b"]))

    assert needs_of(script) == {"service/a": set(), "service/b": {"service/a"}}


def test_steps_on_one_service_keep_their_order() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("w", config(plan))
        plan.add_service("v", config(plan))
        plan.exec("w", recipe(plan))
        plan.exec("v", recipe(plan))
        plan.exec("w", recipe(plan))
        plan.store_service_files("w", "/x", name="x")

    found = needs_of(script)
    assert found["exec/v@0"] == {"service/v"}
    assert found["exec/w@1"] == {"service/w", "exec/w@0"}
    assert found["artifact/x"] == {"service/w", "exec/w@1"}


def test_removing_a_service_waits_for_all_that_used_it_and_a_new_life_for_the_removal() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("w", config(plan))
        plan.exec("w", recipe(plan))
        plan.add_service("reader", config(plan, cmd=["w"]))
        plan.remove_service("w")
        plan.add_service("w", config(plan))
        plan.exec("w", recipe(plan))

    found = needs_of(script)
    assert found["remove/w@0"] == {"service/w", "exec/w@0", "service/reader"}
    assert found["service/w#2"] == {"remove/w@0"}
    assert found["exec/w@1"] == {"service/w#2"}


def test_after_a_stop_or_start_the_service_is_what_they_left() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("w", config(plan))
        plan.stop_service("w")
        plan.start_service("w")
        plan.add_service("reader", config(plan, cmd=["w"]))

    assert needs_of(script)["service/reader"] == {"service/w", "start/w@0"}


def test_an_artifact_that_is_made_again_waits_for_who_used_the_first() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.upload_files("f", name="a")
        plan.run_sh(name="one", run="x", files={"/a": "a"})
        plan.run_sh(name="again", run="x", store=[plan.make("StoreSpec", "/a", "a")])
        plan.run_sh(name="two", run="x", files={"/a": "a"})

    found = needs_of(script, {"f": "1"})
    assert found["task/again"] == {"artifact/a", "task/one"}
    assert found["task/two"] == {"task/again"}


def test_what_only_shows_something_needs_its_references_alone() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("w", config(plan))
        done = plan.exec("w", recipe(plan))
        plan.print("w is up")
        plan.verify(done["code"], "==", 0)

    found = needs_of(script)
    assert found["print@0"] == set()
    assert found["verify@0"] == {"exec/w@0"}


def test_a_capture_needs_what_depends_on_names() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("w", config(plan))
        seed = plan.run_sh(name="seed", run="x")
        plan.store_service_files("w", "/x", name="x", depends_on=seed.fields["output"])

    assert needs_of(script)["artifact/x"] == {"service/w", "task/seed"}

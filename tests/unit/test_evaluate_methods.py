"""What the plan methods record and what they answer, with a scripted interpreter."""

from __future__ import annotations

from typing import Any

import pytest

from gitopsd.model.ops import AddService, Exec, Print, RenderTemplates, RunSh, UploadFiles
from gitopsd.model.parts import Artifacts, Persistent, Toleration
from gitopsd.model.plan import Plan
from gitopsd.model.values import Address, Secret, StepResult, Text
from tests.stage.scripted import Script, ScriptedPlan, evaluate_script


def plan_of(script: Script, **more: Any) -> Plan:
    evaluation = evaluate_script(script, **more)
    assert evaluation.problems == ()
    assert evaluation.plan is not None
    return evaluation.plan


def problem_of(script: Script, **more: Any) -> str:
    (problem,) = evaluate_script(script, **more).problems
    return str(problem)


def config(plan: ScriptedPlan, **fields: Any) -> Any:
    return plan.make("ServiceConfig", image=fields.pop("image", "img"), **fields)


def template(plan: ScriptedPlan, **more: Any) -> Any:
    return plan.struct(template="", data={}, **more)


def ids(plan: Plan) -> list[str]:
    return [item.id for item in plan.instructions]


def test_add_service_answers_plain_names_and_ports_and_placeholders_for_addresses() -> None:
    answers: dict[str, Any] = {}

    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        ports = {
            "http": plan.make("PortSpec", 80, application_protocol="http"),
            "raw": plan.make("PortSpec", 81, "UDP", wait=None),
            "own": plan.make("PortSpec", 82, wait="90s", url="x://y"),
        }
        answers["service"] = plan.add_service("web", config(plan, ports=ports))
        return answers["service"].fields["ip_address"]

    found = plan_of(script)
    service = answers["service"]
    assert service.type_name == "Service"
    assert service.fields["name"] == "web"
    assert {key: dict(port.fields) for key, port in service.fields["ports"].items()} == {
        "http": {
            "number": 80, "transport_protocol": "TCP", "application_protocol": "http", "wait": "2m0s",
            "url": "http://web:80",
        },
        "raw": {"number": 81, "transport_protocol": "UDP"},
        "own": {"number": 82, "transport_protocol": "TCP", "wait": "1m30s", "url": "x://y"},
    }  # fmt: skip
    assert found.output == Address(service="web", field="ip_address")


def test_add_services_gives_one_instruction_per_entry_and_a_dict_that_may_be_changed() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        added = plan.add_services({"a": config(plan), "b": config(plan)})
        added["c"] = added["a"]
        return sorted(added)

    found = plan_of(script)
    assert ids(found) == ["service/a", "service/b"]
    assert found.output == ("a", "b", "c")


def test_set_service_changes_the_service_that_was_added_before() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("web", config(plan, max_cpu=100, labels={"a": "1"}, env_vars={"K": "v"}))
        plan.set_service("web", config(plan, image="new", labels={"b": "2"}, node_selectors={"x": "y"}))

    found = plan_of(script)
    op = found.instructions[0].op
    assert isinstance(op, AddService)
    assert (op.spec.image.name, op.spec.max_cpu, dict(op.spec.labels)) == ("new", 100, {"b": "2"})
    assert dict(op.spec.env) == {"K": "v"}
    assert "does not change node_selectors" in found.warnings[0].message


def test_set_service_keeps_what_it_is_given_no_value_for() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("web", config(plan, max_cpu=100, labels={"a": "1"}, privileged=True))
        plan.set_service("web", config(plan, image="new", max_cpu=0, labels={}, tolerations=[], privileged=False))

    op = plan_of(script).instructions[0].op
    assert isinstance(op, AddService)
    assert (op.spec.max_cpu, dict(op.spec.labels), op.spec.privileged) == (100, {"a": "1"}, True)


@pytest.mark.parametrize("kind", ["cpu", "memory"])
def test_a_lower_bound_above_the_upper_one_is_warned_of(kind: str) -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("web", config(plan, **{f"min_{kind}": 200, f"max_{kind}": 100}))
        plan.add_service("db", config(plan, **{f"min_{kind}": 200}))
        plan.set_service("db", config(plan, **{f"max_{kind}": 150}))

    assert [item.message for item in plan_of(script).warnings] == [
        f"service 'web': min_{kind} 200 is more than max_{kind} 100",
        f"service 'db': min_{kind} 200 is more than max_{kind} 150",
    ]


def test_set_service_refuses_what_would_need_a_new_service() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("web", config(plan))
        plan.set_service("web", config(plan, cmd=["x"]))

    assert "main.star:2: set_service 'web': cmd cannot be changed" in problem_of(script)


def test_a_name_that_is_removed_and_added_again_has_lives() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        recipe = plan.make("ExecRecipe", command=["x"])
        for _ in range(2):
            plan.add_service("web", config(plan))
            plan.exec("web", recipe)
            plan.remove_service("web")

    found = plan_of(script)
    assert ids(found) == [
        "service/web", "exec/web@0", "remove/web@0", "service/web#2", "exec/web@1", "remove/web@1",
    ]  # fmt: skip
    assert [item.op.life for item in found.instructions if isinstance(item.op, Exec)] == [
        "service/web",
        "service/web#2",
    ]


def test_services_are_found_only_after_they_were_added_in_the_same_plan() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_services({"b": config(plan), "a": config(plan)})
        plan.remove_service("b")
        plan.add_service("c", config(plan))
        return [item.fields["name"] for item in plan.get_services()]

    assert plan_of(script).output == ("a", "c")
    said = problem_of(lambda plan, args: plan.add_service("web", config(plan)) and plan.get_service("wbe"))
    assert "there is no service 'wbe' here" in said
    assert "did you mean 'web'?" in said


def test_an_exec_answers_placeholders_for_each_result() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("web", config(plan))
        return plan.exec("web", plan.make("ExecRecipe", ["x"], extract={"k": ".a"}))

    assert plan_of(script).output == {
        name: StepResult(step="exec/web@0", field=name) for name in ("code", "output", "extract.k")
    }


def test_a_task_answers_placeholders_and_plain_names_of_artifacts() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        spec = plan.make("StoreSpec", src="/a", name="named")
        return plan.run_sh(name="seed", run="x", store=[spec, "/b/c.json"], wait=None)

    found = plan_of(script)
    assert found.output == {
        "code": StepResult(step="task/seed", field="code"),
        "output": StepResult(step="task/seed", field="output"),
        "files_artifacts": ("named", "seed-c-json"),
    }
    op = found.instructions[0].op
    assert isinstance(op, RunSh)
    assert (op.wait, op.image.name, op.codes) == (None, "badouralix/curl-jq", (0,))


def test_a_nameless_task_keeps_its_names_when_another_is_put_in_before_it() -> None:
    def tasks(*commands: str) -> Script:
        def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
            plan.add_service("web", config(plan))
            text = ""
            for command in commands:
                plan.exec("web", plan.make("ExecRecipe", [command]))
                text = plan.exec("web", plan.make("ExecRecipe", ["seed"]))["output"]
            return plan.run_sh(run="use " + text, store=["/out"]).fields["files_artifacts"]

        return script

    assert plan_of(tasks("a")).output == plan_of(tasks("a", "b")).output


def test_equal_nameless_tasks_and_artifacts_are_told_apart() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        files = {"a": plan.struct(template="x", data={})}
        return [
            plan.render_templates(files),
            plan.render_templates(files),
            plan.upload_files("/x"),
            plan.upload_files("x"),
        ]

    one, two, three, four = plan_of(script, files={"x": "1"}).output  # type: ignore[misc]
    assert two == f"{one}-2"
    assert four == f"{three}-2"


def test_a_task_that_runs_again_gets_an_id_of_its_own() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.run_sh(name="seed", run="x")
        plan.run_sh(name="seed", run="x")

    assert ids(plan_of(script)) == ["task/seed", "task/seed#2"]


def test_names_with_the_signs_of_ids_are_escaped_in_ids_only() -> None:
    found = plan_of(lambda plan, args: plan.upload_files("x", name="a@1#2%"), files={"x": "1"})
    assert ids(found) == ["artifact/a%401%232%25"]
    assert isinstance(found.instructions[0].op, UploadFiles)
    assert found.instructions[0].op.name == "a@1#2%"


def test_an_upload_is_known_by_its_content() -> None:
    def upload(src: str, files: dict[str, str]) -> UploadFiles:
        op = plan_of(lambda plan, args: plan.upload_files(src, name="x"), files=files).instructions[0].op
        assert isinstance(op, UploadFiles)
        return op

    folder = upload("./d", {"d/a": "1", "d/b": "2", "e": "3"})
    assert folder.content == upload("/d/", {"d/b": "2", "d/a": "1"}).content
    assert folder.content != upload("./d", {"d/a": "1", "d/b": "3"}).content
    assert folder.source == f"git https://127.0.0.1/example/net.git {'c' * 40} d"


def test_a_file_that_is_not_there_is_a_problem_of_the_call() -> None:
    said = problem_of(lambda plan, args: plan.upload_files("./nope"))
    assert said.startswith("main.star:1: cannot upload './nope'")
    said = problem_of(lambda plan, args: plan.upload_files("../../x"))
    assert "leaves its repository" in said


def test_templates_take_structs_with_text_and_data() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        data = {"n": 9, "s": plan.struct(x=[1, None])}
        plan.render_templates({"a/b.txt": plan.struct(template="{{.n}}", data=data)}, name="t")

    op = plan_of(script).instructions[0].op
    assert isinstance(op, RenderTemplates)
    assert op.files["a/b.txt"].data == {"n": 9, "s": {"x": (1, None)}}


@pytest.mark.parametrize("path", ["/etc/x", "./etc/x", "etc/x/", "//etc/./y/../x"])
def test_a_templates_path_is_taken_in_its_shortest_form_below_the_artifacts_root(path: str) -> None:
    (made,) = plan_of(lambda plan, args: plan.render_templates({path: template(plan)}, name="t") and None).instructions
    assert isinstance(made.op, RenderTemplates)
    assert list(made.op.files) == ["etc/x"]


def test_a_templates_struct_may_hold_more() -> None:
    assert plan_of(lambda plan, args: plan.render_templates({"a": template(plan, mode="x")}, name="t")).instructions


def test_a_templates_path_is_no_folder_of_another() -> None:
    files = ("a/b/c", "a/b")
    said = problem_of(lambda plan, args: plan.render_templates({path: template(plan) for path in files}))
    assert "'a/b' to be a file or a folder, and not both" in said


@pytest.mark.parametrize("path", ["/../x", "../x", "", "/", ".", "a/../..", "a/../../b", "a\0", "x" * 256])
def test_templates_stay_inside_their_artifact(path: str) -> None:
    said = problem_of(lambda plan, args: plan.render_templates({path: plan.struct(template="", data={})}))
    assert "expected a relative path inside the artifact" in said


def test_templates_refuse_a_dict_instead_of_a_struct() -> None:
    said = problem_of(lambda plan, args: plan.render_templates({"a": {"template": "", "data": {}}}))
    assert "expected a struct with the fields template and data" in said


def test_secrets_are_references_in_the_plan() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("db", config(plan, env_vars={"PASSWORD": args["pw"], "URL": "x:" + args["pw"] + "@y"}))

    found = plan_of(script, args={"pw": {"secret": "DB"}})
    op = found.instructions[0].op
    assert isinstance(op, AddService)
    assert op.spec.env == {"PASSWORD": Secret(name="DB"), "URL": Text(parts=("x:", Secret(name="DB"), "@y"))}


def test_files_are_artifacts_by_name_directories_of_artifacts_or_persistent() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.upload_files("x", name="one")
        files = {
            "/a": "one",
            "/b": plan.make("Directory", artifact_names=["one", "one"]),
            "/c": plan.make("Directory", persistent_key="data"),
        }
        plan.add_service("web", config(plan, files=files))

    op = plan_of(script, files={"x": "1"}).instructions[1].op
    assert isinstance(op, AddService)
    assert op.spec.files == {
        "/a": Artifacts(names=("one",)), "/b": Artifacts(names=("one", "one")), "/c": Persistent(key="data", size=1024),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"env_vars": {"A": 1}}, "service 'web': env_vars[\"A\"] is 1 (int), expected a string"),
        ({"cmd": ["a", 2]}, "service 'web': cmd[1] is 2 (int), expected a string"),
        ({"ports": {"http": 80}}, "ports[\"http\"] is 80 (int), expected a PortSpec"),
        ({"ports": {80: None}}, "has the key 80 (int), expected a string"),
        ({"image": None}, "image is None (NoneType), expected a string or ImageSpec"),
        ({"image": ""}, "expected the name of an image"),
        ({"files": {"/a": 1}}, "expected a string or Directory"),
    ],
)  # fmt: skip
def test_elements_are_checked_when_a_service_is_added(fields: dict[str, Any], said: str) -> None:
    problem = problem_of(lambda plan, args: plan.add_service("web", config(plan, **fields)))
    assert problem.startswith("main.star:1: ")
    assert said in problem


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "exactly one of artifact_names and persistent_key"),
        ({"artifact_names": [], "persistent_key": "x"}, "exactly one of artifact_names and persistent_key"),
        ({"artifact_names": ["x"], "size": 1}, "size together with persistent_key only"),
    ],
)
def test_a_directory_is_one_thing_or_the_other(fields: dict[str, Any], said: str) -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("web", config(plan, files={"/a": plan.make("Directory", **fields)}))

    assert said in problem_of(script)


def test_an_object_that_nothing_uses_may_hold_anything() -> None:
    assert plan_of(lambda plan, args: config(plan, cmd=[1, 2]) and None).instructions == ()


def test_tolerations_are_checked_together() -> None:
    def adding(**fields: Any) -> Script:
        return lambda plan, args: plan.add_service("web", config(plan, tolerations=[plan.make("Toleration", **fields)]))

    op = plan_of(adding(key="a", operator="Exists")).instructions[0].op
    assert isinstance(op, AddService)
    assert op.spec.tolerations == (Toleration(key="a", operator="Exists"),)
    assert "a key, or the operator 'Exists'" in problem_of(adding(value="x"))
    assert "no value with the operator 'Exists'" in problem_of(adding(operator="Exists", value="x"))


def test_in_needs_a_list() -> None:
    assert "expected a list for IN" in problem_of(lambda plan, args: plan.verify("x", "IN", "xyz"))
    assert "expected one of ==" in problem_of(lambda plan, args: plan.verify("x", "=", "x"))
    assert plan_of(lambda plan, args: plan.verify("x", "IN", ["x"])).instructions[0].id == "verify@0"


def test_a_print_shows_references_for_what_is_known_later() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.print([plan.run_sh(name="t", run="x").fields["output"], 1, True, "a"])

    op = plan_of(script).instructions[1].op
    assert op == Print(message=Text(parts=('["', StepResult(step="task/t", field="output"), '", 1, True, "a"]')))


def test_descriptions_and_lines_are_kept_beside_the_op() -> None:
    (item,) = plan_of(lambda plan, args: plan.run_sh(name="t", run="x", description="Seed it")).instructions
    assert (str(item.position), item.description) == ("main.star:1", "Seed it")


def test_equal_packages_have_equal_plans_whatever_their_descriptions() -> None:
    one = plan_of(lambda plan, args: plan.run_sh(name="t", run="x", description="a"))
    other = plan_of(lambda plan, args: plan.run_sh(name="t", run="x", description="b"))
    assert one.digest == other.digest


def build(plan: ScriptedPlan, **more: Any) -> Any:
    return plan.make("ImageBuildSpec", image_name="own", build_context_dir="./img", **more)


def test_an_image_that_is_built_is_another_one_when_its_folder_changes() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        nix = plan.make("NixBuildSpec", flake_location_dir="./nix", build_context_dir=".", image_name="n")
        plan.add_service("web", config(plan, image=build(plan, build_args={"A": "1"})))
        plan.run_sh(name="t", run="x", image=nix)

    files = {"img/Dockerfile": "FROM scratch", "nix/flake.nix": "{}"}
    before, after = (plan_of(script, files={**files, "img/x": text}).instructions[0].op for text in "ab")
    assert isinstance(before, AddService) and isinstance(after, AddService)
    assert before.spec.image.build is not None and after.spec.image.build is not None
    assert before.spec.image.build["content"] != after.spec.image.build["content"]
    assert before.spec.image.build.without("content") == {
        "kind": "ImageBuildSpec", "build_context_dir": "./img", "build_file": "Dockerfile", "build_args": {"A": "1"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "files", "said"),
    [
        ({}, {}, "cannot build from './img'"),
        ({}, {"img/other": ""}, "there is no file 'Dockerfile' in it"),
        ({"build_file": "b/File"}, {"img/Dockerfile": ""}, "there is no file 'b/File' in it"),
    ],
)
def test_an_image_needs_what_it_is_built_from(more: dict[str, Any], files: dict[str, str], said: str) -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("web", config(plan, image=build(plan, **more)))

    assert said in problem_of(script, files=files)


def test_none_is_no_image_of_a_task() -> None:
    for method in ("run_sh", "run_python"):
        said = problem_of(lambda plan, args, method=method: getattr(plan, method)(run="x", image=None))
        assert f"{method}: image is None (NoneType), expected a string or ImageSpec" in said


def test_a_task_may_do_nothing() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.run_sh(run="", store=["/made"])
        plan.run_python(run="")

    assert ids(plan_of(script)) == ["run_sh@0", "run_python@0"]


def test_a_target_is_a_value_that_compares_and_for_in_one_that_can_be_gone_through() -> None:
    def verify(assertion: str, target: Any) -> Script:
        return lambda plan, args: plan.verify("a", assertion, target)

    assert "'target_value' is None (NoneType), expected a value that can be compared" in problem_of(verify("==", None))
    assert 'target_value is "abc" (string), expected a list for IN' in problem_of(verify("IN", "abc"))
    for target in (["a"], ("a",), range(3)):
        assert ids(plan_of(verify("IN", target))) == ["verify@0"]


@pytest.mark.parametrize("driver", [None, 5, "", {"docker": 5}, {"docker": ""}, {"kubernetes": None}])
def test_a_driver_is_a_name_or_one_for_each_backend(driver: Any) -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("web", config(plan, gpu=plan.make("GpuConfig", driver=driver)))

    assert "expected a name, or a dict with names at 'docker' and 'kubernetes'" in problem_of(script)


def test_a_driver_for_something_else_is_told_to_be_ignored() -> None:
    def script(plan: ScriptedPlan, args: dict[str, Any]) -> Any:
        plan.add_service("web", config(plan, gpu=plan.make("GpuConfig", driver={"doker": "amd"})))

    (warning,) = plan_of(script).warnings
    assert 'not at ["doker"]' in warning.message

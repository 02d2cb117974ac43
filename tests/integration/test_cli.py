"""The program on folders, without a daemon: plan, validate, docs, errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.stage.processes import called, variables
from tests.stage.repository import Checkout


@pytest.fixture
def call(tmp_path: Path) -> Any:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        done = called(*words, XDG_CACHE_HOME=str(tmp_path / "cache"))
        assert "Traceback" not in done.stderr + done.stdout
        return done

    return run


def package(folder: Path, source: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "kurtosis.yml").write_text("name: github.com/example/package\n")
    (folder / "main.star").write_text(source)
    return folder


SERVICE = 'def run(plan, name):\n    plan.add_service(name, ServiceConfig(image = "nginx"))\n'


def test_a_folder_is_planned_with_what_is_not_committed(call: Any, tmp_path: Path) -> None:
    folder = package(tmp_path / "p", SERVICE)
    for number, text in enumerate(('{"name": "web"}', "name: web\n")):
        (tmp_path / f"args{number}").write_text(text)
        planned = call("plan", str(folder), "--args", str(tmp_path / f"args{number}"), "--output", "json")
        assert planned.returncode == 0, planned.stderr
        (instruction,) = json.loads(planned.stdout)["instructions"]
        assert (instruction["id"], instruction["method"]) == ("service/web", "add_service")
    text = call("plan", str(folder), "--args", str(tmp_path / "args0")).stdout
    assert "service/web" in text
    assert "main.star:2" in text


def test_a_folder_that_is_named_like_a_repository_is_read_from_the_disk(call: Any, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for name in ("github.com/owner/repo", "gitlab.com"):
        folder = package(tmp_path / name, 'def run(plan):\n    plan.print("from the disk")\n')
        planned = call("plan", str(folder), f"--rewrite=https://github.com/=file://{tmp_path}/none/")
        assert "from the disk" in planned.stdout, planned.stderr


def test_a_package_may_begin_in_another_file_or_function(call: Any, tmp_path: Path) -> None:
    folder = package(tmp_path / "p", 'def run(plan):\n    plan.print("main")\n')
    (folder / "small.star").write_text(
        'def run(plan):\n    plan.print("small")\n\n\ndef start(size, plan):\n    return [size, plan]\n'
    )
    (tmp_path / "args.json").write_text('{"size": 3, "plan": "mine"}')
    assert '"small"' in call("plan", str(folder), "--main-file", "small.star").stdout
    both = ("--main-file", "./small.star", "--main-function", "start", "--args", str(tmp_path / "args.json"))
    planned = call("plan", str(folder), *both, "--output", "json")
    assert json.loads(planned.stdout)["output"] == [3, "mine"], planned.stderr
    for wrong, said in (
        ("--main-file=none.star", "none.star"),
        ("--main-file=../main.star", "leaves"),
        ("--main-function=run()", "no name of a function"),
        ("--main-function=stop", "no function 'stop'"),
    ):
        done = call("plan", str(folder), wrong)
        assert done.returncode != 0 and said in done.stderr + done.stdout, (wrong, done.stderr, done.stdout)


def test_keys_of_yaml_arguments_come_sorted_and_those_of_json_as_they_are_written(call: Any, tmp_path: Path) -> None:
    folder = package(tmp_path / "p", "def run(plan, args):\n    plan.print(args)\n")
    for name, text, told in (
        ("args.yaml", "b: 1\na:\n- d: 2\n  c: 3\n", '{"a": [{"c": 3, "d": 2}], "b": 1}'),
        ("args.json", '{"b": 1, "a": [{"d": 2, "c": 3}]}', '{"b": 1, "a": [{"d": 2, "c": 3}]}'),
    ):
        (tmp_path / name).write_text(text)
        planned = call("plan", str(folder), "--args", str(tmp_path / name), "--output", "json")
        (printed,) = json.loads(planned.stdout)["instructions"]
        assert printed["args"]["message"] == told


def test_a_file_that_holds_no_arguments_is_told_with_the_place_of_the_mistake(call: Any, tmp_path: Path) -> None:
    folder = package(tmp_path / "p", "def run(plan, args):\n    plan.print(args)\n")
    for name, text, told in (
        ("args.json", "[1]", "args.json:1:1: the arguments are a list: expected an object of named arguments"),
        ("args.yaml", "a\n", "args.yaml:1:1: the arguments are a single value: expected an object of named arguments"),
        ("args.yaml", "a: 1\nb:\n  c: 1\n  c: 2\n", "args.yaml:4:3: given more than once: 'b.c'"),
        ("args.json", '{"a": 1,\n "a": 2}', "args.json:2:2: given more than once: 'a'"),
    ):
        (tmp_path / name).write_text(text)
        done = call("plan", str(folder), "--args", str(tmp_path / name))
        assert (done.returncode, told in done.stderr) == (3, True), done.stderr


def test_the_short_way_of_plan_says_what_the_ordinary_way_says(call: Any, tmp_path: Path) -> None:
    folder = package(tmp_path / "p", SERVICE)
    (tmp_path / "args.yaml").write_text("name: web\n")
    words = ["plan", str(folder), "--args", str(tmp_path / "args.yaml"), "--cluster-type=kubernetes", "--rewrite=a=b"]
    for output in (["-o", "json"], ["--output=text"]):
        short = call(*words, *output)
        code = "from gitopsd.cli.app import app; app(prog_name='gitopsd')"
        command = [sys.executable, "-c", code, *words, *output]
        environment = variables(XDG_CACHE_HOME=str(tmp_path / "cache"))
        ordinary = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (short.stdout, short.returncode) == (ordinary.stdout, ordinary.returncode)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("FOLDER", "--cluster-type", "dockr"), "'dockr' is not one of 'docker', 'kubernetes', 'podman'"),
        (("FOLDER", "--update"), "--update is for an environment"),
        (
            ("devnet", "--config=gitopsd.yaml", "--main-file=a.star"),
            "--main-file is for a folder, and there is no folder devnet",
        ),
    ],
)
def test_plan_refuses_what_would_have_no_effect(call: Any, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    folder = package(tmp_path / "p", SERVICE)
    done = call("plan", *(str(folder) if word == "FOLDER" else word for word in words))
    assert (done.returncode, told in " ".join(done.stderr.split())) == (2, True), done.stderr


def test_an_import_that_cannot_be_had_is_told_with_its_line_and_who_called(call: Any, tmp_path: Path) -> None:
    source = "def add(plan):\n    import_module('github.com/acme/none/x.star')\n\ndef run(plan):\n    add(plan)\n"
    folder = package(tmp_path / "p", source)
    done = call("plan", str(folder), "--rewrite", f"https://github.com/=file://{tmp_path}/mirrors/")
    told = "error: main.star:2: the package needs github.com/acme/none: "
    assert done.returncode != 0
    assert done.stderr.startswith(told)
    assert done.stderr.splitlines()[1:] == ["    main.star:5 in run", "    main.star:2 in add"]


def test_imports_come_from_a_folder_of_mirrors(call: Any, tmp_path: Path) -> None:
    library = tmp_path / "mirrors" / "acme" / "library"
    package(library, 'NAME = "from-library"\n')
    Checkout(library).commit()
    source = 'lib = import_module("github.com/acme/library/main.star")\ndef run(plan):\n    plan.print(lib.NAME)\n'
    folder = package(tmp_path / "p", source)
    rewrite = f"https://github.com/=file://{tmp_path}/mirrors/"
    planned = call("plan", str(folder), "--rewrite", rewrite, "--output", "json")
    assert planned.returncode == 0, planned.stderr
    assert "from-library" in planned.stdout


def test_a_mistake_of_the_author_is_told_at_its_line(call: Any, tmp_path: Path) -> None:
    folder = package(tmp_path / "p", "def helper():\n    return nope.x\n\ndef run(plan):\n    helper()\n")
    planned = call("plan", str(folder))
    assert planned.returncode == 3
    assert "main.star:2" in planned.stdout
    assert "nope" in planned.stdout


def test_what_is_no_package_and_what_is_no_folder_say_so(call: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = call("plan", str(tmp_path / "empty"))
    assert (empty.returncode, empty.stdout) == (3, "")
    assert "kurtosis.yml" in empty.stderr
    assert "there is no folder" in call("plan", str(tmp_path / "none")).stderr
    assert call("plan").returncode == 2
    assert call("plan", str(tmp_path / "empty"), "--rewrite", "x").returncode == 2


def test_control_characters_of_a_package_never_reach_the_terminal(call: Any, tmp_path: Path) -> None:
    folder = package(tmp_path / "p", 'def run(plan):\n    plan.print("\\033[31mred\\033]0;t\\007 [bold]x[/bold]")\n')
    for output in ("text", "json"):
        planned = call("plan", str(folder), "--output", output)
        assert planned.returncode == 0, planned.stderr
        assert not set(planned.stdout) & {"\x1b", "\x07"}
    assert "[bold]x[/bold]" in call("plan", str(folder)).stdout


def test_every_problem_of_an_environment_repository_is_listed(call: Any, tmp_path: Path) -> None:
    package(tmp_path / "r" / "p", SERVICE)
    text = """\
environments:
  good:
    package: p
    args: {name: web}
  misspelt:
    package: p
    rolback: none
  lacks:
    package: p
    args: {nam: web}
  away:
    package: elsewhere
"""
    (tmp_path / "r" / "gitopsd.yaml").write_text(text)
    checked = call("validate", str(tmp_path / "r"))
    assert checked.returncode == 3
    assert "gitopsd.yaml:7:5" in checked.stdout
    assert "did you mean 'rollback'?" in checked.stdout
    assert "nam" in checked.stdout
    assert "elsewhere" in checked.stdout
    assert "4 environments checked, 3 problems" in checked.stdout
    assert "p/main.star:2: with lacks: function run got an unexpected" in checked.stdout, checked.stdout
    found = json.loads(call("validate", str(tmp_path / "r"), "-o", "json").stdout)
    assert (found["ok"], len(found["problems"])) == (False, 3)


def test_an_environment_says_where_its_package_begins(call: Any, tmp_path: Path) -> None:
    folder = package(tmp_path / "p", "def run(plan):\n    fail('the usual one')\n")
    (folder / "nets").mkdir()
    (folder / "nets" / "small.star").write_text("def start(size):\n    fail('size', size)\n")
    entry = "package: p, args: {size: 3}, main_file: nets/small.star, main_function: start"
    (tmp_path / "gitopsd.yaml").write_text(f"environments: {{dev: {{{entry}}}}}\n")
    checked = call("validate", str(tmp_path))
    assert checked.returncode != 0 and "nets/small.star:2: with dev: fail: size 3" in checked.stdout, checked.stdout


def test_a_package_is_checked_with_each_of_its_argument_files(call: Any, tmp_path: Path) -> None:
    folder = package(tmp_path / "p", SERVICE)
    (tmp_path / "good.yaml").write_text("name: web\n")
    (tmp_path / "bad.yaml").write_text("name: [\n")
    files = ("--args", str(tmp_path / "good.yaml"), "--args", str(tmp_path / "bad.yaml"))
    checked = call("validate", str(folder), *files)
    assert checked.returncode == 3
    assert "2 argument files checked, 1 problem" in checked.stdout
    assert "bad.yaml" in checked.stdout


def test_templates_and_jq_programs_that_cannot_be_parsed_are_found(call: Any, tmp_path: Path) -> None:
    source = """
def run(plan):
    plan.render_templates(name="conf", config={
        "good": struct(template="{{ .x | nothing }}", data={}), "bad": struct(template="a\\n{{ .x", data={}),
        "late": struct(template="{{ index .x 9 }}", data={"x": []})})
    recipe = GetHttpRequestRecipe(port_id="a", endpoint="/", extract={"one": ".[", "two": "input | error"})
    plan.add_service("web", ServiceConfig(image="a", ports={"a": PortSpec(80)},
        ready_conditions=ReadyCondition(recipe, "code", "==", 200)))
    plan.exec("web", ExecRecipe(["true"], extract={"k": "fromjson | . as $x | $y"}))
"""
    checked = call("validate", str(package(tmp_path / "p", source)))
    assert checked.returncode == 3
    assert "1 package checked, 4 problems" in checked.stdout, checked.stdout
    assert "error: main.star:3: artifact/conf bad: the template cannot be parsed: template: bad:2:" in checked.stdout
    assert 'function "nothing" not defined' in checked.stdout
    assert "error: main.star:7: service/web extract one: the jq program '.[' cannot be compiled" in checked.stdout
    assert "exec/web@0 extract k" in checked.stdout


def test_the_graph_of_a_plan_is_shown_in_each_of_its_forms(call: Any, tmp_path: Path) -> None:
    source = 'def run(plan):\n  plan.add_service("a", ServiceConfig(image="a"))\n  plan.exec("a", ExecRecipe(["x"]))'
    folder = str(package(tmp_path / "p", source))
    assert "   2. exec/a@0  <- service/a\n" in call("plan", folder, "--graph").stdout
    assert '"service/a" -> "exec/a@0";' in call("plan", "--graph=dot", folder, "--order", "staged").stdout
    data = json.loads(call("plan", folder, "--graph=json").stdout)
    assert data["edges"] == [{"before": "service/a", "after": "exec/a@0", "why": "need"}]
    assert call("plan", folder, "--graph=png").returncode == 2


def test_the_manual_is_there_and_an_unknown_page_is_suggested(call: Any) -> None:
    assert "configuration" in call("docs").stdout
    assert call("docs", "reasons").stdout.startswith("# Reasons")
    wrong = call("docs", "reason")
    assert wrong.returncode == 3
    assert "did you mean 'reasons'?" in wrong.stderr


def test_without_a_configuration_a_verb_says_what_to_do(call: Any, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("state-dir: x\nlimits: {runs: 0}\n")
    wrong = call("status", "--config", str(tmp_path / "wrong.yaml"))
    assert wrong.returncode == 3
    assert "wrong.yaml:1: state-dir: unknown key (did you mean 'state_dir'?)" in wrong.stderr
    assert "wrong.yaml:2: limits.runs" in wrong.stderr


def test_a_folder_or_an_argument_file_that_is_not_there_is_what_is_named(call: Any, tmp_path: Path) -> None:
    folder = package(tmp_path / "p", SERVICE)
    misspelt = call("plan", "packages-nope")
    assert misspelt.returncode == 3
    assert "there is no folder packages-nope" in misspelt.stderr
    assert "--config" in misspelt.stderr
    assert "main.star is no folder" in call("plan", str(folder / "main.star")).stderr
    inline = call("plan", str(folder), "--args", '{"name": "web"}')
    assert "--args takes the path of a file" in inline.stderr
    for verb in ("plan", "validate"):
        bare = call(verb, str(tmp_path))
        assert (bare.returncode, "has no file kurtosis.yml (" in bare.stderr + bare.stdout) == (3, True), bare


def test_a_folder_that_is_neither_is_told_what_each_would_hold(call: Any, tmp_path: Path) -> None:
    (tmp_path / "gitopsd.yml").write_text("environments: {}\n")
    checked = call("validate", str(tmp_path))
    assert checked.returncode == 3
    assert "an environment repository has gitopsd.yaml at its root" in checked.stdout


def test_the_same_mistake_of_many_services_is_listed_once(call: Any, tmp_path: Path) -> None:
    source = """
def run(plan):
    for name in ("a", "b"):
        plan.add_service(name, ServiceConfig(image="i", files={"/x": "nothing"}))
"""
    wrong = call("plan", str(package(tmp_path / "p", source)))
    assert (wrong.returncode, wrong.stdout.count("there is no files artifact 'nothing'")) == (3, 1)

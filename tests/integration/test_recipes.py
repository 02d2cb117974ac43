"""Packages whose every step is real: tasks, recipes, captures and checks over processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitopsd.errors import Reason
from gitopsd.model.run import Verdict
from tests.integration.recipe_site import WEB, RecipeSite


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RecipeSite]:
    made = RecipeSite(tmp_path)
    yield made
    made.backend.destroy("dev")


def test_tasks_report_the_exit_codes_that_their_authors_meant(site: RecipeSite) -> None:
    texts = {
        "exit 0": 0, "exit 3": 3, "set -e; false; echo never": 1, "(exit 4)": 4, "true\\n": 0, "true;": 0,
        "sleep 0 &": 0, "true # a comment": 0, "echo 'a b' | { read x y; test \\\"$y\\\" = b; }": 0,
        "nonsense-4711": 127, "trap 'exit 9' EXIT; true": 9, "echo a >&2; exec sh -c 'exit 5'": 5,
    }  # fmt: skip
    lines = [
        f'    t{number} = plan.run_sh(name="t{number}", run="{text}", skip_code_check=True)\n'
        f'    plan.verify(t{number}.code, "==", {code})\n'
        for number, (text, code) in enumerate(texts.items())
    ]
    main = "def run(plan):\n" + "".join(lines)
    main += '    p = plan.run_python(name="p", run="import sys\\nsys.exit(7)", acceptable_codes=[7])\n'
    main += '    plan.verify(p.code, "==", 7)\n'
    assert site.run(main).verdict is Verdict.SUCCEEDED


def test_a_task_whose_code_is_not_accepted_fails_with_its_last_words(site: RecipeSite) -> None:
    run = site.run('def run(plan):\n    plan.run_sh(name="bad", run="echo so it goes; exit 3")\n')
    assert run.verdict is Verdict.FAILED
    assert run.problems[0].reason is Reason.COMMAND_FAILED
    assert "code 3" in run.problems[0].message
    assert "so it goes" in run.problems[0].message


def test_texts_and_arguments_of_tasks_reach_the_program_as_they_are(site: RecipeSite) -> None:
    main = """
def run(plan):
    odd = ["a b", "$HOME", "'q\\"", ""]
    plan.print(plan.run_python(name="args", run="import sys; print(sys.argv[1:])", args=odd).output)
    plan.print(plan.run_python(name="dollar", run="print('$HOME', '`id`')").output)
    plan.print(plan.run_sh(name="env", run="printf '%s|' \\"$A\\" '$A'", env_vars={"A": "x  y $B `id`"}).output)
    one = plan.run_sh(name="one", run="printf 'first\\nsecond\\n'")
    plan.print(plan.run_sh(name="two", run="cat <<'E'\\n" + one.output + "E").output)
    plan.verify(one.output, "==", "first\\nsecond\\n")
    plan.verify("x" + one.output, "!=", "xfirst")
"""
    assert site.printed(main) == [
        "['a b', '$HOME', '\\'q\"', '']\n", "$HOME `id`\n", "x  y $B `id`|$A|", "first\nsecond\n",
    ]  # fmt: skip


def test_artifacts_are_stored_merged_and_mounted_as_the_language_says(site: RecipeSite) -> None:
    main = """
def run(plan):
    run = "mkdir -p /out/sub && echo 1 > /out/a && echo 2 > /out/sub/b && echo 3 > /one"
    made = plan.run_sh(name="made", run=run, store=[
        StoreSpec(src="/out", name="folder"), StoreSpec(src="/out/*", name="star"), StoreSpec(src="/one", name="file")])
    plan.verify(str(made.files_artifacts), "==", '["folder", "star", "file"]')
    other = plan.render_templates(name="other", config={"a": struct(template="other {{ .x }}", data={"x": 1})})
    show = "cd /m && find . -type f | sort | xargs grep -H ."
    for name in ["folder", "star", "file"]:
        plan.print(plan.run_sh(name="show-" + name, run=show, files={"/m": name}).output)
    plan.add_service("keep", ServiceConfig(image="busybox", entrypoint=["sleep", "1000"], files={
        "/m": Directory(artifact_names=["folder", other]), "/n": Directory(artifact_names=[other, "folder"])}))
    plan.print(plan.exec("keep", ExecRecipe(["sh", "-c", "cat /m/a /m/sub/b; echo; cat /n/a"]))["output"])
    plan.exec("keep", ExecRecipe(["sh", "-c", "mkdir -p /tmp/d/e && echo 4 > /tmp/d/e/f && echo 5 > /tmp/d/.g"]))
    for name, src in {"dir": "/tmp/d", "slash": "/tmp/d/", "all": "/tmp/d/*", "single": "/tmp/d/e/f"}.items():
        plan.store_service_files("keep", src, name=name)
        plan.print(plan.run_sh(name="took-" + name, run=show, files={"/m": name}).output)
"""
    both = "./a:1\n./sub/b:2\n"
    folder = "./.g:5\n./e/f:4\n"
    assert site.printed(main) == [
        both, both, "./one:3\n", "other 12\n\n1\n", folder, folder, folder, "./f:4\n",
    ]  # fmt: skip


def test_what_a_task_should_store_and_did_not_is_told(site: RecipeSite) -> None:
    run = site.run('def run(plan):\n    plan.run_sh(name="t", run="true", store=["/nope"])\n')
    assert (run.verdict, run.problems[0].reason) == (Verdict.FAILED, Reason.ARTIFACT_MISSING)
    assert "/nope" in run.problems[0].message


def test_http_recipes_and_their_extracts_keep_types_and_verify_knows_them(site: RecipeSite) -> None:
    main = (
        WEB
        + """
def run(plan):
    web(plan)
    got = plan.request("web", GetHttpRequestRecipe("http", "/a?b=c d", headers={"X-Agent": "me"}, extract={
        "path": ".path", "agent": ".agent", "list": ".list[]", "whole": ".list", "yes": ".yes",
        "text": ".yes | tostring", "number": ".number", "half": ".half", "deep": ".deep"}))
    plan.verify(got["code"], "==", 200)
    plan.verify(got["extract.path"], "==", "/a?b=c%20d")
    plan.verify(got["extract.agent"], "==", "me")
    plan.verify(got["extract.number"], "==", 3)
    plan.verify(got["extract.yes"], "==", True)
    plan.verify(got["code"], "<", 300)
    plan.print("{} {} {} {} {} {}".format(got["extract.list"], got["extract.whole"], got["extract.yes"],
        got["extract.text"], got["extract.half"], got["extract.deep"]))
    sent = plan.request("web", PostHttpRequestRecipe(
        port_id="http", endpoint="/", body=json.encode({"u": got["extract.agent"]}), content_type="text/x",
        extract={"body": ".body", "type": ".type[]"}), acceptable_codes=[201])
    plan.print(sent["extract.body"] + " " + sent["extract.type"])
    ran = plan.exec("web", ExecRecipe(["sh", "-c", "echo '{\\"a\\": [1, 2]}'"], extract={
        "sum": "fromjson | .a | add", "first": "fromjson | .a[0]", "plain": ". | length"}))
    plan.verify(ran["extract.sum"], "==", 3)
    plan.verify(ran["extract.plain"], "==", 14)
    plan.verify(ran["code"], "==", 0)
"""
    )
    assert site.printed(main) == [
        '[1, 2] [1, None, 2] True true 0.5 {"a": {"b": "c"}}', '{"u":"me"} text/x',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ('plan.exec("web", ExecRecipe(["echo", "x"], extract={"k": "empty"}))', "gave no result"),
        ('plan.exec("web", ExecRecipe(["echo", "x"], extract={"k": "fromjson"}))', "jq"),
        ('plan.exec("web", ExecRecipe(["echo", "x"], extract={"k": "null"}))', "gave no result"),
        ('plan.verify(plan.exec("web", ExecRecipe(["true"]))["code"], "==", "0")', "cannot compare"),
        ('plan.wait("web", ExecRecipe(["false"]), "code", "==", 0, interval="100ms", timeout="1s")', "within 1 s"),
        ('plan.exec("web", ExecRecipe(["sh", "-c", "exit 4"]), acceptable_codes=[0, 3])', "code 4"),
    ],
)
def test_what_does_not_hold_fails_with_its_reason(site: RecipeSite, step: str, message: str) -> None:
    service = 'plan.add_service("web", ServiceConfig(image="busybox", entrypoint=["sleep", "1000"]))'
    run = site.run(f"def run(plan):\n    {service}\n    {step}\n")
    assert run.verdict is Verdict.FAILED
    assert message in run.problems[0].message


def test_waits_and_ready_conditions_ask_again_until_they_hold(site: RecipeSite) -> None:
    main = (
        WEB
        + """
def run(plan):
    web(plan, ready_conditions=ReadyCondition(
        recipe=GetHttpRequestRecipe(port_id="http", endpoint="/", extract={"c": ".deep.a.b"}), field="extract.c",
        assertion="==", target_value="c", interval="100ms", timeout="20s"))
    counter = "n=$(cat /tmp/n 2>/dev/null || echo 0); n=$((n+1)); echo $n > /tmp/n; printf $n; test $n -ge 3"
    last = plan.wait("web", ExecRecipe(["sh", "-c", counter]), "code", "==", 0, interval="50ms", timeout="20s")
    plan.verify(last["output"], "==", "3")
    many = plan.wait("web", ExecRecipe(["echo", "b"]), "output", "IN", ["a\\n", "b\\n"])
    plan.verify(many["code"], "NOT_IN", [1, 2])
    late = plan.wait("web", GetHttpRequestRecipe(port_id="http", endpoint="/"), "code", ">=", 200, timeout="5s")
    plan.verify(late["code"], "<=", 200)
"""
    )
    assert site.run(main).verdict is Verdict.SUCCEEDED

"""Recipes, waits and references over real processes and servers, sentence by sentence of the reference."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitopsd.errors import Reason
from gitopsd.model.run import Run, Verdict
from gitopsd.model.values import thaw
from tests.integration.recipe_site import WEB, RecipeSite
from tests.stage.world import prints_of

KEEP = 'plan.add_service("keep", ServiceConfig(image="busybox", entrypoint=["sleep", "1000"]))'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RecipeSite]:
    made = RecipeSite(tmp_path)
    yield made
    made.backend.destroy("dev")


def failure(run: Run) -> tuple[Reason, str]:
    assert run.verdict in (Verdict.FAILED, Verdict.ROLLED_BACK)
    return run.problems[0].reason, run.problems[0].message


def web(*lines: str) -> str:
    return WEB + "\ndef run(plan):\n    web(plan)\n" + "".join(f"    {line}\n" for line in lines)


def keep(*lines: str) -> str:
    return f"def run(plan):\n    {KEEP}\n" + "".join(f"    {line}\n" for line in lines)


def test_a_command_gives_its_code_and_both_outputs_as_they_are(site: RecipeSite) -> None:
    main = keep(
        'mixed = plan.exec("keep", ExecRecipe(["sh", "-c", "echo out; echo err >&2; printf \' end \\n\\n\'"]))',
        'plan.verify(mixed["output"], "==", "out\\nerr\\n end \\n\\n")',
        'bad = plan.exec("keep", ExecRecipe(["sh", "-c", "exit 7"]), acceptable_codes=[0, 7])',
        'plan.verify(bad["code"], "==", 7)',
        'any = plan.exec("keep", ExecRecipe(["sh", "-c", "echo \\"[1]\\"; exit 9"], extract={"n": "fromjson | .[0]"}),',
        "    skip_code_check=True)",
        'plan.verify(any["code"], "==", 9)',
        'plan.verify(any["extract.n"], "==", 1)',
        'bare = plan.exec("keep", ExecRecipe(["printf", "%s|", "a b", "$HOME", "*"]))',
        'plan.verify(bare["output"], "==", "a b|$HOME|*|")',
    )
    assert site.run(main).verdict is Verdict.SUCCEEDED


def test_a_request_takes_the_codes_of_success_unless_others_are_named(site: RecipeSite) -> None:
    ask = 'plan.request("web", GetHttpRequestRecipe("http", "/code/{}"){})'
    fine = [ask.format(code, "") for code in (200, 202, 208, 226)]
    named = ask.format(404, ", acceptable_codes=[404, 410]")
    any_code = f"broken = {ask.format(500, ', skip_code_check=True')}"
    check = 'plan.verify(broken["code"], "==", 500)'
    assert site.run(web(*fine, named, any_code, check)).verdict is Verdict.SUCCEEDED
    for code in (209, 404, 503):
        reason, message = failure(site.run(web(ask.format(code, ""))))
        assert reason is Reason.REQUEST_FAILED
        assert f"code {code}" in message


def test_redirects_are_followed_while_they_stay_on_the_service(site: RecipeSite) -> None:
    get = 'GetHttpRequestRecipe("http", "{}", extract={{"path": ".path"}})'
    post = 'PostHttpRequestRecipe("http", "{}", body="b", headers={{"content-type": "text/y"}}, extract={})'
    main = web(
        f'near = plan.request("web", {get.format("/to//x?y=1")})',
        f'whole = plan.request("web", {get.format("/to/HERE/z")})',
        f'twice = plan.request("web", {get.format("/to//to//last")})',
        'away = plan.request("web", GetHttpRequestRecipe("http", "/to/http://127.0.0.1:9/x"), acceptable_codes=[302])',
        f'look = plan.request("web", {post.format("/look", {"path": ".path"})})',
        f'again = plan.request("web", {post.format("/again", {"body": ".body", "type": ".type"})},',
        "    acceptable_codes=[201])",
        'all = [near["extract.path"], whole["extract.path"], twice["extract.path"], look["extract.path"]]',
        'plan.print(" ".join(all + [again["extract.body"], again["extract.type"]]))',
    )
    assert site.printed(main) == ['/x?y=1 /z /last /there b ["text/y"]']


def test_a_wait_asks_at_once_and_then_at_every_interval_though_the_recipe_is_slow(site: RecipeSite) -> None:
    stamp = "date +%s.%N >> /tmp/stamps; sleep 0.3; test $(wc -l < /tmp/stamps) -ge 4"
    main = keep(
        f'plan.wait("keep", ExecRecipe(["sh", "-c", "{stamp}"]), "code", "==", 0, interval="1s", timeout="20s")',
        'plan.print(plan.exec("keep", ExecRecipe(["cat", "/tmp/stamps"]))["output"])',
    )
    stamps = [float(line) for line in site.printed(main)[0].split()]
    gaps = [after - before for before, after in itertools.pairwise(stamps)]
    assert len(gaps) == 3
    assert all(0.7 < gap < 1.25 for gap in gaps)


def test_a_wait_tries_again_whatever_went_wrong_and_asks_for_no_code(site: RecipeSite) -> None:
    write = """n=$(cat /tmp/n || echo 0); echo $((n+1)) > /tmp/n; test $n -gt 1 && echo '{"a": 5}' || echo no"""
    main = web(
        f'found = plan.wait("web", ExecRecipe(["sh", "-c", \'\'\'{write}\'\'\'], extract={{"a": "fromjson | .a"}}),',
        '    "extract.a", "==", 5, interval="50ms", timeout="20s")',
        'plan.verify(found["code"], "==", 0)',
        'bad = plan.wait("web", GetHttpRequestRecipe("http", "/code/503"), "code", "==", 503, interval="50ms")',
        'plan.verify(bad["body"], "==", "{\\"code\\": 503}")',
    )
    assert site.run(main).verdict is Verdict.SUCCEEDED


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ('GetHttpRequestRecipe("http", "/slow/60")', "no whole answer within"),
        ('GetHttpRequestRecipe("http", "/drip/60")', "no whole answer within"),
        ('ExecRecipe(["sleep", "60"])', "did not end in time"),
    ],
)
def test_a_try_that_hangs_does_not_outlast_its_wait(site: RecipeSite, recipe: str, said: str) -> None:
    started = time.monotonic()
    run = site.run(web(f'plan.wait("web", {recipe}, "code", "==", 0, interval="100ms", timeout="2s")'))
    reason, message = failure(run)
    assert reason is Reason.TIMED_OUT
    assert said in message
    assert time.monotonic() - started < 15


def test_a_body_that_is_no_json_fails_its_extract_and_nothing_else(site: RecipeSite) -> None:
    ask = 'plan.request("web", GetHttpRequestRecipe("http", "/text/NaN"{}))'
    fine = [f"plain = {ask.format('')}", 'plan.verify(plain["body"], "==", "NaN")']
    assert site.run(web(*fine)).verdict is Verdict.SUCCEEDED
    reason, message = failure(site.run(web(ask.format(', extract={"a": "."}'))))
    assert reason is Reason.EXTRACT_FAILED
    assert "not JSON" in message


def test_a_ready_condition_that_never_holds_fails_its_service_with_its_last_lines(site: RecipeSite) -> None:
    condition = 'ReadyCondition(ExecRecipe(["false"]), "code", "==", 0, interval="100ms", timeout="1s")'
    start = 'image="busybox", entrypoint=["sh", "-c", "echo so far; sleep 99"]'
    config = f"ServiceConfig({start}, ready_conditions={condition})"
    reason, message = failure(site.run(f'def run(plan):\n    plan.add_service("web", {config})\n'))
    assert reason is Reason.SERVICE_NOT_READY
    assert "code == 0 did not hold within 1 s" in message
    assert "so far" in message


def test_the_time_of_a_task_is_limited_unless_it_is_none(site: RecipeSite) -> None:
    fine = 'plan.run_sh(name="t", run="sleep 1.5; echo done", wait=None)'
    assert site.printed(f"def run(plan):\n    plan.print({fine}.output)\n") == ["done\n"]
    for task in (
        'run_sh(name="t", run="echo begun; sleep 60"',
        'run_python(name="t", run="import time; time.sleep(60)"',
    ):
        reason, _ = failure(site.run(f'def run(plan):\n    plan.{task}, wait="1s")\n'))
        assert reason is Reason.TIMED_OUT


def test_files_of_packages_services_and_tasks_lie_where_the_reference_puts_them(site: RecipeSite) -> None:
    main = keep(
        'show = "cd /m && find . -type f | sort | xargs grep -H ."',
        'plan.upload_files("./data", name="folder")',
        'plan.upload_files("./data/one.txt", name="file")',
        'made = plan.exec("keep", ExecRecipe(["sh", "-c", "mkdir -p /tmp/x/y; echo 3 > /tmp/x/y/three; echo made"]))',
        'plan.store_service_files("keep", "/tmp/x", name="stored", depends_on=made["output"])',
        'left = plan.run_sh(name="left", run="mkdir /o; echo 4 > /o/four", store=["/o", StoreSpec(src="/o/four")])',
        'for name in ["folder", "file", plan.get_files_artifact("stored")] + left.files_artifacts:',
        '    plan.print(plan.run_sh(name="show-" + name, run=show, files={"/m": name}).output)',
    )
    files = {"data/one.txt": b"1\n", "data/deep/two.txt": b"2\n"}
    assert site.printed(main, files) == [
        "./deep/two.txt:2\n./one.txt:1\n", "./one.txt:1\n", "./y/three:3\n", "./four:4\n", "./four:4\n",
    ]  # fmt: skip


def test_a_path_that_a_service_does_not_have_cannot_be_stored(site: RecipeSite) -> None:
    for path in ("/nothing/here", "/nothing/*"):
        reason, message = failure(site.run(keep(f'plan.store_service_files("keep", "{path}", name="x")')))
        assert reason is Reason.ARTIFACT_MISSING
        assert "nothing" in message


def test_every_text_of_an_instruction_may_hold_a_value_of_an_earlier_one(site: RecipeSite) -> None:
    main = (
        WEB
        + """
def run(plan):
    word = plan.run_sh(name="word", run="printf 'a\\"b\\\\\\\\c\\n$d'").output
    path = plan.run_sh(name="path", run="printf there").output
    host = web(plan)
    keep = plan.add_service("keep", ServiceConfig(image="busybox",
        entrypoint=["sh", "-c", 'echo "$1" "$W"; sleep 999', word], cmd=[path],
        env_vars={"W": word, "IP": host.ip_address, "OWN": "KURTOSIS_IP_ADDR_PLACEHOLDER"},
        ready_conditions=ReadyCondition(ExecRecipe(["printf", "%s", path]), "output", "==", "there")))
    plan.print(plan.exec("keep", ExecRecipe(["sh", "-c", 'printf "%s|%s" "$W" "$IP" | tail -n 1']))["output"] +
        "=" + word + "|" + host.ip_address)
    own = plan.exec("keep", ExecRecipe(["sh", "-c", "printf $OWN"]))["output"]
    plan.verify(own, "==", keep.ip_address)
    got = plan.request("web", GetHttpRequestRecipe("http", "/" + path, headers={"X-Agent": path}, extract={
        "path": ".path", "agent": ".agent"}))
    plan.print(got["extract.path"] + " " + got["extract.agent"])
    sent = plan.request("web", PostHttpRequestRecipe("http", "/", body=json.encode({"u": keep.hostname}), extract={
        "body": ".body | fromjson | .u", "type": ".type[]"}))
    plan.print(sent["extract.body"] + " " + sent["extract.type"])
    plan.print(plan.run_python(name="args", run="import sys; print(sys.argv[1:])", args=["x", word, path]).output)
    plan.print(plan.run_sh(name="env", run="printf '%s' \\"$W\\"", env_vars={"W": word}).output)
    made = plan.render_templates(name="made", config={"f": struct(
        template="{{ .w }}|{{ .code }}|{{ eq .code \\"200\\" }}|{{ .ip }}|{{ .l }}",
        data={"w": word, "code": got["code"], "ip": host.ip_address, "l": [path, {"k": "<" + path + ">"}]})})
    plan.print(plan.run_sh(name="show", run="cat /m/f", files={"/m": made}).output)
    plan.verify(path + "!", "==", "there!")
    plan.verify("there", "==", path)
    plan.wait("keep", ExecRecipe(["printf", "there"]), "output", "==", path)
"""
    ).replace("    plan.print(keep.ip_address == host.ip_address, keep.hostname)\n", "")
    word = 'a"b\\c\n$d'
    told = site.printed(main)
    address = told[0].rpartition("|")[2]
    assert told == [
        f"$d|{address}={word}|{address}",
        "/there there",
        "keep application/json",
        f"{['x', word, 'there']!r}\n",
        word,
        f"{word}|200|true|{address}|[there map[k:<there>]]",
    ]


def test_values_are_written_into_texts_as_starlark_writes_them(site: RecipeSite) -> None:
    main = web(
        'r = plan.request("web", GetHttpRequestRecipe("http", "/", extract={"yes": ".yes", "text": ".yes | tostring",',
        '    "list": "[.path, .half]", "dict": ".deep", "number": ".number", "big": "12345678901234567890"}))',
        'keys = ["yes", "text", "list", "dict", "number", "big"]',
        'texts = {k: "<" + r["extract." + k] + ">" for k in keys}',
        'plan.add_service("keep", ServiceConfig(image="busybox", entrypoint=["sleep", "99"], env_vars=texts))',
        'show = "set -f; echo $yes$text$list$dict$number$big"',
        'plan.print(plan.exec("keep", ExecRecipe(["sh", "-c", show]))["output"])',
        'plan.verify("x" + r["code"], "==", "x200")',
        'plan.verify(r["extract.yes"], "==", True)',
        'plan.verify(r["extract.list"], "==", ["/", 0.5])',
        'plan.verify(r["extract.number"], "IN", [2, 3])',
        'plan.verify(r["extract.text"], "NOT_IN", [True, "True"])',
    )
    assert site.printed(main) == ['<True><true><["/", 0.5]><{"a": {"b": "c"}}><3><12345678901234567890>\n']


def test_the_vectors_of_the_reference_for_values_that_come_later(site: RecipeSite) -> None:
    main = web(
        'host = plan.get_service("web")',
        'plan.verify(str(len(host.ip_address) > 0 and bool(host.ip_address)), "==", "True")',
        'plan.print("a" + host.ip_address + "b")',
        'said = plan.exec("web", ExecRecipe(["echo", "hi"]))',
        'plan.verify(said["code"], "==", 0)',
        'plan.verify("x" + said["output"], "==", "xhi\\n")',
        'plan.print(plan.run_sh(name="two", run="echo " + said["output"] + "echo ho").output)',
        'plan.print(["<" + said["output"] + ">", {"code": said["code"]}, host.hostname])',
        'return struct(ip=host.ip_address, code=said["code"], text="-" + said["output"], plain=1)',
    )
    run = site.run(main)
    assert run.verdict is Verdict.SUCCEEDED, run.problems
    assert run.applied is not None
    texts = prints_of(run)
    address = texts[0][1:-1]
    assert texts == [f"a{address}b", "hi\nho\n", '["<hi\n>", {"code": "0"}, "web"]']
    assert address.startswith("127.")
    assert thaw(run.applied.output) == {"ip": address, "code": "0", "text": "-hi\n", "plain": 1}

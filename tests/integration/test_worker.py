"""Real workers: what they answer, and that a bomb ends its worker alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitopsd.adapters.worker.evaluator import WorkerEvaluator, WorkerLimits, WorkerSettings
from gitopsd.adapters.worker.process import search_path
from gitopsd.errors import GitopsdError, Reason, StepError, UserError
from gitopsd.model import codec
from gitopsd.model.package import EvaluationRequest, Missing, Package, Pin
from gitopsd.model.plan import Evaluation
from gitopsd.model.values import Frozen, freeze
from tests.stage.packages import mirror, request

SHORT = WorkerLimits(cpu=1, wall=4.0, answer=1024 * 1024)
LIMITED = WorkerEvaluator(WorkerSettings(evaluation=SHORT, small=SHORT))
PATIENT = WorkerEvaluator(WorkerSettings(evaluation=WorkerLimits(cpu=30, wall=60.0, answer=1024 * 1024)))
"""Short of memory and result alone, so that a loaded machine does not end a worker for its time."""
WORKERS = WorkerEvaluator()


def evaluated(folder: Path, main: str, **more: Any) -> Evaluation:
    return WORKERS.evaluate(request(folder / "mirror.git", {"main.star": main}, **more))


def refusal(call: Callable[[], object]) -> GitopsdError:
    with pytest.raises(GitopsdError) as caught:
        call()
    return caught.value


def run(body: str) -> str:
    return "def run(plan, args={}):\n" + "".join(f"    {line}\n" for line in body.splitlines())


# --- bombs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said", "workers"),
    [
        ("x = [1]\nfor i in range(100):\n    x = x + x", "more than 256 MiB of memory", PATIENT),
        ("x = 'a'\nfor i in range(100):\n    x = x + x", "more than 256 MiB of memory", PATIENT),
        ("for i in range(1000000000):\n    pass", "longer than 1 s of CPU time", LIMITED),
        ("x = 3\nfor i in range(100):\n    x = x * x", "longer than 1 s of CPU time", LIMITED),
        ("x = 'a' * 10000000\nreturn x", "more than 1 MiB of result", PATIENT),
    ],
    ids=["growing list", "growing text", "endless loop", "big integer", "big answer"],
)
def test_a_bomb_in_a_package_ends_its_worker_and_names_the_limit(
    tmp_path: Path, body: str, said: str, workers: WorkerEvaluator
) -> None:
    asked = request(tmp_path / "mirror.git", {"main.star": run(body)})
    error = refusal(lambda: workers.evaluate(asked))
    assert isinstance(error, UserError)
    assert error.reason is Reason.EVALUATION_LIMIT
    assert said in error.message
    assert "github.com/example/net" in error.message
    assert error.hint


@pytest.mark.parametrize("program", ["[range(3e7)]|length", "last(range(1e12))"])
def test_a_bomb_in_a_jq_program_ends_its_worker(program: str) -> None:
    assert refusal(lambda: LIMITED.extract(program, None)).reason is Reason.EVALUATION_LIMIT


def test_a_loop_in_a_template_ends_its_worker() -> None:
    text = "{{range .l}}{{range $.l}}{{range $.l}}{{range $.l}}x{{end}}{{end}}{{end}}{{end}}"
    error = refusal(lambda: LIMITED.render({"a.txt": (text, freeze({"l": list(range(300))}))}))
    assert error.reason in (Reason.EVALUATION_LIMIT, Reason.TEMPLATE_FAILED)


def test_an_alias_bomb_in_yaml_is_refused_with_its_place() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    error = refusal(lambda: LIMITED.load_yaml("\n".join(lines).encode(), "args.yaml"))
    assert error.reason is Reason.EVALUATION_LIMIT
    assert error.position.startswith("args.yaml:")


def test_others_go_on_while_bombs_go_off(tmp_path: Path) -> None:
    bomb = request(tmp_path / "bomb.git", {"main.star": run("for i in range(1000000000):\n    pass")})
    errors: list[GitopsdError] = []
    threads = [
        threading.Thread(target=lambda: errors.append(refusal(lambda: LIMITED.evaluate(bomb)))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert evaluated(tmp_path, run("return 1")).plan is not None
    assert WORKERS.extract(".a", Frozen({"a": 1})) == (1,)
    for thread in threads:
        thread.join()
    assert [error.reason for error in errors] == [Reason.EVALUATION_LIMIT] * 2


def test_a_package_that_throws_much_away_stays_within_its_memory(tmp_path: Path) -> None:
    body = "text = 'x' * 15000000\nfor i in range(60):\n    thrown = text + str(i)\nreturn len(thrown)"
    plan = PATIENT.evaluate(request(tmp_path / "mirror.git", {"main.star": run(body)})).plan
    assert plan is not None
    assert plan.output == 15_000_002


# --- secrets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["env", "$ENV", "[env, $ENV] | tostring"])
def test_a_jq_program_sees_nothing_of_the_daemon_s_environment(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setenv("PLANTED", "canary-4711")
    assert "canary" not in repr(WORKERS.extract(program, None))


# --- answers ----------------------------------------------------------------------------------------------


def test_a_package_becomes_a_plan_with_positions(tmp_path: Path) -> None:
    main = run("s = plan.add_service('web', ServiceConfig(image='x'))\nreturn {'ip': s.ip_address}")
    plan = evaluated(tmp_path, main).plan
    assert plan is not None
    assert [(item.id, str(item.position)) for item in plan.instructions] == [("service/web", "main.star:2")]


def test_equal_requests_give_equal_plans(tmp_path: Path) -> None:
    asked = request(tmp_path / "mirror.git", {"main.star": run("plan.run_sh(run='x', store=['/a'])")})
    assert WORKERS.evaluate(asked) == WorkerEvaluator().evaluate(asked)  # another server hashes otherwise


def test_problems_name_the_author_s_file_line_and_stack(tmp_path: Path) -> None:
    main = "def inner(plan):\n    plan.add_service('web', 5)\n\ndef run(plan):\n    inner(plan)\n"
    (problem,) = evaluated(tmp_path, main).problems
    assert problem.reason is Reason.EVALUATION_FAILED
    assert problem.position == "main.star:2"
    assert "'config' is 5 (int), expected a ServiceConfig" in problem.message
    assert [frame[:2] for frame in problem.stack][:2] == [("main.star", 5), ("main.star", 2)]


def test_a_failing_package_shows_no_placeholder(tmp_path: Path) -> None:
    body = "s = plan.add_service('web', ServiceConfig(image='x'))\nfail('no ' + s.ip_address + args['pw'])"
    (problem,) = evaluated(tmp_path, run(body), args={"pw": {"secret": "PW"}}).problems
    assert "no <web ip_address><secret PW>" in problem.message


IMPORTING = "dep = import_module('github.com/other/lib/sub/lib.star@v1')\ndef run(plan):\n    return dep.VALUE\n"


def with_dependency(asked: EvaluationRequest, tmp_path: Path) -> EvaluationRequest:
    """The request with the dependency that IMPORTING asks for."""
    files = {"sub/lib.star": b"VALUE = read_file('./value.txt')", "sub/value.txt": b"from the tag"}
    commit = mirror(tmp_path / "lib.git", files)
    url = "https://127.0.0.1/other/lib.git"
    pin = Pin(root="github.com/other/lib", ref="v1", url=url, commit=commit)
    return EvaluationRequest(
        package=Package(locator=asked.package.locator, url=asked.package.url, commit=asked.package.commit, pins=(pin,)),
        arguments=asked.arguments,
        cluster_type="docker",
        mirrors=asked.mirrors.with_({url: str(tmp_path / "lib.git")}),
    )


def test_a_dependency_is_asked_for_and_then_read_from_its_own_mirror(tmp_path: Path) -> None:
    asked = request(tmp_path / "mirror.git", {"main.star": IMPORTING})
    library = Missing(locator="github.com/other/lib", ref="v1")
    assert WORKERS.evaluate(asked) == Evaluation(likely=(library,))
    (missing,) = WORKERS.evaluate(replace(asked, tried=(library,))).missing
    assert (missing, missing.position) == (library, "main.star:1")
    plan = WORKERS.evaluate(with_dependency(asked, tmp_path)).plan
    assert plan is not None
    assert plan.output == "from the tag"


def test_imports_are_looked_for_before_anything_runs_and_left_when_nothing_needs_them(tmp_path: Path) -> None:
    files = {
        "main.star": "lib = import_module('lib.star')\nfail('it ran')\ndef run(plan):\n    pass\n",
        "lib.star": "def unused():\n    return import_module('github.com/other/lib/a.star')\n",
    }
    asked = request(tmp_path / "mirror.git", files)
    library = Missing(locator="github.com/other/lib")
    assert WORKERS.evaluate(asked) == Evaluation(likely=(library,))
    (problem,) = WORKERS.evaluate(replace(asked, tried=(library,))).problems
    assert "it ran" in problem.message


def test_files_of_a_dependency_are_kept_for_its_commit_alone(tmp_path: Path) -> None:
    workers = WorkerEvaluator(WorkerSettings(cache=str(tmp_path / "cache")))
    complete = with_dependency(request(tmp_path / "mirror.git", {"main.star": IMPORTING}), tmp_path)
    first = workers.evaluate(complete)
    shutil.rmtree(tmp_path / "lib.git")
    assert workers.evaluate(complete) == first
    moved = replace(complete.package.pins[0], commit="0" * 40)
    refused = workers.evaluate(replace(complete, package=replace(complete.package, pins=(moved,))))
    assert "cannot read" in refused.problems[0].message


def test_lowered_sources_are_kept_and_used_again(tmp_path: Path) -> None:
    workers = WorkerEvaluator(WorkerSettings(cache=str(tmp_path / "cache")))
    asked = request(tmp_path / "mirror.git", {"main.star": run("return [1][0]")})
    first = workers.evaluate(asked)
    assert kept(tmp_path / "cache")
    assert workers.evaluate(asked) == first


def kept(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if not path.name.startswith(".")]


def test_what_is_kept_is_bounded_and_made_again_when_it_was_lost(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    complete = with_dependency(request(tmp_path / "mirror.git", {"main.star": IMPORTING}), tmp_path)
    first = WorkerEvaluator(WorkerSettings(cache=str(cache), cache_size=0)).evaluate(complete)
    assert first.plan is not None and kept(cache) == []
    assert WorkerEvaluator(WorkerSettings(cache=str(cache))).evaluate(complete) == first
    assert kept(cache)


def test_templates_are_rendered_as_go_does() -> None:
    data = freeze({"n": 9, "list": ["a", "b"]})
    files = {"a.txt": ("{{ .n }}{{ range .list }} {{ . }}{{ end }}\n", data), "b/c": ("x", None)}
    assert WORKERS.render(files) == {"a.txt": b"9 a b\n", "b/c": b"x"}


def test_a_template_that_fails_is_named() -> None:
    error = refusal(lambda: WORKERS.render({"a.txt": ("{{ .n", None)}))
    assert isinstance(error, StepError)
    assert error.reason is Reason.TEMPLATE_FAILED
    assert "'a.txt'" in error.message


def test_jq_gives_every_result_in_order() -> None:
    document = freeze({"a": [1, {"b": 2.5}, None, "x"]})
    assert WORKERS.extract(".a[]", document) == (1, Frozen({"b": 2.5}), None, "x")
    assert WORKERS.extract("fromjson | .x", '{"x": "é"}') == ("é",)
    assert WORKERS.extract("empty", None) == ()


@pytest.mark.parametrize("program", [".[", ".a.b.c", 'error("no")', "input"])
def test_a_jq_program_that_fails_is_a_failed_step(program: str) -> None:
    error = refusal(lambda: WORKERS.extract(program, Frozen({"a": 1})))
    assert isinstance(error, StepError)
    assert error.reason is Reason.EXTRACT_FAILED


def test_yaml_is_data_with_marks_and_duplicates() -> None:
    found = WORKERS.load_yaml(b"a: 1\nb:\n  - x: yes\n  - 2\na: 3\n", "f.yaml")
    assert found.data == Frozen({"a": 3, "b": (Frozen({"x": True}), 2)})
    assert found.marks["b.0.x"] == (3, 8)
    assert found.marks["b.0.x#key"] == (3, 5)
    assert found.marks["b.1"] == (4, 5)
    assert found.duplicates == ("a",)


def test_a_text_that_was_read_lately_needs_no_worker() -> None:
    workers = WorkerEvaluator()
    found = workers.load_yaml(b"level: info\n", "a.yaml")
    assert workers.load_yaml(b"level: info\n", "b.yaml") is found
    assert workers.load_yaml(b"level: debug\n", "a.yaml").data == Frozen({"level": "debug"})
    assert refusal(lambda: workers.load_yaml(b"a: [", "a.yaml")).position == "a.yaml:2:1"
    assert refusal(lambda: workers.load_yaml(b"a: [", "b.yaml")).position == "b.yaml:2:1"


def test_documents_are_kept_within_a_bound() -> None:
    workers = WorkerEvaluator()
    small = workers.load_yaml(b"a: 1\n", "small.yaml")
    texts = [f"text: {letter * 300_000}\n".encode() for letter in "xy"]
    first, second = (workers.load_yaml(text, "large.yaml") for text in texts)
    assert workers.load_yaml(texts[1], "large.yaml") is second
    assert workers.load_yaml(texts[0], "large.yaml") is not first
    assert workers.load_yaml(b"a: 1\n", "small.yaml") is not small
    unfolded = b"a: &a " + b"x" * 60_000 + b"\nb: [" + b"*a, " * 20 + b"*a]\n"
    assert workers.load_yaml(unfolded, "huge.yaml") is not workers.load_yaml(unfolded, "huge.yaml")


def modules_of(asked: EvaluationRequest) -> set[str]:
    """What a process has imported after an evaluation."""
    payload = json.dumps({"request": codec.encode(asked), "cache": ""})
    program = (
        "import json, sys; sys.path[:0] = sys.argv[2:]; from gitopsd.daemon import evaluator; "
        "evaluator._evaluate(json.loads(sys.argv[1])); print(*sys.modules)"
    )
    command = [sys.executable, "-I", "-S", "-c", program, payload, *search_path()]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_an_evaluation_imports_nothing_heavy_that_it_does_not_use(tmp_path: Path) -> None:
    loaded = modules_of(request(tmp_path / "mirror.git", {"main.star": run("return 1")}))
    heavy = {"pydantic", "httpx", "sqlalchemy", "yaml", "jq", "kubernetes", "slack_sdk", "typer", "rich", "asyncio"}
    assert heavy.isdisjoint(loaded)
    assert "starlark_go" in loaded


def test_an_evaluation_of_a_folder_imports_no_git_library_and_no_pathlib(tmp_path: Path) -> None:
    (tmp_path / "main.star").write_text(run("return 1"))
    asked = request(tmp_path / "mirror.git", {"main.star": run("return 1")})
    folder = replace(
        asked, package=replace(asked.package, commit=""), mirrors=Frozen({asked.package.url: str(tmp_path)})
    )
    assert {"pygit2", "pathlib", "tempfile"}.isdisjoint(modules_of(folder))

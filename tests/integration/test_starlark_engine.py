"""The interpreter with a host: plan calls, Kurtosis types, imports at run time, arguments, problems, the cache."""

import json
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

WORKER = Path(__file__).with_name("starlark_worker.py")


def evaluate(main, *, files=None, **request):
    """Evaluate `main` as main.star in a process of its own."""
    sources = {"main.star": textwrap.dedent(main)} | {
        name: textwrap.dedent(text) for name, text in (files or {}).items()
    }
    done = subprocess.run(
        [sys.executable, "-c", "import runpy, sys; sys.path.insert(0, '.'); runpy.run_path(sys.argv[1])", str(WORKER)],
        input=json.dumps({"files": sources, **request}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def printed(answer):
    assert "problem" not in answer, answer
    return [call[1][0] for call in answer["calls"] if call[0] == "print"]


def test_a_plan_call_carries_its_arguments_and_the_line_of_the_author_under_any_name_of_the_plan():
    answer = evaluate(
        """\
        helper = import_module("./lib/helper.star")
        def run(plan):
            p = plan
            p.add_service(
                "web", config = ServiceConfig(image = "nginx", ports = {"http": PortSpec(80)}),
            )
            helper.add(plan)
        """,
        files={"lib/helper.star": "def add(x):\n    pass\n    return x.add_service(name = 'db', n = [1, 2.5, None])\n"},
    )
    port = {"type": "PortSpec", "number": 80}
    config = {"type": "ServiceConfig", "image": "nginx", "ports": {"http": port}}
    assert answer["calls"] == [
        ["add_service", ["web"], {"config": config}, "main.star", 4],
        ["add_service", [], {"name": "db", "n": [1, 2.5, None]}, "lib/helper.star", 3],
    ]


def test_results_are_objects_with_attributes_and_dicts_that_can_be_changed():
    answer = evaluate(
        """\
        def run(plan):
            services = plan.add_services({"a": 1, "b": 2})
            services["c"] = plan.add_service("c")
            plan.print([services[n].name for n in services])
            plan.print(services["a"].ports["http"].number)
            plan.print(type(services["a"]))
            odd = plan.odd()
            odd.append("more")
            plan.print(odd[1:])
            plan.print(plan.exec(recipe = None)["output"].split("\\0"))
        """
    )
    assert printed(answer) == [
        '["a", "b", "c"]',
        "80",
        "Service",
        '[(1, {"k": None}), 1000000000000000000000000000000, "é", "more"]',
        '["a", "b"]',
    ]


def test_an_object_of_a_kurtosis_type_has_its_set_fields_and_is_equal_only_to_itself():
    answer = evaluate(
        """\
        def run(plan):
            p = PortSpec(wait = None, number = 8080)
            plan.print(p)
            plan.print([type(p), p.number, hasattr(p, "wait"), dir(p), getattr(p, "x", 7)])
            plan.print([p == p, p == PortSpec(8080, None), p != p, bool(p), p in [p]])
            plan.print(json.encode({"p": p}))
            plan.print(PortSpec(1) + 1 if False else str(ServiceConfig))
            plan.print(PortSpec(1).wait)
        """
    )
    assert [call[1][0] for call in answer["calls"]] == [
        "PortSpec(number=8080, wait=None)",
        '["PortSpec", 8080, True, ["number", "wait"], 7]',
        "[True, False, False, True, True]",
        '{"p":{"number":8080,"wait":null}}',
        "<built-in function ServiceConfig>",
    ]
    assert answer["problem"].startswith("PortSpec has no .wait attribute")
    assert (answer["file"], answer["line"]) == ("main.star", 8)


def test_a_type_object_is_no_key():
    answer = evaluate("def run(plan):\n    x = {PortSpec(1): 2}\n")
    assert "unhashable" in answer["problem"]


def test_a_refusal_of_the_host_is_a_problem_at_the_authors_line_in_the_hosts_words():
    answer = evaluate("def run(plan):\n    def go():\n        plan.exec(1)\n    go()\n")
    assert answer["problem"] == "exec: 100% of the calls need 'recipe'"
    assert answer["kind"] == "host"
    assert answer["stack"] == [["main.star", 4, "run"], ["main.star", 3, "go"]]


def test_functions_reach_the_host_as_they_are_printed():
    answer = evaluate("def run(plan):\n    plan.exec('a', recipe = [len, run, plan.print, [].append])\n")
    names = ["<built-in function len>", "<function run>", "<built-in function print>"]
    assert answer["calls"][0][2] == {"recipe": [*names, "<built-in method append of list value>"]}


def test_values_that_hold_themselves_are_refused_as_arguments():
    answer = evaluate("def run(plan):\n    l = []\n    l.append(l)\n    plan.exec('a', recipe = l)\n")
    assert answer["problem"] == "exec: argument 'recipe' contains itself, expected plain data"
    assert answer["line"] == 4


def test_a_module_met_in_a_function_starts_the_evaluation_again_with_nothing_recorded_twice():
    answer = evaluate(
        """\
        def run(plan, name):
            plan.print("once")
            plan.print(import_module("./" + name + ".star").VALUE)
        """,
        files={"late.star": "VALUE = import_module('./later' + '.star').X\n", "later.star": "X = 'found'\n"},
        arguments={"name": "late"},
    )
    assert printed(answer) == ["once", "found"]
    assert answer["resets"] == 1


def test_a_repository_that_is_not_here_is_missing_only_when_it_is_really_imported():
    used = "def run(plan):\n    return import_module('github.com/other/repo/x.star').Y\n"
    assert evaluate(used)["missing"] == "github.com/other/repo/x.star"
    unused = "def run(plan, yes = False):\n    if yes:\n        import_module('github.com/other/repo/x.star')\n"
    assert evaluate(unused)["result"] is None
    top = {"dep.star": "other = import_module('github.com/other/repo/x.star')\n"}
    assert evaluate("m = import_module('./dep.star')\ndef run(plan):\n    pass\n", files=top)["missing"]
    assert evaluate("def run(plan):\n    if False:\n        import_module('./dep.star')\n", files=top)["result"] is None


def test_a_missing_file_is_a_problem_at_the_import():
    answer = evaluate("x = 1\nm = import_module('./none.star')\ndef run(plan):\n    pass\n")
    assert (answer["problem"], answer["line"], answer["kind"]) == ("no file none.star here", 2, "host")


def test_arguments_come_as_structs_when_the_parser_is_struct():
    main = "def run(plan, args):\n    plan.print([args.a.b, args.l[0]['c']])\n    plan.print(args.a)\n"
    arguments = {"_kurtosis_parser": "struct", "a": {"b": 1}, "l": [{"c": 2}]}
    assert printed(evaluate(main, arguments=arguments)) == ["[1, 2]", "struct(b = 1)"]
    assert evaluate(main, arguments={"_kurtosis_parser": "xml"})["kind"] == "entry"


def test_another_function_gets_the_plan_only_when_it_asks_for_it():
    main = "def deploy(plan, n):\n    plan.print(n)\ndef pure(n):\n    return {'n': [n]}\n"
    assert printed(evaluate(main, function="deploy", arguments={"n": 5})) == ["5"]
    assert evaluate(main, function="pure", arguments={"n": 5})["result"] == {"n": [5]}
    answer = evaluate(main, function="nothing")
    assert answer["kind"] == "entry"
    assert "no function 'nothing'" in answer["problem"]


def test_the_constants_of_the_operator_are_members_of_the_module_kurtosis():
    main = "def run(plan):\n    plan.print(kurtosis.aws_bucket_name)\n    kurtosis.none\n"
    answer = evaluate(main, constants={"aws_bucket_name": 'a"b\\\n'})
    assert answer["calls"][0][1] == ['a"b\\\n']
    assert answer["problem"].startswith("module has no .none field or method")


def test_nobody_can_forge_a_struct_or_reach_a_helper():
    answer = evaluate("def run(plan):\n    plan.print(('struct', 'a', 1))\n    return ƶ\n")
    assert answer["kind"] in ("resolve", "syntax")
    assert answer["calls"] == []


def test_lowered_sources_are_kept_in_a_private_folder_and_give_the_same_again(tmp_path):
    main = "def run(plan):\n    s = struct(a = [1])\n    plan.print(s.a[0] + 1)\n"
    cache = tmp_path / "lowered"
    first = evaluate(main, cache=str(cache))
    entries = list(cache.iterdir())
    assert len(entries) == 1
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert evaluate(main, cache=str(cache)) == first
    entries[0].write_text("not json")
    assert evaluate(main, cache=str(cache)) == first
    assert list(cache.iterdir()) == entries


def test_importing_the_interpreter_needs_none_of_the_daemons_libraries():
    code = "import sys; import gitopsd.adapters.starlark.engine; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    heavy = {"httpx", "pydantic", "yaml", "sqlalchemy", "kubernetes", "pygit2", "structlog", "rich", "typer"}
    assert heavy.isdisjoint(done.stdout.split())

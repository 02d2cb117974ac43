"""The design as tests: import contracts, sizes, and what lies at the top.

The lists of exceptions may only shrink: an entry that has become unnecessary fails as well.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gitopsd"
LONGEST_FUNCTION, LONGEST_FILE, MOST_PARAMETERS = 40, 350, 5
TOP = {
    "LICENSE", "README.md", "charts", "config", "gitopsd", "pyproject.toml", "sample-repo", "tests",
}  # fmt: skip
MADE_BY_TOOLS = {"build", "dist", "gitopsd.egg-info"}
FORBIDDEN_NAMES = ("Manager", "Helper", "Util", "Handler", "Context", "Base", "Impl", "Info")
LONG_FUNCTIONS: frozenset[str] = frozenset()
LONG_FILES: frozenset[str] = frozenset()
MANY_PARAMETERS: frozenset[str] = frozenset({
    # Each parameter is an option of the command line.
    "gitopsd/cli/history.py:verb",
    "gitopsd/cli/logs.py:verb",
    "gitopsd/cli/plan.py:verb",
})  # fmt: skip

STARTS_SOMETHING = (
    "subprocess", "multiprocessing", "socket", "socketserver", "http.server", "urllib.request", "httpx", "pygit2",
    "hypothesis", "gitopsd.adapters.git", "gitopsd.adapters.local.backend", "gitopsd.adapters.worker",
)  # fmt: skip
"""What unit and golden tests do without: processes, servers, sockets, real Git, random examples."""
LAYERS = ("unit", "golden", "contract", "property", "conformance", "integration", "security", "e2e")
STARTS_NOTHING = {f"tests.stage.{name}" for name in ("devnet", "ports", "records", "scripted", "scripts")}
STARTS_ANYWAY = frozenset({
    # The golden plans are those of real workers, which read real repositories.
    ("tests/golden/test_plans.py", "gitopsd.adapters.worker.evaluator"),
    ("tests/golden/test_plans.py", "tests.stage.packages"),
})  # fmt: skip


def sources() -> Iterator[tuple[str, str]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        yield str(file.relative_to(ROOT)), file.read_text("utf-8")


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for name, text in sources():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.name}", node


def imports_of(folder: str) -> Iterator[tuple[str, str]]:
    """The modules that the tests in a folder import, those inside of functions too; ``from a import b`` as ``a.b``
    where that is a module of the tests."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                module = node.module or ""
                names = [f"{module}.{name}" for name in names] if module == "tests.stage" else [module]
            yield from ((str(file.relative_to(ROOT)), name) for name in names)


def within(name: str, modules: Iterable[str]) -> bool:
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [item.arg for item in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


@pytest.fixture(scope="session")
def import_contracts() -> subprocess.CompletedProcess[str]:
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_imports_go_the_way_of_the_design(import_contracts: subprocess.CompletedProcess[str]) -> None:
    assert import_contracts.returncode == 0, import_contracts.stdout + import_contracts.stderr


def test_functions_are_short() -> None:
    long = {name for name, node in functions() if (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION}
    assert long == LONG_FUNCTIONS


def test_files_are_short() -> None:
    assert {name for name, text in sources() if text.count("\n") > LONGEST_FILE} == LONG_FILES


def test_functions_take_few_parameters() -> None:
    assert {name for name, node in functions() if parameters(node) > MOST_PARAMETERS} == MANY_PARAMETERS


def test_names_say_what_a_thing_is() -> None:
    classes = {
        f"{name}:{node.name}"
        for name, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef) and node.name.lstrip("_").endswith(FORBIDDEN_NAMES)
    }
    modules = {name for name, _ in sources() if Path(name).stem in ("common", "utils", "helpers", "misc", "base")}
    assert classes | modules == set()


def test_unit_and_golden_tests_start_nothing() -> None:
    found = {*imports_of("tests/unit"), *imports_of("tests/golden")}
    starting = {
        (file, name)
        for file, name in found
        if within(name, STARTS_SOMETHING) or (name.startswith("tests.stage") and name not in STARTS_NOTHING)
    }
    assert starting == STARTS_ANYWAY


def test_the_stage_that_unit_tests_stand_on_starts_nothing_either() -> None:
    modules = {name.removeprefix("tests.stage.") for name in STARTS_NOTHING}
    found = {(file, name) for file, name in imports_of("tests/stage") if Path(file).stem in modules}
    assert {Path(file).stem for file, _ in found} == modules
    leaving = {name for _, name in found if name.startswith("tests.")} - STARTS_NOTHING
    assert leaving | {name for _, name in found if within(name, STARTS_SOMETHING)} == set()


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_of_tests_takes_from_itself_and_the_stage_alone(layer: str) -> None:
    allowed = ("tests.stage", f"tests.{layer}")
    taken = {(file, name) for file, name in imports_of(f"tests/{layer}") if within(name, ["tests"])}
    assert {(file, name) for file, name in taken if not within(name, allowed)} == set()


def test_only_the_stage_and_the_contract_name_the_records_of_an_adapter() -> None:
    named = {"MemoryRecords", "FileRecords"}
    files = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and named & {alias.name for alias in node.names}
    }
    assert {name for name in files if not name.startswith("tests/contract/")} == {
        "tests/stage/records.py",
        "tests/benchmarks/record.py",  # it measures one adapter
    }


def test_the_top_level_has_the_entries_of_the_design_and_no_others() -> None:
    found = {item.name for item in ROOT.iterdir() if not item.name.startswith(".")}
    assert found - MADE_BY_TOOLS == TOP


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    heavy = "pydantic pydantic_settings sqlalchemy kubernetes slack_sdk apscheduler rich structlog pygit2 httpx yaml"
    code = f"""
import sys
import gitopsd.cli.app, gitopsd.cli.plan, gitopsd.daemon.offline, gitopsd.report.text
print(*[name for name in {heavy.split()!r} if name in sys.modules])
"""
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == []

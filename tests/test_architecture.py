"""The design as tests: import contracts, sizes, and what lies at the top.

The lists of exceptions may only shrink: an entry that has become unnecessary fails as well.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
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


def sources() -> Iterator[tuple[str, str]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        yield str(file.relative_to(ROOT)), file.read_text("utf-8")


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for name, text in sources():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.name}", node


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

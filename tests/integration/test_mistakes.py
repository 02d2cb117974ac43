"""Typical mistakes: each is told with its place, the value, what was expected and what to do, and touches nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitopsd import pipeline
from gitopsd.errors import GitopsdError
from gitopsd.fetch import read_environments
from gitopsd.model.environment import Source
from gitopsd.model.plan import Problem
from gitopsd.model.run import Follow
from tests.stage.chain import Chain
from tests.stage.processes import called
from tests.stage.repository import Checkout

FILE = "environments:\n  dev:\n    package: chain\n"
RUN = "def run(plan, count = 1):\n"
DB = "    plan.add_service('db', ServiceConfig(image = 'db:1', ports = {'sql': PortSpec(5432, wait = '1s')}))\n"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Chain]:
    found = Chain(tmp_path)
    yield found
    found.close()


def problems(site: Chain, files: dict[str, str | None]) -> list[str]:
    """Pushes files (None: none of that name) and follows; every problem as people read it."""
    defaults = {"gitopsd.yaml": FILE, "chain/kurtosis.yml": "name: github.com/a/b/chain\n", "chain/main.star": RUN + DB}
    written = {**defaults, **files}
    site.repository.push({name: text for name, text in written.items() if text is not None})
    try:
        commit = site.head()
        fetched = read_environments(site.source, commit, site.world.git, site.evaluator)
    except GitopsdError as error:
        return [str(Problem.of(error, "fetch"))]
    found = [*fetched.problems, *(item for items in fetched.broken.values() for item in items)]
    for environment in fetched.environments:
        found += pipeline.follow(Follow(environment=environment, commit=commit), site.world).problems
    return [str(problem) for problem in found]


FILES = {
    "a misspelt key": ("    rolback: none", "gitopsd.yaml:4:5", "'rolback'", "did you mean 'rollback'?"),
    "a wrong type": ("    retries: many", "gitopsd.yaml:4:14", "'many'", "a whole number from 0 to 1000"),
    "a bad duration": ("    timeout: 5 parsecs", "gitopsd.yaml:4:14", "'5 parsecs'", "'1h30m'"),
    "a number for a duration": ("    timeout: 30", "gitopsd.yaml:4:14", "30", "did you mean '30s'?"),
    "a wrong choice": ("    order: sideways", "gitopsd.yaml:4:12", "'sideways'", "one of"),
    "a tab": ("\tretries: 1", "gitopsd.yaml:4:1", "not valid YAML", "never with tabs"),
    "no such backend": ("    backend: loca", "gitopsd.yaml:2:3", "'loca'", "did you mean 'local'?"),
    "no such argument file": ("    args: nope.yaml", "gitopsd.yaml:2:3", "'nope.yaml'", "relative to"),
    "an argument too many": ("    args: {cuont: 1}", "main.star:", '"cuont"', "unexpected keyword argument"),
    "a secret that nobody bound": ("    args: {count: {secret: NOPE}}", "gitopsd.yaml:2:3", "'NOPE'", "bound to dev"),
}
PACKAGES = {
    "a misspelt method": ("    plan.add_servce('a')", "main.star:2", "add_servce", "did you mean .add_service?"),
    "a misspelt argument": (
        "    ServiceConfig(image = 'x', prts = {})", "main.star:2", "'prts'", "did you mean 'ports'?"),
    "an argument of a wrong type": (
        "    plan.add_service('a', ServiceConfig(image = 5))", "main.star:2", "5 (int)", "expected a string"),
    "a port that is none": ("    PortSpec(70000)", "main.star:2", "70000", "1 to 65535"),
    "a wait that is no duration": ("    PortSpec(80, wait = 'soon')", "main.star:2", "soon", "such as '500ms'"),
    "an unknown artifact": (
        "    plan.add_service('a', ServiceConfig(image = 'x', files = {'/a': 'nope'}))", "main.star:2", "'nope'",
        "made earlier"),
    "a service that is used before it is there": (
        "    plan.exec('db', ExecRecipe(command = ['x']))", "main.star:2", "'db'", "made earlier"),
    "a service twice": (DB + DB, "main.star:3", "'db' is added twice", "remove_service"),
    "an unknown port id": (
        DB + "    plan.request('db', GetHttpRequestRecipe(port_id = 'nope', endpoint = '/'))", "main.star:3", "'nope'",
        "one of its ports: sql"),
    "a template that cannot be parsed": (
        "    plan.render_templates({'a': struct(template = '{{ .x ', data = {})})", "main.star:2", "'a'",
        "unclosed action"),
    "a jq program that cannot be compiled": (
        DB + "    plan.exec('db', ExecRecipe(command = ['x'], extract = {'a': '.a |'}))", "main.star:3", "'.a |'",
        "syntax error"),
    "a syntax error": ("    if count\n        pass", "main.star:", "got newline", "want ':'"),
    "an unknown name": ("    foo()", "main.star:2", "foo", "undefined"),
    "a missing module": ("    import_module('./nope.star')", "main.star:2", "nope.star", "no file or folder inside"),
    "a fail": ("    fail('no ' + str(count))", "main.star:2", "no 1", "fail"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", FILES)
def test_a_mistake_in_the_environments_file(site: Chain, mistake: str) -> None:
    line, *expected = FILES[mistake]
    (told,) = problems(site, {"gitopsd.yaml": f"{FILE}{line}\n", "chain/main.star": f"{RUN}    use = str(count)\n" + (
        "    plan.add_service('a', ServiceConfig(image = 'x', env_vars = {'A': str(count)}))\n")})  # fmt: skip
    assert all(part in told for part in expected), told
    assert site.backend.effects == []


@pytest.mark.parametrize("mistake", PACKAGES)
def test_a_mistake_in_a_package(site: Chain, mistake: str) -> None:
    lines, *expected = PACKAGES[mistake]
    (told,) = problems(site, {"chain/main.star": f"{RUN}{lines}\n"})
    assert all(part in told for part in expected), told
    assert "Traceback" not in told


@pytest.mark.parametrize("missing", ["kurtosis.yml", "main.star"])
def test_a_package_that_lacks_a_file(site: Chain, missing: str) -> None:
    (told,) = problems(site, {f"chain/{missing}": None})
    assert f"chain/{missing}" in told
    assert "a package is a folder with kurtosis.yml and main.star" in told


def test_a_branch_and_a_repository_that_are_not_there(site: Chain) -> None:
    site.push()
    for source, expected in (
        (Source(name="envs", url=site.source.url, ref="mian"), ("'mian'", "push the ref again")),
        (Source(name="envs", url=site.source.url + "-not", ref="main"), ("repo-not", "is no repository")),
    ):
        with pytest.raises(GitopsdError) as caught:
            site.world.git.head(source)
        assert all(part in str(caught.value) for part in expected), str(caught.value)


# --- the program ------------------------------------------------------------------------------------------


def call(*words: str, config: str = "") -> subprocess.CompletedProcess[str]:
    done = called(*words, *(("--config", config) if config else ()))
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture
def config(tmp_path: Path) -> str:
    Checkout(tmp_path / "repo")
    settings = {"state_dir": "state", "repositories": {"envs": {"url": f"file://{tmp_path}/repo"}}}
    (tmp_path / "config.yaml").write_text(json.dumps(settings))
    return str(tmp_path / "config.yaml")


def test_mistakes_on_the_command_line_end_with_their_code_and_say_what_to_do(tmp_path: Path, config: str) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/kurtosis.yml").write_text("name: github.com/a/b\n")
    (tmp_path / "p/main.star").write_text("def run(plan):\n    pass\n")
    (tmp_path / "args.json").write_text('{"a": 1,\n "b" 2}\n')
    (tmp_path / "unknown.yaml").write_text("state_dir: x\nrepositries: {}\n")
    table: list[tuple[tuple[str, ...], str, int, tuple[str, ...]]] = [
        (("status", "nope"), config, 3, ("'nope'", "gitopsd status")),
        (("destroy", "dev"), config, 2, ("deletes data", "--yes")),
        (("status",), str(tmp_path / "none.yaml"), 3, ("none.yaml", "cannot be read")),
        (("status",), str(tmp_path / "unknown.yaml"), 3, ("unknown.yaml:2", "did you mean 'repositories'?")),
        (("plan", str(tmp_path / "p"), "--args", str(tmp_path / "args.json")), "", 3, ("args.json:2",)),
        (("stats",), "", 2, ("stats",)),
    ]
    for words, file, code, expected in table:
        done = call(*words, config=file)
        assert done.returncode == code, (words, done)
        said = done.stderr + done.stdout
        assert all(part in said for part in expected), (words, said)

"""The real daemon as a process, on a scratch Git repository and the local backend, reached by the real program."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gitopsd.cli.reach import Where, reached
from gitopsd.cli.status import state_of
from gitopsd.web.commands import (
    EnvironmentStatus,
    LogLine,
    LogsRequest,
)
from tests.stage.daemon import Daemon
from tests.stage.repository import Checkout
from tests.stage.waiting import until

A = TypeVar("A")
CANARY = "canary-5f1d7c"
ROOT = Path(__file__).parents[2]
MAIN_STAR = """\
SERVER = "import hashlib, http.server, os, sys;" + \\
    "print('started', sys.argv[1], hashlib.sha256(os.environ['TOKEN'].encode()).hexdigest(), flush=True);" + \\
    "http.server.HTTPServer((sys.argv[2], 8080), http.server.BaseHTTPRequestHandler).serve_forever()"

def run(plan, word = "one", broken = False, stuck = False, token = ""):
    plan.run_sh(name = "seed", run = "echo seeded")
    plan.add_service("web", ServiceConfig(
        image = "python:3",
        cmd = ["python3", "-c", SERVER, word, "KURTOSIS_IP_ADDR_PLACEHOLDER"],
        ports = {"http": PortSpec(number = 8080, wait = "10s")},
        env_vars = {"TOKEN": token},
    ))
    if stuck:
        never = GetHttpRequestRecipe(port_id = "http", endpoint = "/")
        plan.wait("web", never, "code", "==", 200, timeout = "10m")
    if broken:
        plan.exec("web", ExecRecipe(command = ["sh", "-c", "exit 3"]))
"""


class Devnets(Checkout):
    """An environment repository with one package."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.package(MAIN_STAR)

    def package(self, main: str) -> None:
        self.write({"package/kurtosis.yml": "name: github.com/example/package\n", "package/main.star": main})

    def environments(self, **args_by_name: dict[str, Any]) -> None:
        self.defined({name: {"args": args} for name, args in args_by_name.items()})

    def defined(self, environments: dict[str, dict[str, Any]]) -> None:
        entries = {name: {"package": "package", **entry} for name, entry in environments.items()}
        self.write({"gitopsd.yaml": json.dumps({"environments": entries})})


class World(Daemon):
    """A repository, a configuration, and the daemons that were started on it."""

    repository: Devnets

    def __init__(self, folder: Path) -> None:
        repository = Devnets(folder / "repository")
        more = {
            "repositories": {"devnets": {"url": repository.url, "interval": "200ms"}},
            "drift": {"interval": "1h"},
            "secrets": {"token": {"env": "CANARY", "environments": ["dev"]}},
        }
        super().__init__(folder, repository, more, {"CANARY": CANARY})
        self.configure()

    def environment(self, name: str = "dev") -> EnvironmentStatus:
        return self.status(name).environments[0]

    def named(self, name: str = "dev") -> str:
        """The state of an environment; "" while it is not known."""
        names = [item.name for item in self.status().environments]
        return state_of(self.environment(name)) if name in names else ""

    def starts(self, name: str = "dev") -> list[str]:
        """What the service printed at each of its starts, with and without a daemon."""
        with reached(Where(self.config, None)) as commands:
            lines = [item.text for item in commands.ask(LogsRequest(environment=name)) if isinstance(item, LogLine)]
        return [line for line in lines if line.startswith("started")]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as found:
        yield found


def test_commits_are_followed_rolled_back_and_survive_kills(world: World) -> None:
    world.repository.environments(dev={})
    first = world.repository.commit("first")
    world.started()
    until(lambda: world.named() == "ready")
    assert world.environment().commit == first
    assert len(world.starts()) == 1

    world.kill()
    world.started()
    until(lambda: world.status().repositories[0].commit == first)
    before = world.starts()
    assert len(before) == 1

    world.repository.environments(dev={"word": "two"})
    second = world.repository.commit("second")
    until(lambda: world.history()[0].commit.id == second)
    until(lambda: world.named() == "ready")
    assert world.starts()[-1].split()[1] == "two"

    world.repository.environments(dev={"word": "three", "broken": True})
    third = world.repository.commit("third")
    until(lambda: world.history()[0].commit.id == third)
    until(lambda: world.named() == "held")
    assert world.starts()[-1].split()[1] == "two"
    why = world.json("why", "dev")
    assert why["last_problem"]["reason"] == "CommandFailed"

    starts, address = world.starts(), world.environment().services[0].address
    assert world.stop() == 0
    assert not (world.state / "gitopsd.sock").exists()
    socket.create_connection((address, 8080), 5).close()
    assert world.starts() == starts


def test_why_tells_of_a_service_that_crashes_until_it_is_steady(world: World) -> None:
    crashing = 'ServiceConfig(image = "python:3", cmd = ["python3", "-c", "raise SystemExit(3)"])'
    world.repository.package(f'def run(plan):\n    plan.add_service("job", {crashing})\n')
    world.repository.environments(dev={})
    world.repository.commit("it crashes")
    world.started()
    until(lambda: world.named() in ("ready", "degraded"))
    until(lambda: any(service.crashes for item in world.status("dev").environments for service in item.services))
    world.verb("sync", "dev")
    assert world.named() == "degraded"
    problem = world.json("why", "dev")["last_problem"]
    assert (problem["reason"], problem["severity"]) == ("ServiceCrashed", "warning")
    assert "gitopsd logs" in world.verb("why", "dev").stdout

    world.repository.package(MAIN_STAR)
    world.repository.commit("it is gone")
    until(lambda: world.named() == "ready")
    assert world.json("why", "dev")["last_problem"] is None


def test_a_second_daemon_is_refused_and_every_verb_reaches_the_first(world: World) -> None:
    world.repository.environments(dev={})
    world.repository.commit("first")
    world.started()
    until(lambda: world.named() == "ready")

    second = world.verb("run")
    assert second.returncode == 5
    assert f"is in use by the gitopsd with pid {world.pid}" in second.stderr
    assert "Traceback" not in second.stderr

    door = world.state / "gitopsd.sock"
    assert door.stat().st_mode & 0o777 == 0o600
    assert world.json("version")["daemon"]["pid"] == world.pid
    assert world.verb("diff", "dev", "--exit-code").returncode == 0
    assert world.json("sync", "dev")["run"]["verdict"] == "no-op"
    updated = world.json("sync", "dev", "--update")["run"]
    assert (updated["trigger"], updated["verdict"], updated["moved"]) == ("update", "no-op", [])
    assert world.json("plan", "dev", "--update")["diff"]["moved"] == []
    assert world.verb("suspend", "dev").returncode == 0
    assert world.named() == "suspended"
    assert world.verb("resume", "dev").returncode == 0
    assert world.named() == "ready"
    assert "started" in world.verb("logs", "dev", "web").stdout

    unknown = world.verb("sync", "devv")
    assert (unknown.returncode, unknown.stdout) == (3, "")
    assert "there is no environment 'devv' (did you mean 'dev'?)" in unknown.stderr
    assert world.verb("destroy", "dev").returncode == 2

    assert world.verb("destroy", "dev", "--yes").returncode == 0
    assert world.json("why", "dev")["waiting"] == "gitopsd resume dev (it was destroyed by a person)"
    assert world.environment().services == ()
    assert world.named() == "suspended"


def test_one_broken_environment_stops_no_other_and_a_vanished_one_is_left_as_it_is(world: World) -> None:
    world.repository.environments(dev={}, other={})
    world.repository.commit("two")
    world.started()
    until(lambda: world.named() == "ready" and world.named("other") == "ready")

    text = '{"environments": {"dev": {"package": "package", "rolback": "none"}, "third": {"package": "package"}}}'
    world.repository.write({"gitopsd.yaml": text})
    world.repository.commit("one is broken, one is gone, one is new")
    until(lambda: world.named("third") == "ready")
    assert "did you mean 'rollback'?" in world.environment().problems[0].hint
    assert world.named("other") == "vanished"
    assert world.environment("other").services[0].state.value == "running"
    assert "waiting for its definition to come back, or for gitopsd destroy other" in world.verb("why", "other").stdout
    refused = world.verb("sync", "dev")
    assert refused.returncode == 3
    assert "rolback" in refused.stderr

    world.repository.write({"gitopsd.yaml": "environments: ["})
    world.repository.commit("nothing can be read")
    until(lambda: world.status().repositories[0].problems)
    assert "error: gitopsd.yaml:2:1: not valid YAML" in world.verb("why", "third").stdout


def test_a_backend_that_is_not_configured_is_no_bug_to_any_verb_nor_to_a_restart(world: World) -> None:
    world.repository.environments(dev={})
    world.repository.commit("first")
    world.started()
    until(lambda: world.named() == "ready")
    world.repository.write({"gitopsd.yaml": '{"environments": {"dev": {"package": "package", "backend": "lcoal"}}}'})
    world.repository.commit("misspelt")
    until(lambda: world.named() == "degraded")
    refused = world.verb("rollback", "dev")
    assert (refused.returncode, "did you mean 'local'?" in refused.stderr) == (3, True), refused.stderr
    world.stop()
    world.started()
    until(lambda: world.history()[0].trigger.value == "commit" and len(world.history()) == 3)
    assert "a bug" not in world.log.read_text()
    world.repository.environments(dev={})
    world.repository.commit("mended")
    until(lambda: world.named() == "ready")


def test_an_enclave_that_an_environment_moved_away_from_is_told(world: World) -> None:
    world.repository.environments(dev={})
    world.repository.commit("first")
    world.started()
    until(lambda: world.named() == "ready")
    world.repository.write({"gitopsd.yaml": '{"environments": {"dev": {"package": "package", "enclave": "other"}}}'})
    world.repository.commit("moved")
    told = "its enclave is 'other' on local now; what runs in 'dev' on local is left as it is"
    until(lambda: told in world.log.read_text())
    until(lambda: world.environment().enclave == "other" and world.environment().services)
    assert world.verb("destroy", "dev", "--yes").returncode == 0
    world.repository.environments(dev={})
    world.repository.commit("back again")
    until(lambda: world.environment().enclave == "dev")
    assert world.environment().services[0].state.value == "running"


def test_the_program_works_without_a_daemon_under_the_lock(world: World) -> None:
    world.repository.environments(dev={})
    world.repository.commit("first")
    assert world.json("status")["environments"] == []
    assert world.verb("diff", "dev", "--exit-code").returncode == 10
    assert world.json("sync", "dev")["run"]["verdict"] == "succeeded"
    assert len(world.starts()) == 1
    assert world.json("status")["daemon"] is False
    assert world.json("why", "dev")["waiting"] == "a daemon, as none runs"


def test_a_new_commit_takes_the_place_of_a_run_that_waits(world: World) -> None:
    world.repository.environments(dev={"stuck": True})
    first = world.repository.commit("waits for ten minutes")
    world.started()
    until(lambda: world.named() != "")
    until(lambda: any(step["instruction"].startswith("wait/") for step in world.json("why", "dev")["doing"]))
    world.repository.environments(dev={"word": "two"})
    second = world.repository.commit("mends it")
    until(lambda: world.named() == "ready" and world.environment().commit == second, seconds=15)
    runs = world.history()
    assert [run.verdict.value for run in runs] == ["succeeded", "superseded"]
    assert (runs[1].commit.id, runs[1].superseded_by) == (first, second)


def test_a_secret_reaches_its_service_and_nothing_that_people_read(world: World) -> None:
    world.repository.environments(dev={"token": {"secret": "token"}})
    world.repository.commit("with a secret")
    world.started()
    until(lambda: world.named() == "ready")
    assert world.starts()[0].split()[2] == hashlib.sha256(CANARY.encode()).hexdigest()
    read = [world.verb(verb, "dev", "-o", "json").stdout for verb in ("history", "diff", "status", "why")]
    read.append(world.log.read_text())
    read += [file.read_bytes().decode("latin-1") for file in world.state.glob("history.sqlite*")]
    assert not [text for text in read if CANARY in text]

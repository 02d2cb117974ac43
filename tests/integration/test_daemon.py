"""The real daemon as a process, on a scratch Git repository and the local backend, reached by the real program."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pygit2
import pytest

from gitopsd.cli.reach import Where, reached
from gitopsd.cli.status import state_of
from gitopsd.daemon.client import Client, connect
from gitopsd.model.run import Run
from gitopsd.web.commands import (
    DestroyRequest,
    EnvironmentStatus,
    HistoryAnswer,
    HistoryRequest,
    LogLine,
    LogsRequest,
    Request,
    Result,
    StatusAnswer,
    StatusRequest,
    VersionAnswer,
    VersionRequest,
)

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


class Repository:
    """An environment repository on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._git = pygit2.init_repository(str(folder), initial_head="main")
        self.write("package/kurtosis.yml", "name: github.com/example/package\n")
        self.write("package/main.star", MAIN_STAR)

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def environments(self, **args_by_name: dict[str, Any]) -> None:
        self.write(
            "gitopsd.yaml",
            json.dumps({"environments": {n: {"package": "package", "args": a} for n, a in args_by_name.items()}}),
        )

    def commit(self, subject: str) -> str:
        index = self._git.index
        index.add_all()
        index.write()
        author = pygit2.Signature("tester", "tester@example.com")
        parents = [] if self._git.head_is_unborn else [self._git.head.target]
        return str(self._git.create_commit("refs/heads/main", author, author, subject, index.write_tree(), parents))


class World:
    """A repository, a configuration, and the daemons that were started on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = Repository(folder / "repository")
        self.config = folder / "config.yaml"
        self.log = folder / "log"
        settings = {
            "state_dir": "state",
            "repositories": {"devnets": {"url": f"file://{folder}/repository", "interval": "200ms"}},
            "drift": {"interval": "1h"},
            "secrets": {"token": {"env": "CANARY", "environments": ["dev"]}},
        }
        self.config.write_text(json.dumps(settings))
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            daemon = subprocess.Popen(self._command("run"), env=_variables(), stdout=log, stderr=log, cwd=self.folder)
        self._daemons.append(daemon)
        until(lambda: self._pid() == daemon.pid)
        return daemon

    def _pid(self) -> int:
        state = self.folder / "state"
        client = connect(state) if state.exists() else None
        return self._answer(client, VersionRequest(), VersionAnswer).pid if client is not None else 0

    def _answer(self, client: Client | None, request: Request, kind: type[A]) -> A:
        assert client is not None, "no daemon answers"
        last = list(client.ask(request))[-1]
        assert isinstance(last, Result)
        assert isinstance(last.value, kind)
        return last.value

    def status(self, name: str = "") -> StatusAnswer:
        """By the socket, without the program: this is asked often."""
        request = StatusRequest(environment=name, live=bool(name))
        return self._answer(connect(self.folder / "state"), request, StatusAnswer)

    def history(self, name: str = "dev") -> tuple[Run, ...]:
        return self._answer(connect(self.folder / "state"), HistoryRequest(environment=name), HistoryAnswer).runs

    def _command(self, *words: str) -> list[str]:
        start = "from gitopsd.cli import main; main()"
        return [sys.executable, "-W", "error", "-c", start, *words, "--config", str(self.config)]

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = self._command(*words)
        return subprocess.run(
            command, env=_variables(), capture_output=True, text=True, timeout=60, cwd=self.folder, check=False
        )

    def json(self, *words: str) -> Any:
        called = self.call(*words, "--output", "json")
        assert called.stdout, called.stderr
        return json.loads(called.stdout)

    def environment(self, name: str = "dev") -> EnvironmentStatus:
        return self.status(name).environments[0]

    def state(self, name: str = "dev") -> str:
        names = [item.name for item in self.status().environments]
        return state_of(self.environment(name)) if name in names else ""

    def starts(self, name: str = "dev") -> list[str]:
        """What the service printed at each of its starts, with and without a daemon."""
        with reached(Where(self.config, None)) as commands:
            lines = [item.text for item in commands.ask(LogsRequest(environment=name)) if isinstance(item, LogLine)]
        return [line for line in lines if line.startswith("started")]

    def end(self) -> None:
        for daemon in self._daemons:
            if daemon.poll() is None:
                daemon.terminate()
                daemon.wait(30)
        with reached(Where(self.config, None)) as commands:
            (found,) = [item for item in commands.ask(StatusRequest()) if isinstance(item, Result)]
            assert isinstance(found.value, StatusAnswer)
            for item in found.value.environments:
                list(commands.ask(DestroyRequest(environment=item.name)))


def _variables() -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("GITOPSD_")}
    return {**kept, "PYTHONPATH": str(ROOT), "CANARY": CANARY}


def until(done: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    try:
        yield found
    finally:
        found.end()


def test_commits_are_followed_rolled_back_and_survive_kills(world: World) -> None:
    world.repository.environments(dev={})
    first = world.repository.commit("first")
    daemon = world.start()
    until(lambda: world.state() == "ready")
    assert world.environment().commit == first
    assert len(world.starts()) == 1

    daemon.send_signal(signal.SIGKILL)
    daemon.wait(10)
    daemon = world.start()
    until(lambda: world.status().repositories[0].commit == first)
    before = world.starts()
    assert len(before) == 1

    world.repository.environments(dev={"word": "two"})
    second = world.repository.commit("second")
    until(lambda: world.history()[0].commit.id == second)
    until(lambda: world.state() == "ready")
    assert world.starts()[-1].split()[1] == "two"

    world.repository.environments(dev={"word": "three", "broken": True})
    third = world.repository.commit("third")
    until(lambda: world.history()[0].commit.id == third)
    until(lambda: world.state() == "held")
    assert world.starts()[-1].split()[1] == "two"
    why = world.json("why", "dev")
    assert why["last_problem"]["reason"] == "CommandFailed"

    starts, address = world.starts(), world.environment().services[0].address
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(30) == 0
    assert not (world.folder / "state" / "gitopsd.sock").exists()
    socket.create_connection((address, 8080), 5).close()
    assert world.starts() == starts


def test_why_tells_of_a_service_that_crashes_until_it_is_steady(world: World) -> None:
    crashing = 'ServiceConfig(image = "python:3", cmd = ["python3", "-c", "raise SystemExit(3)"])'
    world.repository.write("package/main.star", f'def run(plan):\n    plan.add_service("job", {crashing})\n')
    world.repository.environments(dev={})
    world.repository.commit("it crashes")
    world.start()
    until(lambda: world.state() in ("ready", "degraded"))
    until(lambda: any(service.crashes for item in world.status("dev").environments for service in item.services))
    world.call("sync", "dev")
    assert world.state() == "degraded"
    problem = world.json("why", "dev")["last_problem"]
    assert (problem["reason"], problem["severity"]) == ("ServiceCrashed", "warning")
    assert "gitopsd logs" in world.call("why", "dev").stdout

    world.repository.write("package/main.star", MAIN_STAR)
    world.repository.commit("it is gone")
    until(lambda: world.state() == "ready")
    assert world.json("why", "dev")["last_problem"] is None


def test_a_second_daemon_is_refused_and_every_verb_reaches_the_first(world: World) -> None:
    world.repository.environments(dev={})
    world.repository.commit("first")
    daemon = world.start()
    until(lambda: world.state() == "ready")

    second = world.call("run")
    assert second.returncode == 5
    assert f"is in use by the gitopsd with pid {daemon.pid}" in second.stderr
    assert "Traceback" not in second.stderr

    door = world.folder / "state" / "gitopsd.sock"
    assert door.stat().st_mode & 0o777 == 0o600
    assert world.json("version")["daemon"]["pid"] == daemon.pid
    assert world.call("diff", "dev", "--exit-code").returncode == 0
    assert world.json("sync", "dev")["run"]["verdict"] == "no-op"
    updated = world.json("sync", "dev", "--update")["run"]
    assert (updated["trigger"], updated["verdict"], updated["moved"]) == ("update", "no-op", [])
    assert world.json("plan", "dev", "--update")["diff"]["moved"] == []
    assert world.call("suspend", "dev").returncode == 0
    assert world.state() == "suspended"
    assert world.call("resume", "dev").returncode == 0
    assert world.state() == "ready"
    assert "started" in world.call("logs", "dev", "web").stdout

    unknown = world.call("sync", "devv")
    assert (unknown.returncode, unknown.stdout) == (3, "")
    assert "there is no environment 'devv' (did you mean 'dev'?)" in unknown.stderr
    assert world.call("destroy", "dev").returncode == 2

    assert world.call("destroy", "dev", "--yes").returncode == 0
    assert world.json("why", "dev")["waiting"] == "gitopsd resume dev (it was destroyed by a person)"
    assert world.environment().services == ()
    assert world.state() == "suspended"


def test_one_broken_environment_stops_no_other_and_a_vanished_one_is_left_as_it_is(world: World) -> None:
    world.repository.environments(dev={}, other={})
    world.repository.commit("two")
    world.start()
    until(lambda: world.state() == "ready" and world.state("other") == "ready")

    text = '{"environments": {"dev": {"package": "package", "rolback": "none"}, "third": {"package": "package"}}}'
    world.repository.write("gitopsd.yaml", text)
    world.repository.commit("one is broken, one is gone, one is new")
    until(lambda: world.state("third") == "ready")
    assert "did you mean 'rollback'?" in world.environment().problems[0].hint
    assert world.state("other") == "vanished"
    assert world.environment("other").services[0].state.value == "running"
    assert "waiting for its definition to come back, or for gitopsd destroy other" in world.call("why", "other").stdout
    refused = world.call("sync", "dev")
    assert refused.returncode == 3
    assert "rolback" in refused.stderr

    world.repository.write("gitopsd.yaml", "environments: [")
    world.repository.commit("nothing can be read")
    until(lambda: world.status().repositories[0].problems)
    assert "error: gitopsd.yaml:2:1: not valid YAML" in world.call("why", "third").stdout


def test_a_backend_that_is_not_configured_is_no_bug_to_any_verb_nor_to_a_restart(world: World) -> None:
    world.repository.environments(dev={})
    world.repository.commit("first")
    daemon = world.start()
    until(lambda: world.state() == "ready")
    world.repository.write("gitopsd.yaml", '{"environments": {"dev": {"package": "package", "backend": "lcoal"}}}')
    world.repository.commit("misspelt")
    until(lambda: world.state() == "degraded")
    refused = world.call("rollback", "dev")
    assert (refused.returncode, "did you mean 'local'?" in refused.stderr) == (3, True), refused.stderr
    daemon.terminate()
    daemon.wait(30)
    world.start()
    until(lambda: world.history()[0].trigger.value == "commit" and len(world.history()) == 3)
    assert "a bug" not in world.log.read_text()
    world.repository.environments(dev={})
    world.repository.commit("mended")
    until(lambda: world.state() == "ready")


def test_an_enclave_that_an_environment_moved_away_from_is_told(world: World) -> None:
    world.repository.environments(dev={})
    world.repository.commit("first")
    world.start()
    until(lambda: world.state() == "ready")
    world.repository.write("gitopsd.yaml", '{"environments": {"dev": {"package": "package", "enclave": "other"}}}')
    world.repository.commit("moved")
    told = "its enclave is 'other' on local now; what runs in 'dev' on local is left as it is"
    until(lambda: told in world.log.read_text())
    until(lambda: world.environment().enclave == "other" and world.environment().services)
    assert world.call("destroy", "dev", "--yes").returncode == 0
    world.repository.environments(dev={})
    world.repository.commit("back again")
    until(lambda: world.environment().enclave == "dev")
    assert world.environment().services[0].state.value == "running"


def test_the_program_works_without_a_daemon_under_the_lock(world: World) -> None:
    world.repository.environments(dev={})
    world.repository.commit("first")
    assert world.json("status")["environments"] == []
    assert world.call("diff", "dev", "--exit-code").returncode == 10
    assert world.json("sync", "dev")["run"]["verdict"] == "succeeded"
    assert len(world.starts()) == 1
    assert world.json("status")["daemon"] is False
    assert world.json("why", "dev")["waiting"] == "a daemon, as none runs"


def test_a_new_commit_takes_the_place_of_a_run_that_waits(world: World) -> None:
    world.repository.environments(dev={"stuck": True})
    first = world.repository.commit("waits for ten minutes")
    world.start()
    until(lambda: world.state() != "")
    until(lambda: any(step["instruction"].startswith("wait/") for step in world.json("why", "dev")["doing"]))
    world.repository.environments(dev={"word": "two"})
    second = world.repository.commit("mends it")
    until(lambda: world.state() == "ready" and world.environment().commit == second, seconds=15)
    runs = world.history()
    assert [run.verdict.value for run in runs] == ["succeeded", "superseded"]
    assert (runs[1].commit.id, runs[1].superseded_by) == (first, second)


def test_a_secret_reaches_its_service_and_nothing_that_people_read(world: World) -> None:
    world.repository.environments(dev={"token": {"secret": "token"}})
    world.repository.commit("with a secret")
    world.start()
    until(lambda: world.state() == "ready")
    assert world.starts()[0].split()[2] == hashlib.sha256(CANARY.encode()).hexdigest()
    read = [world.call(verb, "dev", "-o", "json").stdout for verb in ("history", "diff", "status", "why")]
    read.append(world.log.read_text())
    read += [file.read_bytes().decode("latin-1") for file in (world.folder / "state").glob("history.sqlite*")]
    assert not [text for text in read if CANARY in text]

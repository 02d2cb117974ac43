"""A place where one release of gitopsd takes over from another: a repository, a forge, a chat, installed programs as
real processes, and what the machine itself tells about services and one-shots."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pygit2
import yaml

from gitopsd.cli.demo_repository import DemoRepository
from gitopsd.cli.demo_servers import ChatServer, ForgeServer, Message, Status
from gitopsd.cli.demo_watch import Process, ask, parent, process, processes_of, serving
from tests.stage.releases import Program, variables
from tests.stage.servers import Counting
from tests.stage.waiting import until

TOKENS = {"UPGRADE_FORGE_TOKEN": "forge-0123456789abcdef", "UPGRADE_CHAT_TOKEN": "chat-0123456789abcdef"}
DRIFT = 2.0
"""Seconds between two drift checks."""

COUNTED = """
IMAGE = "python:3.12"

def hit(url, name):
    return 'import urllib.request as u; u.urlopen("{}/{}"); print("done")'.format(url, name)

def service(files, env):
    return ServiceConfig(
        image=IMAGE,
        cmd=["python3", "/code/server.py", "--listen=KURTOSIS_IP_ADDR_PLACEHOLDER"],
        ports={"http": PortSpec(8080, wait="20s")},
        env_vars=env,
        files={"/code": "code"} | files,
        ready_conditions=ReadyCondition(
            recipe=GetHttpRequestRecipe(port_id="http", endpoint="/"),
            field="code", assertion="==", target_value=200, interval="250ms", timeout="4s",
        ),
    )

def run(plan, url, title):
    seed = plan.run_python(name="seed", run=hit(url, "run_python"))
    plan.upload_files(src="./server.py", name="code")
    plan.run_sh(
        name="genesis",
        run="od -An -N8 -tx1 /dev/urandom > /tmp/genesis; python3 -c '" + hit(url, "run_sh") + "'",
        image=IMAGE,
        store=[StoreSpec(src="/tmp/genesis", name="genesis")],
    )
    files = {"/genesis": "genesis", "/data": Directory(persistent_key="keeper")}
    plan.add_service("keeper", service(files, {"URL": url, "SEED": seed.output}))
    plan.exec("keeper", ExecRecipe(command=["python3", "-c", hit(url, "exec")]))
    plan.request("keeper", PostHttpRequestRecipe(port_id="http", endpoint="/hit/post", body="{}"))
    plan.request("keeper", GetHttpRequestRecipe(port_id="http", endpoint="/hit/get"))
    plan.store_service_files(service_name="keeper", src="/data/moment", name="taken")
    plan.run_python(name="after", run=hit(url, "after"), files={"/taken": "taken"})
    plan.add_service("reader", service({"/taken": "taken"}, {"URL": url, "TITLE": title}))
"""
LATE = """
IMAGE = "python:3.12"

def hit(url, name):
    return 'import urllib.request as u; u.urlopen("{}/{}"); '.format(url, name)

def service(url, endpoint, title):
    return ServiceConfig(
        image=IMAGE,
        cmd=["python3", "/code/server.py", "--listen=KURTOSIS_IP_ADDR_PLACEHOLDER"],
        ports={"http": PortSpec(8080, wait="60s")},
        env_vars={"URL": url, "TITLE": title},
        files={"/code": "code"},
        ready_conditions=ReadyCondition(
            recipe=GetHttpRequestRecipe(port_id="http", endpoint=endpoint),
            field="code", assertion="==", target_value=200, interval="250ms", timeout="90s",
        ),
    )

def run(plan, url):
    plan.run_python(name="first", run=hit(url, "first"))
    plan.upload_files(src="./server.py", name="code")
    plan.add_service("early", service(url, "/", "first"))
    plan.add_service("slow", service(url, "/hit/service-gate", "early"))
    wait = '''
import time, urllib.error
while True:
    try:
        u.urlopen("{}/task-gate")
        break
    except urllib.error.HTTPError:
        time.sleep(0.25)
'''.format(url)
    long = plan.run_python(name="long", run=hit(url, "long") + wait + 'print("done")', wait="120s")
    plan.run_python(name="last", run=hit(url, "last"), args=["slow", long.output])
"""
SERVER = """
import http.server, json, os, pathlib, sys, threading, time, urllib.error, urllib.request

TAKEN, DATA = pathlib.Path("/taken/moment"), pathlib.Path("/data")
TITLE = os.environ.get("TITLE", "")

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        code = 500 if TITLE == "broken" else 200
        if self.path.startswith("/hit/"):
            try:
                urllib.request.urlopen(os.environ["URL"] + self.path.removeprefix("/hit"))
            except urllib.error.HTTPError as error:
                code = error.code
        told = {"title": TITLE, "taken": TAKEN.read_text() if TAKEN.exists() else ""}
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    do_POST = do_GET

def note():
    while True:  # never the same twice: whoever takes it again has something else
        (DATA / "new").write_text(str(time.time_ns()))
        (DATA / "new").replace(DATA / "moment")
        time.sleep(0.2)

if DATA.exists():
    threading.Thread(target=note, daemon=True).start()
address = sys.argv[1].removeprefix("--listen=")
http.server.ThreadingHTTPServer((address, 8080), Answer).serve_forever()
"""


def add_packages(folder: Path) -> None:
    """Writes the tests' own packages beside those of the sample."""
    for name, text in (("counted", COUNTED), ("late", LATE)):
        package = folder / "packages" / name
        package.mkdir(parents=True)
        (package / "kurtosis.yml").write_text(f"name: github.com/acme/{name}\n")
        (package / "main.star").write_text(text)
        (package / "server.py").write_text(SERVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One environment as its own answers, the machine and the command line show it. ``processes`` holds of each
    service its process and the shim above it; ``chain`` what must stay of a toy chain, ``height`` what may only rise;
    ``taken`` what a capture once took."""

    status: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]
    processes: Mapping[str, tuple[Process, Process]]
    chain: tuple[Any, ...]
    height: int
    taken: str

    @property
    def services(self) -> list[Mapping[str, Any]]:
        return list(self.status["services"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What people and the counter were told so far."""

    statuses: tuple[Status, ...]
    messages: tuple[Message, ...]
    hits: Mapping[str, int]


@dataclass(slots=True, kw_only=True)
class Place:
    """A scratch folder with everything in it. ``program`` is what daemon and verbs are run with."""

    folder: Path
    repository: DemoRepository
    counter: Counting
    forge: ForgeServer
    chat: ChatServer
    program: Program
    began: int = 0
    daemon: subprocess.Popen[bytes] | None = None
    environments: tuple[str, ...] = field(default=())

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def config(self) -> Path:
        return self.folder / "gitopsd.yaml"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    def configure(self) -> None:
        address = f"{self.forge.url}/demo/devnets"
        settings = {
            "state_dir": str(self.state),
            "repositories": {"devnets": {"url": address, "ref": "main", "interval": "1s"}},
            "rewrites": {address: self.repository.folder.as_uri()},
            "forges": {
                "demo": {
                    "type": "gitea",  # the client of GitHub's API waits a second after each write
                    "url": self.forge.url,
                    "token": {"env": "UPGRADE_FORGE_TOKEN"},
                }
            },
            "slack": {"channel": "devnets", "api": self.chat.base_url, "token": {"env": "UPGRADE_CHAT_TOKEN"}},
            "drift": {"interval": f"{DRIFT:g}s"},
            "log": {"format": "json", "level": "debug"},
        }
        self.config.write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")

    # --- programs -------------------------------------------------------------------------------------------

    def start(self, *, answers: bool = True) -> None:
        """Starts the daemon and, if it should, waits until it answers by its own pid."""
        self.began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as out:
            self.daemon = subprocess.Popen(
                [str(self.program.command), "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**variables(), **TOKENS},
                cwd="/",
                start_new_session=True,
            )
        if answers:
            until(self._answers, f"the daemon answers; {self.log}", seconds=60, every=0.2)

    def _answers(self) -> bool:
        assert self.daemon is not None
        assert self.daemon.poll() is None, self.log.read_text("utf-8", "replace")[-2000:]
        daemon = self.json("version")["daemon"]
        return daemon is not None and daemon["pid"] == self.daemon.pid

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends the daemon by a signal; one that does not end in 40 s is killed, and an error."""
        daemon, self.daemon = self.daemon, None
        if daemon is None or daemon.poll() is not None:
            return
        daemon.send_signal(number)
        try:
            daemon.wait(40)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
            raise

    def verb(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A verb of the command line, as a user types it."""
        return subprocess.run(
            [str(self.program.command), *words, "--config", str(self.config)],
            capture_output=True,
            text=True,
            env={**variables(), **TOKENS},
            cwd="/",
            timeout=120,
            check=False,
        )

    def json(self, *words: str) -> Any:
        """What a verb answers to programs."""
        done = self.verb(*words, "--output", "json")
        assert done.stdout, f"{words}: {done.returncode} {done.stderr}"
        return json.loads(done.stdout)

    def lines(self) -> list[dict[str, Any]]:
        """What the daemon has logged since it was started."""
        with self.log.open("rb") as file:
            file.seek(self.began)
            text = file.read().decode("utf-8", "replace")
        found = []
        for line in text.splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [line for line in found if isinstance(line, dict)]

    # --- what happened --------------------------------------------------------------------------------------

    def expect(self, commit: str, state: str, *environments: str) -> None:
        """Waits for the final commit statuses, which must be ``state``."""

        def final(environment: str) -> Status | None:
            mine = (commit, f"gitopsd/{environment}")
            found = (item for item in tuple(self.forge.statuses) if (item.commit, item.context) == mine)
            return next((item for item in found if item.state != "pending"), None)

        for environment in environments:
            what = f"{environment} reports on {commit[:7]}; {self.log}"
            status = until(lambda name=environment: final(name), what, seconds=90, every=0.1)
            assert status.state == state, f"{environment}: {status.state}: {status.description}"

    def looked(self, *environments: str) -> None:
        """Waits until the daemon has compared each environment with what is live, and some checks more."""

        def compared() -> bool:
            found = {line.get("environment") for line in self.lines() if line.get("trigger") == "drift"}
            return found >= set(environments)

        until(compared, f"a drift check of each of {environments}; {self.log}", every=0.2)
        checked = self._checked_at()
        time.sleep(2 * DRIFT)
        assert self._checked_at() > checked, "the repository was asked meanwhile"

    def _checked_at(self) -> str:
        (repository,) = self.json("status")["repositories"]
        return str(repository["checked_at"] or "")

    def told(self) -> Told:
        """What was told, once nothing more comes."""

        def now() -> Told:
            hits = dict(self.counter.hits)
            return Told(statuses=tuple(self.forge.statuses), messages=tuple(self.chat.messages), hits=hits)

        def settled() -> Told | None:
            before = now()
            time.sleep(1.5)
            waiting = [item for item in before.messages if "hourglass" in item.text]
            return before if before == now() and not waiting else None

        found: Told = until(settled, "nothing more is told")
        return found

    def see(self, environment: str) -> Seen:
        """An environment as it is now."""
        (status,) = self.json("status", environment)["environments"]
        history = self.json("history", environment, "--limit", "500")["runs"]
        processes, answers = {}, {}
        for service in status["services"]:
            found = serving(service["address"])
            assert len(found) == 1, f"{environment}: {service['name']} has exactly one process: {found}"
            shim = parent(found[0])
            assert shim in processes_of(self.state), f"{environment}: {service['name']} has a shim of this place"
            processes[service["name"]] = (found[0], shim)
            answers[service["name"]] = service["address"]
        return Seen(
            status=status,
            history=tuple(history),
            processes=processes,
            **(_chain(answers["node-1"]) if "node-1" in answers else _reading(answers.get("reader", ""))),
        )

    def alive(self, seen: Seen) -> bool:
        """Whether every process of an environment still runs, as the kernel sees it."""
        return all(process(item.pid) == item for pair in seen.processes.values() for item in pair)

    def records(self) -> dict[str, bytes]:
        """The files of all records."""
        folders = (folder for folder in self.state.rglob("record") if folder.is_dir())
        files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
        return {str(file): file.read_bytes() for file in files}


def _chain(address: str) -> dict[str, Any]:
    status, accounts = ask(address, "/status"), ask(address, "/accounts")
    deposits = tuple((item["account"], item["amount"], item["id"]) for item in accounts["deposits"])
    return {"chain": (status["chain_id"], status["genesis_hash"], deposits), "height": status["height"], "taken": ""}


def _reading(address: str) -> dict[str, Any]:
    told = ask(address, "/") if address else {"title": "", "taken": ""}
    return {"chain": (told["title"],), "height": 0, "taken": told["taken"]}


@contextlib.contextmanager
def place(folder: Path, sample: Path, program: Program) -> Iterator[Place]:
    """Sets a place up in a folder and clears it: afterwards no process of it is left, however it ended."""
    shutil.copytree(sample, folder / "devnets", ignore=shutil.ignore_patterns("__pycache__"))
    add_packages(folder / "devnets")
    pygit2.init_repository(folder / "devnets", initial_head="main")
    with (
        contextlib.closing(Counting()) as counter,
        contextlib.closing(ForgeServer(token=TOKENS["UPGRADE_FORGE_TOKEN"], repositories=("demo/devnets",))) as forge,
        contextlib.closing(ChatServer(token=TOKENS["UPGRADE_CHAT_TOKEN"])) as chat,
    ):
        made = Place(
            folder=folder,
            repository=DemoRepository(folder / "devnets"),
            counter=counter,
            forge=forge,
            chat=chat,
            program=program,
        )
        made.configure()
        try:
            yield made
        finally:
            _clear(made)


def _clear(made: Place) -> None:
    try:
        made.end()
        for environment in made.environments:
            done = made.verb("destroy", environment, "--yes")
            assert done.returncode == 0, f"destroy {environment}: {done.returncode} {done.stderr}"
        until(lambda: not processes_of(made.state), "no process is left", seconds=10)
    finally:
        for _ in range(3):  # a shim that dies first may leave its child for the next round
            for item in processes_of(made.state):
                if process(item.pid) == item:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(item.pid, signal.SIGKILL)

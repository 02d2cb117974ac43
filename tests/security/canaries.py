"""A daemon with secrets planted wherever it may hold one, and every place that they must not come to."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gitopsd.cli.demo_servers import ChatServer, ForgeServer
from gitopsd.model.run import Run, Trigger
from tests.stage.daemon import Daemon
from tests.stage.repository import Repository
from tests.stage.servers import Host, serving
from tests.stage.waiting import until

MARK = "canary-"
GIT_TOKEN, WRONG_TOKEN = "canary-git-7d1f0c53a9", "canary-wrong-18b2e6f4d0"
PASSWORD = 'canary-pass-93aa"&7c/41e0'
KEY = "-----BEGIN KEY-----\ncanary-pem-0123456789abcdef\ncanary-pem-fedcba9876543210\n-----END KEY-----"
AWS, FORGE_TOKEN, CHAT_TOKEN = "canary-aws-55e1b0", "canary-forge-2c9d47", "canary-chat-e83b16"

PACKAGE = r'''
SERVER = """
import http.server, json, os
print("starting with", os.environ["PASSWORD"], os.environ["KEY"], flush=True)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"password": os.environ["PASSWORD"], "key": os.environ["KEY"]}).encode()
        self.send_response(200 if self.path == "/" else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer((os.environ["ADDRESS"], 8080), Answer).serve_forever()
"""
SHOW = "echo \"$PASSWORD\"; echo \"$KEY\"; env"

def server(password, key, wait = "20s", cmd = ["python3", "-c", SERVER]):
    return ServiceConfig(
        image = "python:3",
        cmd = cmd,
        env_vars = {"PASSWORD": password, "KEY": key, "ADDRESS": "KURTOSIS_IP_ADDR_PLACEHOLDER"},
        files = {"/conf": "conf"},
        private_ip_address_placeholder = "KURTOSIS_IP_ADDR_PLACEHOLDER",
        ports = {"http": PortSpec(number = 8080, wait = wait)},
    )

def get(path, **extract):
    return GetHttpRequestRecipe(port_id = "http", endpoint = path, extract = extract)

def run(plan, password, key, fail = ""):
    data = {"password": password, "key": key}
    plan.render_templates(name = "conf", config = {"a": struct(template = "{{.password}} {{.key}}", data = data)})
    plan.add_service("db", server(password, key))
    said = plan.exec("db", ExecRecipe(command = ["sh", "-c", SHOW], extract = {"first": "split(\"\\n\")[0]"}))
    plan.run_sh(name = "seed", run = SHOW, env_vars = {"PASSWORD": password, "KEY": key})
    answer = plan.request("db", get("/", password = ".password"))
    plan.print("it is " + password + ", " + said["output"] + ", " + answer["extract.password"])
    plan.verify(said["output"], "!=", password)
    if fail == "exec":
        plan.exec("db", ExecRecipe(command = ["sh", "-c", SHOW + "; exit 3"]))
    if fail == "long":
        pad = "x" * 385
        plan.exec("db", ExecRecipe(command = ["sh", "-c", "echo \"$PASSWORD\"" + pad + "; exit 3"]))
    if fail == "key":
        plan.exec("db", ExecRecipe(command = ["sh", "-c", "echo \"$KEY\"; exit 3"]))
    if fail == "task":
        plan.run_sh(name = "bad", run = SHOW + "; exit 3", env_vars = {"PASSWORD": password, "KEY": key})
    if fail == "late":
        plan.run_sh(name = "bad", run = "echo " + "x" * 380 + "\"$PASSWORD\"; sleep 9",
            env_vars = {"PASSWORD": password}, wait = "1s")
    if fail == "request":
        plan.request("db", get("/wrong"))
    if fail == "header":
        plan.request("db", GetHttpRequestRecipe(port_id = "http", endpoint = "/", headers = {"Key": key}))
    if fail == "jq":
        plan.request("db", get("/", wrong = ".password | tonumber"))
    if fail == "jq-key":
        plan.request("db", get("/", wrong = ".key | error"))
    if fail == "template":
        bad = struct(template = "{{ index .password \"a\" }}{{ .password.x }}", data = data)
        plan.render_templates(name = "bad", config = {"a": bad})
    if fail == "verify":
        plan.verify("x" * 190 + password, "==", key)
    if fail == "wait":
        plan.wait("db", get("/", key = ".key"), "extract.key", "==", password, timeout = "1s", interval = "1s")
    if fail == "ready":
        plan.add_service("web", server(password, key, wait = "1s", cmd = ["sh", "-c", SHOW + "; sleep 60"]))
    if fail == "crash":
        plan.add_service("web", server(password, key, cmd = ["sh", "-c", SHOW + "; exit 4"]))
'''
FAILURES = (
    "exec", "long", "key", "task", "late", "request", "header", "jq", "jq-key", "template", "verify", "wait", "ready",
    "crash",
)  # fmt: skip
VARIABLES = {
    "HOST_TOKEN": GIT_TOKEN, "WRONG_TOKEN": WRONG_TOKEN, "DB_PASSWORD": PASSWORD, "FORGE_TOKEN": FORGE_TOKEN,
    "CHAT_TOKEN": CHAT_TOKEN, "AWS_SECRET_ACCESS_KEY": AWS, "GITOPSD_CANARY": AWS,
}  # fmt: skip


def environments(args: dict[str, Any]) -> bytes:
    secrets = {"password": {"secret": "PASSWORD"}, "key": {"secret": "KEY"}}
    return json.dumps({"environments": {"dev": {"package": "p", "args": {**secrets, **args}}}}).encode()


@dataclass
class Planted:
    """A daemon that follows a repository which asks for a token, reports to a forge and a chat, and is watched."""

    folder: Path
    host: Host
    forge: ForgeServer
    chat: ChatServer
    shown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.host.root).mkdir()
        self.repository = Repository(self.host.root / "devnets.git")

    def write(self) -> None:
        """What the daemon shall read: its configuration, secrets and variables."""
        (self.folder / "key").write_text(KEY + "\n")
        url = f"{self.host.url}/devnets.git"
        more = {
            "repositories": {
                "devnets": {"url": url, "interval": "200ms", "credential": "host"},
                "locked": {"url": f"{self.host.url}/other.git", "interval": "200ms", "credential": "wrong"},
            },
            "credentials": {"host": {"token": {"env": "HOST_TOKEN"}}, "wrong": {"token": {"env": "WRONG_TOKEN"}}},
            "secrets": {
                "PASSWORD": {"env": "DB_PASSWORD", "environments": ["*"]},
                "KEY": {"file": str(self.folder / "key"), "environments": ["dev"]},
            },
            "forges": {"forge": {"type": "gitea", "url": self.host.url, "api": self.forge.url,
                                 "token": {"env": "FORGE_TOKEN"}, "repositories": {url: "demo/devnets"}}},
            "slack": {"channel": "devnets", "api": self.chat.base_url, "token": {"env": "CHAT_TOKEN"}},
            "log": {"format": "json", "level": "debug"},
            "backends": {"local": {"grace": "1s"}},
        }  # fmt: skip
        self.daemon = Daemon(self.folder, self.repository, more, VARIABLES)

    def push(self, args: dict[str, Any], *, package: str = PACKAGE, readme: str = "") -> str:
        return self.repository.commit({
            "gitopsd.yaml": environments(args),
            "README.md": readme.encode(),
            "p/kurtosis.yml": b"name: github.com/acme/p\n",
            "p/main.star": package.encode(),
        })  # fmt: skip

    def run_of(self, commit: str) -> Run:
        """The run that a commit led to."""

        def found() -> Run | None:
            runs = self.daemon.history() if self.known() and self.daemon.answers else ()
            return next((run for run in runs if run.commit.id == commit and run.trigger is not Trigger.DRIFT), None)

        run = until(found, f"a run of {commit[:7]}")
        assert isinstance(run, Run)
        return run

    def known(self) -> bool:
        return any("dev" in str(line.get("environment")) for line in self.daemon.lines())

    def verb(self, *words: str) -> None:
        done = self.daemon.verb(*words)
        assert "Traceback" not in done.stdout + done.stderr
        self.shown.append(f"$ gitopsd {' '.join(words)}\n{done.stdout}{done.stderr}")

    def told(self) -> str:
        """Everything that people and other programs get to see."""
        received = [json.dumps(asked.body) for server in (self.forge, self.chat) for asked in server.requests]
        return "\n".join([self.daemon.log.read_text(), *self.shown, *received])


@contextmanager
def planted(folder: Path) -> Iterator[Planted]:
    with (
        pytest.MonkeyPatch.context() as patch,
        serving(Host(folder / "repos", token=GIT_TOKEN)) as host,
        closing(ForgeServer(token=FORGE_TOKEN, repositories=("demo/devnets",))) as forge,
        closing(ChatServer(token=CHAT_TOKEN)) as chat,
    ):
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        place = Planted(folder, host, forge, chat)
        place.write()
        with place.daemon:
            yield place


class CommandLines:
    """Looks at the command lines of all processes until it is closed; ``found`` holds those with a canary."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._closed.wait(0.02):
            for name in os.listdir("/proc"):  # noqa: PTH208  - many times a second
                if name.isdigit():
                    try:
                        text = Path(f"/proc/{name}/cmdline").read_bytes().decode(errors="replace")
                    except OSError:
                        continue
                    if MARK in text:
                        self.found.add(text.replace("\0", " "))

    def close(self) -> None:
        self._closed.set()
        self._thread.join()


def marks(text: str | bytes) -> list[str]:
    """The places in a text that hold a canary, also in Base64."""
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    forms = [MARK, *(base64.b64encode(item.encode()).decode()[:20] for item in (PASSWORD, KEY, GIT_TOKEN, AWS))]
    return [plain[max(0, at - 150) : at + 60] for form in forms if (at := plain.find(form)) >= 0]


def files_with_marks(state: Path) -> dict[Path, list[str]]:
    """The files below the state directory that hold a canary, what a database packs included."""
    found: dict[Path, list[str]] = {}
    for path in (path for path in state.rglob("*") if path.is_file() and not path.is_symlink()):
        texts = [path.read_bytes()]
        if path.suffix == ".sqlite":
            texts += bodies(path)
        if any(places := [place for text in texts for place in marks(text)]):
            found[path.relative_to(state)] = places
    return found


def bodies(database: Path) -> list[bytes]:
    """Every packed column of a database, unpacked."""
    with closing(sqlite3.connect(database)) as connection:
        names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        rows = [row for name in names for row in connection.execute(f"select * from {name}")]
    return [unpacked(cell) for row in rows for cell in row if isinstance(cell, bytes)]


def unpacked(cell: bytes) -> bytes:
    """What is packed in a cell, wherever in it that begins."""
    for start in (0, 32):
        try:
            return zlib.decompress(cell[start:])
        except zlib.error:
            continue
    return cell

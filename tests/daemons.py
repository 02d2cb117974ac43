"""The real daemon as a process, a repository to push to, and a counter that effects on loopback can be seen at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pygit2
import yaml

import gitopsd

START = "from gitopsd.cli import main; main()"
ROOT = Path(gitopsd.__file__).parents[1]


def until(check: Callable[[], Any], what: str, *, seconds: float = 60.0, every: float = 0.05) -> Any:
    """The first true answer of ``check``; fails when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        if found := check():
            return found
        assert time.monotonic() < end, f"within {seconds:g} s: {what}"
        time.sleep(every)


class Counting:
    """An HTTP server on loopback that counts ``GET /NAME`` by name; names in ``closed`` are answered with 503."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.closed: set[str] = set()
        counting = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/")
                counting.hits[name] += 1
                self.send_response(503 if name in counting.closed else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@dataclass
class Repository:
    """An environment repository in a folder, with commits made by its files."""

    folder: Path

    def __post_init__(self) -> None:
        self.git = pygit2.init_repository(self.folder, initial_head="main")

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def push(self, files: Mapping[str, str]) -> str:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git.index.add_all()
        self.git.index.write()
        who = pygit2.Signature("Ann", "ann@example.org")
        parents = [] if self.git.head_is_unborn else [self.git.head.target]
        return str(self.git.create_commit("refs/heads/main", who, who, "Change", self.git.index.write_tree(), parents))


@dataclass
class Daemon:
    """``gitopsd run`` on a scratch configuration; ``more`` is merged into it."""

    folder: Path
    repository: Repository
    more: Mapping[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "gitopsd.yaml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    def start(self) -> None:
        settings = {
            "state_dir": str(self.state),
            "repositories": {"devnets": {"url": self.repository.url, "interval": "1s"}},
            "drift": {"interval": "1m"},
            "log": {"format": "json"},
            **self.more,
        }
        self.config.write_text(yaml.safe_dump(settings))
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Its exit status after SIGTERM; one that does not end in 30 s is killed."""
        assert self.process
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def verb(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A verb of the command line as a user types it."""
        return subprocess.run(
            [sys.executable, "-c", START, *words, "--config", str(self.config)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=120,
            check=False,
        )

    def lines(self) -> list[dict[str, Any]]:
        """The daemon's log so far."""
        if not self.log.exists():
            return []
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def steps(self) -> int:
        """How many lines about instructions the log has."""
        return sum("instruction" in line for line in self.lines())

    def status(self) -> dict[str, Any]:
        found = self.verb("status", "--output", "json")
        assert found.returncode == 0, found.stderr
        answer: dict[str, Any] = json.loads(found.stdout)
        return answer

"""The real daemon of the demo, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

import gitopsd
from gitopsd.cli.demo_watch import Unmet, require, until
from gitopsd.daemon.client import connect
from gitopsd.errors import GitopsdError
from gitopsd.web.commands import AnyAnswer, Request, Result, VersionAnswer, VersionRequest

FORGE_TOKEN, CHAT_TOKEN = "DEMO_FORGE_TOKEN", "DEMO_CHAT_TOKEN"
_START = "from gitopsd.cli import main; main()"


def configuration(folder: Path, *, repository: str, forge: str, chat: str) -> Path:
    """Writes the daemon's configuration into a folder and returns the file. ``forge`` and ``chat`` are addresses of
    the loopback servers; the repository is known by its address on the forge and read from ``repository``."""
    settings = {
        "state_dir": str(folder / "state"),
        "repositories": {"devnets": {"url": f"{forge}/demo/devnets", "ref": "main", "interval": "1s"}},
        "rewrites": {f"{forge}/demo/devnets": repository},
        "forges": {"demo": {"type": "github", "url": forge, "api": forge, "token": {"env": FORGE_TOKEN}}},
        "slack": {"channel": "devnets", "api": chat, "token": {"env": CHAT_TOKEN}},
        "drift": {"interval": "2s"},
        "log": {"format": "json"},
    }
    file = folder / "gitopsd.yaml"
    file.write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")
    return file


@dataclass(slots=True)
class DemoDaemon:
    """``gitopsd run`` on a configuration; one process at a time. ``tokens`` are variables that it gets."""

    config: Path
    state: Path
    log: Path
    tokens: Mapping[str, str]
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Starts the daemon, waits until it answers, and returns its pid. Unmet when it does not."""
        variables = {**os.environ, **self.tokens, "PYTHONPATH": str(Path(gitopsd.__file__).parents[1])}
        command = [sys.executable, "-c", _START, "run", "--config", str(self.config)]
        with self.log.open("ab") as out:
            # A session of its own: Ctrl-C in the terminal is for the demo alone.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=variables, start_new_session=True
            )
        process = self._process
        until(lambda: process.poll() is not None or self._pid() == process.pid, "the daemon answers", seconds=20)
        last = self.log.read_text("utf-8", "replace").splitlines()[-1:]
        require(process.poll() is None, "the daemon runs; the last line of its log is", *last)
        return process.pid

    def _pid(self) -> int:
        answer = self.ask(VersionRequest(), seconds=5)
        return answer.pid if isinstance(answer, VersionAnswer) else 0

    def ask(self, request: Request, *, seconds: float = 60) -> AnyAnswer | None:
        """Asks through the daemon's socket, as every verb does. Unmet when it is not there or refuses."""
        try:
            client = connect(self.state)
            require(client is not None, f"the daemon answers {type(request).__name__}")
            assert client is not None
            deadline = time.monotonic() + seconds
            for answer in client.ask(request):
                if isinstance(answer, Result):
                    return answer.value
                require(time.monotonic() < deadline, f"{type(request).__name__} ends within {seconds:g} s")
        except GitopsdError as error:
            raise Unmet(f"{type(request).__name__}: {error}") from None
        return None

    def kill(self) -> int:
        """Kills the daemon as a crash would, and returns the pid that it had."""
        assert self._process is not None
        process = self._process
        process.kill()
        process.wait()
        return process.pid

    def stop(self) -> int:
        """Ends the daemon and returns its exit status; one that does not end in 30 s is killed."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

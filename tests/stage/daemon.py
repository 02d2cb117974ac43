"""The real daemon as a process, and the ways that people and programs reach it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from gitopsd.cli.reach import Where, reached
from gitopsd.daemon.client import Client, connect
from gitopsd.errors import UserError
from gitopsd.model.run import Run
from gitopsd.web.commands import (
    DestroyRequest,
    HistoryAnswer,
    HistoryRequest,
    Request,
    Result,
    StatusAnswer,
    StatusRequest,
    VersionAnswer,
    VersionRequest,
)
from tests.stage.processes import called, program, variables
from tests.stage.repository import Checkout, Repository
from tests.stage.waiting import until

A = TypeVar("A")


@dataclass
class Daemon:
    """``gitopsd run`` on a repository and a scratch configuration, into which ``more`` is merged; ``environ`` is added
    to the environment. As a context, it leaves nothing running at the end."""

    folder: Path
    repository: Checkout | Repository
    more: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def config(self) -> Path:
        return self.folder / "gitopsd.yaml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    @property
    def pid(self) -> int:
        assert self.process, "no daemon was started"
        return self.process.pid

    def configure(self) -> None:
        """Writes the configuration, which verbs may use before there is a daemon."""
        settings = {
            "state_dir": str(self.state),
            "repositories": {"devnets": {"url": self.repository.url, "interval": "1s"}},
            "drift": {"interval": "1m"},
            "log": {"format": "json"},
            **self.more,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(yaml.safe_dump(settings))

    def start(self) -> None:
        """Starts it and does not wait."""
        self.configure()
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                program("run", "--config", str(self.config)),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=variables(**self.environ),
                start_new_session=True,
            )

    def started(self) -> None:
        """Starts it and waits until it answers."""
        self.start()
        until(lambda: self.answers, "the daemon answers")

    @property
    def answers(self) -> bool:
        """Whether it is this process that answers."""
        client = connect(self.state) if self.state.exists() else None
        return client is not None and _answer(client, VersionRequest(), VersionAnswer).pid == self.pid

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

    def end(self) -> None:
        """Stops it if it runs, and destroys all that it follows."""
        if self.process and self.process.poll() is None:
            self.stop()
        if not self.config.exists():
            return
        with reached(Where(self.config, None)) as commands:
            (found,) = [item for item in commands.ask(StatusRequest()) if isinstance(item, Result)]
            assert isinstance(found.value, StatusAnswer)
            for item in found.value.environments:
                with suppress(UserError):  # one whose backend is not configured has nothing to destroy
                    list(commands.ask(DestroyRequest(environment=item.name)))

    def ask(self, request: Request, kind: type[A]) -> A:
        """The answer of the daemon by its socket, without a program: for what is asked often."""
        client = connect(self.state)
        assert client is not None, "no daemon answers"
        return _answer(client, request, kind)

    def status(self, name: str = "") -> StatusAnswer:
        """Of all environments; of one by name with its services as they are now."""
        return self.ask(StatusRequest(environment=name, live=bool(name)), StatusAnswer)

    def history(self, name: str = "dev") -> tuple[Run, ...]:
        return self.ask(HistoryRequest(environment=name), HistoryAnswer).runs

    def verb(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A verb of the command line as a user types it."""
        return called(*words, "--config", str(self.config), **self.environ)

    def json(self, *words: str) -> Any:
        """What a verb tells programs."""
        done = self.verb(*words, "--output", "json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

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


def _answer(client: Client, request: Request, kind: type[A]) -> A:
    last = list(client.ask(request))[-1]
    assert isinstance(last, Result), last
    assert isinstance(last.value, kind)
    return last.value

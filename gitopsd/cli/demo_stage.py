"""Where the demo takes place: a scratch folder with a repository, a daemon, a forge, a chat, and what scenes ask."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gitopsd.cli.demo_daemon import CHAT_TOKEN, FORGE_TOKEN, DemoDaemon, configuration
from gitopsd.cli.demo_repository import DemoRepository
from gitopsd.cli.demo_servers import ChatServer, ForgeServer, Status
from gitopsd.cli.demo_watch import Devnet, Unmet, look, process, processes_of, require, until
from gitopsd.kit.text import one_line
from gitopsd.model.run import Run, Trigger
from gitopsd.report.text import diff_text
from gitopsd.web.commands import DestroyRequest, HistoryAnswer, HistoryRequest, StatusAnswer, StatusRequest

SMALL, LARGE = "devnet-small", "devnet-large"
SHOWN = 18
"""Lines of a diff that are shown."""
_SHORT = re.compile(r" {0,2}\S| {6}~ ")
"""What is shown of a diff: its changes, and fields that had a value before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What every scene gets. ``tell`` prints a line of untrusted text; ``made`` maps subjects to commits, ``followed``
    are those whose end was waited for."""

    folder: Path
    repository: DemoRepository
    daemon: DemoDaemon
    forge: ForgeServer
    chat: ChatServer
    tell: Callable[[str], None]
    made: dict[str, str] = field(default_factory=dict)
    followed: list[str] = field(default_factory=list)

    # --- doing ---

    def commit(self, subject: str, *edits: tuple[str, str, str]) -> str:
        """Edits files (path, old text, new text), commits, and returns the commit."""
        for path, old, new in edits:
            self.repository.edit(path, old, new)
            self.tell(f"  {path}: {one_line(old)} → {one_line(new)}")
        self.made[subject] = self.repository.commit(subject)
        self.tell(f"  git commit {self.made[subject][:7]} {subject!r}")
        return self.made[subject]

    def revert(self, *subjects: str) -> str:
        """Takes commits back, newest first, and returns the last commit made."""
        for subject in subjects:
            name = f'Revert "{subject}"'
            self.made[name] = self.repository.revert(self.made[subject])
            self.tell(f"  git revert {self.made[subject][:7]} → {self.made[name][:7]}")
        return self.made[name]

    # --- asking ---

    def look(self, environment: str) -> Devnet:
        """An environment as it is now, by its processes and its own answers."""
        answer = self.daemon.ask(StatusRequest(environment=environment, live=True))
        require(isinstance(answer, StatusAnswer) and len(answer.environments) == 1, f"{environment} has a status")
        assert isinstance(answer, StatusAnswer)
        return look({service.name: service.address for service in answer.environments[0].services})

    def expect(self, environment: str, commit: str, state: str, *, seconds: float) -> Status:
        """The final commit status of an environment, which must be ``state``; shows the diff that led to it."""

        def final() -> Status | None:
            return next((item for item in self.statuses(environment, commit) if item.state != "pending"), None)

        if commit not in self.followed:
            self.followed.append(commit)
        status = until(final, f"{environment} reports on commit {commit[:7]}", seconds=seconds)
        promise = f"{environment} at {commit[:7]} ends with {state}"
        require(status.state == state, promise, status.state, status.description)
        run = self.run_of(environment, commit)
        if run.applied is not None and not run.applied.diff.empty:
            self._show(diff_text(run.applied.diff))
        self.tell(f"  {environment}: {status.state}: {status.description}")
        return status

    def statuses(self, environment: str, commit: str) -> tuple[Status, ...]:
        """What the forge got for an environment and a commit, in the order of arrival."""
        context = f"gitopsd/{environment}"
        received = tuple(self.forge.statuses)
        return tuple(item for item in received if (item.commit, item.context) == (commit, context))

    def run_of(self, environment: str, commit: str) -> Run:
        """The run that followed a commit."""

        def found() -> Run | None:
            runs = (run for run in self.history(environment) if run.commit.id == commit)
            return next((run for run in runs if run.trigger is not Trigger.DRIFT), None)

        return until(found, f"the history of {environment} has commit {commit[:7]}", seconds=5)

    def history(self, environment: str) -> tuple[Run, ...]:
        """The runs of an environment, newest first."""
        answer = self.daemon.ask(HistoryRequest(environment=environment, limit=500))
        return answer.runs if isinstance(answer, HistoryAnswer) else ()

    def _show(self, text: str) -> None:
        """The changes of a diff with their changed fields; ``gitopsd history`` shows all of it."""
        *body, total = text.rstrip().splitlines()
        lines = [line for line in body if _SHORT.match(line)]
        for line in lines[:SHOWN]:
            self.tell(f"  {line}")
        if len(lines) > SHOWN:
            self.tell(f"    … and {len(lines) - SHOWN} more lines")
        self.tell(f"  {total}")


@contextlib.contextmanager
def stage(folder: Path, tell: Callable[[str], None]) -> Iterator[Stage]:
    """Sets the stage in a scratch folder and clears it: afterwards no process of it is left, however it ended."""
    repository = DemoRepository.create(folder / "devnets")
    tokens = {name: f"demo-{secrets.token_hex(16)}" for name in (FORGE_TOKEN, CHAT_TOKEN)}
    with (
        contextlib.closing(ForgeServer(token=tokens[FORGE_TOKEN], repositories=("demo/devnets",))) as forge,
        contextlib.closing(ChatServer(token=tokens[CHAT_TOKEN])) as chat,
    ):
        config = configuration(folder, repository=repository.folder.as_uri(), forge=forge.url, chat=chat.base_url)
        daemon = DemoDaemon(config=config, state=folder / "state", log=folder / "daemon.log", tokens=tokens)
        try:
            daemon.start()
            yield Stage(folder=folder, repository=repository, daemon=daemon, forge=forge, chat=chat, tell=tell)
        finally:
            _clear(daemon)


def _clear(daemon: DemoDaemon) -> None:
    """Destroys what still runs: by the daemon if it can, else process by process."""
    with contextlib.suppress(Unmet):
        for environment in (SMALL, LARGE):
            daemon.ask(DestroyRequest(environment=environment), seconds=20)
    daemon.stop()
    for _ in range(3):  # a shim that dies first may leave its child for the next round
        for item in processes_of(daemon.state):
            if process(item.pid) == item:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(item.pid, signal.SIGKILL)

"""Executions and tasks by key: each runs once, whoever asks, and its result stays.

A key has a folder, named by its digest. Its shim runs the command and writes ``result.json`` last, before anyone
reads it; so a daemon that comes back joins what runs, returns what is there, or finds no trace.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gitopsd.adapters.local.artifacts import read_tree
from gitopsd.adapters.local.folders import Folders, locked, read_json, remove_tree, write_json
from gitopsd.adapters.local.jobs import Jobs
from gitopsd.adapters.local.processes import ProcessId, process_of, spawn
from gitopsd.errors import Reason, StepError, TransientError
from gitopsd.kit.files import make_folder
from gitopsd.model.calls import CommandResult

_KEPT = 30 * 86_400.0
_TAIL = 400


class Keyed:
    """What was run by key in the enclaves of a state folder."""

    def __init__(self, folders: Folders, jobs: Jobs) -> None:
        self._folders = folders
        self._jobs = jobs

    def has_trace(self, enclave: str, key: str) -> bool:
        """Whether it runs, or its result is there."""
        folder = self._folder(enclave, key)
        return (folder / "result.json").is_file() or process_of(folder) is not None

    def run(self, enclave: str, key: str, what: str, job: Callable[[Path], dict[str, Any]]) -> CommandResult:
        """Runs the job that ``job`` makes for a folder, or joins, or returns what was recorded.

        ``what`` names it in messages. StepError TIMED_OUT, INTERRUPTED when it was ended from outside, PATH_REFUSED
        when a path to store cannot be taken.
        """
        folder = self._folder(enclave, key)
        with locked(folder.with_name(folder.name + ".lock")):
            recovered = self.has_trace(enclave, key)
            if not recovered:
                remove_tree(folder)
                spawn(job(make_folder(folder)))
        result = self._wait(folder)
        error = read_json(folder / "state.json").get("error")
        if result is None and error:
            raise TransientError(Reason.BACKEND_UNAVAILABLE, f"{what} could not be started: {error}")
        if result is None:
            raise StepError(
                Reason.INTERRUPTED, f"{what} was ended from outside before it finished", hint="it can be run again"
            )
        return self._answer(enclave, folder, what, {**result, "recovered": recovered})

    def _folder(self, enclave: str, key: str) -> Path:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self._folders.keyed(enclave) / digest

    def _wait(self, folder: Path) -> Mapping[str, Any] | None:
        while True:
            process = process_of(folder)
            result = read_json(folder / "result.json")
            if result or process is None:
                return result or None
            process.wait(2.0)

    def _answer(self, enclave: str, folder: Path, what: str, result: dict[str, Any]) -> CommandResult:
        output = read_output(folder)
        if result["late"]:
            raise StepError(Reason.TIMED_OUT, f"{what} did not end in time{_last(output)}")
        if result["problem"]:
            raise StepError(Reason.PATH_REFUSED, f"{what}: a path cannot be stored: {result['problem']}")
        return CommandResult(
            code=int(result["code"]),
            output=output,
            stored=self._stored(enclave, folder, result),
            recovered=bool(result["recovered"]),
        )

    def _stored(self, enclave: str, folder: Path, result: dict[str, Any]) -> tuple[str, ...]:
        """Content digests of what the job stored. Its files go once all of them are artifacts."""
        if not result["stored"]:
            remove_tree(folder / "scratch")
            return ()
        with locked(folder / "stored.lock"):
            known = read_json(folder / "stored.json")
            if not known:
                artifacts = self._jobs.artifacts(enclave)
                known = {
                    "digests": [
                        artifacts.put(read_tree(folder / "stored" / name)) if name else "" for name in result["stored"]
                    ]
                }
                write_json(folder / "stored.json", known, durable=True)
            for name in ("stored", "scratch", "mounts"):
                remove_tree(folder / name)
        return tuple(known["digests"])

    def running(self, enclave: str) -> list[ProcessId]:
        """The shims of everything that runs by key in an enclave."""
        folder = self._folders.keyed(enclave)
        found = (process_of(path) for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ()
        return [process for process in found if process is not None]

    def forget_old(self, enclave: str) -> None:
        """Deletes traces that are older than any run can be."""
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._folders.keyed(enclave)):
                if time.time() - entry.stat().st_mtime > _KEPT and not process_of(Path(entry.path)):
                    remove_tree(Path(entry.path))


def read_output(folder: Path) -> str:
    """The output that a shim has kept, as text."""
    try:
        return (folder / "output.log").read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def facts_of(shim: int, state: Mapping[str, Any]) -> dict[str, Any]:
    """What a service's shim keeps in memory for those who join it. StepError SERVICE_CRASHED when it is gone."""
    try:
        data = json.loads(Path(f"/proc/{shim}/fd/{state['facts']}").read_bytes())
    except (OSError, KeyError, ValueError):
        raise StepError(Reason.SERVICE_CRASHED, "the service ended meanwhile") from None
    return dict(data)


def _last(output: str) -> str:
    return f"; its output ended with: {output[-_TAIL:].strip()}" if output.strip() else ""

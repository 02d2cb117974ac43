"""The port ``Evaluator``: every call in a fresh, limited process of its own.

A worker is a fork of a Python in isolated mode with an empty environment and no descriptor of the daemon but its own
four (``server.py``), and sets limits on itself before it reads what a package author wrote (``daemon/evaluator.py``).
The wall clock and the size of the answer are watched from here. What passes a limit, or crashes, ends its worker and
is UserError EVALUATION_LIMIT, which says which limit it was.
"""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitopsd.adapters.worker.documents import Documents
from gitopsd.adapters.worker.process import ForkServer, OverError
from gitopsd.errors import Reason, StepError, TransientError, UserError
from gitopsd.kit import cachefile
from gitopsd.model import codec
from gitopsd.model.package import EvaluationRequest, YamlDocument
from gitopsd.model.plan import Evaluation
from gitopsd.model.values import Frozen, Json, freeze, thaw

_MIB = 1024 * 1024
_OUT_OF_MEMORY = (
    b"out of memory", b"cannot allocate", b"MemoryError", b"error: failed to allocate", b"pthread_create failed",
)  # fmt: skip
"""What a worker complains of at its limit; the last is Go's, when no memory is left for the stack of a thread."""
_NO_PROCESS = "look at the limits on processes, open files and memory of the user that runs gitopsd"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """What one worker may use. ``memory`` is data memory in bytes, ``cpu`` and ``wall`` are seconds, ``answer`` is
    the size of its answer in bytes."""

    memory: int = 256 * _MIB
    cpu: int = 20
    wall: float = 30.0
    answer: int = 64 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Limits of evaluations, and of the small calls (templates, jq, YAML). ``cache`` is a folder for lowered sources
    and files of dependencies (empty: none are kept), ``cache_size`` what it may take on the disk, in bytes."""

    evaluation: WorkerLimits = WorkerLimits()
    small: WorkerLimits = WorkerLimits(cpu=10, wall=15.0)
    cache: str = ""
    cache_size: int = 128 * _MIB


class WorkerEvaluator:
    """Implements :class:`gitopsd.ports.Evaluator`; may be called from many threads at once. ``server`` may have been
    started already."""

    def __init__(self, settings: WorkerSettings | None = None, server: ForkServer | None = None) -> None:
        self._settings = settings or WorkerSettings()
        self._documents = Documents()
        self._server = server or ForkServer()

    def prepare(self) -> None:
        """Lets workers get ready while the caller still finds out what to ask."""
        self._server.start()

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        """The package's plan, or its problems, or what it still needs."""
        payload = {"request": codec.encode(request), "cache": self._settings.cache}
        answer = self._ask("evaluate", payload, self._settings.evaluation, f"the package {request.package.locator}")
        found: Evaluation = codec.decode(answer)
        if self._settings.cache:
            cachefile.tidy(self._settings.cache, size=self._settings.cache_size)
        return found

    def render(self, files: Mapping[str, tuple[str, Json]]) -> dict[str, bytes]:
        """Go templates by path, each with its text and data."""
        payload = {path: [text, json.dumps(thaw(data), ensure_ascii=False)] for path, (text, data) in files.items()}
        answer = self._ask("render", payload, self._settings.small, f"the template {', '.join(sorted(files))}")
        return {path: base64.b64decode(content) for path, content in answer.items()}

    def extract(self, program: str, document: Json) -> tuple[Json, ...]:
        """The results of a jq program over a document."""
        payload = {"program": program, "document": json.dumps(thaw(document), sort_keys=True)}
        answer = self._ask("extract", payload, self._settings.small, f"the jq program {program[:200]!r}")
        return tuple(freeze(item) for item in answer)

    def parse(self, templates: Mapping[str, str], programs: Mapping[str, str]) -> Mapping[str, str]:
        """What is wrong with each Go template and each jq program, by its key; nothing of them is run."""
        payload = {"templates": dict(templates), "programs": dict(programs)}
        found: dict[str, str] = self._ask("parse", payload, self._settings.small, "a template or jq program")
        return found

    def load_yaml(self, text: bytes, origin: str) -> YamlDocument:
        """A YAML (or JSON) text as data, with the line and column of each value; a text that was read lately needs
        no worker. UserError CONFIG_INVALID, with the position, for what is no YAML."""
        key = hashlib.sha256(text).digest()
        kept = self._documents.get(key)
        if kept is not None:
            return kept
        payload = {"text": base64.b64encode(text).decode(), "origin": origin}
        answer = self._ask("load_yaml", payload, self._settings.small, origin)
        document = YamlDocument(
            data=freeze(answer["data"]),
            marks=Frozen({path: (line, column) for path, (line, column) in answer["marks"].items()}),
            duplicates=tuple(answer["duplicates"]),
        )
        self._documents.keep(key, document, size=len(json.dumps(answer)))
        return document

    def _ask(self, call: str, payload: Mapping[str, Any], limits: WorkerLimits, what: str) -> Any:
        """The answer of a fresh worker. Raises what the worker reports, UserError EVALUATION_LIMIT, and TransientError
        BACKEND_UNAVAILABLE when the system has no process or no descriptor left for one."""
        head = {"call": call, "memory": limits.memory, "cpu": limits.cpu}
        request = json.dumps({**head, "payload": payload}, ensure_ascii=False).encode("utf-8", "surrogatepass")
        end = time.monotonic() + limits.wall
        try:
            try:
                said = self._said(request, end, limits.answer)
            except ConnectionError:  # somebody ended the server; another starts
                said = self._said(request, end, limits.answer)
        except OverError as over:
            raise _exceeded(what, over.limit, limits) from None
        except OSError as error:
            message = f"no process could be started to read {what}: {error}"
            raise TransientError(Reason.BACKEND_UNAVAILABLE, message, hint=_NO_PROCESS) from None
        return _read(*said, what, limits)

    def _said(self, request: bytes, end: float, limit: int) -> tuple[bytes, bytes, int]:
        """What a worker answered and complained of until it ended, and how it ended."""
        try:
            with self._server.worker() as worker:
                return (*worker.ask(request, end=end, limit=limit), worker.status(end))
        except TimeoutError:
            self._server.stop()  # it hangs
            raise


def _read(answer: bytes, complaint: bytes, status: int, what: str, limits: WorkerLimits) -> Any:
    """What a finished worker said. A worker that ended without an answer was ended by a limit, or crashed."""
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        raise _exceeded(what, "time", limits)
    if not answer or status != 0:
        memory = any(mark in complaint for mark in _OUT_OF_MEMORY)
        raise _exceeded(what, "memory" if memory else "crash", limits)
    said = json.loads(answer.decode("utf-8", "surrogatepass"))
    if "ok" in said:
        return said["ok"]
    if "limit" in said:
        raise _exceeded(what, said["limit"], limits)
    if "bug" in said:
        raise RuntimeError(f"the evaluation worker failed: {said['bug']}")
    error = said["error"]
    kind = StepError if error.pop("kind") == "step" else UserError
    raise kind(Reason(error.pop("reason")), error.pop("message"), **error)


def _exceeded(what: str, limit: str, limits: WorkerLimits) -> UserError:
    told, hint = {
        "memory": (
            f"used more than {limits.memory // _MIB} MiB of memory",
            "look for a list or text that grows without end; the operator can raise the limit",
        ),
        "time": (
            f"ran longer than {limits.cpu} s of CPU time or {limits.wall:g} s in all",
            "look for a loop that takes too long; the operator can raise the limit",
        ),
        "answer": (
            f"gave more than {limits.answer // _MIB} MiB of result",
            "look for texts or lists that are far too long; the operator can raise the limit",
        ),
        "crash": (
            "crashed the process that evaluated it",
            "look for values that hold themselves or nest very deeply",
        ),
    }[limit]  # fmt: skip
    return UserError(Reason.EVALUATION_LIMIT, f"{what} {told}; the evaluation was ended", hint=hint)

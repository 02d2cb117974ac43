"""The port ``Evaluator``: every call in a fresh, limited process of its own.

A worker is a Python in isolated mode with an empty environment, a session of its own, no descriptor of the daemon but
its pipes, and limits that it sets on itself before it reads what a package author wrote (``daemon/evaluator.py``).
The wall clock and the size of the answer are watched from here. What passes a limit, or crashes, ends its worker and
is UserError EVALUATION_LIMIT, which says which limit it was.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import gitopsd
from gitopsd import ports
from gitopsd.errors import Reason, StepError, UserError
from gitopsd.model import codec
from gitopsd.model.plan import Evaluation
from gitopsd.model.values import Frozen, Json, freeze, thaw
from gitopsd.ports import EvaluationRequest, YamlDocument

codec.register(ports)

_BOOT = "import sys; sys.path[:0] = sys.argv[2:]; from gitopsd.daemon.evaluator import main; main(sys.argv[1])"
_GO = {"GOGC": "400", "GOMEMLIMIT": "96MiB"}
"""Go collects garbage seldom, as long as there is not much of it: few packages need as much, and their process ends."""
_MIB = 1024 * 1024
_LONGEST_COMPLAINT = 64 * 1024
_KEPT_DOCUMENTS = 512 * 1024
_OUT_OF_MEMORY = (
    b"out of memory", b"cannot allocate", b"MemoryError", b"error: failed to allocate", b"pthread_create failed",
)  # fmt: skip
"""What a worker complains of at its limit; the last is Go's, when no memory is left for the stack of a thread."""


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
    """Limits of evaluations, and of the small calls (templates, jq, YAML). ``cache`` is a folder for lowered sources;
    empty: none is kept."""

    evaluation: WorkerLimits = WorkerLimits()
    small: WorkerLimits = WorkerLimits(cpu=10, wall=15.0)
    cache: str = ""


class WorkerEvaluator:
    """Implements :class:`gitopsd.ports.Evaluator`; may be called from many threads at once."""

    def __init__(self, settings: WorkerSettings | None = None) -> None:
        self._settings = settings or WorkerSettings()
        self._documents = _Documents()
        self._ahead: subprocess.Popen[bytes] | None = None

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Within it the process of the next evaluation gets ready while the caller still finds out what to ask; one
        that nobody asked ends with it. For one thread."""
        self._ahead = _start("evaluate")
        try:
            yield
        finally:
            unused, self._ahead = self._ahead, None
            if unused is not None:
                with unused:
                    unused.kill()

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        """The package's plan, or its problems, or what it still needs."""
        payload = {"request": codec.encode(request), "cache": self._settings.cache}
        worker, self._ahead = self._ahead or _start("evaluate"), None
        answer = _ask(worker, "evaluate", payload, self._settings.evaluation, f"the package {request.package.locator}")
        found: Evaluation = codec.decode(answer)
        return found

    def render(self, files: Mapping[str, tuple[str, Json]]) -> dict[str, bytes]:
        """Go templates by path, each with its text and data."""
        payload = {path: [text, json.dumps(thaw(data), ensure_ascii=False)] for path, (text, data) in files.items()}
        answer = _call("render", payload, self._settings.small, f"the template {', '.join(sorted(files))}")
        return {path: base64.b64decode(content) for path, content in answer.items()}

    def extract(self, program: str, document: Json) -> tuple[Json, ...]:
        """The results of a jq program over a document."""
        payload = {"program": program, "document": json.dumps(thaw(document), sort_keys=True)}
        answer = _call("extract", payload, self._settings.small, f"the jq program {program[:200]!r}")
        return tuple(freeze(item) for item in answer)

    def parse(self, templates: Mapping[str, str], programs: Mapping[str, str]) -> Mapping[str, str]:
        """What is wrong with each Go template and each jq program, by its key; nothing of them is run."""
        payload = {"templates": dict(templates), "programs": dict(programs)}
        found: dict[str, str] = _call("parse", payload, self._settings.small, "a template or jq program")
        return found

    def load_yaml(self, text: bytes, origin: str) -> YamlDocument:
        """A YAML (or JSON) text as data, with the line and column of each value; a text that was read lately needs
        no worker. UserError CONFIG_INVALID, with the position, for what is no YAML."""
        key = hashlib.sha256(text).digest()
        kept = self._documents.get(key)
        if kept is not None:
            return kept
        payload = {"text": base64.b64encode(text).decode(), "origin": origin}
        answer = _call("load_yaml", payload, self._settings.small, origin)
        document = YamlDocument(
            data=freeze(answer["data"]),
            marks=Frozen({path: (line, column) for path, (line, column) in answer["marks"].items()}),
            duplicates=tuple(answer["duplicates"]),
        )
        self._documents.keep(key, document, size=len(json.dumps(answer)))
        return document


class _Documents:
    """Documents by the digest of their text, which is all that they are made of; those unused for longest go when
    all are more than 512 KiB of JSON (aliases let a document be far larger than its text). A text that is no YAML is
    read again, as its error names where it stands."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, tuple[YamlDocument, int]] = OrderedDict()
        self._left = _KEPT_DOCUMENTS
        self._lock = threading.Lock()

    def get(self, key: bytes) -> YamlDocument | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def keep(self, key: bytes, document: YamlDocument, *, size: int) -> None:
        with self._lock:
            if key in self._kept or size > _KEPT_DOCUMENTS:
                return
            self._kept[key] = (document, size)
            self._left -= size
            while self._left < 0:
                self._left += self._kept.popitem(last=False)[1][1]


def _call(call: str, payload: Mapping[str, Any], limits: WorkerLimits, what: str) -> Any:
    """The answer of a fresh worker. Raises what the worker reports, and UserError EVALUATION_LIMIT."""
    return _ask(_start(call), call, payload, limits, what)


def _start(call: str) -> subprocess.Popen[bytes]:
    """A worker that waits for its request on standard input."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, call, *search_path()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
        env=_GO if call == "evaluate" else {}, cwd="/", start_new_session=True,
    )  # fmt: skip


def _ask(
    worker: subprocess.Popen[bytes], call: str, payload: Mapping[str, Any], limits: WorkerLimits, what: str
) -> Any:
    head = {"call": call, "memory": limits.memory, "cpu": limits.cpu}
    request = json.dumps({**head, "payload": payload}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    end = time.monotonic() + limits.wall
    with worker:
        try:
            answer, complaint = _exchange(worker, request, end, limits.answer)
            worker.wait(max(end - time.monotonic(), 0.1))
        except (_OverError, subprocess.TimeoutExpired) as over:
            worker.kill()
            unit = over.limit if isinstance(over, _OverError) else "time"
            raise _exceeded(what, unit, limits) from None
        except BaseException:
            worker.kill()
            raise
    return _read(answer, complaint, worker.returncode, what, limits)


def search_path() -> list[str]:
    """Where a worker finds gitopsd and its libraries: what this process uses, but never the current folder."""
    root = str(Path(gitopsd.__file__).parent.parent)
    here = str(Path.cwd())
    return [root, *(item for item in sys.path if item.startswith("/") and item not in (root, here))]


class _OverError(Exception):
    """A limit that is watched from here was passed: ``time`` or ``answer``."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


def _exchange(worker: subprocess.Popen[bytes], request: bytes, end: float, limit: int) -> tuple[bytes, bytes]:
    """Writes the request, and gives what the worker writes to its two pipes until it closes them; of complaints only
    the beginning is kept."""
    kept: dict[str, bytearray] = {"answer": bytearray(), "complaint": bytearray()}
    left = memoryview(request)
    os.set_blocking(_present(worker.stdin).fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(_present(worker.stdin), selectors.EVENT_WRITE, "request")
        for name, pipe in (("answer", worker.stdout), ("complaint", worker.stderr)):
            selector.register(_present(pipe), selectors.EVENT_READ, name)
        while selector.get_map():
            if (pause := end - time.monotonic()) <= 0:
                raise _OverError("time")
            for key, _ in selector.select(pause):
                if key.data == "request":
                    left = _written(key.fd, left)
                    if not left:
                        selector.unregister(key.fileobj)
                        _present(worker.stdin).close()
                    continue
                data = os.read(key.fd, 256 * 1024)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.data == "answer" or len(kept["complaint"]) < _LONGEST_COMPLAINT:
                    kept[key.data] += data
            if len(kept["answer"]) > limit:
                raise _OverError("answer")
    return bytes(kept["answer"]), bytes(kept["complaint"])


def _written(descriptor: int, data: memoryview) -> memoryview:
    """What is left of the request; nothing when the worker has gone, whose end says why."""
    try:
        return data[os.write(descriptor, data[: 64 * 1024]) :]
    except BrokenPipeError:
        return data[:0]


def _present(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("a worker has no pipe")
    return pipe


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

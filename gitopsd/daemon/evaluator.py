"""The worker's entry, and the second, small composition root: a fork server, and one call in each worker it forks.

A worker reads one JSON object from its input (the call, its limits, the payload), limits itself, and writes one JSON
object: ``ok`` with the answer, ``error`` with a reason, ``limit``, or ``bug``. What evaluations need is imported before
the fork if there is time, but for the engine, which starts threads and so is loaded by the worker.
"""

from __future__ import annotations

import gc

gc.disable()  # a worker is short-lived

import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
from collections.abc import Callable, Mapping  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

if TYPE_CHECKING:
    from gitopsd.evaluate.engine import Engine, Host
    from gitopsd.model.package import EvaluationRequest, TreeFile

_SOON = (
    "gitopsd.adapters.yamltext", "base64", "gitopsd.model.parts", "gitopsd.model.ops", "gitopsd.model.plan",
    "gitopsd.evaluate.host", "gitopsd.evaluate", "gitopsd.adapters.git.kept", "gitopsd.adapters.starlark.engine",
)  # fmt: skip
"""What a short command needs, in the order in which it asks."""
_LATER = ("gitopsd.adapters.git.reader", "gitopsd.adapters.gotemplate", "gitopsd.adapters.jqprogram")
_LARGEST_FILE = 16 * 1024 * 1024
_OPEN_FILES = 256
_SET_NO_NEW_PRIVILEGES = 38
_SPARE = 64 * 1024
_STACK = 8 * 1024 * 1024


def main() -> None:
    """Forks workers until standard input, which is a socket, ends."""
    from gitopsd.adapters.worker.server import serve

    serve(_work, _SOON, _LATER)


def _work() -> None:
    """Answers the one call on standard input and ends the process, without any clean-up."""
    answers = os.dup(1)
    os.dup2(2, 1)
    with open(0, "rb", closefd=True) as requests:
        text = requests.read()
    if not text:
        os._exit(0)
    asked = json.loads(text.decode("utf-8", "surrogatepass"))
    _limit(asked)
    spare = bytearray(_SPARE)
    try:
        said: dict[str, Any] = _answer(asked)
    except MemoryError:
        del spare
        said = {"limit": "memory"}
    _write(answers, json.dumps(said, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    os._exit(0)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _limit(asked: Mapping[str, Any]) -> None:
    """Sets every limit of this process, beneath those that gitopsd was started with. No limit on processes for an
    evaluation: Go starts threads as it needs them, and the system counts those of all processes of the same user."""
    import ctypes

    libc = ctypes.CDLL(None)
    libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, asked["cpu"], spare=1)
    _lower(resource.RLIMIT_DATA, asked["memory"])
    _lower(resource.RLIMIT_FSIZE, _LARGEST_FILE)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    if asked["call"] != "evaluate":
        os.environ.clear()  # Python itself sets LC_CTYPE when it finds no locale
        _lower(resource.RLIMIT_NPROC, 0)


def _lower(kind: int, limit: int, *, spare: int = 0) -> None:
    """Sets a limit, which ends a process only ``spare`` later; one that gitopsd itself has and is lower stays."""
    hard = resource.getrlimit(kind)[1]
    most = limit + spare if hard == resource.RLIM_INFINITY else min(limit + spare, hard)
    resource.setrlimit(kind, (min(limit, most), most))


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    calls: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "evaluate": _evaluate_aside, "render": _render, "extract": _extract, "parse": _parse, "load_yaml": _load_yaml,
    }  # fmt: skip
    from gitopsd.errors import GitopsdError, StepError

    try:
        return {"ok": calls[asked["call"]](asked["payload"])}
    except GitopsdError as error:
        kind = "step" if isinstance(error, StepError) else "user"
        said = {"kind": kind, "reason": error.reason.value, "message": error.message}
        return {"error": {**said, "position": error.position, "hint": error.hint}}
    except RecursionError:
        return {"limit": "crash"}
    except MemoryError:
        raise
    except Exception as error:  # what is no error of the author is a bug, and told as one
        return {"bug": _told(error)}


def _told(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}: {error}{where}"


def _evaluate_aside(payload: Mapping[str, Any]) -> Any:
    """Evaluates in a thread of its own: on a process's first thread Go asks for the bounds of the stack at every call,
    and glibc reads all of ``/proc/self/maps`` for the answer."""
    import _thread

    done = _thread.allocate_lock()
    done.acquire()
    told: list[Any] = []

    def act() -> None:
        try:
            told.append(_evaluate(payload))
        except BaseException as error:
            told.append(error)
        finally:
            done.release()

    _thread.stack_size(_STACK)
    _thread.start_new_thread(act, ())
    done.acquire()
    if isinstance(told[0], BaseException):
        raise told[0]
    return told[0]


def _evaluate(payload: Mapping[str, Any]) -> Any:
    from gitopsd.adapters.starlark.engine import StarlarkEngine
    from gitopsd.evaluate import evaluate
    from gitopsd.model import codec

    request: EvaluationRequest = codec.decode(payload["request"])

    def engine(host: Host) -> Engine:
        return StarlarkEngine(host, cache=payload["cache"])

    return codec.encode(evaluate(request, engine, _Mirrors(request, payload["cache"])))


class _Mirrors:
    """The commits in local mirrors, for the stage. Files of dependencies, which seldom move, are kept."""

    def __init__(self, request: EvaluationRequest, cache: str) -> None:
        from gitopsd.adapters.git.kept import KeptFiles

        self._folder_by_url = request.mirrors
        self._pinned = {(pin.url, pin.commit) for pin in request.package.pins}
        self._kept = KeptFiles(cache)
        self._readers: dict[tuple[str, str], Any] = {}

    def read(self, url: str, commit: str, path: str) -> bytes:
        """The content of one file."""
        pinned = (url, commit) in self._pinned
        found = self._kept.get(url, commit, path) if pinned else None
        if found is None:
            found = bytes(self._reader(url, commit).read(path))
            if pinned:
                self._kept.keep(url, commit, path, found)
        return found

    def files(self, url: str, commit: str, path: str) -> tuple[TreeFile, ...]:
        """The files below a folder, or the one file."""
        return tuple(self._reader(url, commit).files(path))

    def _reader(self, url: str, commit: str) -> Any:
        from gitopsd.errors import Reason, UserError

        if (url, commit) not in self._readers:
            if url not in self._folder_by_url:
                raise UserError(Reason.SOURCE_UNREACHABLE, f"there is no mirror of {url}")
            self._readers[url, commit] = _opened(self._folder_by_url[url], commit)
        return self._readers[url, commit]


def _opened(folder: str, commit: str) -> Any:
    """A commit of a mirror; without a commit the folder itself, as it is on the disk."""
    if not commit:
        from gitopsd.adapters.folder import FolderReader

        return FolderReader(folder)
    from gitopsd.adapters.git.reader import TreeReader

    return TreeReader(folder, commit)


def _render(payload: Mapping[str, Any]) -> dict[str, str]:
    import base64

    from gitopsd.adapters.gotemplate import TemplateError, render_bytes
    from gitopsd.errors import Reason, StepError

    rendered = {}
    for path, (text, data) in payload.items():
        try:
            content = render_bytes(text, data, name=path)
        except TemplateError as error:
            message = f"the template of {path!r} failed: {error}"
            raise StepError(Reason.TEMPLATE_FAILED, message, hint="see gitopsd docs packages") from None
        rendered[path] = base64.b64encode(content).decode()
    return rendered


def _open_nothing_more() -> None:
    """jq reads modules, data and ``~/.jq`` from the disk by itself: from now on no file can be opened."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _extract(payload: Mapping[str, Any]) -> list[Any]:
    from gitopsd.adapters import jqprogram

    jqprogram.refuse_imports(payload["program"])
    _open_nothing_more()
    return jqprogram.results(payload["program"], payload["document"])


def _parse(payload: Mapping[str, Any]) -> dict[str, str]:
    from gitopsd.adapters import jqprogram
    from gitopsd.adapters.gotemplate import TemplateError, check

    wrong = {}
    for key, text in payload["templates"].items():
        try:
            check(text, name=key.rpartition(" ")[2])
        except TemplateError as error:
            wrong[key] = f"the template cannot be parsed: {error}"
    _open_nothing_more()
    for key, program in payload["programs"].items():
        try:
            jqprogram.check(program)
        except ValueError as error:
            wrong[key] = f"the jq program {program[:200]!r} cannot be compiled: {' '.join(str(error).split())[:500]}"
    return wrong


def _load_yaml(payload: Mapping[str, Any]) -> dict[str, Any]:
    import base64

    from gitopsd.adapters.yamltext import load

    return load(base64.b64decode(payload["text"]), payload["origin"])

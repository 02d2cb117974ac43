"""The fork server's process and its workers, seen from outside."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

import gitopsd
from gitopsd.adapters.worker.server import FORK, STATUS

_BOOT = "import sys; sys.path[:0] = sys.argv[1:]; from gitopsd.daemon.evaluator import main; main()"
_GO = {"GOGC": "400", "GOMEMLIMIT": "96MiB"}
"""Go collects garbage seldom, as long as there is not much of it: few packages need as much, and their process ends."""
_LONGEST_COMPLAINT = 64 * 1024


class ForkServer:
    """Starts workers, from many threads at once. Its process starts when it is first needed, and ends with this object
    or with the process that has it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._end: weakref.finalize[[subprocess.Popen[bytes], socket.socket], ForkServer] | None = None

    def start(self) -> None:
        """Starts the process, if it does not run, and does not wait until it is ready."""
        with self._lock:
            self._running()

    def worker(self) -> Worker:
        """A worker that waits for its request."""
        (its_requests, requests), (answers, its_answers), (complaints, its_complaints) = (os.pipe() for _ in range(3))
        life, its_life = socket.socketpair()
        worker = Worker(requests, answers, complaints, life)
        theirs = (its_requests, its_answers, its_complaints, its_life.detach())
        try:
            self._fork(theirs)
        except BaseException:
            worker.close()
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        return worker

    def _fork(self, descriptors: Sequence[int]) -> None:
        with self._lock:
            try:
                socket.send_fds(self._running(), [FORK], descriptors)
            except (BrokenPipeError, ConnectionResetError):  # somebody ended the process
                self._stop()
                socket.send_fds(self._running(), [FORK], descriptors)

    def _running(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, *search_path()],
                    stdin=theirs.fileno(), stdout=subprocess.DEVNULL, env=_GO, cwd="/", start_new_session=True,
                )  # fmt: skip
            self._end = weakref.finalize(self, _ended, process, self._control)
        return self._control

    def _stop(self) -> None:
        if self._end is not None:
            self._end()
        self._control = self._end = None


def _ended(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    control.close()
    process.wait()


def search_path() -> list[str]:
    """Where a worker finds gitopsd and its libraries: what this process uses, but never the current folder."""
    root = str(Path(gitopsd.__file__).parent.parent)
    here = str(Path.cwd())
    return [root, *(item for item in sys.path if item.startswith("/") and item not in (root, here))]


class OverError(Exception):
    """A limit that is watched from outside was passed: ``time`` or ``answer``."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class Worker:
    """One worker. As a context it is ended when the context is left."""

    def __init__(self, requests: int, answers: int, complaints: int, life: socket.socket) -> None:
        self._requests, self._answers, self._complaints, self._life = requests, answers, complaints, life
        self._status: int | None = None
        os.set_blocking(requests, False)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._life.shutdown(socket.SHUT_WR)
        self.status()
        self.close()

    def close(self) -> None:
        """Gives its descriptors back; does not wait until it has ended."""
        self._close_requests()
        os.close(self._answers)
        os.close(self._complaints)
        self._life.close()

    def ask(self, request: bytes, *, end: float, limit: int) -> tuple[bytes, bytes]:
        """What it answers to a request and what it complains of until it closes both; of complaints only the
        beginning is kept. Raises OverError at ``end`` (of the monotonic clock), and for more than ``limit`` bytes."""
        answer, complaint, left = bytearray(), bytearray(), memoryview(request)
        with selectors.DefaultSelector() as selector:
            selector.register(self._requests, selectors.EVENT_WRITE)
            selector.register(self._answers, selectors.EVENT_READ)
            selector.register(self._complaints, selectors.EVENT_READ)
            while selector.get_map():
                if (pause := end - time.monotonic()) <= 0:
                    raise OverError("time")
                for key, _ in selector.select(pause):
                    if key.fd == self._requests:
                        left = _written(key.fd, left)
                        if not left:
                            selector.unregister(key.fd)
                            self._close_requests()
                    elif not (data := os.read(key.fd, 256 * 1024)):
                        selector.unregister(key.fd)
                    elif key.fd == self._answers:
                        answer += data
                    elif len(complaint) < _LONGEST_COMPLAINT:
                        complaint += data
                if len(answer) > limit:
                    raise OverError("answer")
        return bytes(answer), bytes(complaint)

    def status(self, end: float | None = None) -> int | None:
        """How it ended: its exit code, or a signal as a negative number; None when its server ended first. Raises
        OverError when that is not known at ``end``."""
        if self._status is None:
            self._life.settimeout(None if end is None else max(end - time.monotonic(), 0.1))
            try:
                told = self._life.recv(STATUS.size)
            except TimeoutError:
                raise OverError("time") from None
            self._status = STATUS.unpack(told)[0] if told else None
        return self._status

    def _close_requests(self) -> None:
        if self._requests >= 0:
            os.close(self._requests)
        self._requests = -1


def _written(descriptor: int, data: memoryview) -> memoryview:
    """What is left of the request; nothing when the worker has gone, whose end says why."""
    try:
        return data[os.write(descriptor, data[: 64 * 1024]) :]
    except BrokenPipeError:
        return data[:0]

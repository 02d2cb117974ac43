"""The fork server's process and its workers, seen from outside."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

import gitopsd
from gitopsd.adapters.worker.server import FORK, STATUS

_BOOT = "import sys; sys.path[:0] = sys.argv[1:]; from gitopsd.daemon.evaluator import main; main()"
_GO = {"GOGC": "400", "GOMEMLIMIT": "96MiB", "GOMAXPROCS": "2"}
"""Go collects garbage seldom, as long as there is not much of it: few packages need as much, and their process ends.
A second processor helps it to collect; more would only take memory, for their threads and what each keeps back."""
_LONGEST_COMPLAINT = 64 * 1024
_PATIENCE = 10.0
"""Seconds after which a process that takes no request, or does not tell how a worker ended, is taken to hang."""


class ForkServer:
    """Starts workers, from many threads at once. Its process starts when it is first needed, and ends with this object
    or with the process that has it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._end: weakref.finalize[[subprocess.Popen[bytes], socket.socket], ForkServer] | None = None

    def start(self) -> None:
        """Starts the process, if it does not run, and does not wait until it is ready; what hinders it is told to who
        asks for a worker."""
        with self._lock, contextlib.suppress(OSError):
            self._running()

    def stop(self) -> None:
        """Ends the process and all workers; the next worker starts another."""
        with self._lock:
            self._stop()

    def worker(self) -> Worker:
        """A worker that waits for its request. Raises OSError when the system has nothing left for one."""
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            its_requests, requests = _pipe(theirs, ours)
            answers, its_answers = _pipe(ours, theirs)
            complaints, its_complaints = _pipe(ours, theirs)
            life, its_life = socket.socketpair()
            ours.enter_context(life)
            theirs.enter_context(its_life)
            self._fork([each.fileno() for each in (its_requests, its_answers, its_complaints, its_life)])
            ours.pop_all()
            return Worker(requests, answers, complaints, life)

    def _fork(self, descriptors: Sequence[int]) -> None:
        with self._lock:
            try:
                socket.send_fds(self._running(), [FORK], descriptors)
            except (ConnectionError, TimeoutError):  # somebody ended the process, or it hangs
                self._stop()
                socket.send_fds(self._running(), [FORK], descriptors)

    def _running(self) -> socket.socket:
        if self._control is None:
            control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            control.settimeout(_PATIENCE)
            with theirs, contextlib.ExitStack() as ours:
                ours.enter_context(control)
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, *search_path()],
                    stdin=theirs.fileno(), stdout=subprocess.DEVNULL, env=_GO, cwd="/", start_new_session=True,
                )  # fmt: skip
                ours.pop_all()
            self._control, self._end = control, weakref.finalize(self, _ended, process, control)
        return self._control

    def _stop(self) -> None:
        if self._end is not None:
            self._end()
        self._control = self._end = None


def _ended(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    control.close()
    process.kill()  # it may hang; workers end with their parent
    process.wait()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-process.pid, 0)  # orphans of its process group are ours where the daemon is process 1


def _pipe(readers: contextlib.ExitStack, writers: contextlib.ExitStack) -> tuple[FileIO, FileIO]:
    """Both ends of a pipe, each of which is closed with its side."""
    reader, writer = os.pipe()
    return readers.enter_context(FileIO(reader)), writers.enter_context(FileIO(writer, "w"))


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

    def __init__(self, requests: FileIO, answers: FileIO, complaints: FileIO, life: socket.socket) -> None:
        self._requests, self._answers, self._complaints, self._life = requests, answers, complaints, life
        os.set_blocking(requests.fileno(), False)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        """Raises TimeoutError when its server does not tell that it has ended."""
        try:
            self._life.shutdown(socket.SHUT_WR)
            self._told(_PATIENCE)
        finally:
            for each in (self._requests, self._answers, self._complaints, self._life):
                each.close()

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
                    if key.fileobj is self._requests:
                        left = _written(key.fd, left)
                        if not left:
                            selector.unregister(self._requests)
                            self._requests.close()
                    elif not (data := os.read(key.fd, 256 * 1024)):
                        selector.unregister(key.fileobj)
                    elif key.fileobj is self._answers:
                        answer += data
                    elif len(complaint) < _LONGEST_COMPLAINT:
                        complaint += data
                if len(answer) > limit:
                    raise OverError("answer")
        return bytes(answer), bytes(complaint)

    def status(self, end: float) -> int:
        """How it ended: its exit code, or a signal as a negative number. Raises OverError when that is not known at
        ``end``, ConnectionError when its server ended first, and OSError when it could not be started."""
        try:
            told = self._told(max(end - time.monotonic(), 0.1))
        except TimeoutError:
            raise OverError("time") from None
        if not told:
            raise ConnectionError("the fork server ended, or has no descriptors left")
        status, error = STATUS.unpack(told)
        if error:
            raise OSError(error, os.strerror(error))
        return int(status)

    def _told(self, seconds: float) -> bytes:
        """What its server tells of its end, once; nothing afterwards, or when the server has ended."""
        self._life.settimeout(seconds)
        try:
            return self._life.recv(STATUS.size)
        except TimeoutError:
            raise TimeoutError("the fork server does not answer") from None


def _written(descriptor: int, data: memoryview) -> memoryview:
    """What is left of the request; nothing when the worker has gone, whose end says why."""
    try:
        return data[os.write(descriptor, data[: 64 * 1024]) :]
    except BrokenPipeError:
        return data[:0]

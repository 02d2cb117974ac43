"""The fork server: a process that has imported what workers need, and forks a fresh one for each call.

It starts with an empty environment, runs nothing that an author wrote, and has one thread. Its standard input is a
socket: each message asks for a worker, with four descriptors: its standard input, output and error, and its life line.
Over the life line the server tells how the worker ended (the exit code, or a signal as a negative number; then zero),
or why there is none (zero, and an error number of the system); a life line that the other end shuts or loses ends the
worker. The end of the socket ends all.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module

STATUS = struct.Struct("ii")
FORK = b"f"
_DESCRIPTORS = 4
_QUIET = 0.3
"""Seconds without a call after which more is imported: a command asks sooner, and would wait for it."""
_SET_DEATH_SIGNAL = 1


def serve(act: Callable[[], None], soon: Iterable[str], later: Iterable[str]) -> None:
    """Forks workers, each of which calls ``act``, until the socket ends; does not return. The modules in ``soon`` are
    imported while no call waits, those in ``later`` once nothing has been asked for a while; a worker that is forked
    earlier imports them itself."""
    _Server(act, soon, later).run()


class _Server:
    def __init__(self, act: Callable[[], None], soon: Iterable[str], later: Iterable[str]) -> None:
        if sys.stderr is None:
            os.dup2(1, 2)  # or else the next descriptor were a worker's standard error
        self._act = act
        self._soon, self._later = list(soon), list(later)
        self._pid = os.getpid()
        self._prctl = ctypes.CDLL(None).prctl
        self._control = socket.socket(fileno=0)
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # who started gitopsd may have blocked some
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._control, selectors.EVENT_READ, self._start)
        self._selector.register(self._wake[0], selectors.EVENT_READ, self._reap)
        self._life_by_pid: dict[int, socket.socket] = {}

    def run(self) -> None:
        while True:
            idle = self._later and not self._life_by_pid  # the end of a worker is told at once
            ready = self._selector.select(0 if self._soon else _QUIET if idle else None)
            for key, _ in ready:
                key.data()
            if not ready and (names := self._soon or (self._later if idle else [])):
                with contextlib.suppress(Exception):  # who needs it is told by the worker
                    import_module(names.pop(0))

    def _start(self) -> None:
        asked, descriptors, _, _ = socket.recv_fds(self._control, len(FORK), _DESCRIPTORS)
        if not asked:
            os._exit(0)  # workers end with their parent
        if len(descriptors) == _DESCRIPTORS:
            self._fork(descriptors[:-1], socket.socket(fileno=descriptors[-1]))
        else:  # too many are open for the rest
            _close(descriptors)

    def _fork(self, standard: Sequence[int], life: socket.socket) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            _tell(life, 0, error.errno or errno.EAGAIN)
        else:
            if pid == 0:
                self._become(standard, life)
            self._life_by_pid[pid] = life
            self._selector.register(life, selectors.EVENT_READ, lambda: self._kill(pid))
        finally:
            _close(standard)

    def _become(self, standard: Sequence[int], life: socket.socket) -> None:
        """A worker keeps nothing of the server open, and ends when the server does."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
            if os.getppid() == self._pid:
                for target, source in enumerate(standard):
                    os.dup2(source, target)
                self._selector.close()
                for each in (life, *self._life_by_pid.values()):
                    each.close()
                _close((*standard, *self._wake))
                self._act()
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)

    def _kill(self, pid: int) -> None:
        """No other process can have the number: a worker keeps it until ``_reap``."""
        if pid in self._life_by_pid:
            self._selector.unregister(self._life_by_pid[pid])
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        os.read(self._wake[0], 4096)
        while self._life_by_pid:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            life = self._life_by_pid.pop(pid)
            with contextlib.suppress(KeyError):
                self._selector.unregister(life)
            _tell(life, os.waitstatus_to_exitcode(status), 0)


def _tell(life: socket.socket, status: int, error: int) -> None:
    with life, contextlib.suppress(OSError):
        life.send(STATUS.pack(status, error))


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)

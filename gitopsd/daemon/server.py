"""The Unix socket: one request per connection, a line of JSON in, lines of JSON out.

The socket lies in the state directory with mode 0600, and the kernel tells who is at the other end: only the user that
the daemon runs as, and root, are let in.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from pathlib import Path
from typing import Any

from gitopsd.daemon.client import SOCKET, address_of
from gitopsd.errors import GitopsdError, Reason, UserError
from gitopsd.model import codec
from gitopsd.model.plan import Problem
from gitopsd.web.commands import Answer, Commands, Failure, Request

LONGEST_REQUEST = 64 * 1024
MOST_CONNECTIONS = 64
PATIENCE = 30.0
"""Seconds that a client may take to send its request, or to take an answer."""


class Server:
    """Answers connections with a :class:`Commands`, each in a thread of its own."""

    def __init__(self, state_dir: Path, commands: Commands, *, log: Any) -> None:
        self._commands = commands
        self._log = log
        self._slots = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._path = state_dir / SOCKET
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with address_of(state_dir) as address:
            previous = os.umask(0o177)
            try:
                self._socket.bind(address)
            finally:
                os.umask(previous)
        self._socket.listen(16)

    def start(self) -> None:
        threading.Thread(target=self._accept, name="commands", daemon=True).start()

    def stop(self) -> None:
        """Lets nobody in any more; requests in progress end with the process."""
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if not self._slots.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), name="command", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(PATIENCE)
                if _peer_uid(connection) in (0, os.geteuid()):
                    self._answer(connection)
        except OSError as error:
            self._log.debug("a client went away", error=str(error))
        finally:
            self._slots.release()

    def _answer(self, connection: socket.socket) -> None:
        try:
            answers = self._commands.ask(_read(connection))
            for answer in answers:
                _send(connection, answer)
        except GitopsdError as error:
            _send(connection, Failure(kind=type(error).__name__, problem=Problem.of(error, "command")))
        except OSError:
            raise
        except Exception:
            self._log.exception("a bug: please report it", crew="commands")
            problem = Problem(stage="command", reason=Reason.BUG, message="a bug in gitopsd; its log says more")
            _send(connection, Failure(kind="GitopsdError", problem=problem))


def _peer_uid(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def _read(connection: socket.socket) -> Request:
    data = b""
    while not data.endswith(b"\n"):
        part = connection.recv(8192)
        data += part
        if not part or len(data) > LONGEST_REQUEST:
            raise UserError(Reason.CONFIG_INVALID, "a request is one line of JSON of at most 64 KiB")
    try:
        request = codec.loads(data)
    except ValueError as error:
        raise UserError(
            Reason.UNSUPPORTED, f"this request is not understood: {error}", hint="use the gitopsd of the daemon"
        ) from None
    if not isinstance(request, Request):
        raise UserError(Reason.UNSUPPORTED, "this is no request")
    return request


def _send(connection: socket.socket, answer: Answer | Failure) -> None:
    connection.sendall(codec.dumps(answer).encode("utf-8", "surrogatepass") + b"\n")

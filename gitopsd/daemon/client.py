"""The other end of the Unix socket. Imports little: the command line starts with it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitopsd import errors
from gitopsd.errors import GitopsdError, Reason, TransientError
from gitopsd.model import codec
from gitopsd.web.commands import Answer, Failure, LogLine, Request, Result, Told

SOCKET = "gitopsd.sock"


@contextmanager
def address_of(state_dir: Path) -> Iterator[str]:
    """An address of the socket that is short enough for the kernel (108 bytes) however long the path is."""
    folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)


class Client:
    """Commands of a daemon on this machine."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def ask(self, request: Request) -> Iterator[Answer]:
        """Sends the request and gives the answers as they come; may be used once.

        Raises what the daemon raised, and TransientError BACKEND_UNAVAILABLE when it goes away meanwhile.
        """
        with self._connection as connection:
            try:
                connection.sendall(codec.dumps(request).encode("utf-8") + b"\n")
                yield from self._answers(connection)
            except OSError as error:
                raise _gone(error.strerror or str(error)) from None

    def _answers(self, connection: socket.socket) -> Iterator[Answer]:
        with connection.makefile("rb") as lines:
            for line in lines:
                answer = codec.loads(line)
                if isinstance(answer, Failure):
                    raise _raised(answer)
                if isinstance(answer, (Told, LogLine, Result)):
                    yield answer
                if isinstance(answer, Result):
                    return
        raise _gone("the connection was closed")


def connect(state_dir: Path) -> Client | None:
    """A client of the daemon that runs on a state directory; None when none does.

    Raises UserError when there is one that does not let this user in.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with address_of(state_dir) as address:
            connection.connect(address)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        connection.close()
        return None
    except PermissionError:
        connection.close()
        raise errors.UserError(
            Reason.LOCKED, f"{state_dir} belongs to another user", hint="run this as the user that gitopsd runs as"
        ) from None
    return Client(connection)


def _raised(failure: Failure) -> GitopsdError:
    kind = getattr(errors, failure.kind, GitopsdError)
    problem = failure.problem
    if kind is TransientError:
        return TransientError(
            problem.reason, problem.message, retry_after=problem.retry_after, position=problem.position,
            hint=problem.hint,
        )  # fmt: skip
    known = kind if kind in (errors.UserError, errors.StepError) else GitopsdError
    return known(problem.reason, problem.message, position=problem.position, hint=problem.hint, stack=problem.stack)


def _gone(why: str) -> TransientError:
    return TransientError(Reason.BACKEND_UNAVAILABLE, f"the daemon went away: {why}", hint="see its log")

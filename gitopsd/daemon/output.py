"""Output of services, of one or of all at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from gitopsd.errors import GitopsdError, Reason, UserError
from gitopsd.kit.redact import Redactor
from gitopsd.kit.text import suggestion
from gitopsd.ports import Backend, Secrets
from gitopsd.web.commands import LogLine, LogsRequest, Told

HEARTBEAT = 1.0
LONGEST_LINE = 16 * 1024
MOST_WAITING = 1000
"""Lines that wait for a slow reader; a service is read no further meanwhile."""


def masked(answers: Iterator[LogLine | Told], secrets: Secrets, environment: str) -> Iterator[LogLine | Told]:
    """Lines without the values of the environment's secrets, which its services know and may print."""
    values = []
    for name in secrets.names(environment):
        with suppress(UserError):
            values.append(secrets.reveal(environment, name))
    redactor = Redactor(values, addresses=False)
    for answer in answers:
        yield replace(answer, text=redactor.text(answer.text))


def service_logs(backend: Backend, enclave: str, request: LogsRequest) -> Iterator[LogLine | Told]:
    """The lines that a request asks for; empty lines of :class:`Told` while nothing comes.

    UserError when the enclave has no such service.
    """
    services = tuple(sorted(backend.observe(enclave).services))
    if request.service and request.service not in services:
        hint = suggestion(request.service, services) or f"its services: {', '.join(services) or 'none'}"
        raise UserError(Reason.ENVIRONMENT_UNKNOWN, f"{enclave} has no service {request.service!r}", hint=hint)
    wanted = (request.service,) if request.service else services
    if not request.follow:
        for service in wanted:
            for line in backend.logs(enclave, service, tail=request.tail):
                yield LogLine(service=service, text=line[:LONGEST_LINE])
        return
    yield from _followed(backend, enclave, wanted, tail=request.tail)


def _followed(backend: Backend, enclave: str, services: tuple[str, ...], *, tail: int) -> Iterator[LogLine | Told]:
    lines: queue.Queue[LogLine | None] = queue.Queue(MOST_WAITING)
    closed = threading.Event()

    def read(service: str) -> None:
        try:
            for line in backend.logs(enclave, service, tail=tail, follow=True):
                if not _put(lines, LogLine(service=service, text=line[:LONGEST_LINE]), closed):
                    return
        except GitopsdError as error:
            _put(lines, LogLine(service=service, text=f"({error})"), closed)
        finally:
            _put(lines, None, closed)

    for service in services:
        threading.Thread(target=read, args=(service,), name=f"logs {service}", daemon=True).start()
    left = len(services)
    try:
        while left:
            try:
                line = lines.get(timeout=HEARTBEAT)
            except queue.Empty:
                yield Told(text="")
                continue
            if line is None:
                left -= 1
            else:
                yield line
    finally:
        closed.set()


def _put(lines: queue.Queue[LogLine | None], line: LogLine | None, closed: threading.Event) -> bool:
    while not closed.is_set():
        try:
            lines.put(line, timeout=HEARTBEAT)
        except queue.Full:
            continue
        return True
    return False

"""HTTP requests to services."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote, urljoin, urlsplit

from gitopsd.errors import Reason, StepError
from gitopsd.model.calls import HttpAnswer, HttpCall
from gitopsd.model.parts import Port
from gitopsd.model.values import Frozen

_BODY = 16_000_000
_URL_CHARACTERS = "/?:@!$&'()*+,;=%[]~"
"""What stands for itself in a URL's path and query (RFC 3986); blanks and letters beyond ASCII are escaped."""
_REDIRECTS = 10
_AS_GET = (301, 302, 303)
_AS_IT_IS = (307, 308)


def send(address: str, port: Port, call: HttpCall, *, service: str) -> HttpAnswer:
    """Sends a request and reads its answer; up to ten redirects are followed where they stay on the service, any
    other is the answer. StepError REQUEST_FAILED when there is none within the call's timeout, or its body is larger
    than 16 MB."""
    end = time.monotonic() + call.timeout
    for _ in range(_REDIRECTS):
        answer, location = _once(address, port, call, service=service, end=end)
        target = urlsplit(urljoin(f"http://{address}:{port.number}{_path(call)}", location))
        same = target.scheme == "http" and target.hostname in (address, service)
        if not location or not same or answer.code not in _AS_GET + _AS_IT_IS:
            return answer
        port = replace(port, number=target.port or 80)
        call = replace(call, url_path=target.path + (f"?{target.query}" if target.query else ""))
        if answer.code in _AS_GET and call.method != "GET":
            call = replace(call, method="GET", body="", headers=_without_body(call.headers))
    raise StepError(Reason.REQUEST_FAILED, f"{_where(port, call, service)}: more than {_REDIRECTS} redirects")


def _without_body(headers: Frozen[str]) -> Frozen[str]:
    return Frozen({name: value for name, value in headers.items() if not name.lower().startswith("content-")})


def _path(call: HttpCall) -> str:
    return quote("/" + call.url_path.removeprefix("/").partition("#")[0], safe=_URL_CHARACTERS)


def _where(port: Port, call: HttpCall, service: str) -> str:
    return f"{call.method} http://{service}:{port.number}{call.url_path}"


def _once(address: str, port: Port, call: HttpCall, *, service: str, end: float) -> tuple[HttpAnswer, str]:
    """One answer, and where it leads to ("" for nowhere)."""
    where = _where(port, call, service)
    connection = http.client.HTTPConnection(address, port.number, timeout=_left(end))
    try:
        connection.connect()
        with _cut_off(connection.sock, end):
            connection.request(
                call.method, _path(call), body=call.body.encode() if call.body else None, headers=dict(call.headers)
            )
            answer = connection.getresponse()
            data = answer.read(_BODY + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = time.monotonic() >= end
        told = f"no whole answer within {call.timeout:g} s" if late else error or type(error).__name__
        raise StepError(Reason.REQUEST_FAILED, f"{where}: {told}") from error
    finally:
        connection.close()
    if len(data) > _BODY:
        raise StepError(Reason.REQUEST_FAILED, f"{where}: the answer is larger than {_BODY} bytes")
    return HttpAnswer(code=answer.status, body=data.decode("utf-8", "replace")), answer.getheader("Location", "")


def _left(end: float) -> float:
    return max(end - time.monotonic(), 0.001)


@contextlib.contextmanager
def _cut_off(connection: socket.socket, end: float) -> Iterator[None]:
    """Ends a connection at a time: its own timeout starts anew with every byte. Raises TimeoutError afterwards."""

    def cut() -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(_left(end), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
        if time.monotonic() >= end:
            raise TimeoutError
    finally:
        timer.cancel()

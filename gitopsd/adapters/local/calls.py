"""HTTP requests to services."""

from __future__ import annotations

import http.client
from urllib.parse import quote

from gitopsd.errors import Reason, StepError
from gitopsd.model.parts import Port
from gitopsd.ports import HttpAnswer, HttpCall

_BODY = 16_000_000
_URL_CHARACTERS = "/?:@!$&'()*+,;=%[]~"
"""What stands for itself in a URL's path and query (RFC 3986); blanks and letters beyond ASCII are escaped."""


def send(address: str, port: Port, call: HttpCall, *, service: str) -> HttpAnswer:
    """Sends a request and reads its answer, redirects not followed. StepError REQUEST_FAILED when there is none, or
    its body is larger than 16 MB."""
    where = f"{call.method} http://{service}:{port.number}{call.url_path}"
    connection = http.client.HTTPConnection(address, port.number, timeout=call.timeout)
    try:
        path = quote("/" + call.url_path.removeprefix("/").partition("#")[0], safe=_URL_CHARACTERS)
        body = call.body.encode() if call.body else None
        connection.request(call.method, path, body=body, headers=dict(call.headers))
        answer = connection.getresponse()
        data = answer.read(_BODY + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise StepError(Reason.REQUEST_FAILED, f"{where}: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if len(data) > _BODY:
        raise StepError(Reason.REQUEST_FAILED, f"{where}: the answer is larger than {_BODY} bytes")
    return HttpAnswer(code=answer.status, body=data.decode("utf-8", "replace"))

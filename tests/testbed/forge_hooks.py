"""A listener on loopback that keeps what webhooks deliver, byte for byte."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery. ``headers`` have lower-case names; ``body`` is as it was signed."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> str:
        """What happened: ``push``, ``pull_request``, …"""
        return self.headers["x-gitea-event"]

    @property
    def data(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Whether ``X-Gitea-Signature`` is the HMAC-SHA256 of the body."""
        signature = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(signature, self.headers.get("x-gitea-signature", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What was delivered to ``url``, in order."""

    url: str
    deliveries: queue.Queue[Delivery]

    def next(self, *, seconds: float = 20) -> Delivery:
        """Waits for a delivery. Raises queue.Empty when none comes in time."""
        return self.deliveries.get(timeout=seconds)


@contextmanager
def listening() -> Iterator[Listener]:
    """Listens on a free port of loopback for the time of a block."""
    deliveries: queue.Queue[Delivery] = queue.Queue()

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), _LARGEST))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(204)
            self.end_headers()
            deliveries.put(Delivery(headers=headers, body=body))

        def log_message(self, *_: object) -> None:
            """What came is kept, not printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receive)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Listener(url=f"http://127.0.0.1:{server.server_port}/hook", deliveries=deliveries)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Real servers on loopback: a host of Git, a counter of requests, one that is silent and one that trickles."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import shutil
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Host:
    """A smart HTTP host of Git: what it serves, what it asks for, and what it was asked."""

    root: Path
    token: str = ""
    redirect_to: str = ""
    status: int = 0
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""

    @property
    def fetches(self) -> int:
        return sum(method == "POST" for method, _, _ in self.requests)


HAS_HTTP_BACKEND = bool(shutil.which("git")) and (
    subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=False).stdout.strip() != ""
)


class _Server(http.server.ThreadingHTTPServer):
    host: Host


class _Requests(http.server.BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        """Tests need no access log."""

    def do_GET(self) -> None:
        host = self.server.host
        host.requests.append((self.command, self.path, self.headers.get("Authorization", "")))
        body = self._body()
        if host.redirect_to or host.status:
            self._answer(host.status or 302, {"Location": host.redirect_to + self.path}, b"")
        elif host.token and self.headers.get("Authorization") != _basic(host.token):
            self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        else:
            self._backend(body)

    do_POST = do_GET

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.host.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        self._answer(int(headers.pop("Status", "200").split()[0]), headers, content)

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(host: Host) -> Iterator[Host]:
    """Serves a host's repositories through ``git http-backend`` for the time of a block."""
    server = _Server(("127.0.0.1", 0), _Requests)
    server.host = host
    with running(server) as host.url:
        yield host


@contextmanager
def running(server: http.server.HTTPServer) -> Iterator[str]:
    """The address of a server, which answers for the time of a block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _basic(token: str) -> str:
    return "Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()


class Counting:
    """An HTTP server on loopback that counts ``GET /NAME`` by name; names in ``closed`` are answered with 503."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.closed: set[str] = set()
        counting = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/")
                counting.hits[name] += 1
                self.send_response(503 if name in counting.closed else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def trickling_server(start: bytes, piece: bytes) -> Iterator[int]:
    """The port of a server that sends ``start`` to whoever connects, then ``piece`` ten times a second for ever."""
    ended = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            peer, _ = listener.accept()
            with peer:
                peer.sendall(start)
                while not ended.wait(0.1):
                    peer.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join()

"""Real repositories, and real servers for them on loopback."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pygit2

SIGNATURE = pygit2.Signature("Ann", "ann@example.test", 1_700_000_000, 0)
Content = bytes | tuple[int, object]
"""Bytes of a plain file, or a mode with the bytes (link target, executable) or the object id (submodule)."""


class Repository:
    """A bare repository that commits are written into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git = pygit2.init_repository(str(folder), bare=True)
        self.git.set_head("refs/heads/main")

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def tree(self, files: Mapping[str, Content]) -> pygit2.Oid:
        builder = self.git.TreeBuilder()
        folders: dict[str, dict[str, Content]] = {}
        for path, content in files.items():
            head, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(head, {})[rest] = content
            elif isinstance(content, bytes):
                builder.insert(path, self.git.create_blob(content), 0o100644)
            else:
                mode, what = content
                builder.insert(path, self.git.create_blob(what) if isinstance(what, bytes) else what, mode)
        for name, inner in folders.items():
            builder.insert(name, self.tree(inner), 0o040000)
        return builder.write()

    def commit(self, files: Mapping[str, Content], *, branch: str = "main", new_root: bool = False) -> str:
        name = f"refs/heads/{branch}"
        parents = [] if new_root or name not in self.git.references else [self.git.references[name].target]
        tree = self.tree(files)
        made = self.git.create_commit(None, SIGNATURE, SIGNATURE, "Change things\n\nbody", tree, parents)
        self.git.references.create(name, made, force=True)
        return str(made)

    def commit_delta_bomb(self, size: int) -> None:
        """A commit of two large blobs, the second kept as a delta of the first."""
        builder = self.git.TreeBuilder()
        for index in range(2):
            builder.insert(f"f{index}", self.git.create_blob(bytes(size - 1) + bytes([index])), 0o100644)
        made = self.git.create_commit(None, SIGNATURE, SIGNATURE, "Bomb", builder.write(), [])
        self.git.references.create("refs/heads/main", made)
        command = ["git", "-C", str(self.folder), "-c", "core.bigFileThreshold=4g", "-c", "pack.threads=1"]
        subprocess.run(
            [*command, "-c", "safe.directory=*", "repack", "-adfq"], check=True, env={"PATH": os.environ["PATH"]}
        )

    def tag(self, name: str, commit: str, *, annotated: bool = True) -> None:
        if annotated:
            oid = pygit2.Oid(hex=commit)
            self.git.create_tag(name, oid, pygit2.enums.ObjectType.COMMIT, SIGNATURE, "a tag")
        else:
            self.git.references.create(f"refs/tags/{name}", pygit2.Oid(hex=commit), force=True)


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
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _basic(token: str) -> str:
    return "Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()


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

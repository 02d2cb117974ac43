"""A code forge and a chat on this machine's loopback, which answer as the published APIs do.

The demo reports to them and shows what they received; the contract tests use the same. They are strict (method, path,
token, content type, fields and values), keep what they were told, and hold nothing else: no pages, no state on disk.

Sources: https://docs.github.com/en/rest/commits/statuses, https://docs.gitlab.com/api/commits/,
https://codeberg.org/api/swagger (the API of Forgejo and Gitea), https://docs.slack.dev/reference/methods/.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer. ``data`` is sent as JSON; a text as it is. ``stall`` keeps the connection open and says nothing
    until the server is closed."""

    status: int
    data: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    stall: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class LoopbackServer:
    """An HTTP server on 127.0.0.1 in threads of its own. ``requests`` holds every request; answers put into
    ``troubles`` are given first, one per request, instead of the real one."""

    def __init__(self, *, token: str) -> None:
        self.token = token
        self.requests: list[Asked] = []
        self.troubles: deque[Answer] = deque()
        self.closing = threading.Event()
        self.lock = threading.Lock()
        owner = self

        class Conversation(_Conversation):
            server_owner = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Conversation)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of the server, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Ends the server and waits for its threads."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> LoopbackServer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def answer(self, asked: Asked) -> Answer:
        """The answer to one request; called by one thread at a time."""
        return Answer(status=404, data={"message": f"no {asked.path} here"})


class _Conversation(BaseHTTPRequestHandler):
    server_owner: ClassVar[LoopbackServer]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self._converse()

    def do_GET(self) -> None:
        self._converse()

    def _converse(self) -> None:
        owner = self.server_owner
        size = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(size) if size <= LARGEST else b""
        headers = {key.lower(): value for key, value in self.headers.items()}
        asked = Asked(method=self.command, path=self.path, headers=headers, body=_decoded(headers, raw))
        with owner.lock:
            owner.requests.append(asked)
            found = owner.troubles.popleft() if owner.troubles else owner.answer(asked)
        if found.stall:
            owner.closing.wait()
            self.close_connection = True
            return
        self._give(found)

    def _give(self, found: Answer) -> None:
        text = found.data if isinstance(found.data, str) else json.dumps(found.data)
        body = text.encode()
        self.send_response(found.status)
        kind = "text/html" if isinstance(found.data, str) else "application/json"
        for name, value in {"Content-Type": kind, **found.headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what was asked is kept, not printed."""


def _decoded(headers: Mapping[str, str], raw: bytes) -> Any:
    kind = headers.get("content-type", "").partition(";")[0].strip()
    try:
        if kind == "application/json":
            return json.loads(raw)
        if kind == "application/x-www-form-urlencoded":
            return {key: values[-1] for key, values in parse_qs(raw.decode(), strict_parsing=True).items()}
    except ValueError:
        return None
    return None


# --- forge ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A commit status as it was received. ``api``: github, gitlab or gitea."""

    api: str
    repository: str
    commit: str
    context: str
    state: str
    description: str
    target_url: str = ""
    ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Api:
    """How one API takes a status. ``field`` is the name of the context in a body."""

    name: str
    path: re.Pattern[str]
    header: str
    scheme: str
    states: frozenset[str]
    description: int
    context: str = "context"
    extra: frozenset[str] = frozenset()


_ID = r"(?P<commit>[0-9a-f]{40})"
_APIS = (
    _Api(name="github", path=re.compile(rf"^(?:/api/v3)?/repos/(?P<repository>[\w.-]+/[\w.-]+)/statuses/{_ID}$"),
         header="authorization", scheme="token", states=frozenset({"pending", "success", "failure", "error"}),
         description=140),
    _Api(name="gitlab", path=re.compile(rf"^/api/v4/projects/(?P<repository>[^/]+)/statuses/{_ID}$"),
         header="private-token", scheme="", description=255, context="name", extra=frozenset({"ref"}),
         states=frozenset({"pending", "running", "success", "failed", "canceled", "skipped"})),
    _Api(name="gitea", path=re.compile(rf"^/api/v1/repos/(?P<repository>[\w.-]+/[\w.-]+)/statuses/{_ID}$"),
         header="authorization", scheme="token", description=10000,
         states=frozenset({"pending", "success", "error", "failure", "warning"})),
)  # fmt: skip


class ForgeServer(LoopbackServer):
    """The commit statuses of GitHub (also below ``/api/v3``), GitLab and Gitea/Forgejo for the given repositories
    (``owner/name``) and, where ``commits`` is not empty, commits. ``statuses`` holds what was accepted, in order."""

    MOST = 1000
    """Statuses that GitHub takes per commit and context."""

    def __init__(self, *, token: str, repositories: tuple[str, ...], commits: tuple[str, ...] = ()) -> None:
        self.repositories = repositories
        self.commits = set(commits)
        self.statuses: list[Status] = []
        super().__init__(token=token)

    def answer(self, asked: Asked) -> Answer:
        """The answer that the API whose path was asked gives."""
        path = urlsplit(asked.path).path
        for api in _APIS:
            found = api.path.match(path)
            if found:
                repository = unquote(found["repository"])
                return self._problem(api, asked, repository, found["commit"]) or self._accept(
                    api, asked.body, repository, found["commit"]
                )
        return Answer(status=404, data={"message": "Not Found"})

    def _problem(self, api: _Api, asked: Asked, repository: str, commit: str) -> Answer | None:
        given = asked.headers.get(api.header, "")
        wanted = {f"{api.scheme} {self.token}".strip(), f"Bearer {self.token}" if api.name == "github" else self.token}
        if given not in wanted or (api.scheme and given == self.token):
            return Answer(
                status=401, data={"message": "Bad credentials" if api.name == "github" else "401 Unauthorized"}
            )
        if asked.method != "POST":
            return Answer(status=405, data={"message": "Method Not Allowed"})
        if repository not in self.repositories:
            return Answer(status=404, data={"message": "Not Found"})
        if self.commits and commit not in self.commits:
            message = f"No commit found for SHA: {commit}"
            return Answer(status=422 if api.name == "github" else 404, data={"message": message})
        return _body_problem(api, asked.body)

    def _accept(self, api: _Api, body: dict[str, str], repository: str, commit: str) -> Answer:
        status = Status(api=api.name, repository=repository, commit=commit, context=body.get(api.context, "default"),
                        state=body["state"], description=body.get("description") or "",
                        target_url=body.get("target_url") or "", ref=body.get("ref") or "")  # fmt: skip
        same = [item for item in self.statuses if self._thing(item) == self._thing(status)]
        if api.name == "github" and len(same) >= self.MOST:
            message = "Validation Failed: This SHA and context has reached the maximum number of statuses."
            return Answer(status=422, data={"message": message})
        if api.name == "gitlab" and same and not _moves(same[-1].state, status.state):
            event = {"pending": "enqueue", "running": "run", "success": "succeed", "failed": "drop"}
            name = event.get(status.state, "cancel")
            reason = f'(Reason(s): Status cannot transition via "{name}")'
            message = f"Cannot transition status via :{name} from :{same[-1].state} {reason}"
            return Answer(status=400, data={"message": message})
        self.statuses.append(status)
        return Answer(status=201, data=self._shown(api, status))

    @staticmethod
    def _thing(status: Status) -> tuple[str, str, str, str]:
        return (status.api, status.repository, status.commit, status.context)

    def _shown(self, api: _Api, status: Status) -> dict[str, Any]:
        number, when = len(self.statuses), "2026-01-01T00:00:00Z"
        shown: dict[str, Any] = {"id": number, "description": status.description, "target_url": status.target_url}
        if api.name == "gitlab":
            return {**shown, "sha": status.commit, "name": status.context, "status": status.state, "created_at": when,
                    "ref": status.ref or "main", "allow_failure": False}  # fmt: skip
        state = {"state": status.state} if api.name == "github" else {"status": status.state}
        url = f"{self.url}/repos/{status.repository}/statuses/{status.commit}"
        return {**shown, **state, "context": status.context, "url": url, "created_at": when, "updated_at": when}


def _body_problem(api: _Api, body: object) -> Answer | None:
    if not isinstance(body, dict) or not all(isinstance(value, str) for value in body.values()):
        return Answer(status=400, data={"message": "Problems parsing JSON"})
    known = {"state", "description", "target_url", api.context, *api.extra}
    if set(body) - known:
        return Answer(status=422, data={"message": f"unknown fields {sorted(set(body) - known)}"})
    invalid = 400 if api.name == "gitlab" else 422
    if body.get("state") not in api.states:
        return Answer(status=invalid, data={"message": "state does not have a valid value"})
    if len(body.get("description", "")) > api.description:
        message = f"description is too long (maximum is {api.description} characters)"
        return Answer(status=invalid, data={"message": message})
    return None


def _moves(before: str, after: str) -> bool:
    """Whether GitLab's state machine goes from one state to another."""
    return before in ("pending", "running") and before != after and not (before == "running" and after == "pending")


# --- chat -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A chat message as it stands. ``thread`` is the ts of the message that it answers; ``edits`` counts."""

    ts: str
    text: str
    thread: str = ""
    edits: int = 0


class ChatServer(LoopbackServer):
    """``chat.postMessage`` and ``chat.update`` of Slack's Web API for one channel. ``messages`` holds what stands
    there, in order; ``base_url`` is what slack-sdk takes."""

    CHANNEL_ID = "C0DEMO0001"
    LONGEST = 4000

    def __init__(self, *, token: str, channel: str = "devnets") -> None:
        self.channel = channel
        self.messages: list[Message] = []
        super().__init__(token=token)

    @property
    def base_url(self) -> str:
        """The address of the API."""
        return f"{self.url}/api/"

    def answer(self, asked: Asked) -> Answer:
        """The answer of the Web API: always 200, ``ok`` tells."""
        method = urlsplit(asked.path).path.removeprefix("/api/")
        body = asked.body if isinstance(asked.body, dict) else {}
        error = self._problem(asked, method, body)
        if error:
            return Answer(status=200, data={"ok": False, "error": error})
        text = str(body["text"])
        shown = re.sub(r"&(lt|gt|amp);", lambda found: {"lt": "<", "gt": ">", "amp": "&"}[found[1]], text)
        if method == "chat.update":
            index = next(index for index, item in enumerate(self.messages) if item.ts == body["ts"])
            old = self.messages[index]
            self.messages[index] = Message(ts=old.ts, text=shown, thread=old.thread, edits=old.edits + 1)
            return Answer(status=200, data={"ok": True, "channel": self.CHANNEL_ID, "ts": old.ts, "text": text})
        ts = f"1700000000.{len(self.messages) + 1:06d}"
        self.messages.append(Message(ts=ts, text=shown, thread=str(body.get("thread_ts", ""))))
        message = {"type": "message", "text": text, "ts": ts}
        return Answer(status=200, data={"ok": True, "channel": self.CHANNEL_ID, "ts": ts, "message": message})

    def _problem(self, asked: Asked, method: str, body: dict[str, Any]) -> str:
        times = {item.ts for item in self.messages}
        text = body.get("text")
        checks = {
            "unknown_method": method not in ("chat.postMessage", "chat.update") or asked.method != "POST",
            "invalid_auth": asked.headers.get("authorization") != f"Bearer {self.token}",
            "invalid_arguments": not body,
            "channel_not_found": body.get("channel") not in (self.channel, self.CHANNEL_ID),
            "no_text": not isinstance(text, str) or not text,
            "msg_too_long": method == "chat.update" and isinstance(text, str) and len(text) > self.LONGEST,
            "message_not_found": method == "chat.update" and body.get("ts") not in times,
            "thread_not_found": bool(body.get("thread_ts")) and body.get("thread_ts") not in times,
        }
        return next((error for error, holds in checks.items() if holds), "")

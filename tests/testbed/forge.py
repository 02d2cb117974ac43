"""A real Git forge as tests use it: accounts, repositories, pull requests, webhooks, over its REST API.

The API is the one of Gitea (``/api/v1``). Every forge object makes accounts and an organisation of its own,
so that runs on one server do not see each other.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx

from tests.testbed.forge_git import Key

BRANCH = "main"
VARIABLES = tuple(f"GITOPSD_TEST_FORGE_{name}" for name in ("URL", "TOKEN", "SSH_PORT", "HOST_KEYS"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeAccess:
    """Where a forge listens, and the token of an admin. ``host_keys`` of its SSH server, each ``type base64`` as
    known_hosts has it; none where SSH is not offered."""

    url: str
    token: str
    ssh_port: int = 0
    host_keys: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The host of its address."""
        return httpx.URL(self.url).host

    def known(self, *host_keys: str) -> str:
        """What a known_hosts file says of its SSH server."""
        return "".join(f"[{self.host}]:{self.ssh_port} {key}\n" for key in host_keys)

    def offers(self) -> dict[str, str]:
        """The variables of the environment that tell it."""
        values = (self.url, self.token, str(self.ssh_port), ",".join(self.host_keys))
        return dict(zip(VARIABLES, values, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user with a token of all scopes."""

    name: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A commit status as it is read back."""

    context: str
    state: str
    description: str
    target_url: str


class RefusedError(Exception):
    """The forge refused a request; ``status`` is the one of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Forge:
    """One forge. ``member`` owns the ``organisation``; ``contributor`` and ``stranger`` may not write there."""

    def __init__(self, access: ForgeAccess) -> None:
        self.access = access
        self._http = httpx.Client(base_url=f"{access.url}/api/v1", timeout=30, trust_env=False)
        self._mark = secrets.token_hex(3)
        unnamed = Account(name="", token=access.token)
        self.admin = Account(name=self.ask("GET", "/user", by=unnamed)["login"], token=access.token)
        self.member = self.account("member")
        self.contributor = self.account("contributor")
        self.stranger = self.account("stranger")
        self.organisation = f"acme-{self._mark}"
        self.ask("POST", "/orgs", by=self.member, data={"username": self.organisation})

    @classmethod
    def given(cls, values: Mapping[str, str]) -> Self:
        """The forge that variables of an environment tell; those of SSH may be missing."""
        url, token, ssh_port, keys = (values.get(name, "") for name in VARIABLES)
        host_keys = tuple(key.strip() for key in keys.split(",") if key.strip())
        return cls(ForgeAccess(url=url.rstrip("/"), token=token, ssh_port=int(ssh_port or 0), host_keys=host_keys))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.close()

    @property
    def known_hosts(self) -> str:
        """The text of a known_hosts file that names its SSH server."""
        return self.access.known(*self.access.host_keys)

    def ask(self, method: str, path: str, *, by: Account | None, data: object = None) -> Any:
        """The decoded answer to one request of an account, or of nobody. Raises RefusedError."""
        headers = {"Authorization": f"token {by.token}"} if by else {}
        return _answered(self._http.request(method, path, headers=headers, json=data))

    def account(self, name: str) -> Account:
        """Makes a user with a token; the name gets a mark that makes it the only one."""
        login, password = f"{name}-{self._mark}", secrets.token_urlsafe(24)
        new = {"username": login, "email": f"{login}@forge.test", "password": password, "must_change_password": False}
        self.ask("POST", "/admin/users", by=self.admin, data=new)
        wanted = {"name": "tests", "scopes": ["all"]}
        made = _answered(self._http.post(f"/users/{login}/tokens", auth=(login, password), json=wanted))
        return Account(name=login, token=made["sha1"])

    def add_key(self, account: Account, key: Key) -> None:
        """Lets a key in over SSH as an account."""
        self.ask("POST", "/user/keys", by=account, data={"title": secrets.token_hex(4), "key": key.public})

    def repository(self, files: Mapping[str, str] | None = None, *, private: bool = False) -> Repository:
        """Makes a repository of the organisation, with a first commit unless ``files`` is empty."""
        new = {"name": f"net-{secrets.token_hex(4)}", "private": private, "default_branch": BRANCH}
        made = self.ask("POST", f"/orgs/{self.organisation}/repos", by=self.member, data=new)
        repository = Repository(forge=self, owner=self.organisation, name=made["name"], account=self.member)
        if files:
            repository.commit(files)
        return repository


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository, as the account that writes to it sees it."""

    forge: Forge
    owner: str
    name: str
    account: Account

    @property
    def url(self) -> str:
        """The address for Git over HTTP."""
        return f"{self.forge.access.url}/{self.owner}/{self.name}.git"

    @property
    def ssh_url(self) -> str:
        """The address for Git over SSH."""
        access = self.forge.access
        return f"ssh://git@{access.host}:{access.ssh_port}/{self.owner}/{self.name}.git"

    def ask(self, method: str, path: str, data: object = None) -> Any:
        """The answer to a request below this repository. Raises RefusedError."""
        return self.forge.ask(method, f"/repos/{self.owner}/{self.name}{path}", by=self.account, data=data)

    def seen_by(self, account: Account) -> Repository:
        """The same repository for another account."""
        return Repository(forge=self.forge, owner=self.owner, name=self.name, account=account)

    def commit(self, files: Mapping[str, str], *, branch: str = BRANCH, message: str = "Change things") -> str:
        """Writes files on a branch, which is made from the default branch when there is none; the commit's id."""
        place = {"branch": branch} if branch == BRANCH or self._has(branch) else {"new_branch": branch}
        changes = [
            {"operation": "upload", "path": path, "content": base64.b64encode(text.encode()).decode()}
            for path, text in files.items()
        ]
        made = self.ask("POST", "/contents", {"files": changes, "message": message, **place})
        return str(made["commit"]["sha"])

    def head(self, branch: str = BRANCH) -> str:
        """The newest commit of a branch."""
        return str(self.ask("GET", f"/branches/{branch}")["commit"]["id"])

    def fork(self, account: Account) -> Repository:
        """A copy of the repository that belongs to another account."""
        self.seen_by(account).ask("POST", "/forks", {})
        return Repository(forge=self.forge, owner=account.name, name=self.name, account=account)

    def pull_request(self, branch: str, *, fork: Repository | None = None, title: str = "Change things") -> PullRequest:
        """Asks to take a branch of this repository, or of a fork of it, into the default branch."""
        head = f"{fork.owner}:{branch}" if fork else branch
        asking = self.seen_by(fork.account) if fork else self
        made = asking.ask("POST", "/pulls", {"head": head, "base": BRANCH, "title": title})
        return PullRequest(repository=self, number=made["number"])

    def label(self, name: str) -> None:
        """Makes a label that pull requests can carry."""
        self.ask("POST", "/labels", {"name": name, "color": "#00aabb"})

    def webhook(self, url: str, *, secret: str, events: tuple[str, ...]) -> None:
        """Tells ``url`` about events (``push``, ``pull_request``, …), signed with the secret."""
        config = {"url": url, "content_type": "json", "secret": secret}
        self.ask("POST", "/hooks", {"type": "gitea", "active": True, "events": list(events), "config": config})

    def set_status(self, commit: str, status: Status) -> None:
        """Sets the commit status of a context."""
        data = {"state": status.state, "context": status.context, "description": status.description}
        self.ask("POST", f"/statuses/{commit}", {**data, "target_url": status.target_url})

    def statuses(self, commit: str) -> tuple[Status, ...]:
        """Every status that was set on a commit, the oldest first."""
        found = self.ask("GET", f"/commits/{commit}/statuses?sort=oldest")
        fields = ("context", "description", "target_url")
        return tuple(Status(state=item["status"], **{name: item[name] for name in fields}) for item in found)

    def _has(self, branch: str) -> bool:
        return any(item["name"] == branch for item in self.ask("GET", "/branches"))


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """A pull request; ``ref`` is what its head can be fetched by."""

    repository: Repository
    number: int

    @property
    def ref(self) -> str:
        """The ref of its head in the repository that it asks."""
        return f"refs/pull/{self.number}/head"

    @property
    def head(self) -> str:
        """The newest commit of its head."""
        return str(self.ask("GET", f"/pulls/{self.number}")["head"]["sha"])

    def ask(self, method: str, path: str, data: object = None) -> Any:
        """The answer to a request below the repository. Raises RefusedError."""
        return self.repository.ask(method, path, data)

    def add_label(self, name: str) -> None:
        """Puts a label of the repository on it."""
        self.ask("POST", f"/issues/{self.number}/labels", {"labels": [name]})

    def labels(self) -> set[str]:
        """The names of its labels."""
        return {item["name"] for item in self.ask("GET", f"/issues/{self.number}/labels")}

    def comment(self, text: str) -> int:
        """Writes a comment; its number."""
        return int(self.ask("POST", f"/issues/{self.number}/comments", {"body": text})["id"])

    def comments(self) -> tuple[tuple[str, str], ...]:
        """Who said what, in order."""
        found = self.ask("GET", f"/issues/{self.number}/comments")
        return tuple((item["user"]["login"], item["body"]) for item in found)

    def close(self) -> None:
        """Closes it without taking it."""
        self.ask("PATCH", f"/pulls/{self.number}", {"state": "closed"})


def _answered(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json() if answer.content else None
    asked = f"{answer.request.method} {answer.request.url.path}"
    raise RefusedError(answer.status_code, f"{asked}: {answer.status_code} {answer.text[:300]}")

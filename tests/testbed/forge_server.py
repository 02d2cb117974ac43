"""Gitea on loopback: its settings, what is made before its first start, and the command that runs it.

It refuses to run as root, so its folder belongs to an unprivileged user, who can reach the program and its files there.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import readiness, supervisor
from tests.testbed.build import binary, share
from tests.testbed.forge import ForgeAccess
from tests.testbed.forge_git import make_key
from tests.testbed.ledger import Ledger
from tests.testbed.places import FORGE, FORGE_HTTP_PORT, FORGE_SSH_PORT, LOOPBACK, TestbedError
from tests.testbed.supervisor import Component

NOBODY = 65534
ADMIN = "keeper"
_TOKEN = re.compile(r"\b[0-9a-f]{40}\b")

_SETTINGS = """\
RUN_MODE = prod
WORK_PATH = {folder}

[server]
PROTOCOL = http
HTTP_ADDR = {address}
HTTP_PORT = {http_port}
DOMAIN = {address}
ROOT_URL = http://{address}:{http_port}/
OFFLINE_MODE = true
STATIC_ROOT_PATH = {folder}/static
LFS_START_SERVER = false
START_SSH_SERVER = true
BUILTIN_SSH_SERVER_USER = git
SSH_DOMAIN = {address}
SSH_LISTEN_HOST = {address}
SSH_PORT = {ssh_port}
SSH_SERVER_HOST_KEYS = {folder}/ed25519, {folder}/rsa

[database]
DB_TYPE = sqlite3
PATH = {folder}/forge.db
SQLITE_JOURNAL_MODE = WAL

[security]
INSTALL_LOCK = true
SECRET_KEY = {secret_key}
INTERNAL_TOKEN = {internal_token}

[oauth2]
ENABLED = false
JWT_SECRET = {jwt_secret}

[service]
DISABLE_REGISTRATION = true

[webhook]
ALLOWED_HOST_LIST = loopback

[queue]
TYPE = channel

[indexer]
ISSUE_INDEXER_TYPE = db

[session]
PROVIDER = memory

[actions]
ENABLED = false

[packages]
ENABLED = false

[cron]
ENABLED = false

[log]
MODE = console
LEVEL = Warn
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeServer:
    """A Gitea in a folder of its own, on two ports of loopback."""

    folder: Path
    http_port: int
    ssh_port: int

    @property
    def url(self) -> str:
        """The address of its pages, without a slash at its end."""
        return f"http://{LOOPBACK}:{self.http_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What it must not take from root."""
        return {"HOME": str(self.folder), "USER": "nobody"}

    @property
    def command(self) -> tuple[str, ...]:
        """What runs it, in the foreground."""
        return self._gitea("web")

    def is_ready(self) -> bool:
        """Whether both of its ports answer. Raises OSError as long as one is closed."""
        return readiness.http(f"{self.url}/api/healthz")() and readiness.tcp(LOOPBACK, self.ssh_port)()

    def prepare(self, program: Path, static: Path) -> ForgeAccess:
        """Makes its folder with the program, the module's ``options`` and ``templates`` (in ``static``), its settings,
        an empty database and an admin with a token. Raises TestbedError."""
        shutil.rmtree(self.folder, ignore_errors=True)  # of a start that was cut off
        self.folder.mkdir(parents=True, mode=0o700)
        shutil.copy(program, self.folder / "gitea")
        shutil.copytree(static, self.folder / "static")
        host_keys = tuple(make_key(self.folder, kind=kind).public for kind in ("ed25519", "rsa"))
        (self.folder / "app.ini").write_text(self._settings())
        _give_to_nobody(self.folder)
        self._run("migrate")
        words = ("--username", ADMIN, "--email", f"{ADMIN}@forge.test", "--random-password", "--admin")
        made = self._run("admin", "user", "create", *words, "--access-token", "--access-token-scopes", "all")
        token = _TOKEN.findall(made)[-1]
        return ForgeAccess(url=self.url, token=token, ssh_port=self.ssh_port, host_keys=host_keys)

    def _settings(self) -> str:
        names = ("secret_key", "internal_token", "jwt_secret")
        made = {name: secrets.token_urlsafe(32) for name in names}
        places = {"folder": self.folder, "address": LOOPBACK, "http_port": self.http_port, "ssh_port": self.ssh_port}
        return _SETTINGS.format(**places, **made)

    def _gitea(self, *words: str) -> tuple[str, ...]:
        as_nobody = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs")
        return (*as_nobody, str(self.folder / "gitea"), "--config", str(self.folder / "app.ini"), *words)

    def _run(self, *words: str) -> str:
        environment = {"PATH": os.environ["PATH"], **self.environment}
        command = self._gitea(*words)
        done = subprocess.run(
            command, cwd="/", env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise TestbedError(f"gitea {words[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-2000:]}")
        return done.stdout


def _give_to_nobody(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)


def start(ledger: Ledger) -> None:
    """Starts the forge and offers how it is reached. Raises TestbedError."""
    server = ForgeServer(folder=FORGE, http_port=FORGE_HTTP_PORT, ssh_port=FORGE_SSH_PORT)
    access = server.prepare(binary("gitea", "gitea"), share("gitea"))
    gitea = Component(name="forge", command=server.command, environment=server.environment, ready=server.is_ready)
    supervisor.start([gitea], ledger)
    for name, value in access.offers().items():
        ledger.offer(name, value)

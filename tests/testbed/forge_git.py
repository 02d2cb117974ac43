"""Git's own command line against the forge: pushes and fetches with a token or a key, and with nothing of this machine.

No configuration, agent, known host or prompt of whoever runs the tests takes part.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60
_ALONE = {
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C",
    "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@forge.test",
    "GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@forge.test",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An SSH key pair in files."""

    file: Path

    @property
    def private(self) -> str:
        """The text of the private key."""
        return self.file.read_text()

    @property
    def public(self) -> str:
        """``type base64``, as authorized_keys and known_hosts have it."""
        return " ".join(Path(f"{self.file}.pub").read_text().split()[:2])


def make_key(folder: Path, *, kind: str = "ed25519") -> Key:
    """A new key pair without a passphrase, in a file named after its kind (``ed25519`` or ``rsa``)."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / kind
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(file)]
    subprocess.run(command, check=True, timeout=SECONDS)
    return Key(file=file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What Git shows: a token over HTTP, or a key over SSH to the hosts that the file ``known_hosts`` names."""

    token: str = ""
    key: Key | None = None
    known_hosts: Path | None = None

    def git(self, *words: str, folder: Path) -> str:
        """The output of a Git command in a folder. Raises CalledProcessError, with Git's words in ``stderr``."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **_ALONE, **self._shown()}
        done = subprocess.run(
            ["git", *words], cwd=folder, env=environment, capture_output=True, text=True, check=True,
            stdin=subprocess.DEVNULL, timeout=SECONDS,
        )  # fmt: skip
        return done.stdout.strip()

    def clone(self, url: str, folder: Path) -> WorkTree:
        """A new folder with the repository of an address."""
        folder.mkdir()
        self.git("clone", "--quiet", url, ".", folder=folder)
        return WorkTree(folder=folder, login=self)

    def _shown(self) -> dict[str, str]:
        shown = {"GIT_SSH_COMMAND": self._ssh()}
        if self.token:
            basic = base64.b64encode(f"token:{self.token}".encode()).decode()
            header = {"KEY_0": "http.extraHeader", "VALUE_0": f"Authorization: Basic {basic}", "COUNT": "1"}
            shown |= {f"GIT_CONFIG_{name}": text for name, text in header.items()}
        return shown

    def _ssh(self) -> str:
        identity = f"-i {self.key.file}" if self.key else ""
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self.known_hosts or os.devnull),
            "GlobalKnownHostsFile": os.devnull,
        }
        return " ".join(["ssh -F none", identity, *(f"-o {name}={value}" for name, value in options.items())])


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkTree:
    """A cloned repository; ``login`` is for what it asks servers."""

    folder: Path
    login: Login

    def commit(self, files: Mapping[str, str]) -> str:
        """Writes files and commits them; the commit's id."""
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Change things")
        return self.git("rev-parse", "HEAD")

    def push(self, url: str, *, branch: str = "main") -> None:
        """Pushes to a branch at an address. Raises CalledProcessError, with Git's words in ``stderr``."""
        self.git("push", "--quiet", url, f"HEAD:refs/heads/{branch}")

    def fetch(self, url: str, ref: str) -> str:
        """Fetches a ref; the commit's id. Raises CalledProcessError, with Git's words in ``stderr``."""
        self.git("fetch", "--quiet", url, ref)
        return self.git("rev-parse", "FETCH_HEAD")

    def git(self, *words: str) -> str:
        """The output of a Git command in the folder. Raises CalledProcessError, with Git's words in ``stderr``."""
        return self.login.git(*words, folder=self.folder)

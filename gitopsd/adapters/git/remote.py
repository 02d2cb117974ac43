"""One conversation with a remote repository: its refs, or a fetch within limits.

libgit2's settings belong to the process: :func:`prepare_libgit2` is called once, before the first conversation.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import ConfigLevel, CredentialType

from gitopsd.adapters.git.hostkeys import check_known_hosts
from gitopsd.adapters.git.urls import Address, parse_address
from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.kit.redact import Redactor, redact_urls
from gitopsd.kit.text import one_line

_MIB = 1024 * 1024
_Shown = pygit2.Username | pygit2.UserPass | pygit2.Keypair


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """How a host is convinced: a ``token`` over https, or a ``private_key`` (its text, with its ``passphrase``) over
    ssh. Each is read when it is needed, so that a rotated one is used at once. ``username`` has a default for both."""

    name: str
    username: str = ""
    token: Callable[[], str] | None = None
    private_key: Callable[[], str] | None = None
    passphrase: Callable[[], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferLimits:
    """Times in seconds: ``connect_timeout`` to connect, ``server_timeout`` for each answer, ``seconds`` for a whole
    fetch, which may take ``bytes`` and ``objects`` at most, and unfold within ``memory`` bytes."""

    connect_timeout: float = 10.0
    server_timeout: float = 60.0
    seconds: float = 900.0
    bytes: int = 512 * _MIB
    objects: int = 5_000_000
    memory: int = 512 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A repository that is spoken to, and the one credential that may be shown to its host."""

    address: Address
    credential: Credential | None = None


class NotThereError(Exception):
    """The host answers, but has no repository at the address; ``error`` is what to tell."""

    def __init__(self, error: UserError) -> None:
        super().__init__(error.message)
        self.error = error


def prepare_libgit2(home: Path, *, known_hosts: str, limits: TransferLimits) -> None:
    """Sets what holds for every repository of this process: timeouts, a home of its own with the host keys
    (``known_hosts`` is the text of an OpenSSH file), and no configuration of the machine or its users.

    Raises UserError CONFIG_INVALID for a host key that is too weak.
    """
    check_known_hosts(known_hosts)
    folder = home / ".ssh"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "known_hosts"
    file.touch(mode=0o600)
    file.write_text(known_hosts if known_hosts.endswith("\n") or not known_hosts else known_hosts + "\n")
    apply_settings(home, limits)


def apply_settings(home: Path, limits: TransferLimits) -> None:
    """Sets timeouts, limits and the home for this process, and nothing of what libgit2 would find elsewhere."""
    settings = pygit2.settings
    settings.homedir = str(home)
    for level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        settings.search_path[level] = str(home / "no-configuration")
    settings.owner_validation = False
    settings.server_connect_timeout = max(1, int(limits.connect_timeout * 1000))
    settings.server_timeout = max(1, int(limits.server_timeout * 1000))
    settings.pack_max_objects = limits.objects
    settings.enable_strict_hash_verification(True)


def list_refs(mirror: pygit2.Repository, remote: Remote) -> dict[str, str]:
    """The remote's refs and what they name, annotated tags under ``<ref>^{}`` as well. Empty for an empty repository.

    Raises NotThereError, UserError SOURCE_REFUSED or TransientError SOURCE_UNREACHABLE.
    """
    conversation = _Conversation(remote, TransferLimits())
    try:
        heads = mirror.remotes.create_anonymous(remote.address.text).list_heads(callbacks=conversation)
        return {head.name: str(head.oid) for head in heads if head.name is not None}
    except GitopsdError:
        raise
    except (pygit2.GitError, OSError, ValueError, KeyError) as error:
        raise _told(error, remote, conversation) from None


def fetch(mirror: pygit2.Repository, remote: Remote, refspecs: list[str], limits: TransferLimits) -> None:
    """Fetches refs into the mirror; UserError LIMIT_EXCEEDED when more comes than the limits allow."""
    conversation = _Conversation(remote, limits)
    try:
        mirror.remotes.create_anonymous(remote.address.text).fetch(refspecs, callbacks=conversation)
    except GitopsdError:
        raise
    except (pygit2.GitError, OSError, ValueError, KeyError) as error:
        raise _told(error, remote, conversation) from None


class _Conversation(pygit2.RemoteCallbacks):
    """Shows the credential to the host that it is bound to, and once only; ends what takes too long or too much."""

    def __init__(self, remote: Remote, limits: TransferLimits) -> None:
        super().__init__()
        self.secrets: tuple[str, ...] = ()
        self.host_refused = False
        self._remote = remote
        self._limits = limits
        self._deadline = time.monotonic() + limits.seconds
        self._shown = False

    def certificate_check(self, _certificate: None, valid: bool, _host: bytes) -> bool:
        """libgit2's own verdict, from the system's authorities or from known_hosts. (pygit2 accepts every ssh host
        key unless the verdict is given back here.)"""
        self.host_refused = not valid
        return valid

    def credentials(self, url: str, username_from_url: str | None, allowed_types: CredentialType) -> _Shown:
        remote, credential = self._remote, self._remote.credential
        if credential is None:
            raise _refusal(remote, "asks for a credential, and none is bound to it")
        asking = parse_address(_without_user(url), by_operator=True)
        if asking.server != remote.address.server:
            raise _refusal(remote, "redirects to another server, which gets no credential")
        if remote.address.scheme == "http" and not remote.address.is_loopback:
            raise _refusal(remote, "would get its credential unencrypted")
        username = username_from_url or credential.username
        if CredentialType.USERNAME in allowed_types and CredentialType.SSH_KEY not in allowed_types:
            return pygit2.Username(username or "git")
        if self._shown:
            raise _refusal(remote, f"does not accept the credential {credential.name!r}")
        self._shown = True
        return self._reveal(credential, username, allowed_types)

    def transfer_progress(self, stats: pygit2.remotes.TransferProgress) -> None:
        if stats.received_bytes > self._limits.bytes:
            raise _exceeded(self._remote, f"sends more than {self._limits.bytes // _MIB or 1} MiB")
        if stats.total_objects > self._limits.objects:
            raise _exceeded(self._remote, f"sends more than {self._limits.objects} objects")
        self._check_time()

    def sideband_progress(self, _text: str) -> None:
        self._check_time()

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise TransientError(
                Reason.SOURCE_UNREACHABLE, f"{_name(self._remote)} sends for more than {self._limits.seconds:g} seconds"
            )

    def _reveal(self, credential: Credential, username: str, allowed: CredentialType) -> _Shown:
        if credential.token is not None and CredentialType.USERPASS_PLAINTEXT in allowed:
            token = credential.token()
            self.secrets = (token,)
            return pygit2.UserPass(username or "x-access-token", token)
        if credential.private_key is not None and CredentialType.SSH_KEY in allowed:
            passphrase = credential.passphrase() if credential.passphrase else ""
            key = credential.private_key()
            self.secrets = (key, passphrase)
            return pygit2.KeypairFromMemory(username or "git", None, key, passphrase)
        raise _refusal(self._remote, f"does not take the kind of credential that {credential.name!r} is")


def _without_user(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def _name(remote: Remote) -> str:
    return redact_urls(remote.address.text)


def _refusal(remote: Remote, why: str, hint: str = "") -> UserError:
    return UserError(Reason.SOURCE_REFUSED, f"{_name(remote)} {why}", hint=hint)


def _exceeded(remote: Remote, why: str) -> UserError:
    return UserError(Reason.LIMIT_EXCEEDED, f"{_name(remote)} {why}", hint="the operator sets this limit")


def _told(error: Exception, remote: Remote, conversation: _Conversation) -> Exception:
    """libgit2's error as one of ours. It has no codes for most of these, so its texts decide (libgit2 1.9)."""
    text = one_line(Redactor(conversation.secrets).text(str(error)), limit=300)
    if conversation.host_refused:
        return _untrusted(remote)
    status = _status(text)
    if status in (404, 410) or "failed to resolve path" in text or "could not find repository" in text.lower():
        return NotThereError(_refusal(remote, "is no repository", "is the address right, and may it be read?"))
    if isinstance(error, pygit2.AuthError) or "authentication" in text or status in (401, 403):
        held = (
            f"does not accept the credential {remote.credential.name!r}" if remote.credential else "wants a credential"
        )
        return _refusal(remote, held, "a private or missing repository looks like this, too")
    if "cannot redirect" in text:
        return _refusal(remote, "redirects to another host", "configure the address that it redirects to")
    if "invalid content-type" in text or "unsupported URL" in text:
        return _refusal(remote, "does not answer as a Git repository does")
    return TransientError(Reason.SOURCE_UNREACHABLE, f"{_name(remote)} cannot be read: {text}")


def _status(text: str) -> int:
    found = re.search(r"http status code: (\d+)", text)
    return int(found[1]) if found else 0


def _untrusted(remote: Remote) -> GitopsdError:
    if remote.address.scheme == "ssh":
        return _refusal(remote, "shows a host key that is not in known_hosts", "check the key and add it")
    return TransientError(Reason.SOURCE_UNREACHABLE, f"{_name(remote)} shows a certificate that is not valid")

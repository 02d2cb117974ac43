"""Values of secrets from variables and files, and the key of this installation."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from gitopsd.errors import Reason, UserError
from gitopsd.kit.text import suggestion

KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundSecret:
    """A secret: ``read`` gives its value each time anew, ``environments`` are globs that may name it."""

    read: Callable[[], str]
    environments: tuple[str, ...]


class BoundSecrets:
    """The secrets that the operator bound to environments.

    A name that is not bound to an environment and one that does not exist get the same message, so that a package
    cannot find out what others have.
    """

    def __init__(self, secret_by_name: Mapping[str, BoundSecret], *, key_file: Path) -> None:
        self._secrets = dict(secret_by_name)
        self._key = installation_key(key_file)

    def names(self, environment: str) -> tuple[str, ...]:
        return tuple(sorted(name for name in self._secrets if self._bound(environment, name)))

    def reveal(self, environment: str, name: str) -> str:
        if name not in self._secrets or not self._bound(environment, name):
            near = suggestion(name, self.names(environment))
            hint = near or f"the operator binds it under secrets in the daemon's configuration to {environment}"
            raise UserError(Reason.SECRET_MISSING, f"no secret {name!r} is bound to {environment}", hint=hint)
        return self._secrets[name].read()

    def keyed_digest(self, value: str) -> str:
        return hmac.new(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def _bound(self, environment: str, name: str) -> bool:
        return any(fnmatchcase(environment, glob) for glob in self._secrets[name].environments)


def installation_key(file: Path) -> bytes:
    """The key of a state directory, made at its first use; only its owner may read the file (mode 0600).

    Linked into place whole, so that neither a crash nor a second process leaves half a key. Raises UserError when
    the file holds something else.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(fresh, file)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    key = file.read_bytes()
    if len(key) != KEY_BYTES:
        raise UserError(
            Reason.CONFIG_INVALID,
            f"{file} holds {len(key)} bytes, not a key of {KEY_BYTES}",
            hint="restore it; with a new key every secret counts as changed once",
        )
    return key

"""Fetches in a process of their own, limited in memory and time.

A pack of a few hundred kilobytes can unfold to gigabytes while it is indexed; so what a host sends is taken in by a
process that may fail alone. What passed through it also reads back within its memory. It gets one JSON object on its
input, the credential with it, and writes one to its output.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pygit2

import gitopsd
from gitopsd.adapters.git.remote import Credential, NotThereError, Remote, TransferLimits, apply_settings, fetch
from gitopsd.adapters.git.urls import Address
from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.kit.redact import redact_urls

_BOOT = "import sys; sys.path[:] = sys.argv[1:]; from gitopsd.adapters.git.transfer import main; main()"
_KEPT_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_SET_DEATH_SIGNAL, _SIGKILL = 1, 9
_GRACE = 10.0


def transfer(mirror: Path, home: Path, remote: Remote, refspecs: list[str], limits: TransferLimits) -> None:
    """Fetches refs into a mirror. Raises what :func:`remote.fetch` raises, LIMIT_EXCEEDED for too much memory too."""
    asked = {
        "mirror": str(mirror),
        "home": str(home),
        "address": asdict(remote.address),
        "credential": _revealed(remote.credential),
        "refspecs": refspecs,
        "limits": asdict(limits),
    }
    try:
        status, text = _run(json.dumps(asked).encode(), limits.seconds + limits.connect_timeout + _GRACE)
    except subprocess.TimeoutExpired:
        _tidy(mirror)
        message = f"{redact_urls(remote.address.text)} sends for more than {limits.seconds:g} seconds"
        raise TransientError(Reason.SOURCE_UNREACHABLE, message) from None
    said = json.loads(text) if status == 0 else {"reason": ""}
    if said is None:
        return
    _tidy(mirror)
    if not said["reason"]:
        raise UserError(
            Reason.LIMIT_EXCEEDED,
            f"{redact_urls(remote.address.text)} needs more than {limits.memory // (1024 * 1024)} MiB of memory",
            hint="the operator sets this limit",
        )
    kind = TransientError if said["transient"] else UserError
    raise kind(Reason(said["reason"]), said["message"], hint=said["hint"])


def main() -> None:
    """The process that fetches. Answers ``null``, or what went wrong; ends with another status when memory does."""
    asked = json.loads(sys.stdin.buffer.read())
    limits = TransferLimits(**asked["limits"])
    _limit(limits.memory)
    apply_settings(Path(asked["home"]), limits)
    remote = Remote(address=Address(**asked["address"]), credential=_credential(asked["credential"]))
    try:
        fetch(pygit2.Repository(asked["mirror"]), remote, asked["refspecs"], limits)
        said = None
    except NotThereError as error:
        said = _said(error.error)
    except GitopsdError as error:
        said = _said(error)
    except MemoryError:
        os._exit(1)
    sys.stdout.write(json.dumps(said))


def _said(error: GitopsdError) -> dict[str, Any]:
    reason = "" if "out of memory" in error.message.lower() else error.reason.value
    transient = isinstance(error, TransientError)
    return {"reason": reason, "message": error.message, "hint": error.hint, "transient": transient}


def _limit(memory: int) -> None:
    import ctypes
    import resource

    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, _SIGKILL, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def _run(asked: bytes, seconds: float) -> tuple[int, bytes]:
    root = str(Path(gitopsd.__file__).parent.parent)
    path = [root, *(item for item in sys.path if item.startswith("/") and item not in (root, str(Path.cwd())))]
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, *path],
        input=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=kept, cwd="/",
        start_new_session=True, timeout=seconds, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def _tidy(mirror: Path) -> None:
    """Removes what a fetch that was ended left half written."""
    for file in (mirror / "objects" / "pack").glob("*"):
        if not file.name.startswith("pack-") or file.suffix == ".lock":
            with contextlib.suppress(OSError):
                file.unlink()


def _revealed(credential: Credential | None) -> dict[str, str | None] | None:
    if credential is None:
        return None
    return {
        "name": credential.name,
        "username": credential.username,
        "token": credential.token() if credential.token else None,
        "private_key": credential.private_key() if credential.private_key else None,
        "passphrase": credential.passphrase() if credential.passphrase else None,
    }


def _credential(revealed: Mapping[str, str | None] | None) -> Credential | None:
    if revealed is None:
        return None
    return Credential(
        name=revealed["name"] or "",
        username=revealed["username"] or "",
        token=_given(revealed["token"]),
        private_key=_given(revealed["private_key"]),
        passphrase=_given(revealed["passphrase"]),
    )


def _given(value: str | None) -> Callable[[], str] | None:
    return None if value is None else lambda: value

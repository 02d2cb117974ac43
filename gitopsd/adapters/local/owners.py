"""Whose user the processes of an enclave run under, and who may pass through the state folder."""

from __future__ import annotations

import os
import pwd
import sys
from functools import cached_property
from pathlib import Path

from gitopsd.adapters.local.addresses import Addresses
from gitopsd.model.parts import User


class Owners:
    """Users of enclaves. A daemon that is not root has but its own."""

    def __init__(self, state: Path, addresses: Addresses, mode: str) -> None:
        self._state = state
        self._addresses = addresses
        self._mode = mode

    @cached_property
    def separate(self) -> bool:
        """Whether services get another user. That user must be able to read the interpreter (an installation under a
        umask of 077 is for root alone), and without namespaces to reach it and its own files through the machine's
        folders."""
        if os.geteuid() != 0 or not all(Path(file).stat().st_mode & 0o004 for file in (sys.executable, os.__file__)):
            return False
        needed = (self._state.parent, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve())
        return self._mode == "root" or all(_passable(path) for path in needed)

    def own(self, enclave: str) -> int | None:
        """The user id of an enclave; None where the daemon may not choose."""
        return self._addresses.uid(enclave) if self.separate else None

    def of(self, enclave: str, asked: User | None) -> tuple[int | None, int | None]:
        """User and group of a service. Root and the accounts of this machine are nobody's to take: in their place
        comes the enclave's own user."""
        own = self.own(enclave)
        if own is None or asked is None or asked.uid == 0 or _is_account(asked.uid):
            return own, own
        return asked.uid, asked.gid or asked.uid

    def let_in(self, path: Path) -> None:
        """Lets another user through to a folder below the state folder, not to what lies beside the way. Needed only
        where no mount leads there."""
        if self._mode == "plain" and self.separate:
            while path != self._state.parent:
                path.chmod(0o711)
                path = path.parent


def _passable(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _is_account(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True

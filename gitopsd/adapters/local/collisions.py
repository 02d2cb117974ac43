"""Who holds a socket: a service of an enclave, or another process of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gitopsd.adapters.local.processes import descendants
from gitopsd.adapters.local.sockets import sockets_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """``service`` is empty for a process that belongs to no enclave."""

    enclave: str = ""
    service: str = ""
    pid: int = 0

    @property
    def text(self) -> str:
        """For messages."""
        if self.service:
            return f"service {self.service!r} of enclave {self.enclave!r}"
        name = ""
        with suppress(OSError):
            name = Path(f"/proc/{self.pid}/comm").read_text().strip()
        return f"process {self.pid} ({name})"


def holders(inodes: frozenset[str], shims: Iterable[tuple[str, str, int]]) -> dict[str, Holder]:
    """Who holds each socket, as far as this user may see. ``shims`` are enclave, service and pid."""
    found: dict[str, Holder] = {}
    for enclave, service, shim in shims:
        for pid in descendants(shim):
            for inode in sockets_of(pid) & inodes:
                found[inode] = Holder(enclave=enclave, service=service, pid=pid)
    if inodes - found.keys():
        for name in os.listdir("/proc"):  # noqa: PTH208
            if name.isdigit():
                for inode in (sockets_of(int(name)) & inodes) - found.keys():
                    found[inode] = Holder(pid=int(name))
    return found

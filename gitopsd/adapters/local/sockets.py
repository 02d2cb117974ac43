"""Who listens where, from ``/proc/net/tcp`` and ``/proc/net/tcp6`` (format: proc_net_tcp in the kernel's docs)."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"
WILDCARD = "0.0.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A listening TCP socket. ``address`` is :data:`WILDCARD` for every address of the machine."""

    address: str
    port: int
    inode: str


def listeners() -> tuple[Listener, ...]:
    """Every listening TCP socket of this machine."""
    found: list[Listener] = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", name).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTEN:
                    host, _, port = columns[1].partition(":")
                    found.append(Listener(address=_address(host), port=int(port, 16), inode=columns[9]))
    return tuple(found)


def _address(text: str) -> str:
    words = (int(text[index : index + 8], 16) for index in range(0, len(text), 8))
    raw = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    if not any(raw):
        return WILDCARD
    if len(raw) == 4:
        return socket.inet_ntop(socket.AF_INET, raw)
    if raw.startswith(b"\0" * 10 + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, raw[12:])
    return socket.inet_ntop(socket.AF_INET6, raw)


def reaches(listener: Listener, address: str, port: int) -> bool:
    """Whether a connection to ``address:port`` would reach the listener."""
    return listener.port == port and listener.address in (address, WILDCARD)


def sockets_of(pid: int) -> frozenset[str]:
    """Inodes of the sockets that a process holds; empty when it is gone or may not be looked at."""
    inodes: set[str] = set()
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(entry.path)  # noqa: PTH115
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
    return frozenset(inodes)

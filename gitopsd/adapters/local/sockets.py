"""Who listens where on this machine.

Asked through NETLINK_SOCK_DIAG (sock_diag(7)), which walks listening sockets alone, in microseconds; where a kernel
lacks it, read from ``/proc/net/tcp`` and ``/proc/net/tcp6``, for which it walks every connection.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

WILDCARD = "0.0.0.0"
_NETLINK_SOCK_DIAG, _BY_FAMILY, _DUMP = 4, 20, 0x301
_DONE, _ERROR = 3, 2
_LISTEN = 10
_HEADER, _ANSWER = struct.Struct("=IHHII"), struct.Struct("!BBBBHH16s")
_INODE_AT = 68


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A listening TCP socket. ``address`` is :data:`WILDCARD` for every address of the machine."""

    address: str
    port: int
    inode: str


def listeners() -> tuple[Listener, ...]:
    """Every listening TCP socket of this machine."""
    try:
        return tuple(item for family in (socket.AF_INET, socket.AF_INET6) for item in _asked(family))
    except OSError:
        return tuple(_read())


def _asked(family: int) -> Iterator[Listener]:
    request = struct.pack("=BBBBI48x", family, socket.IPPROTO_TCP, 0, 0, 1 << _LISTEN)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as link:
        link.settimeout(2.0)
        link.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _DUMP, 1, 0) + request)
        while True:
            data = link.recv(1 << 17)
            while data:
                size, kind, *_ = _HEADER.unpack_from(data)
                if kind == _DONE:
                    return
                if kind == _ERROR or size < _HEADER.size:
                    raise OSError("the kernel does not answer for sockets")
                yield _listener(data[_HEADER.size : size])
                data = data[(size + 3) & ~3 :]


def _listener(message: bytes) -> Listener:
    family, _, _, _, port, _, raw = _ANSWER.unpack_from(message)
    (inode,) = struct.unpack_from("=I", message, _INODE_AT)
    return Listener(address=_address(raw[:4] if family == socket.AF_INET else raw), port=port, inode=str(inode))


def _read() -> Iterator[Listener]:
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", name).read_text().splitlines()[1:]:
                columns = line.split()
                if int(columns[3], 16) == _LISTEN:
                    host, _, port = columns[1].partition(":")
                    words = (int(host[index : index + 8], 16) for index in range(0, len(host), 8))
                    raw = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
                    yield Listener(address=_address(raw), port=int(port, 16), inode=columns[9])


def _address(raw: bytes) -> str:
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


def places(found: Iterable[Listener]) -> frozenset[tuple[str, int]]:
    """Address and port of each listener, for :func:`reached`."""
    return frozenset((item.address, item.port) for item in found)


def reached(places: frozenset[tuple[str, int]], address: str, port: int) -> bool:
    """Whether a connection to ``address:port`` would reach one of many listeners."""
    return (address, port) in places or (WILDCARD, port) in places


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

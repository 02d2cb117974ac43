"""Questions to servers: are you there?"""

from __future__ import annotations

import secrets
import socket
import ssl
import struct
import urllib.request
from collections.abc import Callable
from pathlib import Path


def http(url: str, *, tls: Callable[[], ssl.SSLContext] | None = None) -> Callable[[], bool]:
    """Ready when a GET of the address answers with a status below 400."""

    def ask() -> bool:
        with urllib.request.urlopen(url, timeout=2, context=tls() if tls else None) as answer:
            return bool(answer.status < 400)

    return ask


def tcp(address: str, port: int) -> Callable[[], bool]:
    """Ready when something listens."""

    def ask() -> bool:
        with socket.create_connection((address, port), timeout=1):
            return True

    return ask


def unix(path: Path) -> Callable[[], bool]:
    """Ready when something listens on the socket of the path."""

    def ask() -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(path))
            return True

    return ask


def dns(server: str, name: str, *, port: int = 53) -> Callable[[], bool]:
    """Ready when the server has an address for the name (RFC 1035, section 4)."""

    def ask() -> bool:
        number = secrets.token_bytes(2)
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        query = number + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            connection.settimeout(0.5)
            connection.sendto(query, (server, port))
            answer = connection.recv(512)
        flags, _, answers = struct.unpack(">HHH", answer[2:8])
        return answer[:2] == number and flags & 0xF == 0 and answers > 0

    return ask

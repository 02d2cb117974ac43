"""Host keys of ssh servers: what an OpenSSH known_hosts text may hold (sshd(8), RFC 4253 section 6.6)."""

from __future__ import annotations

import base64
import binascii

from gitopsd.errors import Reason, UserError

_FEWEST_RSA_BITS = 2048


def check_known_hosts(text: str) -> None:
    """Raises UserError CONFIG_INVALID for a line that is none, for a key that is too weak to be trusted, and for a line
    that takes trust away: libssh2 knows neither ``@revoked`` nor ``!host``, and would go on trusting."""
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        if fields[0] == "@revoked" or "!" in fields[0]:
            raise _invalid(
                number, "takes trust away, which does not work here: leave it out, and the line that gives it"
            )
        if fields[0].startswith("@"):
            fields = fields[1:]
        if len(fields) < 3:
            raise _invalid(number, "is no host key: expected 'host type key'")
        bits = _rsa_bits(fields[2], number) if fields[1] == "ssh-rsa" else _FEWEST_RSA_BITS
        if fields[1] == "ssh-dss" or bits < _FEWEST_RSA_BITS:
            raise _invalid(number, f"holds a key that is too weak: expected RSA of {_FEWEST_RSA_BITS} bits, or Ed25519")


def _rsa_bits(key: str, number: int) -> int:
    try:
        blob = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid(number, "holds a key that is not base64") from None
    parts: list[bytes] = []
    while len(blob) >= 4 and len(parts) < 3:
        size = int.from_bytes(blob[:4], "big")
        parts.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return int.from_bytes(parts[2], "big").bit_length() if len(parts) == 3 else 0


def _invalid(number: int, why: str) -> UserError:
    return UserError(Reason.CONFIG_INVALID, f"known_hosts line {number} {why}", position=f"known_hosts:{number}")

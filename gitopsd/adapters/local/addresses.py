"""Addresses of services in 127.0.0.0/8 and user ids of enclaves, distinct over a state folder.

The second octet comes from a hash of the state folder, so that daemons beside each other rarely meet; an address on
which somebody listens already is left out.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from gitopsd.adapters.local.folders import locked, read_json, write_json
from gitopsd.adapters.local.sockets import listeners
from gitopsd.errors import Reason, StepError

_LAST = 250


class Addresses:
    """Who has which address and user id; safe over threads and processes."""

    def __init__(self, state: Path, *, uids: tuple[int, int] = (0, 1)) -> None:
        self._file = state / "addresses.json"
        self._lock = state / "addresses.lock"
        self._octet = 1 + hashlib.sha256(str(state).encode()).digest()[0] % 250
        self._uids = uids

    def reserve(self, enclave: str, service: str) -> str:
        """The address of a service; always the same until it is given back."""
        name = f"{enclave}/{service}"
        known = self._read()["addresses"].get(name)
        if known is not None:
            return str(known)
        with locked(self._lock):
            data = self._read()
            found: dict[str, str] = data["addresses"]
            if name not in found:
                found[name] = self._unused(set(found.values()))
                write_json(self._file, data, durable=True)
            return found[name]

    def _unused(self, taken: set[str]) -> str:
        busy = taken | {listener.address for listener in listeners()}
        for third in range(_LAST):
            for fourth in range(2, _LAST + 2):
                address = f"127.{self._octet}.{third}.{fourth}"
                if address not in busy:
                    return address
        raise StepError(
            Reason.LIMIT_EXCEEDED,
            f"no address is free in 127.{self._octet}.0.0/16: {len(taken)} services hold one",
            hint="destroy enclaves that are not needed any more",
        )

    def uid(self, enclave: str) -> int:
        """The user id that an enclave's processes get where the daemon may choose."""
        with locked(self._lock):
            data = self._read()
            uids: dict[str, int] = data["uids"]
            if enclave not in uids:
                first, count = self._uids
                taken = set(uids.values())
                uids[enclave] = next((uid for uid in range(first, first + count) if uid not in taken), first)
                write_json(self._file, data, durable=True)
            return uids[enclave]

    def addresses(self, enclave: str) -> dict[str, str]:
        """Addresses by service of one enclave."""
        prefix = f"{enclave}/"
        found = self._read()["addresses"]
        return {name[len(prefix) :]: str(address) for name, address in found.items() if name.startswith(prefix)}

    def release(self, enclave: str, service: str | None = None) -> None:
        """Gives back the address of one service, or everything that an enclave has."""
        with locked(self._lock):
            data = self._read()
            found: dict[str, str] = data["addresses"]
            for name in [n for n in found if n == f"{enclave}/{service}" or (not service and _of(n, enclave))]:
                del found[name]
            if not service:
                data["uids"].pop(enclave, None)
            write_json(self._file, data, durable=True)

    def _read(self) -> dict[str, Any]:
        data = read_json(self._file)
        return {"addresses": dict(data.get("addresses", {})), "uids": dict(data.get("uids", {}))}


def _of(name: str, enclave: str) -> bool:
    return name.startswith(f"{enclave}/")

"""What the demo verifies with: processes as the kernel shows them, devnets as their own HTTP answers tell."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

PORT = 8080
"""Port of every service of the sample package."""
T = TypeVar("T")


class Unmet(Exception):
    """Something that a scene promises did not happen."""


def require(holds: bool, promise: str, *seen: object) -> None:
    """Unmet when a promise does not hold; ``seen`` is shown with it."""
    if not holds:
        raise Unmet(promise + "".join(f"\n    {item}" for item in seen))


def until(check: Callable[[], T | None], promise: str, *, seconds: float) -> T:
    """What ``check`` gives once it gives something true; an Unmet of its own is taken for "not yet"."""
    deadline = time.monotonic() + seconds
    why = ""
    while True:
        try:
            answer = check()
            if answer:
                return answer
        except Unmet as error:
            why = f": {error}"
        if time.monotonic() > deadline:
            raise Unmet(f"{promise}, within {seconds:g} s{why}")
        time.sleep(0.1)


# --- processes --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Process:
    """A process; ``started`` in clock ticks since boot, so that a pid that is used again is another process."""

    pid: int
    started: int


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8", "replace")
    except OSError:  # it ended meanwhile, or is not ours to look at
        return ""


def process(pid: int) -> Process | None:
    """A living process by its pid; None when it is gone or only waits to be reaped."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields or fields[0] in "ZX":
        return None
    return Process(pid, int(fields[19]))


def parent(item: Process) -> Process | None:
    """The process that watches over another one: of a service its shim."""
    fields = _read(f"/proc/{item.pid}/stat").rpartition(")")[2].split()
    return process(int(fields[1])) if fields else None


def _arguments(pid: int) -> tuple[str, ...]:
    return tuple(_read(f"/proc/{pid}/cmdline").split("\0"))


def _pids() -> tuple[int, ...]:
    names = (entry.name for entry in Path("/proc").iterdir())
    return tuple(int(name) for name in names if name.isdigit() and int(name) != os.getpid())


def serving(address: str) -> tuple[Process, ...]:
    """The processes that were told to listen on an address of the sample package's services."""
    found = [pid for pid in _pids() if f"--listen={address}" in _arguments(pid)[1:]]
    return tuple(item for item in map(process, found) if item is not None)


def processes_of(folder: Path) -> tuple[Process, ...]:
    """Every process that has a file of a folder open, or mounted: daemons, shims, services and tasks on it."""
    return tuple(item for pid in _pids() if _touches(pid, str(folder)) and (item := process(pid)) is not None)


def _touches(pid: int, folder: str) -> bool:
    try:
        opened = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]  # noqa: PTH115 (sockets, pipes)
    except OSError:  # it ended meanwhile, or is not ours to look at
        opened = []
    return any(name.startswith(f"{folder}/") for name in opened) or folder in _read(f"/proc/{pid}/mountinfo")


# --- devnets ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A service of a devnet: its process with its arguments, and what it answered (``/status``, or ``/summary`` of
    the explorer)."""

    name: str
    address: str
    process: Process
    arguments: tuple[str, ...]
    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Devnet:
    """A devnet of the sample package as it is now. ``deposits`` are ``(account, amount, id)`` in the chain."""

    chain_id: str
    genesis: str
    height: int
    explorer: Member
    nodes: Mapping[str, Member]
    deposits: tuple[tuple[str, int, str], ...]

    @property
    def processes(self) -> dict[str, Process]:
        """The process of every service, the explorer included, by the service's name."""
        return {member.name: member.process for member in self.members}

    @property
    def members(self) -> tuple[Member, ...]:
        """The explorer and the nodes."""
        return (self.explorer, *self.nodes.values())


def ask(address: str, path: str) -> Any:
    """The JSON that a service answers. Unmet when there is none."""
    try:
        answer = httpx.get(f"http://{address}:{PORT}{path}", timeout=3, trust_env=False)
        return answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise Unmet(f"http://{address}:{PORT}{path} does not answer: {error}") from None


def look(addresses: Mapping[str, str]) -> Devnet:
    """A devnet by the addresses of its services. Unmet when a service does not answer, has no process of its own,
    or the nodes are not all on one chain."""
    members = {name: _member(name, address) for name, address in addresses.items()}
    require("explorer" in members and "node-1" in members, "a devnet has an explorer and a node-1", sorted(members))
    explorer = members.pop("explorer")
    chains = {(node.answer["chain_id"], node.answer["genesis_hash"]) for node in members.values()}
    require(len(chains) == 1, "all nodes are on one chain", *sorted(chains))
    chain_id, genesis = chains.pop()
    deposits = ask(members["node-1"].address, "/accounts")["deposits"]
    return Devnet(
        chain_id=chain_id,
        genesis=genesis,
        height=max(node.answer["height"] for node in members.values()),
        explorer=explorer,
        nodes=members,
        deposits=tuple((item["account"], item["amount"], item["id"]) for item in deposits),
    )


def _member(name: str, address: str) -> Member:
    found = serving(address)
    require(len(found) == 1, f"{name} has exactly one process", *found)
    answer = ask(address, "/summary" if name == "explorer" else "/status")
    return Member(name=name, address=address, process=found[0], arguments=_arguments(found[0].pid), answer=answer)

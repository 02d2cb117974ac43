"""What a machine is like, as far as a testbed may change it."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

from tests.testbed.places import CACHE, DATA, FOREIGN, NODE_ADDRESS
from tests.testbed.processes import marked

# Counters and the like, which change by themselves.
VOLATILE = re.compile(
    r"random/|ns_last_pid|/pty/nr|_count$|/fs/.*-(nr|state)$|file-nr|/netlink|/drop_caches|/compact_memory|/route/flush|/quota/"
)
OUR_LISTENERS = re.compile(rf"^{re.escape(NODE_ADDRESS)}:|:16[0-6]\d\d$")  # others come and go on a machine in use
SERVERS = ("containerd", "docker-registry", "socat", "containerd-shim")


def state() -> dict[str, set[str]]:
    """By kind, so that two states can be compared."""
    links = {item.name for item in Path("/sys/class/net").iterdir()}
    mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()}
    groups = {str(item) for item in Path("/sys/fs/cgroup").rglob("*") if item.is_dir()}
    return {
        "links": links,
        "mounts": mounts,
        "cgroups": groups,
        "processes": processes(),
        "filters": {*_filters("iptables"), *_filters("ip6tables")},
        "sysctls": sysctls(),
        "routes": set(_lines("ip", "route", "show", "table", "all")),
        "listeners": {address for address in _listeners() if OUR_LISTENERS.search(address)},
        "folders": {str(folder) for folder in (DATA, *FOREIGN) if folder.exists()},
    }


def processes() -> set[str]:
    """Those that carry the mark, run a program that the testbed built, or one of Debian's that it uses."""
    found = {str(pid) for pid in marked()}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit():
                program = (folder / "exe").readlink()
                if program.is_relative_to(CACHE) or program.name.startswith(SERVERS):
                    found.add(folder.name)
    return found


def sysctls() -> set[str]:
    """Each with its value; those of single network interfaces go with the interface."""
    found = set()
    for file in Path("/proc/sys").rglob("*"):
        if not VOLATILE.search(str(file)):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                found.add(f"{file} = {file.read_text('ascii').strip()}")
    return found


def forwarding() -> set[str]:
    """Links whose packets of IPv4 the machine forwards; also ``all`` and ``default``, which are for links to come."""
    files = Path("/proc/sys/net/ipv4/conf").glob("*/forwarding")
    return {file.parent.name for file in files if file.read_text("ascii").strip() == "1"}


def _listeners() -> list[str]:
    return [line.split()[3] for line in _lines("ss", "--no-header", "--listening", "--tcp", "--numeric")]


def _filters(command: str) -> list[str]:
    """Rules, and chains that the kernel does not have by itself."""
    lines = _lines(f"{command}-save")
    return [line for line in lines if line.startswith("-A") or (line.startswith(":") and " - " in line)]


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

"""Undoes what the ledger says was done, the newest first."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.testbed.ledger import Ledger
from tests.testbed.places import TestbedError
from tests.testbed.processes import alive, end, marked

OURS = re.compile(r"(KUBE|CNI|GITOPSD)-")
KERNEL_MODULES = Path("/sys/module")
LINKS = Path("/sys/class/net")


def undo(ledger: Ledger) -> None:
    """End every process, then undo each entry; raises ``TestbedError`` with all that could not be undone.

    The ledger is forgotten only when all is undone, so that another ``down`` can go on.
    """
    end(entry["pid"] for entry in ledger.entries("process") if alive(entry["pid"], entry["start"]))
    end(marked())
    trouble = []
    for entry in reversed(ledger.entries()):
        try:
            if step := STEPS.get(entry["did"]):
                step(entry)
        except (OSError, TestbedError, subprocess.CalledProcessError) as error:
            trouble.append(f"{entry}: {error}")
    if trouble:
        raise TestbedError("could not undo:\n" + "\n".join(trouble) + "\nfree it by hand and run `down` again")
    ledger.forget()


def _cgroup(entry: dict[str, Any]) -> None:
    """Kill what runs in containers, then remove the groups, the innermost first."""
    root = Path(entry["path"])
    groups = sorted((item for item in root.rglob("*") if item.is_dir()), key=lambda item: -len(item.parts))
    groups += [root] if root.is_dir() else []
    end(int(pid) for group in groups for pid in (group / "cgroup.procs").read_text("ascii").split())
    for group in groups:
        _remove_group(group)


def _remove_group(group: Path, patience: float = 5.0) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return group.rmdir()
        except FileNotFoundError:
            return None
        except OSError:  # busy for a moment after its last process ended
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _controllers(entry: dict[str, Any]) -> None:
    """Disable what was enabled since; groups of others may have come to use one, which then stays."""
    file = Path(entry["path"])
    for name in set(file.read_text("ascii").split()) - set(entry["before"]):
        with contextlib.suppress(OSError):
            file.write_text(f"-{name}", "ascii")


def _folder(entry: dict[str, Any]) -> None:
    unmount_below(Path(entry["path"]))
    if Path(entry["path"]).exists():
        shutil.rmtree(entry["path"])


def unmount_below(root: Path) -> None:
    """Unmount all at and below a folder, the newest first (proc(5), mountinfo: the fifth field, octal escapes)."""
    lines = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    points = [Path(re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), line.split()[4])) for line in lines]
    for point in reversed(points):
        if point.is_relative_to(root):
            subprocess.run(["umount", "--lazy", str(point)], check=True, capture_output=True)


def _mount_point(entry: dict[str, Any]) -> None:
    """Remove a folder that was made to mount on; with anything in it, it has become somebody else's."""
    with contextlib.suppress(OSError):
        Path(entry["path"]).rmdir()


def _bridge(entry: dict[str, Any]) -> None:
    if (LINKS / entry["name"]).exists():
        subprocess.run(["ip", "link", "delete", entry["name"]], check=True, capture_output=True)


def _kernel_module(entry: dict[str, Any]) -> None:
    """Unload it if nothing uses it; bridges of others may rely on one that knows of no user."""
    loaded = (KERNEL_MODULES / entry["name"] / "initstate").exists()
    if loaded and not any(LINKS.glob("*/bridge")):
        subprocess.run(["modprobe", "--remove", "--quiet", entry["name"]], capture_output=True, check=False)


def _sysctl(entry: dict[str, Any]) -> None:
    file = Path(entry["path"])
    with contextlib.suppress(FileNotFoundError):
        if file.read_text("ascii").strip() != entry["before"]:
            file.write_text(entry["before"], "ascii")


def chains() -> list[str]:
    """Chains of Kubernetes, container networks and the testbed in the packet filters, as ``COMMAND TABLE CHAIN``."""
    found = []
    for command in ("iptables", "ip6tables"):
        table = ""
        for line in _saved(command):
            table = line[1:] if line.startswith("*") else table
            if line.startswith(":") and OURS.match(line[1:]):
                found.append(f"{command} {table} {line[1:].split()[0]}")
    return found


def _saved(command: str) -> list[str]:
    if not shutil.which(f"{command}-save"):
        return []
    ran = subprocess.run([f"{command}-save"], capture_output=True, text=True, check=False)
    return ran.stdout.splitlines() if ran.returncode == 0 else []  # a kernel without IPv6 has no such tables


def _iptables(_: dict[str, Any]) -> None:
    """Take the rules that name our chains out of the others, then empty and remove our chains."""
    for command in ("iptables", "ip6tables"):
        lines: list[str] = []
        for line in _saved(command):
            if line.startswith("*"):
                lines += [line]
                first = len(lines)
            elif line.startswith(":") and OURS.match(line[1:]):
                name = line[1:].split()[0]
                lines.insert(first, f":{name} - [0:0]")  # this empties it
                lines.append(f"-X {name}")
            elif re.match(rf"-A (?!{OURS.pattern})\S+ .*-j {OURS.pattern}", line):
                lines.insert(first, line.replace("-A", "-D", 1))
            elif line == "COMMIT":
                lines.append(line)
        if any(line.startswith("-X") for line in lines):
            _restore(command, lines)


def _restore(command: str, lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    restore = [f"{command}-restore", "--noflush", "--wait"]
    ran = subprocess.run(restore, input=text, text=True, capture_output=True, check=False)
    if ran.returncode:
        raise TestbedError(f"{command}-restore: {ran.stderr.strip()}")


STEPS: dict[str, Callable[[dict[str, Any]], None]] = {
    "cgroup": _cgroup,
    "controllers": _controllers,
    "folder": _folder,
    "mount point": _mount_point,
    "bridge": _bridge,
    "kernel module": _kernel_module,
    "sysctl": _sysctl,
    "iptables": _iptables,
}

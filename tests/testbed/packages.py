"""What the testbed takes from Debian."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.testbed.ledger import lock
from tests.testbed.places import TestbedError

NAMES = (
    *("containerd", "runc", "containernetworking-plugins"),
    *("conntrack", "iptables", "ipset", "ebtables", "iproute2", "kmod", "procps", "socat", "util-linux"),
    *("docker-registry", "busybox-static", "buildah"),
    *("ca-certificates", "gcc", "libc6-dev", "git", "mount", "openssh-client"),
)
# Units that their packages enable, by package.
SERVICES = {"containerd": "containerd.service", "docker-registry": "docker-registry.service"}
POLICY = Path("/usr/sbin/policy-rc.d")  # deb-systemd-invoke(1p) asks it; 101 means "start nothing", 0 "go on"
POLICY_MARK = "# by the testbed of gitopsd"
PATIENCE = 300  # seconds that others, such as the machine's own updates, may still need


def missing() -> list[str]:
    """Packages that are not installed; all of them on a machine without dpkg."""
    try:
        command = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *NAMES]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return list(NAMES)
    there = {line.split()[0] for line in told.splitlines() if line.endswith(" installed")}
    return [name for name in NAMES if name not in there]


def install(say: Callable[[str], None]) -> None:
    """Install what is missing, starting no service; raises ``TestbedError`` with the words of apt."""
    if not missing():
        return
    with lock("the installation of packages", patience=PATIENCE):
        names = missing()  # another process may have been at it
        say(f"installing {' '.join(names)}")
        with no_services():
            _apt("update", "--quiet=2")
            _apt("install", "--quiet=2", "--yes", "--no-install-recommends", "--no-remove", *names)
        _disable(names)
        say("installed them")


def _disable(names: list[str]) -> None:
    for name in SERVICES.keys() & set(names):  # else they would start with the machine, the registry on all addresses
        subprocess.run(["deb-systemd-helper", "disable", SERVICES[name]], capture_output=True, check=False)


@contextmanager
def no_services() -> Iterator[None]:
    """Packages start no service for the time of a block; a policy of somebody else stays as it is."""
    if POLICY.exists() and POLICY_MARK not in POLICY.read_text("utf-8", "replace"):
        yield
        return
    # Should this process be killed, what it leaves forbids nothing any more.
    POLICY.write_text(f"#!/bin/sh\n{POLICY_MARK}\nkill -0 {os.getpid()} 2>/dev/null && exit 101\nexit 0\n", "ascii")
    try:
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink()


def _apt(*words: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", f"-oDPkg::Lock::Timeout={PATIENCE}", *words]
    try:
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise TestbedError("there is no apt-get: the testbed takes containerd and others from Debian") from None
    if ran.returncode:
        told = "\n".join(ran.stderr.strip().splitlines()[-10:])
        raise TestbedError(f"apt-get {words[0]} ended with {ran.returncode}:\n{told}")

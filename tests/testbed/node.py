"""Makes the machine ready to be a node. Each change is in the ledger before it is made."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.testbed.ledger import Ledger
from tests.testbed.places import (
    BRIDGE,
    CGROUP,
    DATA,
    FOREIGN,
    MOUNT_NAMESPACE,
    MOUNTS,
    NODE_ADDRESS,
    PODS,
    TestbedError,
)
from tests.testbed.undo import KERNEL_MODULES, chains

SYSCTLS = {
    "net/bridge/bridge-nf-call-iptables": "1",  # traffic between pods of one bridge goes through Services too
    "fs/inotify/max_user_instances": "1024",
}
# What kubelet and kube-proxy set by themselves.
SET_BY_SERVERS = (
    *("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"),
    *("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "net/ipv4/conf/all/route_localnet"),
)
NEEDED_MODULES = ("overlay", "br_netfilter")
FORWARD = "GITOPSD-FORWARD"
CONTROLLERS = ("cpu", "cpuset", "memory", "hugetlb", "pids")


def prepare(ledger: Ledger) -> None:
    """Raises ``TestbedError`` when another Kubernetes is on the machine, or the kernel lacks something."""
    if found := chains():
        raise TestbedError(f"another Kubernetes or container network has packet filters here ({found[0]}): remove it")
    _make_mounts(ledger)
    ledger.write("iptables")
    load_kernel_modules(ledger)
    _set_sysctls(ledger)
    _make_bridge(ledger)
    make_cgroups(ledger)


def load_kernel_modules(ledger: Ledger) -> None:
    """Load what is not there; a kernel that has one built in knows no such module, and that is fine."""
    for name in NEEDED_MODULES:
        if not (KERNEL_MODULES / name).exists():
            ledger.write("kernel module", name=name)
            subprocess.run(["modprobe", "--quiet", name], capture_output=True, check=False)


def _set_sysctls(ledger: Ledger) -> None:
    """Changes what a node needs; raises ``TestbedError`` for what this kernel lacks."""
    for name in (*SYSCTLS, *SET_BY_SERVERS):
        file = Path("/proc/sys", name)
        if not file.exists():
            if name in SYSCTLS:
                raise TestbedError(f"this kernel has no {file}: the cluster's network needs it")
            continue
        ledger.write("sysctl", path=str(file), before=file.read_text("ascii").strip())
        if name in SYSCTLS:
            file.write_text(SYSCTLS[name], "ascii")


def _make_mounts(ledger: Ledger) -> None:
    """A mount namespace that sees what is mounted on the machine, while the machine sees nothing of what it mounts.

    Its file lies on a private mount, as unshare(1) asks for; both go with the folder of the testbed.
    """
    for folder in FOREIGN:
        if not folder.exists():
            ledger.write("mount point", path=str(folder))
            folder.mkdir()
    MOUNTS.mkdir()
    _run("mount", "--bind", "--make-private", MOUNTS, MOUNTS)
    MOUNT_NAMESPACE.touch()
    inside = ["mount --make-rshared /"]  # a volume may be shared with a pod in both directions
    for number, folder in enumerate(FOREIGN):
        own = DATA / "foreign" / str(number)
        own.mkdir(parents=True)
        inside.append(f"mount --bind {own} {folder}")
    _run("unshare", f"--mount={MOUNT_NAMESPACE}", "--propagation=slave", "sh", "-euc", "\n".join(inside))


def _make_bridge(ledger: Ledger) -> None:
    """The network of the pods. What the machine forwards stays within it, and nothing from elsewhere gets into it."""
    ledger.write("bridge", name=BRIDGE)
    for words in (
        ("link", "add", BRIDGE, "type", "bridge"),
        ("address", "add", f"{NODE_ADDRESS}/{PODS.partition('/')[2]}", "dev", BRIDGE),
        ("link", "set", BRIDGE, "up"),
    ):
        _run("ip", *words)
    Path("/proc/sys/net/ipv4/conf", BRIDGE, "forwarding").write_text("1", "ascii")
    for words in (
        ("-N", FORWARD),
        ("-A", FORWARD, "-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT"),  # a container engine may have the rest dropped
        ("-A", FORWARD, "-i", BRIDGE, "-j", "REJECT", "--reject-with", "icmp-net-unreachable"),
        ("-A", FORWARD, "-o", BRIDGE, "-j", "REJECT", "--reject-with", "icmp-net-unreachable"),
        ("-I", "FORWARD", "-j", FORWARD),
    ):
        _run("iptables", "--wait", *words)


def make_cgroups(ledger: Ledger, groups: Path = Path("/sys/fs/cgroup")) -> None:
    """A group for all pods, in the one tree of version 2 or in each of version 1."""
    unified = (groups / "cgroup.controllers").exists()
    if unified:
        _enable_controllers(ledger, groups / "cgroup.subtree_control")
    for root in [groups] if unified else sorted(item for item in groups.iterdir() if item.is_dir()):
        group = root / CGROUP
        ledger.write("cgroup", path=str(group))
        group.mkdir(exist_ok=True)
        if not unified and (root / "cpuset.cpus").exists():  # there a new group may use none, unlike elsewhere
            for name in ("cpuset.cpus", "cpuset.mems"):
                (group / name).write_text((root / name).read_text("ascii"), "ascii")


def _enable_controllers(ledger: Ledger, file: Path) -> None:
    """In version 2 a group has the controllers that its parent enables, and the kubelet wants all that it knows."""
    there = (file.parent / "cgroup.controllers").read_text("ascii").split()
    ledger.write("controllers", path=str(file), before=file.read_text("ascii").split())
    wanted = " ".join(f"+{name}" for name in CONTROLLERS if name in there)
    try:
        file.write_text(wanted, "ascii")
    except OSError as error:  # in a container, the root's processes would have to be in a group below it
        raise TestbedError(f"cannot write {wanted} to {file}, as the kubelet needs it: {error}") from error


def _run(*words: str | Path) -> None:
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise TestbedError(f"{' '.join(map(str, words))}: {ran.stderr.strip()}")

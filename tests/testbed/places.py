"""Every folder, address, port and name of the testbed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent
MODULES = SOURCE / "modules"

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gitopsd-testbed"  # binaries and images
LOGS = CACHE / "logs"  # of the newest run; they outlive `down`
RUN = Path("/run/gitopsd-testbed")  # the lock and the ledger: one testbed a machine
DATA = Path("/var/lib/gitopsd-testbed")  # what a run makes; `down` removes it
LOCK = RUN / "lock"
LEDGER = RUN / "ledger.jsonl"

MARK = "GITOPSD_TESTBED"  # in the environment of every process of the testbed, by which a stray one is found

LOOPBACK = "127.0.0.1"
BRIDGE = "gitopsd0"
NODE = "testbed"
NODE_ADDRESS = "10.200.0.1"  # of the bridge
PODS = "10.200.0.0/24"
FIRST_POD, LAST_POD = "10.200.0.10", "10.200.0.250"
SERVICES = "10.201.0.0/24"
API_SERVICE = "10.201.0.1"
DNS_SERVICE = "10.201.0.10"
DOMAIN = "cluster.local"

REGISTRY_PORT = 16500
REGISTRY = f"{LOOPBACK}:{REGISTRY_PORT}"
DNS_PORT = 16053
DNS_HEALTH_PORT = 16054
PROXY_HEALTH_PORT, PROXY_METRICS_PORT = 16056, 16049
KUBELET_PORT = 16250
KUBELET_HEALTH_PORT = 16248
MANAGER_PORT = 16257
SCHEDULER_PORT = 16259
STORAGE_PORTS = {"csi-provisioner": 16601, "csi-resizer": 16602, "csi-snapshotter": 16603, "snapshot-controller": 16604}
FORGE_HTTP_PORT = 16300
FORGE_SSH_PORT = 16322

CONTAINERD = DATA / "containerd"
CONTAINERD_CONFIG = CONTAINERD / "config.toml"
CONTAINERD_SOCKET = CONTAINERD / "containerd.sock"
KUBELET = DATA / "kubelet"
KUBELET_CONFIG = DATA / "kubelet.json"
PROXY_CONFIG = DATA / "proxy.json"
DNS_CONFIG = DATA / "Corefile"
REGISTRY_CONFIG = DATA / "registry.json"
PLUGINS = DATA / "plugins"  # of volumes; none is there
CSI_SOCKET = DATA / "csi" / "csi.sock"
FORGE = DATA / "forge"
CSI_DRIVER = "hostpath.csi.gitopsd.test"  # as its source has it
MOUNTS = DATA / "mounts"
MOUNT_NAMESPACE = MOUNTS / "namespace"  # of containerd, the kubelet and the driver of volumes
CGROUP = "gitopsd-testbed"  # parent of the cgroups of all pods

# Where servers make things and no flag of theirs moves it. In their mount namespace each is a folder of the testbed's,
# so that of the machine's own they need no more than that it exists.
FOREIGN = tuple(map(Path, ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/run/netns")))


@dataclass(frozen=True, kw_only=True)
class Plane:
    """A control plane: its folder below ``DATA`` and its ports on loopback."""

    name: str
    etcd_port: int
    peer_port: int
    api_port: int

    @property
    def folder(self) -> Path:
        return DATA / self.name

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.api_port}"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "admin.kubeconfig"


FIRST = Plane(name="cluster", etcd_port=16379, peer_port=16380, api_port=16443)
SECOND = Plane(name="second", etcd_port=16479, peer_port=16480, api_port=16543)


class TestbedError(Exception):
    """What went wrong, where, and what to do about it: text for a person."""

    __test__ = False

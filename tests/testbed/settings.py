"""The files that the node's servers read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.testbed.places import (
    BRIDGE,
    CGROUP,
    CONTAINERD,
    CONTAINERD_CONFIG,
    CONTAINERD_SOCKET,
    DATA,
    DNS_CONFIG,
    DNS_HEALTH_PORT,
    DNS_PORT,
    DNS_SERVICE,
    DOMAIN,
    FIRST,
    FIRST_POD,
    KUBELET_CONFIG,
    KUBELET_HEALTH_PORT,
    KUBELET_PORT,
    LAST_POD,
    LOOPBACK,
    NODE,
    NODE_ADDRESS,
    PLUGINS,
    PODS,
    PROXY_CONFIG,
    PROXY_HEALTH_PORT,
    PROXY_METRICS_PORT,
    REGISTRY,
    REGISTRY_CONFIG,
)

PAUSE = "registry.k8s.io/pause:3.10"
NETWORKS = CONTAINERD / "networks"
MIRRORS = CONTAINERD / "mirrors"

# Without CAP_SYS_RESOURCE no process may lower its score for the kernel's killer, so nothing here tries to.
CONTAINERD_TEXT = f"""\
version = 2
root = "{CONTAINERD / "root"}"
state = "{CONTAINERD / "state"}"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
stream_server_address = "{LOOPBACK}"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{NETWORKS}"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{MIRRORS}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{CONTAINERD / "runc"}"
"""

# For every registry that an image may name; its own server is the same one, so that nothing is asked elsewhere.
MIRROR_TEXT = f"""\
server = "http://{REGISTRY}"
[host."http://{REGISTRY}"]
capabilities = ["pull", "resolve"]
"""

DNS_TEXT = f"""\
.:{DNS_PORT} {{
    bind {NODE_ADDRESS}
    errors
    health {LOOPBACK}:{DNS_HEALTH_PORT}
    kubernetes {DOMAIN} in-addr.arpa {{
        kubeconfig {FIRST.folder / "dns.kubeconfig"} {FIRST.name}
        pods insecure
        ttl 5
    }}
    cache 5
}}
"""

NETWORK: dict[str, Any] = {
    "cniVersion": "1.0.0",
    "name": "testbed",
    "plugins": [
        {
            "type": "bridge",
            "bridge": BRIDGE,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "dataDir": str(CONTAINERD / "addresses"),
                "ranges": [
                    [{"subnet": PODS, "rangeStart": FIRST_POD, "rangeEnd": LAST_POD, "gateway": NODE_ADDRESS}],
                ],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}

KUBELET_SETTINGS: dict[str, Any] = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "address": NODE_ADDRESS,
    "port": KUBELET_PORT,
    "healthzPort": KUBELET_HEALTH_PORT,
    "tlsCertFile": str(FIRST.keys / "kubelet.crt"),
    "tlsPrivateKeyFile": str(FIRST.keys / "kubelet.key"),
    "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(FIRST.keys / "ca.crt")}},
    "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
    "cgroupDriver": "cgroupfs",
    "cgroupRoot": f"/{CGROUP}",
    "failCgroupV1": False,
    "failSwapOn": False,
    "oomScoreAdj": 0,
    "clusterDNS": [DNS_SERVICE],
    "clusterDomain": DOMAIN,
    "resolvConf": "",
    "podLogsDir": str(DATA / "pods"),
    "volumePluginDir": str(PLUGINS),
    # A machine with a full disk shall run tests as well as another.
    "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    "imageGCHighThresholdPercent": 100,
    "imageGCLowThresholdPercent": 99,
    "nodeStatusUpdateFrequency": "2s",
    "serializeImagePulls": False,
    "shutdownGracePeriod": "0s",
}

PROXY_SETTINGS: dict[str, Any] = {
    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
    "kind": "KubeProxyConfiguration",
    "mode": "iptables",
    "clientConnection": {"kubeconfig": str(FIRST.folder / "proxy.kubeconfig")},
    "clusterCIDR": PODS,
    "hostnameOverride": NODE,
    "healthzBindAddress": f"{LOOPBACK}:{PROXY_HEALTH_PORT}",
    "metricsBindAddress": f"{LOOPBACK}:{PROXY_METRICS_PORT}",
    "nodePortAddresses": ["127.0.0.0/8", PODS],
    "oomScoreAdj": 0,
    # 0 leaves the kernel's own limits as they are.
    "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    "iptables": {"minSyncPeriod": "0s", "syncPeriod": "30s"},
}

REGISTRY_SETTINGS: dict[str, Any] = {
    "version": 0.1,
    "log": {"level": "warn"},
    "storage": {"filesystem": {"rootdirectory": str(DATA / "registry")}, "delete": {"enabled": True}},
    "http": {"addr": REGISTRY},
}


def write() -> None:
    """Write them all."""
    texts: dict[Path, str] = {
        CONTAINERD_CONFIG: CONTAINERD_TEXT,
        MIRRORS / "_default" / "hosts.toml": MIRROR_TEXT,
        NETWORKS / "10-testbed.conflist": json.dumps(NETWORK),
        KUBELET_CONFIG: json.dumps(KUBELET_SETTINGS),
        PROXY_CONFIG: json.dumps(PROXY_SETTINGS),
        DNS_CONFIG: DNS_TEXT,
        REGISTRY_CONFIG: json.dumps(REGISTRY_SETTINGS),
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

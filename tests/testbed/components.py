"""The table of the cluster's servers: their flags, what each needs, and how it tells that it is ready."""

from __future__ import annotations

import functools

from tests.testbed import readiness
from tests.testbed.api import get
from tests.testbed.build import binary
from tests.testbed.certificates import as_admin
from tests.testbed.places import (
    CONTAINERD_CONFIG,
    CONTAINERD_SOCKET,
    CSI_DRIVER,
    CSI_SOCKET,
    DATA,
    DNS_CONFIG,
    DNS_SERVICE,
    DOMAIN,
    FIRST,
    KUBELET,
    KUBELET_CONFIG,
    LOOPBACK,
    MANAGER_PORT,
    MOUNT_NAMESPACE,
    NODE,
    NODE_ADDRESS,
    PLUGINS,
    PODS,
    PROXY_CONFIG,
    PROXY_HEALTH_PORT,
    REGISTRY,
    REGISTRY_CONFIG,
    SCHEDULER_PORT,
    SERVICES,
    STORAGE_PORTS,
    Plane,
)
from tests.testbed.supervisor import Component

WITH_MOUNTS = ("nsenter", f"--mount={MOUNT_NAMESPACE}", "--")
ISSUER = f"https://kubernetes.default.svc.{DOMAIN}"


def control_plane(plane: Plane) -> list[Component]:
    """etcd and kube-apiserver, named after the plane."""
    return [_etcd(plane), _apiserver(plane)]


def _etcd(plane: Plane) -> Component:
    client, peer = f"http://{LOOPBACK}:{plane.etcd_port}", f"http://{LOOPBACK}:{plane.peer_port}"
    return Component(
        name=f"{plane.name}-etcd",
        command=(
            *(binary("etcd", "server"), f"--name={plane.name}", f"--data-dir={plane.folder / 'etcd'}"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
            *(f"--initial-cluster={plane.name}={peer}", "--unsafe-no-fsync", "--log-level=warn"),
        ),
        ready=readiness.http(f"{client}/health"),
    )


def _apiserver(plane: Plane) -> Component:
    keys = plane.keys
    return Component(
        name=f"{plane.name}-apiserver",
        needs=(f"{plane.name}-etcd",),
        command=(
            binary("kubernetes", "kube-apiserver"),
            *(f"--etcd-servers=http://{LOOPBACK}:{plane.etcd_port}", f"--service-cluster-ip-range={SERVICES}"),
            *(f"--bind-address={LOOPBACK}", f"--secure-port={plane.api_port}", f"--advertise-address={NODE_ADDRESS}"),
            *(f"--cert-dir={plane.folder}", f"--client-ca-file={keys / 'ca.crt'}"),
            *(f"--tls-cert-file={keys / 'apiserver.crt'}", f"--tls-private-key-file={keys / 'apiserver.key'}"),
            *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"),
            "--allow-privileged=true",
            *(f"--service-account-issuer={ISSUER}", f"--service-account-key-file={keys / 'accounts.pub'}"),
            f"--service-account-signing-key-file={keys / 'accounts.key'}",
            f"--kubelet-client-certificate={keys / 'to-kubelet.crt'}",
            f"--kubelet-client-key={keys / 'to-kubelet.key'}",
            *(f"--kubelet-certificate-authority={keys / 'ca.crt'}", "--kubelet-preferred-address-types=InternalIP"),
            *(f"--requestheader-client-ca-file={keys / 'ca.crt'}", "--requestheader-allowed-names=front-proxy"),
            *("--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group"),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={keys / 'front-proxy.crt'}",
            f"--proxy-client-key-file={keys / 'front-proxy.key'}",
        ),
        ready=readiness.http(f"{plane.url}/readyz", tls=functools.partial(as_admin, plane)),
    )


def controllers() -> list[Component]:
    """kube-controller-manager and kube-scheduler."""
    manager = (
        *(f"--root-ca-file={FIRST.keys / 'ca.crt'}", "--use-service-account-credentials=true"),
        f"--service-account-private-key-file={FIRST.keys / 'accounts.key'}",
        f"--cluster-signing-cert-file={FIRST.keys / 'ca.crt'}",
        f"--cluster-signing-key-file={FIRST.keys / 'ca.key'}",
        *(f"--cluster-cidr={PODS}", "--allocate-node-cidrs=false", f"--flex-volume-plugin-dir={PLUGINS}"),
    )
    return [_controller("controller-manager", MANAGER_PORT, manager), _controller("scheduler", SCHEDULER_PORT, ())]


def _controller(name: str, port: int, flags: tuple[str, ...]) -> Component:
    kubeconfig = FIRST.folder / f"{name}.kubeconfig"
    return Component(
        name=name,
        needs=("cluster-apiserver",),
        command=(
            *(binary("kubernetes", f"kube-{name}"), f"--kubeconfig={kubeconfig}", "--leader-elect=false"),
            *(f"--authentication-kubeconfig={kubeconfig}", f"--authorization-kubeconfig={kubeconfig}"),
            *(f"--bind-address={LOOPBACK}", f"--secure-port={port}"),
            f"--tls-cert-file={FIRST.keys / f'{name}.crt'}",
            f"--tls-private-key-file={FIRST.keys / f'{name}.key'}",
            *flags,
        ),
        ready=readiness.http(f"https://{LOOPBACK}:{port}/healthz", tls=functools.partial(as_admin, FIRST)),
    )


def node() -> list[Component]:
    """What makes the machine a node, and what its pods reach: the registry, DNS, and the API at the node's address."""
    apiserver = "cluster-apiserver"
    listen = f"TCP-LISTEN:{FIRST.api_port},bind={NODE_ADDRESS},reuseaddr,fork"
    return [
        Component(
            name="registry",
            command=("docker-registry", "serve", REGISTRY_CONFIG),
            ready=readiness.http(f"http://{REGISTRY}/v2/"),
        ),
        Component(
            name="containerd",
            command=(*WITH_MOUNTS, "containerd", "--config", CONTAINERD_CONFIG),
            ready=readiness.unix(CONTAINERD_SOCKET),
        ),
        Component(
            name="api-relay",
            needs=(apiserver,),
            command=("socat", listen, f"TCP:{LOOPBACK}:{FIRST.api_port}"),
            ready=readiness.tcp(NODE_ADDRESS, FIRST.api_port),
        ),
        Component(
            name="kubelet",
            needs=(apiserver, "containerd", "registry"),
            command=(
                *(*WITH_MOUNTS, binary("kubernetes", "kubelet"), f"--config={KUBELET_CONFIG}", f"--root-dir={KUBELET}"),
                *(f"--kubeconfig={FIRST.folder / 'kubelet.kubeconfig'}", f"--cert-dir={KUBELET}"),
                *(f"--hostname-override={NODE}", f"--node-ip={NODE_ADDRESS}"),
            ),
            ready=_node_is_ready,
        ),
        Component(
            name="proxy",
            needs=(apiserver,),
            command=(binary("kubernetes", "kube-proxy"), f"--config={PROXY_CONFIG}"),
            ready=readiness.http(f"http://{LOOPBACK}:{PROXY_HEALTH_PORT}/healthz"),
        ),
        Component(
            name="dns",
            needs=(apiserver, "proxy"),
            command=(binary("coredns", "coredns"), "-conf", DNS_CONFIG),
            ready=readiness.dns(DNS_SERVICE, f"kubernetes.default.svc.{DOMAIN}"),
        ),
    ]


def storage() -> list[Component]:
    """The CSI driver, which the kubelet registers, and the sidecars that act on claims and snapshots."""
    registration = KUBELET / "plugins_registry" / f"{CSI_DRIVER}.sock"
    driver = Component(
        name="csi-hostpath",
        needs=("kubelet",),
        command=(
            *(*WITH_MOUNTS, binary("csi", "hostpath"), f"-endpoint={CSI_SOCKET}", f"-registration={registration}"),
            *(f"-root={DATA / 'volumes'}", f"-node={NODE}"),
        ),
        ready=lambda: bool(get(FIRST, f"/apis/storage.k8s.io/v1/csinodes/{NODE}")["spec"]["drivers"]),
    )
    return [driver, *(_sidecar(name, port) for name, port in STORAGE_PORTS.items())]


def _sidecar(name: str, port: int) -> Component:
    socket = () if name == "snapshot-controller" else (f"--csi-address={CSI_SOCKET}",)
    return Component(
        name=name,
        needs=("cluster-apiserver", *(("csi-hostpath",) if socket else ())),
        command=(
            *(binary("csi", name), f"--kubeconfig={FIRST.kubeconfig}", *socket),
            f"--http-endpoint={LOOPBACK}:{port}",
        ),
        ready=readiness.http(f"http://{LOOPBACK}:{port}/metrics"),
    )


def _node_is_ready() -> bool:
    conditions = get(FIRST, f"/api/v1/nodes/{NODE}")["status"].get("conditions", [])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

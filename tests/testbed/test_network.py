"""Services, DNS and NodePorts; and an image built from a Dockerfile."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.forge import Forge
from tests.testbed.kubectl import Kubectl, eventually
from tests.testbed.places import NODE_ADDRESS
from tests.testbed.processes import marked
from tests.testbed.test_workloads import DEPLOYMENT, pod

pytestmark = pytest.mark.testbed

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # some addresses are not the testbed's


def answer(url: str) -> str:
    with DIRECT.open(url, timeout=5) as found:
        return str(found.read().decode())


def addresses() -> list[str]:
    """Of this machine, in IPv4."""
    links = json.loads(subprocess.run(["ip", "-json", "-4", "address"], capture_output=True, check=True).stdout)
    return [item["local"] for link in links for item in link["addr_info"]]


@pytest.fixture
def web(kubectl: Kubectl) -> Kubectl:
    kubectl.apply(f"{DEPLOYMENT}---{SERVICE}")
    kubectl.run("rollout", "status", "deployment/web", "--timeout=60s")
    return kubectl


def test_a_pod_reaches_a_service_by_its_name(web: Kubectl) -> None:
    web.apply(pod("client", "sleep 1000"))
    web.wait("Ready", "pod/client")
    pods = {item["metadata"]["name"] for item in web.get("pods", "--selector=app=web")["items"]}
    for name in ("web", f"web.{web.namespace}", f"web.{web.namespace}.svc.cluster.local"):
        version, host = eventually(
            lambda name=name: web.run("exec", "client", "--", "wget", "-qO-", f"http://{name}").split()
        )
        assert version == "1"
        assert host in pods


def test_a_node_port_answers_on_loopback_and_the_bridge_only(web: Kubectl) -> None:
    port = web.get("service", "web")["spec"]["ports"][0]["nodePort"]
    [node] = web.get("nodes")["items"]
    inside = {"127.0.0.1", *(item["address"] for item in node["status"]["addresses"] if item["type"] == "InternalIP")}
    for address in inside:
        assert eventually(lambda address=address: answer(f"http://{address}:{port}")).startswith("1 ")
    for address in set(addresses()) - inside:
        with pytest.raises(OSError, match="refused"):
            answer(f"http://{address}:{port}")


@pytest.fixture
def neighbour() -> Iterator[str]:
    """A network namespace that stands for another machine: what runs a command there, up to the command's words.

    It has the address 198.51.100.2, and this machine, by which it reaches all else, 198.51.100.1.
    """
    begin = ["unshare", "--net", "sh", "-c", "echo begun; exec sleep 1000"]
    with subprocess.Popen(begin, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "begun\n"
        there = f"nsenter --net=/proc/{process.pid}/ns/net"
        try:
            for command in (
                f"ip link add gitopsd-test type veth peer name outer netns {process.pid}",
                "ip address add 198.51.100.1/24 dev gitopsd-test",
                "ip link set gitopsd-test up",
                f"{there} ip address add 198.51.100.2/24 dev outer",
                f"{there} ip link set outer up",
                f"{there} ip route add default via 198.51.100.1",
            ):
                subprocess.run(command.split(), check=True)
            yield there
        finally:
            process.kill()  # the links go with the namespace


CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)"


def test_nothing_is_forwarded_into_or_out_of_the_network_of_the_pods(web: Kubectl, neighbour: str) -> None:
    def outcome(*words: str) -> str:
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
        return ran.stderr.strip().rpartition("\n")[2] if ran.returncode else "connected"

    inside = web.get("pods", "--selector=app=web")["items"][0]["status"]["podIP"]
    here = (sys.executable, "-c", CONNECT)
    assert outcome(*here, inside, "8080") == "connected"
    assert "refused" in outcome(*here, "198.51.100.2", "8080")
    assert "refused" in outcome(*neighbour.split(), *here, "198.51.100.1", "9")
    assert re.search("timed out|unreachable", outcome(*neighbour.split(), *here, inside, "8080"))
    reached = web.attempt("exec", "deployment/web", "--", "python3", "-c", CONNECT, "198.51.100.2", "8080")
    assert "Network is unreachable" in reached.stderr


def test_a_pod_talks_to_the_api_with_its_service_account(kubectl: Kubectl) -> None:
    script = """
import json, ssl, urllib.error, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount"
url = "https://kubernetes.default.svc/api/v1/namespaces/default/secrets"
request = urllib.request.Request(url, headers={"Authorization": "Bearer " + open(folder + "/token").read()})
try:
    urllib.request.urlopen(request, context=ssl.create_default_context(cafile=folder + "/ca.crt"))
except urllib.error.HTTPError as error:
    print(json.load(error)["message"])
"""
    kubectl.apply(
        json.dumps({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asker"},
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "python", "command": ["python3", "-c", script]}],
            },
        })
    )  # fmt: skip
    kubectl.run("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/asker", "--timeout=60s")
    told = kubectl.run("logs", "asker")
    assert f'"system:serviceaccount:{kubectl.namespace}:default" cannot list resource "secrets"' in told


def test_an_image_built_from_a_dockerfile_runs(kubectl: Kubectl, tmp_path: Path) -> None:
    registry = registry_or_skip()
    (tmp_path / "Dockerfile").write_text(
        f"FROM {registry}/library/busybox:1\nRUN echo built > /made\nCMD cat /made\n", "utf-8"
    )
    name = f"{registry}/built/{kubectl.namespace}:1"
    storage = [f"--root={tmp_path / 'root'}", f"--runroot={tmp_path / 'run'}", "--storage-driver=vfs"]
    isolation = ["--isolation=chroot", "--network=host"]
    buildah(*storage, "build", *isolation, "--tls-verify=false", "--tag", name, str(tmp_path))
    buildah(*storage, "push", "--tls-verify=false", name)
    kubectl.run("run", "built", f"--image={name}", "--restart=Never")
    kubectl.run("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/built", "--timeout=60s")
    assert kubectl.run("logs", "built") == "built\n"


def registry_or_skip() -> str:
    from tests.testbed.ledger import Ledger

    found = os.environ.get("GITOPSD_TEST_REGISTRY") or Ledger().offers().get("GITOPSD_TEST_REGISTRY")
    if not found:
        pytest.skip("no registry: set GITOPSD_TEST_REGISTRY to one on loopback that the cluster pulls from")
    return found


def buildah(*words: str) -> None:
    ran = subprocess.run(["buildah", *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_every_server_listens_on_loopback_or_the_bridge_alone(
    cluster: Path, second_cluster: Path, forge: Forge
) -> None:
    told = subprocess.run(["ss", "-Hlntup"], capture_output=True, text=True, check=True).stdout.splitlines()
    ours = {str(pid) for pid in marked()}
    listening = {
        line.split()[4].rpartition(":")[0] for line in told if ours.intersection(re.findall(r"pid=(\d+)", line))
    }
    assert {"127.0.0.1", NODE_ADDRESS} <= listening
    assert {address for address in listening if not address.startswith("127.")} == {NODE_ADDRESS}

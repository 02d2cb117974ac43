"""Claims that grow, and snapshots that are restored, through the CSI driver."""

from __future__ import annotations

import pytest

from tests.testbed.kubectl import Kubectl, eventually

pytestmark = pytest.mark.testbed


def claim(name: str, *, size: str = "10Mi", source: str = "") -> str:
    data = f"dataSource: {{apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: {source}}}" if source else ""
    return f"""
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}}}
spec:
  accessModes: [ReadWriteOnce]
  resources: {{requests: {{storage: {size}}}}}
  {data}
"""


def run(kubectl: Kubectl, name: str, *, claim: str, script: str) -> str:
    """The output of a script in a pod that has the claim at /data."""
    kubectl.apply(f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  containers:
    - {{name: main, image: busybox, command: [sh, -ec, "{script}"], volumeMounts: [{{name: data, mountPath: /data}}]}}
  volumes: [{{name: data, persistentVolumeClaim: {{claimName: {claim}}}}}]
""")
    kubectl.run("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=60s")
    return kubectl.run("logs", name)


def test_a_claim_without_a_class_gets_the_default_one(kubectl: Kubectl) -> None:
    kubectl.apply(claim("data"))
    assert run(kubectl, "writer", claim="data", script="echo one > /data/file; cat /data/file") == "one\n"
    found = kubectl.get("pvc", "data")
    assert (found["spec"]["storageClassName"], found["status"]["phase"]) == ("standard", "Bound")


def test_a_claim_grows_and_keeps_its_data(kubectl: Kubectl) -> None:
    kubectl.apply(claim("data"))
    run(kubectl, "writer", claim="data", script="echo kept > /data/file")
    kubectl.apply(claim("data", size="20Mi"))
    eventually(lambda: kubectl.get("pvc", "data")["status"]["capacity"]["storage"] == "20Mi")
    volume = kubectl.get("pvc", "data")["spec"]["volumeName"]
    assert kubectl.get("pv", volume)["spec"]["capacity"]["storage"] == "20Mi"
    assert run(kubectl, "reader", claim="data", script="cat /data/file") == "kept\n"


def test_a_claim_does_not_shrink(kubectl: Kubectl) -> None:
    kubectl.apply(claim("data"))
    eventually(lambda: kubectl.get("pvc", "data")["status"]["phase"] == "Bound")
    told = kubectl.attempt("apply", "-f", "-", text=claim("data", size="5Mi"))
    assert told.returncode == 1
    assert "can not be less than" in told.stderr


def test_a_snapshot_is_restored_into_a_new_claim(kubectl: Kubectl) -> None:
    kubectl.apply(claim("data"))
    run(kubectl, "writer", claim="data", script="echo then > /data/file")
    kubectl.apply("""
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: taken}
spec: {source: {persistentVolumeClaimName: data}}
""")
    kubectl.run("wait", "--for=jsonpath={.status.readyToUse}=true", "volumesnapshot/taken", "--timeout=60s")
    run(kubectl, "later", claim="data", script="echo now > /data/file")
    kubectl.apply(claim("restored", source="taken"))
    assert run(kubectl, "reader", claim="restored", script="cat /data/file") == "then\n"
    assert run(kubectl, "other", claim="data", script="cat /data/file") == "now\n"


def test_the_volume_goes_with_its_claim(kubectl: Kubectl) -> None:
    kubectl.apply(claim("data"))
    volume = eventually(lambda: kubectl.get("pvc", "data")["spec"].get("volumeName"))
    kubectl.run("delete", "pvc", "data")
    eventually(lambda: "not found" in kubectl.attempt("get", "pv", volume).stderr)

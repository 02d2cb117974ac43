"""Deployments, StatefulSets, Jobs and what becomes of containers, on a real node."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testbed.kubectl import Kubectl, eventually

pytestmark = pytest.mark.testbed

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: registry.example/testbed/web:1
          readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
"""
STATEFUL = """
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {clusterIP: None, selector: {app: store}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store}
spec:
  serviceName: store
  replicas: 2
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: store
          image: busybox
          command: [sh, -c, "[ -e /data/first ] || hostname > /data/first; sleep 1000"]
          volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
"""


def pod(name: str, script: str, *, image: str = "busybox", restart: str = "Never") -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: {restart}
  terminationGracePeriodSeconds: 1
  containers: [{{name: main, image: {image}, command: [sh, -c, "{script}"]}}]
"""


def job(name: str, script: str) -> str:
    return f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  backoffLimit: 0
  template:
    spec: {{restartPolicy: Never, containers: [{{name: main, image: busybox, command: [sh, -c, "{script}"]}}]}}
"""


def waiting(kubectl: Kubectl, name: str) -> dict[str, Any]:
    """Why the container of a pod waits; empty when it does not."""
    statuses = kubectl.get("pod", name)["status"].get("containerStatuses", [])
    return next((dict(item["state"]["waiting"]) for item in statuses if "waiting" in item["state"]), {})


def versions(kubectl: Kubectl) -> set[str]:
    """What the image of each pod that is not on its way out says of itself."""
    pods = [item for item in kubectl.get("pods")["items"] if "deletionTimestamp" not in item["metadata"]]
    return {kubectl.run("exec", item["metadata"]["name"], "--", "sh", "-c", "echo $VERSION").strip() for item in pods}


def test_a_deployment_rolls_out_and_back(kubectl: Kubectl) -> None:
    kubectl.apply(DEPLOYMENT)
    kubectl.run("rollout", "status", "deployment/web", "--timeout=60s")
    assert kubectl.get("deployment", "web")["status"]["availableReplicas"] == 2
    assert versions(kubectl) == {"1"}
    kubectl.run("set", "image", "deployment/web", "web=registry.example/testbed/web:2")
    kubectl.run("rollout", "status", "deployment/web", "--timeout=60s")
    assert versions(kubectl) == {"2"}
    kubectl.run("rollout", "undo", "deployment/web")
    kubectl.run("rollout", "status", "deployment/web", "--timeout=60s")
    assert versions(kubectl) == {"1"}


def test_a_pod_of_a_stateful_set_comes_back_with_its_claim_and_data(kubectl: Kubectl) -> None:
    kubectl.apply(STATEFUL)
    kubectl.run("rollout", "status", "statefulset/store", "--timeout=60s")
    claims = kubectl.get("pvc")["items"]
    assert {item["metadata"]["name"]: item["status"]["phase"] for item in claims} == {
        "data-store-0": "Bound",
        "data-store-1": "Bound",
    }
    before = kubectl.get("pod", "store-1")["metadata"]["uid"]
    kubectl.run("exec", "store-1", "--", "sh", "-c", "echo more >> /data/first")
    kubectl.run("delete", "pod", "store-1")
    kubectl.run("rollout", "status", "statefulset/store", "--timeout=60s")
    assert kubectl.get("pod", "store-1")["metadata"]["uid"] != before
    assert kubectl.run("exec", "store-1", "--", "cat", "/data/first") == "store-1\nmore\n"


def test_a_job_tells_whether_it_completed(kubectl: Kubectl) -> None:
    kubectl.apply(job("good", "echo done"))
    kubectl.apply(job("bad", "exit 4"))
    kubectl.wait("Complete", "job/good")
    kubectl.wait("Failed", "job/bad")
    assert kubectl.run("logs", "job/good") == "done\n"
    [failed] = kubectl.get("pods", "--selector=job-name=bad")["items"]
    assert failed["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 4


def test_exec_gives_output_and_exit_code(kubectl: Kubectl) -> None:
    kubectl.apply(pod("shell", "sleep 1000"))
    kubectl.wait("Ready", "pod/shell")
    ran = kubectl.attempt("exec", "-i", "shell", "--", "sh", "-c", "cat; echo trouble >&2; exit 7", text="from here\n")
    assert (ran.returncode, ran.stdout) == (7, "from here\n")
    assert "trouble" in ran.stderr


def test_the_log_of_a_crashed_container_is_kept(kubectl: Kubectl) -> None:
    kubectl.apply(pod("crasher", "sed 's/ .*//' /proc/uptime; exit 3", restart="Always"))

    def restarted() -> bool:
        return bool(kubectl.get("pod", "crasher")["status"]["containerStatuses"][0]["restartCount"])

    eventually(restarted)
    status = eventually(lambda: kubectl.get("pod", "crasher")["status"]["containerStatuses"][0]["lastState"])
    assert status["terminated"]["exitCode"] == 3
    now, before = kubectl.run("logs", "crasher"), kubectl.run("logs", "crasher", "--previous")
    assert 0 < float(before) < float(now)


def test_an_image_that_no_registry_has_is_told(kubectl: Kubectl) -> None:
    kubectl.apply(pod("lost", "true", image="registry.example/not/there:1"))
    reasons = ("ErrImagePull", "ImagePullBackOff")
    found = eventually(lambda: waiting(kubectl, "lost").get("reason") in reasons and waiting(kubectl, "lost"))
    assert "registry.example/not/there:1" in found["message"]


def test_one_image_answers_to_the_names_of_many_registries(kubectl: Kubectl) -> None:
    names = ("busybox", "docker.io/library/busybox:1", "ghcr.io/testbed/web:2", "registry.example:5000/testbed/web:3")
    for number, name in enumerate(names):
        kubectl.apply(pod(f"from-{number}", "exit 0", image=name))
    for number, _ in enumerate(names):
        kubectl.run("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/from-{number}", "--timeout=60s")


def test_a_drained_node_takes_pods_again_once_it_is_uncordoned(kubectl: Kubectl) -> None:
    node = kubectl.get("nodes")["items"][0]["metadata"]["name"]
    kubectl.apply(DEPLOYMENT.replace("labels: {app: web}", f"labels: {{app: web, drain: {kubectl.namespace}}}"))
    kubectl.run("rollout", "status", "deployment/web", "--timeout=60s")
    before = {item["metadata"]["uid"] for item in kubectl.get("pods")["items"]}
    try:
        kubectl.run("drain", node, f"--pod-selector=drain={kubectl.namespace}", "--timeout=60s")
        assert kubectl.get("node", node)["spec"]["unschedulable"] is True
        pods = kubectl.get("pods")["items"]
        assert before.isdisjoint(item["metadata"]["uid"] for item in pods)
        assert {item["status"]["phase"] for item in pods} == {"Pending"}
    finally:
        kubectl.run("uncordon", node)
    kubectl.run("rollout", "status", "deployment/web", "--timeout=60s")
    assert kubectl.get("deployment", "web")["status"]["availableReplicas"] == 2

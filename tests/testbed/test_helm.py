"""helm: a tiny chart is checked, rendered, installed into the cluster and removed from it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.testbed.helm import Helm, write_chart
from tests.testbed.kubectl import Kubectl, eventually

pytestmark = pytest.mark.testbed

GREETING = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  GREETING: {{ .Values.greeting | quote }}
"""
GREETER = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: greeter
          image: busybox:1
          command: [sh, -c, echo "$GREETING"; sleep 3600]
          envFrom: [{configMapRef: {name: {{ .Release.Name }}}}]
"""


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    return write_chart(tmp_path, "tiny", {"greeting.yaml": GREETING, "greeter.yaml": GREETER})


def test_lint_takes_a_chart_and_names_the_file_of_a_broken_one(helm: Helm, chart: Path, tmp_path: Path) -> None:
    assert "1 chart(s) linted, 0 chart(s) failed" in helm.run("lint", str(chart))
    broken = write_chart(tmp_path, "broken", {"greeting.yaml": "greeting: {{ .Values.greeting\n"})
    with pytest.raises(subprocess.CalledProcessError) as caught:
        helm.run("lint", str(broken))
    assert "greeting.yaml" in caught.value.stdout + caught.value.stderr


def test_template_renders_a_chart_with_values_and_without_a_cluster(helm: Helm, chart: Path) -> None:
    rendered = list(yaml.safe_load_all(helm.run("template", "r1", str(chart), "--set", "greeting=good day")))
    assert [(item["kind"], item["metadata"]["name"]) for item in rendered] == [
        ("ConfigMap", "r1"),
        ("Deployment", "r1"),
    ]
    assert rendered[0]["data"] == {"GREETING": "good day"}


def test_install_makes_the_objects_of_a_chart_and_uninstall_removes_them(
    helm: Helm, chart: Path, kubectl: Kubectl
) -> None:
    def run(*words: str) -> str:
        return helm.run(*words, "--namespace", kubectl.namespace, kubeconfig=kubectl.kubeconfig)

    run("install", "r1", str(chart), "--wait")
    assert kubectl.get("deployment", "r1")["status"]["readyReplicas"] == 1
    assert eventually(lambda: kubectl.run("logs", "deployment/r1")) == "hello\n"
    (release,) = json.loads(run("list", "--output", "json"))
    assert (release["name"], release["status"], release["chart"]) == ("r1", "deployed", "tiny-0.1.0")
    run("uninstall", "r1", "--wait")
    for kind in ("deployment", "configmap"):
        assert "NotFound" in kubectl.attempt("get", kind, "r1").stderr
    assert json.loads(run("list", "--output", "json")) == []

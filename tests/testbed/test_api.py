"""Conflicts, watches, permissions, and a second API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client, config, watch

from tests.testbed.kubectl import Kubectl

pytestmark = pytest.mark.testbed

READER = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [list]}]
"""


def settings(color: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{color: {color}}}\n"


@pytest.fixture
def core(cluster: Path) -> Iterator[client.CoreV1Api]:
    with config.new_client_from_config(str(cluster)) as connection:
        yield client.CoreV1Api(connection)


def add(core: client.CoreV1Api, namespace: str, name: str) -> None:
    core.create_namespaced_config_map(namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name)))


def seen(core: client.CoreV1Api, namespace: str, since: str, *, count: int) -> list[tuple[str, str, str]]:
    """Kind, name and resource version of the next events after a resource version."""
    watcher, events = watch.Watch(), []
    for event in watcher.stream(core.list_namespaced_config_map, namespace, resource_version=since, timeout_seconds=30):
        metadata = event["object"].metadata
        events.append((event["type"], metadata.name, metadata.resource_version))
        if len(events) == count:
            watcher.stop()
    return events


def test_two_managers_of_a_field_conflict_until_one_insists(kubectl: Kubectl) -> None:
    apply = ("apply", "--server-side", "-f", "-")
    kubectl.run(*apply, "--field-manager=one", text=settings("red"))
    refused = kubectl.attempt(*apply, "--field-manager=two", text=settings("blue"))
    assert refused.returncode == 1
    assert 'conflict with "one": .data.color' in refused.stderr
    assert kubectl.get("configmap", "settings")["data"] == {"color": "red"}
    kubectl.run(*apply, "--field-manager=two", "--force-conflicts", text=settings("blue"))
    assert kubectl.get("configmap", "settings")["data"] == {"color": "blue"}


def test_a_watch_goes_on_where_it_was_left(kubectl: Kubectl, core: client.CoreV1Api) -> None:
    since = core.list_namespaced_config_map(kubectl.namespace).metadata.resource_version
    add(core, kubectl.namespace, "first")
    [(kind, name, left)] = seen(core, kubectl.namespace, since, count=1)
    assert (kind, name) == ("ADDED", "first")
    add(core, kubectl.namespace, "second")
    core.delete_namespaced_config_map("first", kubectl.namespace)
    events = [(kind, name) for kind, name, _ in seen(core, kubectl.namespace, left, count=2)]
    assert events == [("ADDED", "second"), ("DELETED", "first")]


def test_a_service_account_may_do_what_its_role_says_and_no_more(kubectl: Kubectl, core: client.CoreV1Api) -> None:
    kubectl.run("create", "serviceaccount", "robot")
    token = kubectl.run("create", "token", "robot").strip()
    settings = client.Configuration()
    settings.host, settings.ssl_ca_cert = core.api_client.configuration.host, core.api_client.configuration.ssl_ca_cert
    settings.api_key["authorization"] = f"Bearer {token}"
    with client.ApiClient(settings) as connection:
        robot = client.CoreV1Api(connection)
        with pytest.raises(client.ApiException, match=r"cannot list resource .{0,2}configmaps") as denied:
            robot.list_namespaced_config_map(kubectl.namespace)
        assert denied.value.status == 403
        kubectl.apply(READER)
        kubectl.run("create", "rolebinding", "robot", "--role=reader", f"--serviceaccount={kubectl.namespace}:robot")
        names = [item.metadata.name for item in robot.list_namespaced_config_map(kubectl.namespace).items]
        assert names == ["kube-root-ca.crt"]
        with pytest.raises(client.ApiException, match=r"cannot list resource .{0,2}secrets"):
            robot.list_namespaced_secret(kubectl.namespace)


def test_a_pod_that_names_no_service_account_that_exists_is_not_admitted(kubectl: Kubectl) -> None:
    overrides = '--overrides={"spec": {"serviceAccountName": "nobody"}}'
    refused = kubectl.attempt("run", "pod", "--image=busybox", overrides)
    assert refused.returncode == 1
    assert 'serviceaccount "nobody" not found' in refused.stderr


def test_a_namespace_ends_with_all_that_is_in_it(kubectl: Kubectl) -> None:
    other = f"{kubectl.namespace}-other"
    kubectl.run("create", "namespace", other)
    kubectl.run("create", "configmap", "settings", f"--namespace={other}")
    kubectl.run("delete", "namespace", other, "--timeout=60s")
    assert "not found" in kubectl.attempt("get", "namespace", other).stderr


def test_the_second_cluster_knows_nothing_of_the_first(kubectl: Kubectl, second_cluster: Path) -> None:
    second = Kubectl(kubeconfig=second_cluster)
    assert second.get("nodes")["items"] == []
    assert kubectl.namespace not in {item["metadata"]["name"] for item in second.get("namespaces")["items"]}
    second.run("create", "configmap", kubectl.namespace)
    assert "not found" in kubectl.attempt("get", "configmap", kubectl.namespace, "--namespace=default").stderr

"""A namespace for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.kubectl import Kubectl, eventually


@pytest.fixture
def kubectl(cluster: Path) -> Iterator[Kubectl]:
    """A namespace of this test's own; it is deleted without waiting for its end."""
    made = Kubectl(kubeconfig=cluster, namespace=f"test-{secrets.token_hex(4)}")
    made.run("create", "namespace", made.namespace)
    eventually(lambda: made.get("serviceaccount", "default"))
    yield made
    made.run("delete", "namespace", made.namespace, "--wait=false")

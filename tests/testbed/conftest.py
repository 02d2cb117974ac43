"""What several files of tests begin with: a namespace each, a proxy that must not be asked."""

from __future__ import annotations

import secrets
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.kubectl import Kubectl, eventually
from tests.testbed.places import LOOPBACK
from tests.testbed.proxies import SPELLINGS


@pytest.fixture
def kubectl(cluster: Path) -> Iterator[Kubectl]:
    """A namespace of this test's own; it is deleted without waiting for its end."""
    made = Kubectl(kubeconfig=cluster, namespace=f"test-{secrets.token_hex(4)}")
    made.run("create", "namespace", made.namespace)
    eventually(lambda: made.get("serviceaccount", "default"))
    yield made
    made.run("delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture
def deaf_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In all six variables, a proxy that refuses connections."""
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        for name in SPELLINGS:
            monkeypatch.setenv(name, f"http://{LOOPBACK}:{bound.getsockname()[1]}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "")
        monkeypatch.setattr(urllib.request, "_opener", None)  # an earlier one keeps the proxies of its time
        yield

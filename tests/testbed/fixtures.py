"""Fixtures that give a test real servers: those of the environment, else the testbed's, else a skip that says why."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.testbed import proxies

if TYPE_CHECKING:  # every run of the tests loads this file
    from tests.testbed.forge import Forge
    from tests.testbed.helm import Helm

ROOT = Path(__file__).parents[2]
SESSION = "GITOPSD_TESTBED_SESSION"  # process of the test session, also for the workers that it starts
VARIABLES = {
    "cluster": ("GITOPSD_TEST_KUBECONFIG",),
    "second": ("GITOPSD_TEST_SECOND_KUBECONFIG",),
    "forge": ("GITOPSD_TEST_FORGE_URL", "GITOPSD_TEST_FORGE_TOKEN"),
    "helm": ("GITOPSD_TEST_HELM",),
}


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[SESSION] = str(os.getpid())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of `up` and `down` come last: they end the testbed that the others share."""
    items.sort(key=lambda item: "bare_machine" in getattr(item, "fixturenames", ()))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Once the whole session has ended, the testbed that was brought up for it ends too."""
    if not hasattr(config, "workerinput"):
        from tests.testbed import testbed

        testbed.end_session(os.getpid())


def values(part: str) -> Mapping[str, str]:
    """Variables that tell where a part is; skips the test when there is none to be had.

    From then on nothing in this process asks a proxy for what is on this machine.
    """
    proxies.bypass(os.environ)
    if all(os.environ.get(name) for name in VARIABLES[part]):
        return os.environ
    from tests.testbed import testbed
    from tests.testbed.ledger import Ledger

    if why := testbed.why_not():
        names = " and ".join(VARIABLES[part])
        pytest.skip(f"no {part}: set {names}, or run `python -m tests.testbed build` as root (this machine {why})")
    # In a process of its own, since the servers outlive the call and are no children of the tests.
    command = [sys.executable, "-m", "tests.testbed", "ensure", part, os.environ[SESSION]]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.fail(f"the testbed did not come up: {ran.stderr}", pytrace=False)
    return Ledger().offers()


@pytest.fixture(scope="session")
def cluster() -> Path:
    """Kubeconfig of an administrator of a cluster with one node."""
    return Path(values("cluster")["GITOPSD_TEST_KUBECONFIG"])


@pytest.fixture(scope="session")
def second_cluster() -> Path:
    """Kubeconfig of an administrator of a cluster without nodes and controllers."""
    return Path(values("second")["GITOPSD_TEST_SECOND_KUBECONFIG"])


@pytest.fixture(scope="session")
def forge() -> Iterator[Forge]:
    """A forge, with accounts and an organisation of this session."""
    from tests.testbed.forge import Forge

    with Forge.given(values("forge")) as found:
        yield found


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm, with folders of this session."""
    from tests.testbed.helm import Helm

    return Helm(program=Path(values("helm")["GITOPSD_TEST_HELM"]), folder=tmp_path_factory.mktemp("helm"))

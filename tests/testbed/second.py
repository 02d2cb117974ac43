"""A second, empty control plane: an API with nothing behind it."""

from __future__ import annotations

from tests.testbed import certificates, components, supervisor
from tests.testbed.ledger import Ledger
from tests.testbed.places import SECOND


def start(ledger: Ledger) -> None:
    """Bring it up: its API answers. No controller and no node acts on what it holds."""
    certificates.write(SECOND)
    supervisor.start(components.control_plane(SECOND), ledger)
    ledger.offer("GITOPSD_TEST_SECOND_KUBECONFIG", str(SECOND.kubeconfig))

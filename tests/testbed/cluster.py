"""The cluster with its one node."""

from __future__ import annotations

import functools
import string
from dataclasses import replace

from tests.testbed import certificates, components, images, node, places, settings, supervisor
from tests.testbed.api import apply
from tests.testbed.build import binary, share
from tests.testbed.ledger import Ledger
from tests.testbed.places import FIRST, REGISTRY, SOURCE
from tests.testbed.supervisor import Component


def start(ledger: Ledger) -> None:
    """Bring it up: node and DNS are ready, claims and snapshots are served."""
    node.prepare(ledger)
    certificates.write(FIRST)
    settings.write()
    supervisor.start([_with_step(component) for component in _components()], ledger)
    ledger.offer("GITOPSD_TEST_KUBECONFIG", str(FIRST.kubeconfig))
    ledger.offer("GITOPSD_TEST_KUBECTL", str(binary("kubernetes", "kubectl")))
    ledger.offer("GITOPSD_TEST_REGISTRY", REGISTRY)


def _components() -> list[Component]:
    control_plane = [*components.control_plane(FIRST), *components.controllers()]
    return [*control_plane, *components.node(), *components.storage()]


def _with_step(component: Component) -> Component:
    definitions = str(share("csi") / "config" / "crd")
    steps = {
        "registry": images.push,
        "cluster-apiserver": functools.partial(apply, FIRST, _objects("cluster"), "-f", definitions),
        "snapshot-controller": functools.partial(apply, FIRST, _objects("snapshots")),
    }
    return replace(component, then=steps.get(component.name))


def _objects(name: str) -> str:
    text = (SOURCE / "objects" / f"{name}.yaml").read_text("utf-8")
    return string.Template(text).substitute(vars(places), DNS_USER=certificates.DNS_USER, NAMES="$NAMES")

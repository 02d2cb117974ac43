"""A plane's API, asked as its administrator."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from typing import Any

from tests.testbed.build import binary
from tests.testbed.certificates import as_admin
from tests.testbed.places import Plane, TestbedError


def get(plane: Plane, path: str) -> Any:
    """The object at a path; raises ``OSError`` when it is not there, or the server is not."""
    with urllib.request.urlopen(f"{plane.url}{path}", timeout=5, context=as_admin(plane)) as answer:
        return json.load(answer)


def apply(plane: Plane, text: str, *words: str) -> None:
    """Apply objects on the server's side, and what further words of ``kubectl apply`` name."""
    command = [binary("kubernetes", "kubectl"), f"--kubeconfig={plane.kubeconfig}", "apply", "--server-side", "-f", "-"]
    ran = subprocess.run([*command, *words], input=text, text=True, capture_output=True, check=False)
    if ran.returncode:
        raise TestbedError(f"kubectl apply of the testbed's own objects: {ran.stderr.strip()}")

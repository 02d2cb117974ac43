"""Helm, with folders of its own and no repository or registry."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.build import binary
from tests.testbed.ledger import Ledger

SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """The program, and the folder that its caches, settings and plugins go to."""

    program: Path
    folder: Path

    def run(self, *words: str, kubeconfig: Path | None = None) -> str:
        """The output of a command. Raises CalledProcessError, with helm's words in ``stderr`` and ``stdout``."""
        names = ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME")
        environment = {f"HELM_{name}": str(self.folder / name.lower()) for name in names}
        environment |= {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        # Without this, helm takes a cluster from where kubectl would.
        environment["KUBECONFIG"] = str(kubeconfig or os.devnull)
        done = subprocess.run(
            [str(self.program), *words],
            env=environment, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL, timeout=SECONDS,
        )  # fmt: skip
        return done.stdout


def write_chart(folder: Path, name: str, templates: Mapping[str, str]) -> Path:
    """Makes a chart of version 0.1.0 from its templates; its folder."""
    chart = folder / name
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 0.1.0\nappVersion: '1'\n")
    (chart / "values.yaml").write_text("greeting: hello\n")
    for path, text in templates.items():
        (chart / "templates" / path).write_text(text)
    return chart


def start(ledger: Ledger) -> None:
    """Offers the program: it is no server."""
    ledger.offer("GITOPSD_TEST_HELM", str(binary("helm", "helm")))

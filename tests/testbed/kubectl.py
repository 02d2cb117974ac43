"""kubectl for tests, bound to a cluster and a namespace; and waiting with a deadline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.testbed.build import binary
from tests.testbed.places import TestbedError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """A namespace of a cluster, seen through kubectl."""

    kubeconfig: Path
    namespace: str = "default"

    def attempt(self, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """What became of a command, whatever that is."""
        command = [program(), f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *words]
        return subprocess.run(command, input=text, text=True, capture_output=True, check=False, timeout=120)

    def run(self, *words: str, text: str | None = None) -> str:
        """The output of a command; raises ``TestbedError`` with kubectl's words when it fails."""
        ran = self.attempt(*words, text=text)
        if ran.returncode:
            raise TestbedError(f"kubectl {' '.join(words)} ended with {ran.returncode}: {ran.stderr.strip()}")
        return ran.stdout

    def apply(self, text: str) -> None:
        self.run("apply", "-f", "-", text=text)

    def get(self, *words: str) -> Any:
        return json.loads(self.run("get", *words, "-o", "json"))

    def wait(self, condition: str, what: str, *, seconds: int = 60) -> None:
        """Until an object has a condition, such as ``Ready``."""
        self.run("wait", f"--for=condition={condition}", what, f"--timeout={seconds}s")


def program() -> str:
    """kubectl of the environment; for a cluster of the environment the machine's; else the one that is pinned."""
    given = os.environ.get("GITOPSD_TEST_KUBECTL")
    machines = shutil.which("kubectl") if os.environ.get("GITOPSD_TEST_KUBECONFIG") else None
    return given or machines or str(binary("kubernetes", "kubectl"))


def eventually(ask: Callable[[], T], *, seconds: float = 60) -> T:
    """The first answer that is true; raises ``AssertionError`` with the last one at the deadline.

    An ``OSError`` or ``TestbedError`` counts as an answer that is not true.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer: T | Exception = ask()
        except (OSError, TestbedError) as error:
            answer = error
        if answer and not isinstance(answer, Exception):
            return answer
        assert time.monotonic() < deadline, f"after {seconds:g} s still {answer!r}"
        time.sleep(0.2)

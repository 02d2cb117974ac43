"""What the tests of the local backend share: small real services, and ways to look at this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from gitopsd.adapters.local.backend import LocalBackend
from gitopsd.model.calls import CommandResult, TaskSpec, Workload
from gitopsd.model.parts import Image, Port, ServiceSpec
from gitopsd.model.values import Frozen
from tests.stage.processes import ROOT

ENCLAVE = "net"
HTTP = Port(number=8000)
PYTHON = Image(name="python:3.11-alpine")


def shell(text: str, **fields: object) -> ServiceSpec:
    """A service that runs shell text."""
    return ServiceSpec(image=Image(name="busybox"), entrypoint=("sh", "-c"), cmd=(text,), **fields)  # type: ignore[arg-type]


def web(host: str = "KURTOSIS_IP_ADDR_PLACEHOLDER", **fields: object) -> ServiceSpec:
    """A web server over its scratch folder."""
    ports = Frozen({"http": HTTP})
    command = ("-u", "-m", "http.server", "8000", "--bind", host, "--directory", "/tmp")
    return ServiceSpec(image=PYTHON, entrypoint=("python",), cmd=command, ports=ports, **fields)  # type: ignore[arg-type]


def start(backend: LocalBackend, name: str, spec: ServiceSpec, **fields: object) -> Workload:
    """Converges a service and returns what it was asked for."""
    workload = replace(Workload(name=name, spec=spec, incarnation="first"), **fields)  # type: ignore[arg-type]
    backend.converge(ENCLAVE, workload)
    return workload


def run(backend: LocalBackend, service: str, text: str, *, key: str = "") -> CommandResult:
    """Runs shell text in a service, under a key of its own unless one is given."""
    return backend.execute(ENCLAVE, service, ("sh", "-c", text), key=key or os.urandom(8).hex(), timeout=20)


def says(backend: LocalBackend, service: str, text: str) -> str:
    """What shell text prints in a service; it must end well."""
    result = run(backend, service, text)
    assert result.code == 0, result.output
    return result.output.strip()


def task(text: str, *, store: tuple[str, ...] = (), timeout: float | None = 20.0) -> TaskSpec:
    """A task of shell text."""
    return TaskSpec(name="seed", command=("sh", "-c", text), image="busybox", store=store, timeout=timeout)


def daemon(state: Path, code: str) -> subprocess.Popen[str]:
    """Starts a stand-in for the daemon: a process that has ``backend`` and runs ``code`` over it."""
    text = (
        "import sys\nfrom pathlib import Path\nfrom tests.integration.local_enclave import *\n"
        f"backend = LocalBackend(Path({str(state)!r}))\n{code}\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", text], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )

"""What an operator may set about the local backend."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field

from gitopsd.model.values import Frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """Settings of the local backend; the defaults need no configuration.

    ``images`` maps globs over image names to the argv prefix that stands for the image's own entrypoint; the first
    match counts. ``cluster_type`` is what packages see. ``namespaces`` False turns mount namespaces off.
    ``masks`` are files and folders that no service may see (credentials, the daemon's configuration); the state
    folder always is one. ``visible`` are folders of tools that services may read although they lie below a home
    folder. ``uids`` is the first of the user ids and their count that enclaves run under when the daemon is root.
    ``grace`` is the time in seconds between TERM and KILL; ``backoff`` the first and the longest wait before a process
    is started again, which grows until it has run for ``steady`` seconds. Sizes are bytes; ``max_processes`` bounds the
    processes and threads of an enclave that has a user of its own; ``memory_limits`` turns ``max_memory`` into a limit
    of each process' data. ``pip_packages`` allows ``packages`` of run_python, which must then be installed for the
    interpreter already.
    """

    images: Frozen[tuple[str, ...]] = Frozen()
    cluster_type: str = "docker"
    namespaces: bool = True
    masks: tuple[str, ...] = ()
    visible: tuple[str, ...] = ()
    uids: tuple[int, int] = (1_610_000, 60_000)
    grace: float = 10.0
    backoff: tuple[float, float] = (0.5, 30.0)
    steady: float = 300.0
    open_files: int = 65_536
    max_processes: int = 8192
    memory_limits: bool = True
    log_bytes: int = 10_000_000
    log_files: int = 2
    output_bytes: int = 4_000_000
    artifact_bytes: int = 2_000_000_000
    pip_packages: bool = False
    env: Frozen[str] = field(default_factory=Frozen)

    def prefix(self, image: str) -> tuple[str, ...]:
        """The argv prefix of an image, empty when no glob matches its name with or without the registry."""
        for glob, prefix in self.images.items():
            if any(fnmatch.fnmatchcase(name, glob) for name in names_of(image)):
                return prefix
        return ()


def names_of(image: str) -> tuple[str, str]:
    """An image's full name and the name without its registry and path: ``docker.io/library/python:3`` is both
    itself and ``python:3``; a name without a tag gets ``:latest``."""
    last = image.rpartition("/")[2]
    full = image if ":" in last or "@" in last else image + ":latest"
    return full, full.rpartition("/")[2]

"""What is recorded of enclaves: the adapters of that port, named here alone besides their contract's own suite."""

from __future__ import annotations

from pathlib import Path

from gitopsd.adapters.local.record import FileRecords
from gitopsd.adapters.memory import Fuse, MemoryRecords


def in_memory(fuse: Fuse | None = None) -> MemoryRecords:
    """Records that end with the test; ``fuse`` may cut the world off between two writes."""
    return MemoryRecords(fuse=fuse)


def in_files(folder: Path) -> FileRecords:
    """Records in a state folder, which a daemon may have written."""
    return FileRecords(folder)

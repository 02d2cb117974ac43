"""What is recorded of enclaves: the adapters of that port, named here alone besides their contract's own suite."""

from __future__ import annotations

from pathlib import Path

from gitopsd.adapters.local.record import FileRecord
from gitopsd.adapters.memory import Fuse, MemoryRecord


def in_memory(fuse: Fuse | None = None) -> MemoryRecord:
    """Records that end with the test; ``fuse`` may cut the world off between two writes."""
    return MemoryRecord(fuse=fuse)


def in_files(folder: Path) -> FileRecord:
    """Records in a state folder, which a daemon may have written."""
    return FileRecord(folder)

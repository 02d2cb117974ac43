"""Lowered modules: from a cache on disk when there is one, else made now."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from gitopsd.adapters.starlark.lowered import VERSION, Lowered
from gitopsd.adapters.starlark.lowering import lower

__all__ = ["LoweredSources"]


class LoweredSources:
    """Lowers files for one set of plan methods, and keeps the results in `directory` (mode 0700) if one is given."""

    def __init__(self, directory: Path | None, *, plan_methods: frozenset[str], careful: bool = False) -> None:
        self.plan_methods = plan_methods
        self.careful = careful
        self._directory = None if careful else directory
        self._scheme = f"{VERSION}\n{','.join(sorted(plan_methods))}\n"
        if directory is not None:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def lowered(self, path: str, source: str) -> Lowered:
        """Give the lowered form of a file. Raises Unlowerable."""
        if self._directory is None:
            return lower(source, path=path, plan_methods=self.plan_methods, careful=self.careful)
        key = hashlib.sha256(f"{self._scheme}{path}\n".encode() + source.encode()).hexdigest()
        entry = self._directory / f"{key}.json"
        found = _read(entry)
        if found is None:
            found = lower(source, path=path, plan_methods=self.plan_methods)
            _write(entry, found)
        return found


def _read(entry: Path) -> Lowered | None:
    try:
        data = json.loads(entry.read_bytes())
        return Lowered(
            text=data["text"],
            names=tuple(data["names"]),
            exports=tuple(data["exports"]),
            imports=tuple(data["imports"]),
            signatures={name: tuple(parameters) for name, parameters in data["signatures"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(entry: Path, lowered: Lowered) -> None:
    """Write whole or not at all; a cache that cannot be written is only slower."""
    try:
        descriptor, name = tempfile.mkstemp(dir=entry.parent, prefix=".new-")
    except OSError:
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(lowered), file, ensure_ascii=False)
    Path(name).replace(entry)

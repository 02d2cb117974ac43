"""Lowered modules: from a cache on disk when there is one, else made now.

An entry is a line of JSON, which says what the loader must know, and the lowered text as it is, so that the text need
not be unescaped.
"""

from __future__ import annotations

import hashlib
import json
import os

from gitopsd.adapters.starlark.lowered import VERSION, Lowered
from gitopsd.adapters.starlark.lowering import lower
from gitopsd.kit import cachefile

__all__ = ["LoweredSources"]


class LoweredSources:
    """Lowers files for one set of plan methods, and keeps the results in `directory` (mode 0700) if one is given."""

    def __init__(self, directory: str, *, plan_methods: frozenset[str], careful: bool = False) -> None:
        self.plan_methods = plan_methods
        self.careful = careful
        self._directory = "" if careful else directory
        self._scheme = f"{VERSION}\n{','.join(sorted(plan_methods))}\n"
        if directory:
            os.makedirs(directory, mode=0o700, exist_ok=True)

    def lowered(self, path: str, source: str) -> Lowered:
        """Give the lowered form of a file. Raises Unlowerable."""
        if not self._directory:
            return lower(source, path=path, plan_methods=self.plan_methods, careful=self.careful)
        key = hashlib.sha256(f"{self._scheme}{path}\n{source}".encode()).hexdigest()
        entry = f"{self._directory}/{key}"
        found = _read(entry)
        if found is None:
            found = lower(source, path=path, plan_methods=self.plan_methods)
            _write(entry, found)
        return found


def _read(entry: str) -> Lowered | None:
    head, _, text = (cachefile.read(entry) or b"").partition(b"\n")
    try:
        names, exports, imports, signatures = json.loads(head)
        return Lowered(
            text=text.decode(),
            names=tuple(names),
            exports=tuple(exports),
            imports=tuple(imports),
            signatures={name: tuple(parameters) for name, parameters in signatures.items()},
        )
    except (ValueError, TypeError, AttributeError):
        return None


def _write(entry: str, lowered: Lowered) -> None:
    head = json.dumps([lowered.names, lowered.exports, lowered.imports, lowered.signatures])
    cachefile.write(entry, f"{head}\n{lowered.text}".encode())

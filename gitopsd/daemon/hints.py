"""What a folder's package named when it was planned last: asked for at once, it saves an evaluation for each.

Hints only say what is looked up; each is pinned anew within the same rules, and one that is wrong or lost only costs
time.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from gitopsd.kit import cachefile
from gitopsd.model.package import Lock, Missing

_MOST = 64
_LARGEST = 64 * 1024


class Hints:
    """The hints for one package, in a file below ``folder``."""

    def __init__(self, folder: Path, package: str) -> None:
        self._folder = folder
        self._file = folder / f"{hashlib.sha256(package.encode()).hexdigest()}.json"

    def read(self) -> tuple[Missing, ...]:
        """The repositories that the package named, without those in a file that cannot be read."""
        text = cachefile.read(str(self._file)) or b"[]"
        try:
            found = [(str(root), str(ref)) for root, ref in json.loads(text)] if len(text) <= _LARGEST else []
        except (ValueError, TypeError):
            return ()
        return tuple(Missing(locator=root, ref=ref) for root, ref in found[:_MOST])

    def keep(self, lock: Lock) -> None:
        """Writes what an evaluation read, if that is something else; a cache that cannot be written is only slower."""
        named = tuple(Missing(locator=pin.root, ref=pin.ref) for pin in lock.pins)
        if named == self.read():
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            return
        cachefile.write(str(self._file), json.dumps([(item.locator, item.ref) for item in named]).encode())

"""YAML documents that were read lately."""

from __future__ import annotations

import threading
from collections import OrderedDict

from gitopsd.model.package import YamlDocument

_LARGEST = 512 * 1024


class Documents:
    """Documents by the digest of their text, which is all that they are made of; those unused for longest go when
    all are more than 512 KiB of JSON (aliases let a document be far larger than its text). A text that is no YAML is
    read again, as its error names where it stands."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, tuple[YamlDocument, int]] = OrderedDict()
        self._left = _LARGEST
        self._lock = threading.Lock()

    def get(self, key: bytes) -> YamlDocument | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def keep(self, key: bytes, document: YamlDocument, *, size: int) -> None:
        with self._lock:
            if key in self._kept or size > _LARGEST:
                return
            self._kept[key] = (document, size)
            self._left -= size
            while self._left < 0:
                self._left += self._kept.popitem(last=False)[1][1]

"""Bodies of rows: packed, and sealed with a key of this installation.

A body is an HMAC-SHA-256 of its place and content, then the compressed JSON of the value. A row that another hand
wrote, changed, or moved to another key does not open: a cached plan is what the daemon would apply.
"""

from __future__ import annotations

import hmac
import zlib
from collections.abc import Iterable, Iterator
from typing import TypeVar

from gitopsd.model.codec import dumps, loads

T = TypeVar("T")
_SIZE = 32


class Seal:
    """Packs and opens bodies under a key; with an empty one a seal only tells damage."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def pack(self, value: object, place: str) -> bytes:
        """The body of a value for the row that ``place`` names."""
        content = zlib.compress(dumps(value).encode("utf-8", "surrogatepass"), 3)
        return self._digest(content, place) + content

    def opened(self, bodies: Iterable[bytes], kind: type[T], place: str) -> Iterator[T]:
        """The values that this release can read; a body that a newer one wrote, a damaged one, and one without the
        right seal are left out."""
        for body in bodies:
            content = body[_SIZE:]
            if not hmac.compare_digest(body[:_SIZE], self._digest(content, place)):
                continue
            try:
                value = loads(zlib.decompress(content).decode("utf-8", "surrogatepass"))
            except (ValueError, zlib.error):
                continue
            if isinstance(value, kind):
                yield value

    def _digest(self, content: bytes, place: str) -> bytes:
        return hmac.digest(self._key, place.encode("utf-8", "surrogatepass") + b"\0" + content, "sha256")

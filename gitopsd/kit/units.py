"""Sizes as people write them."""

from __future__ import annotations

import re

_BYTES_BY_UNIT = {
    "": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)")


def parse_size(text: str) -> int:
    """Bytes of a size such as ``512MiB`` or ``20 MB``. Raises ValueError, saying what is expected."""
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in _BYTES_BY_UNIT:
        raise ValueError("expected a size such as 512MiB, 20MB or a number of bytes")
    return int(float(match[1]) * _BYTES_BY_UNIT[match[2]])

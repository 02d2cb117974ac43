"""Durations and sizes as people write them."""

from __future__ import annotations

import re

_SECONDS_BY_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES_BY_UNIT = {
    "": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)")


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``30s``, ``1h30m`` or ``250ms``. Raises ValueError, saying what is expected."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("expected a duration such as 30s, 5m or 1h30m")
    return sum(float(number) * _SECONDS_BY_UNIT[unit] for number, unit in parts)


def parse_size(text: str) -> int:
    """Bytes of a size such as ``512MiB`` or ``20 MB``. Raises ValueError, saying what is expected."""
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in _BYTES_BY_UNIT:
        raise ValueError("expected a size such as 512MiB, 20MB or a number of bytes")
    return int(float(match[1]) * _BYTES_BY_UNIT[match[2]])

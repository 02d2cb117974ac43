"""What an author may have meant by a name that is not there."""

from __future__ import annotations

__all__ = ["nearest"]


def nearest(name: str, candidates: list[str], mark: str = ".") -> str:
    """Give ` (did you mean .x?)` as go.starlark.net/internal/spell does, or nothing."""
    wanted, best = _folded(name), ""
    limit = (len(wanted.encode()) + 1) // 2
    for candidate in sorted(candidates):
        distance = _distance(wanted, _folded(candidate))
        if distance < limit:
            best, limit = candidate, distance
    return f" (did you mean {mark}{best}?)" if best else ""


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _distance(left: str, right: str) -> int:
    """Levenshtein's."""
    row = list(range(len(right) + 1))
    for i, char in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (char != other))
    return row[-1]

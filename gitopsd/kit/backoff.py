"""How long to wait before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential waits in seconds: ``first``, then ``factor`` times more, never above ``limit``.

    ``spread`` is the share of a wait that is left to chance, so that many clients don't come back at once.
    """

    first: float = 1.0
    factor: float = 2.0
    limit: float = 300.0
    spread: float = 0.1

    def wait(self, failures: int, *, chance: float = 0.5, retry_after: float | None = None) -> float:
        """Seconds to wait after ``failures`` (1 or more) in a row.

        ``chance`` in 0..1 places the wait inside the spread; what the other side asked for (``retry_after``) is a
        lower bound, also above the limit.
        """
        exponent = min(max(failures, 1) - 1, 64)
        wait = min(self.first * self.factor**exponent, self.limit)
        wait *= 1 + self.spread * (2 * chance - 1)
        return max(wait, retry_after or 0.0)

"""Quiet environments: a check whose every input is as it was at the last one, which found nothing, is not made again.

A comparison is pure: the same plan, record, live enclave, policy and secrets give the same diff. The record and the
stored plan change by runs of this daemon alone, which is told of each; the rest is looked at. What another hand did
to the record itself is found by the whole comparison that is made once an hour all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from gitopsd.errors import GitopsdError
from gitopsd.model.environment import Environment
from gitopsd.model.record import LiveEnclave
from gitopsd.model.run import Run, Verdict
from gitopsd.model.values import Frozen
from gitopsd.world import World

WHOLE_EVERY = 3600.0
"""Seconds after which an environment is compared whether or not anything changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a comparison depends on, but for the record. ``secrets`` holds keyed digests."""

    environment: Environment
    live: LiveEnclave
    secrets: Frozen[str]


class Quiet:
    """Remembers what the last check of each environment saw when it found nothing. Safe over threads."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[str, tuple[Sight, float]] = {}
        self._lock = threading.Lock()

    def check(self, environment: Environment, compare: Callable[[], Run]) -> Run | None:
        """The run of ``compare``; None when it would find nothing again."""
        sight = self._look(environment)
        with self._lock:
            seen, until = self._seen.get(environment.name, (None, 0.0))
        if sight is not None and sight == seen and self._world.clock.monotonic() < until:
            return None
        run = compare()
        with self._lock:
            self._seen.pop(environment.name, None)
            if sight is not None and _found_nothing(run):
                self._seen[environment.name] = (sight, self._world.clock.monotonic() + WHOLE_EVERY)
        return run

    def forget(self, environment: str) -> None:
        """Something else is done to an environment: its record may change."""
        with self._lock:
            self._seen.pop(environment, None)

    def _look(self, environment: Environment) -> Sight | None:
        """What is there; None when it cannot be looked at, which the comparison itself then reports."""
        secrets, name = self._world.secrets, environment.name
        try:
            live = self._world.backend_of(environment).observe(environment.enclave)
            digests = {item: secrets.keyed_digest(secrets.reveal(name, item)) for item in secrets.names(name)}
        except GitopsdError:
            return None
        return Sight(environment=environment, live=replace(live, observed_at=None), secrets=Frozen(digests))


def _found_nothing(run: Run) -> bool:
    applied = run.applied
    return run.verdict is Verdict.NOOP and applied is not None and not applied.diff.drift

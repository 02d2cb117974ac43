"""Applying a diff: parallel, crash-safe, stoppable. Not pure; the world is behind :class:`Site`.

Input: a diff and the site. Output: :class:`Applied`, with one outcome per change; a failure is a value in it, never
an exception. A rollback is another diff applied by the same function.

Invariants: nothing starts before its edges ended well; a failure skips exactly its dependents; the record is written
a step at a time, an intent before the effect of a one-shot and the result after it; a step in flight is finished
before a newer commit takes over, a step that only waits is left at once.
"""

from __future__ import annotations

from collections.abc import Callable

from gitopsd.apply.executor import Execution, patience_of
from gitopsd.apply.resolving import Known, secret_digests
from gitopsd.apply.site import Patience, Site, masked
from gitopsd.compare import read
from gitopsd.model.diff import Diff
from gitopsd.model.run import Applied

__all__ = ["Known", "Patience", "Site", "apply", "masked", "secret_digests"]


def apply(diff: Diff, site: Site, newer: Callable[[], str]) -> Applied:
    """Applies a diff. ``newer`` answers the id of a commit that wants this run's place, "" for none."""
    if diff.empty:
        return Applied(diff=diff)
    site.backend.prepare(site.enclave)
    execution = Execution(
        diff=diff,
        site=site,
        reading=read(diff.plan, site.environment.policy),
        recorded=site.record.load(site.enclave),
        patience=patience_of(site, newer),
    )
    return execution.run()

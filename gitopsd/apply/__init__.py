"""Applying a diff: parallel, crash-safe, stoppable. Not pure; the world is behind :class:`Site`.

Input: a diff and the site. Output: :class:`Applied`, with one outcome per change; a failure is a value in it, never
an exception. A rollback is another diff applied by the same function.

Invariants: nothing starts before its edges ended well; a failure skips exactly its dependents; the record is written
a step at a time, an intent before the effect of a one-shot and the result after it; a step in flight is finished
before a newer commit takes over, a step that only waits is left at once.
"""

from __future__ import annotations

from gitopsd.apply.executor import Execution, patience_of
from gitopsd.apply.patience import Patience
from gitopsd.apply.resolving import Known, secret_digests
from gitopsd.compare import read
from gitopsd.model.diff import Diff
from gitopsd.model.run import Applied
from gitopsd.world import Newer, Site

__all__ = ["Known", "Patience", "apply", "secret_digests"]


def apply(diff: Diff, site: Site, newer: Newer) -> Applied:
    """Applies a diff. ``newer`` answers what wants the place of this run, "" for nothing."""
    if diff.empty:
        return Applied(diff=diff)
    execution = Execution(
        diff=diff,
        site=site,
        reading=read(diff.plan, site.environment.policy),
        recorded=site.recorded,
        patience=patience_of(site, newer),
    )
    return execution.run()

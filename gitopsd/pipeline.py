"""The page: the product as one function, from a commit to a run.

    desired = attempt.desired()                          # resolve, evaluate: cached by content
    diff = attempt.difference(desired.plan, recorded)    # observe, compare
    applied = apply(diff, site, preempt)                 # failed: the same two stages with the last good plan

``follow`` is the whole of it; ``check_drift`` is the same page with the stored plan, ``plan`` stops after ``compare``,
``roll_back`` compares with the last good plan. An attempt is carried out in :mod:`gitopsd.attempt`.
"""

from __future__ import annotations

from collections.abc import Callable

from gitopsd.attempt import Attempt, Planned, nothing_newer
from gitopsd.model.environment import Commit, Environment
from gitopsd.model.run import Run, Trigger
from gitopsd.world import World

__all__ = ["Planned", "World", "check_drift", "destroy", "follow", "plan", "roll_back"]


def follow(
    environment: Environment,
    commit: Commit,
    world: World,
    *,
    trigger: Trigger = Trigger.COMMIT,
    preempt: Callable[[], str] = nothing_newer,
) -> Run:
    """Makes an environment follow a commit: evaluates, compares, applies, rolls back. Never raises for a failure."""
    attempt = Attempt(environment=environment, commit=commit, world=world, trigger=trigger, preempt=preempt)
    return attempt.ended(attempt.guarded(attempt.follow))


def check_drift(environment: Environment, world: World, *, preempt: Callable[[], str] = nothing_newer) -> Run:
    """The same page with the stored plan: heals or reports what differs from it by another hand. UserError for a
    backend that is not configured, and what reading the record raises."""
    record = world.record_of(environment).load(environment.enclave)
    commit = _commit(environment, record.last_good.commit if record.last_good else record.commit)
    attempt = Attempt(environment=environment, commit=commit, world=world, trigger=Trigger.DRIFT, preempt=preempt)
    return attempt.ended(attempt.guarded(attempt.check))


def roll_back(environment: Environment, world: World, *, preempt: Callable[[], str] = nothing_newer) -> Run:
    """Returns to the last good plan because a person asked, and stays there until a new commit or ``sync``. Raises as
    :func:`check_drift`."""
    record = world.record_of(environment).load(environment.enclave)
    commit = _commit(environment, record.commit)
    attempt = Attempt(environment=environment, commit=commit, world=world, trigger=Trigger.ROLLBACK, preempt=preempt)
    return attempt.ended(attempt.guarded(attempt.go_back))


def plan(environment: Environment, commit: Commit, world: World, *, update: bool = False) -> Planned:
    """A dry run: everything up to ``compare``, no effect anywhere; with ``update`` of a run that moves dependencies."""
    trigger = Trigger.UPDATE if update else Trigger.COMMIT
    attempt = Attempt(environment=environment, commit=commit, world=world, trigger=trigger, preempt=nothing_newer)
    recorded = attempt.recorded()
    evaluation = attempt.desired(recorded.lock)
    return Planned(evaluation=evaluation, diff=attempt.planned(evaluation, recorded))


def destroy(environment: Environment, world: World) -> None:
    """Ends everything of an environment's enclave and forgets it, data included."""
    world.backend_of(environment).destroy(environment.enclave)
    world.record_of(environment).delete(environment.enclave)
    world.store.forget_environment(environment.name)


def _commit(environment: Environment, commit: str) -> Commit:
    return Commit(url=environment.source.url, ref=environment.source.ref, id=commit)

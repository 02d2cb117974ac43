"""The page: the product as one function, from a commit to a run.

``follow`` is the whole of it; ``check_drift`` is the same page with the stored plan, ``plan`` stops after ``compare``,
``roll_back`` compares with an earlier good plan. What a run decides is asked of ``decide``; what it works with is a
:class:`~gitopsd.world.Site`, whose ``ended`` makes the run, the condition and the report.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from gitopsd.apply import apply, secret_digests
from gitopsd.compare import Facts, compare
from gitopsd.decide import (
    GoBack,
    adopted,
    checked_plan,
    completed,
    decide,
    held,
    judge,
    judge_check,
    lock_of,
    policy_back,
    recall,
)
from gitopsd.fetch import read_arguments
from gitopsd.model import head as heads
from gitopsd.model.diff import Diff
from gitopsd.model.ends import Achieved, End, Failed, Held, Invalid, NothingToCheck, Suspended, WentBack
from gitopsd.model.environment import Commit, Environment
from gitopsd.model.head import Head, LastGood, Settled
from gitopsd.model.package import EvaluationRequest, moves
from gitopsd.model.plan import Evaluation, Plan
from gitopsd.model.record import Recorded, headed
from gitopsd.model.run import Follow, Run, Trigger
from gitopsd.resolve import keep_present, resolve
from gitopsd.resolve.closure import desired
from gitopsd.world import Newer, Site, World, nothing_newer

__all__ = ["Follow", "Planned", "World", "check_drift", "destroy", "follow", "plan", "roll_back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A dry run: what the package asks for, and what applying it would do (None when there is no plan)."""

    evaluation: Evaluation
    diff: Diff | None = None


# --- the verbs ----------------------------------------------------------------------------------------------


def follow(asked: Follow, world: World, newer: Newer = nothing_newer) -> Run:
    """Makes an environment follow a commit: evaluates, compares, applies, rolls back. What fails is an end, and not
    raised."""
    return world.site(asked, newer).run(_follow)


def check_drift(environment: Environment, world: World, newer: Newer = nothing_newer) -> Run:
    """The same page with the stored plan: heals or reports what was changed outside of gitopsd.
    Raises UserError for a backend that is not configured, and what reading the record raises."""
    head = world.ledger_of(environment).recorded.head
    asked = _asked(environment, head.good.commit if head.good else head.commit, Trigger.DRIFT)
    return world.site(asked, newer).run(_check)


def roll_back(environment: Environment, world: World, newer: Newer = nothing_newer) -> Run:
    """Returns to an earlier good plan because a person asked, and stays there until a new commit or ``sync``. Raises as
    :func:`check_drift`."""
    asked = _asked(environment, world.ledger_of(environment).recorded.head.commit, Trigger.ROLLBACK)
    return world.site(asked, newer).run(_recall)


def plan(asked: Follow, world: World) -> Planned:
    """A dry run: everything up to ``compare``, no effect anywhere. Raises what the stages raise."""
    site = world.site(asked)
    recorded = site.recorded
    evaluation = evaluated(site, recorded.head)
    if evaluation.plan is None:
        return Planned(evaluation=evaluation)
    return Planned(
        evaluation=evaluation, diff=_moving(_difference(site, evaluation.plan, recorded), evaluation, recorded)
    )


def destroy(environment: Environment, world: World, *, defined: bool) -> None:
    """Ends everything of an environment's enclave and forgets it, data included; one that is still ``defined`` does not
    come back by itself."""
    world.ledger_of(environment).destroy(defined=defined)
    world.store.forget_environment(environment.name)


# --- forward ------------------------------------------------------------------------------------------------


def _follow(site: Site) -> End:
    asked, head = site.asked, site.head
    match held(head, asked, now=site.started_at, rewrote=site.rewrote):
        case GoBack(good=good):
            return _recalled(site, good)
        case (Held() | Suspended()) as hold:
            return hold
    site.announce()
    evaluation = evaluated(site, head)
    if (wanted := evaluation.plan) is None:
        return Invalid(problems=evaluation.problems)
    recorded = site.recorded
    diff = _moving(_difference(site, wanted, recorded), evaluation, recorded)
    match decide(wanted, diff, head, asked):
        case Held() as hold:
            return hold
        case GoBack(good=good):
            return _go_back(site, good)
    _begin(site, diff, evaluation)
    applied = apply(diff, site, site.newer)
    match judge(applied, wanted, site.head, asked.environment.policy, newer=site.newer()):
        case Achieved() as end:
            _achieve(site, diff)
            return end
        case Failed(back_to=LastGood() as good) as failed:
            _blame(site, failed)
            return _go_back(site, good, failed)
        case Failed() as failed:
            _blame(site, failed)
            return failed
        case end:
            return end


def evaluated(site: Site, head: Head) -> Evaluation:
    """The plan of the package at the commit, dependencies where the lock has them; no evaluation when nothing that it
    is a function of changed."""
    world, environment, commit = site.world, site.environment, site.asked.commit
    lock = lock_of(head, site.asked)
    request = EvaluationRequest(
        package=resolve(environment, commit, world.git, world.evaluator, lock=lock),
        arguments=read_arguments(environment, commit, world.git, world.evaluator),
        cluster_type=site.backend.cluster_type,
        constants=world.constants,
    )
    return desired(request, environment, site.backend, world)


def _difference(site: Site, plan: Plan, recorded: Recorded, good: LastGood | None = None) -> Diff:
    """What separates the enclave from a plan; from that of a good one on the way back to it."""
    environment = site.environment
    live = site.backend.observe(site.enclave)
    secrets = secret_digests(plan, recorded, site.world.secrets, environment.name)
    facts, policy = Facts(commit=site.commit, secrets=secrets), environment.policy
    if good is None:
        return compare(plan, recorded, live, policy, facts)
    return completed(compare(plan, recorded, live, policy_back(policy), facts), good, policy)


def _moving(diff: Diff, evaluation: Evaluation, recorded: Recorded) -> Diff:
    """The diff with the dependencies that the plan moves."""
    return replace(diff, moved=moves(recorded.head.lock, evaluation.lock))


def _begin(site: Site, diff: Diff, evaluation: Evaluation) -> None:
    def begin(head: Head) -> Head:
        now = heads.locked(head, evaluation.lock)
        return now if diff.empty else heads.begun(now, diff.plan_digest)

    site.move(begin)
    site.tell(diff)


def _achieve(site: Site, diff: Diff) -> None:
    """A plan that was applied whole is the last good one, with the results that it has."""
    site.change(partial(adopted, diff=diff))
    recorded, commit = site.recorded, site.asked.commit.id
    head, before = recorded.head, recorded.head.good
    digest = before.digest if before is not None and before.plan is diff.plan else diff.plan_digest
    good = LastGood(
        commit=commit,
        plan=diff.plan,
        digest=digest,
        serials=recorded.serials,
        when=site.world.clock.now(),
        lock=head.lock,
    )
    if before is not None and head == heads.achieved(head, replace(good, plan=before.plan, when=before.when)):
        return
    site.move(partial(heads.achieved, good=good))


def _blame(site: Site, failed: Failed) -> None:
    if failed.plan:
        commit = site.asked.commit.id
        site.move(partial(heads.failed, commit=commit, plan=failed.plan, back_to=failed.back_to))


# --- back ---------------------------------------------------------------------------------------------------


def _go_back(site: Site, good: LastGood, failed: Failed | None = None) -> WentBack:
    """Compares with a good plan and applies that: the same two stages as any other run. One that fails stops, and
    nothing but a new commit or a person goes on."""
    site.move(partial(heads.returning, good=good))
    keep_present(good.lock, site.environment, site.world.git)
    back = site.returning(good.commit)
    applied = apply(_difference(back, good.plan, site.recorded, good), back, nothing_newer)
    site.move(partial(heads.returned, good=good, well=applied.ok))
    return WentBack(good=good, rollback=applied, failed=failed)


def _recall(site: Site) -> End:
    match recall(site.head):
        case Held() as hold:
            return hold
        case good:
            site.move(partial(heads.recalled, good=good))
            return _recalled(site, good)


def _recalled(site: Site, good: LastGood) -> WentBack:
    end = _go_back(site, good)
    if end.rollback.ok:
        site.change(lambda found: headed(found, partial(heads.restored, good=good, serials=found.serials)))
    return end


# --- drift --------------------------------------------------------------------------------------------------


def _check(site: Site) -> End:
    recorded = site.recorded
    if (good := checked_plan(recorded.head)) is None:
        return NothingToCheck()
    returns = not isinstance(recorded.head.course, Settled)
    here = site.returning(good.commit) if returns else site
    diff = _difference(here, good.plan, recorded, good if returns else None)
    applied = apply(diff, here, site.newer)
    end = judge_check(applied, newer=site.newer())
    if isinstance(end, Achieved):
        site.change(partial(adopted, diff=diff))
        if returns or not diff.empty:
            site.change(lambda found: headed(found, partial(heads.healed, serials=found.serials)))
    return end


def _asked(environment: Environment, commit: str, trigger: Trigger) -> Follow:
    source = environment.source
    return Follow(environment=environment, commit=Commit(url=source.url, ref=source.ref, id=commit), trigger=trigger)

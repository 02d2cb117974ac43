"""Runs: does one piece of work for one environment through the pipeline, and sees to what follows from it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from gitopsd import pipeline
from gitopsd.daemon.progress import Progress
from gitopsd.daemon.quiet import Quiet
from gitopsd.daemon.roster import Roster
from gitopsd.daemon.work import Asked, Work, takes_place
from gitopsd.errors import PASSING, GitopsdError, Reason, TransientError
from gitopsd.kit.backoff import Backoff
from gitopsd.model.environment import Environment
from gitopsd.model.head import Settled
from gitopsd.model.run import SHUTDOWN, Follow, Run, Trigger, Verdict
from gitopsd.world import World

BACKOFF = Backoff(first=5.0, factor=2.0, limit=600.0, spread=0.2)
TRIGGERS = {Asked.SYNC: Trigger.SYNC, Asked.UPDATE: Trigger.UPDATE, Asked.RESUME: Trigger.RESUME}
SETTLED = (Verdict.NOOP, Verdict.SUCCEEDED, Verdict.ROLLED_BACK, Verdict.HELD, Verdict.INVALID)
"""Verdicts after which a restart has nothing to go on with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParts:
    """What runs work with. ``waiting`` gives what waits for an environment, ``retry`` asks for a repetition after
    some seconds, ``forget`` ends all jobs of an environment."""

    world: World
    roster: Roster
    progress: Progress
    waiting: Callable[[str], Work | None]
    retry: Callable[[str, float], None]
    forget: Callable[[str], None]
    log: Any


class Runner:
    """One piece of work at a time per environment; the queue sees to that."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts
        self._failures: dict[str, int] = {}
        self._quiet = Quiet(parts.world)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Runs in progress finish the steps in flight and end."""
        self._stopping.set()

    def run(self, name: str, work: Work) -> None:
        """Does the work; whoever waits for it gets its run, None where there was nothing to run, or its error."""
        try:
            run = self._do(name, work)
        except GitopsdError as error:
            self._parts.log.warning(str(error), environment=name, reason=error.reason.value, asked=work.asked.value)
            if isinstance(error, TransientError):
                self._again(name, error.retry_after)
            for ticket in work.tickets:
                ticket.set_exception(error)
        except BaseException as error:
            for ticket in work.tickets:
                ticket.set_exception(GitopsdError(Reason.BUG, f"a bug in gitopsd: {type(error).__name__}"))
            raise
        else:
            for ticket in work.tickets:
                ticket.set_result(run)
        finally:
            self._parts.progress.forget(name)

    def _do(self, name: str, work: Work) -> Run | None:
        if work.asked is not Asked.DRIFT:
            self._quiet.forget(name)
        if work.asked is Asked.DESTROY:
            self._destroy(name, work)
            return None
        if work.asked in (Asked.DRIFT, Asked.START, Asked.RETRY) and self._is_suspended(work.environment):
            return None
        environment = work.environment
        if work.asked is Asked.DRIFT or (work.asked is Asked.START and self._settled(work)):
            check = partial(pipeline.check_drift, environment, self._parts.world, self._preempt(name, work))
            found = self._quiet.check(environment, check)
            if found is None:
                return None
            run = found
        elif work.asked is Asked.ROLLBACK:
            run = pipeline.roll_back(environment, self._parts.world, self._preempt(name, work))
        else:
            run = self._follow(environment, work)
        self._after(run)
        return run

    def _follow(self, environment: Environment, work: Work) -> Run:
        world = self._parts.world
        world.store.save_environment(work.environment, work.commit)
        asked = Follow(environment=environment, commit=work.commit, trigger=TRIGGERS.get(work.asked, Trigger.COMMIT))
        return pipeline.follow(asked, world, self._preempt(environment.name, work))

    def _is_suspended(self, environment: Environment) -> bool:
        """Whether a person or the environment's own policy suspends it. One whose backend is not configured is
        followed, which says so."""
        if environment.policy.suspend or environment.backend not in self._parts.world.records:
            return environment.policy.suspend
        return self._parts.world.suspension_of(environment) is not None

    def _preempt(self, name: str, work: Work) -> Callable[[], str]:
        def newer() -> str:
            return SHUTDOWN if self._stopping.is_set() else takes_place(work, self._parts.waiting(name))

        return newer

    def _settled(self, work: Work) -> bool:
        """Whether what was followed before this start came to its end: then only drift can be there."""
        environment, world = work.environment, self._parts.world
        last = next((run for run in world.store.runs(environment.name, limit=1)), None)
        if last is None or last.commit.id != work.commit.id or last.verdict not in SETTLED:
            return False
        if environment.backend not in world.records:
            return False  # following tells it
        recorded = world.ledger_of(environment).recorded
        return not recorded.intents and isinstance(recorded.head.course, Settled)

    def _after(self, run: Run) -> None:
        parts = self._parts
        if run.verdict is Verdict.SUPERSEDED and run.superseded_by == SHUTDOWN:
            return
        quiet = run.verdict is Verdict.NOOP and run.trigger is Trigger.DRIFT
        (parts.log.debug if quiet else parts.log.info)(
            "run ended", environment=run.environment, verdict=run.verdict.value, trigger=run.trigger.value,
            commit=run.commit.short, problems=[str(problem) for problem in run.problems],
        )  # fmt: skip
        if run.verdict is Verdict.FAILED and any(problem.reason in PASSING for problem in run.problems):
            waits = [problem.retry_after for problem in run.problems if problem.retry_after is not None]
            self._again(run.environment, max(waits, default=None))
        else:
            self._failures.pop(run.environment, None)

    def _again(self, name: str, retry_after: float | None) -> None:
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        self._parts.retry(name, BACKOFF.wait(failures, chance=random.random(), retry_after=retry_after))

    def _destroy(self, name: str, work: Work) -> None:
        parts = self._parts
        member = parts.roster.member(name)
        parts.forget(name)
        pipeline.destroy(work.environment, parts.world, defined=member is not None and not member.vanished)
        if member is not None and member.vanished:
            parts.roster.forget(name)
        parts.log.info("destroyed", environment=name)

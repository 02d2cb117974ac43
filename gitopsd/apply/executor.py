"""Runs a diff: in parallel where it is safe, a step at a time on record, stoppable between steps."""

from __future__ import annotations

import traceback
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial

from gitopsd.apply.effects import perform
from gitopsd.apply.order import Edges, edges, next_changes
from gitopsd.apply.patience import Patience
from gitopsd.apply.resolving import Known
from gitopsd.apply.services import converge, delete, move
from gitopsd.compare import Reading, settle
from gitopsd.errors import GitopsdError, Reason, TransientError
from gitopsd.kit.backoff import Backoff
from gitopsd.kit.redact import masked
from gitopsd.model.diff import Action, Change, Diff
from gitopsd.model.ops import AddService, Kind, RemoveService, StartService, StopService, kind_of, life_of
from gitopsd.model.plan import Problem
from gitopsd.model.record import Recorded, Step, finished
from gitopsd.model.run import Applied, Done, Outcome
from gitopsd.world import Newer, Site

PARALLEL = 8
"""Steps that may be under way at once in one run."""
RETRY = Backoff(first=0.5, limit=30.0, spread=0.0)


@dataclass(kw_only=True)
class Execution:
    """One diff under way."""

    diff: Diff
    site: Site
    reading: Reading
    recorded: Recorded
    patience: Patience
    steps: dict[str, Step] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def run(self) -> Applied:
        """Applies everything that can be; outcomes in the order they ended."""
        graph = edges(self.diff, self.site.environment.policy.order)
        changes = {change.id: change for change in self.diff.changes}
        for change in self.diff.changes:
            if change.action is Action.KEEP:
                self.outcomes[change.id] = self._keep(change)
        running: dict[Future[Outcome], str] = {}
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="step") as pool:
            while True:
                step = next_changes(graph, self._ended(), frozenset(running.values()))
                for skipped, failed in step.skipped.items():
                    self._skip(changes[skipped], failed)
                if step.skipped:
                    continue
                if not self._stopping():
                    running |= {pool.submit(self._attempt, changes[name]): name for name in step.ready}
                if not running:
                    break
                done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in done:
                    outcome = future.result()
                    self.outcomes[running.pop(future)] = outcome
        return self._applied(graph)

    def _applied(self, graph: Edges) -> Applied:
        left = [change for change in self.diff.changes if self._unfinished(change)]
        preempted = self.patience.stopped.is_set() and bool(left)
        for change in left:
            if change.id not in self.outcomes and not preempted:
                self._stuck(change, graph)
        output = None if left else self._known().output(self.diff.plan)
        return Applied(diff=self.diff, outcomes=tuple(self.outcomes.values()), preempted=preempted, output=output)

    def _unfinished(self, change: Change) -> bool:
        outcome = self.outcomes.get(change.id)
        return outcome is None or outcome.done not in (Done.APPLIED, Done.KEPT)

    def _stuck(self, change: Change, graph: Edges) -> None:
        """Changes that wait for one another are a bug, and no success."""
        error = RuntimeError(f"{change.id} waits for {', '.join(sorted(graph[change.id] - self.outcomes.keys()))}")
        self.outcomes[change.id] = self._bug(change, error)

    def _ended(self) -> dict[str, Done]:
        return {name: outcome.done for name, outcome in self.outcomes.items()}

    def _stopping(self) -> bool:
        try:
            self.patience.check()
        except TransientError:
            return True
        except GitopsdError:
            return False  # the deadline: each step reports it by itself
        return False

    def _skip(self, change: Change, failed: tuple[str, ...]) -> None:
        self.outcomes[change.id] = Outcome(
            id=change.id, done=Done.SKIPPED, action=change.action, why=change.why, held_by=failed
        )

    # --- one change, in a thread of the pool --------------------------------------------------------------

    def _attempt(self, change: Change) -> Outcome:
        """Tries a change as often as the policy allows transient failures; never raises for a failure."""
        started = self.site.world.clock.now()
        failures = 0
        while True:
            try:
                self.patience.check()
                outcome = self._do(change)
                break
            except TransientError as error:
                failures += 1
                if error.reason is Reason.PREEMPTED:
                    outcome = self._failure(change, error, Done.HELD)
                    break
                if failures > self.site.environment.policy.retries or not self._pause(failures, error):
                    outcome = self._failure(change, error, Done.FAILED)
                    break
            except GitopsdError as error:
                outcome = self._failure(change, error, Done.FAILED)
                break
            except Exception as error:
                outcome = self._bug(change, error)
                break
        outcome = replace(outcome, started_at=started, ended_at=self.site.world.clock.now())
        self.site.world.journal.step(self.site.environment.name, change.instruction, outcome.done.value)
        return outcome

    def _pause(self, failures: int, error: TransientError) -> bool:
        try:
            self.patience.sleep(RETRY.wait(failures, retry_after=error.retry_after))
        except GitopsdError:
            return False
        return True

    def _failure(self, change: Change, error: GitopsdError, done: Done) -> Outcome:
        secrets = self._known().secret_values()
        position = error.position or str(change.instruction.position)
        problem = Problem(
            stage="apply",
            reason=error.reason,
            message=masked(error.message, secrets),
            position=position,
            hint=masked(error.hint, secrets),
        )
        return Outcome(id=change.id, done=done, action=change.action, why=change.why, problem=problem)

    def _bug(self, change: Change, error: Exception) -> Outcome:
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
        text = masked(f"{type(error).__name__} at {where}: {error}", self._known().secret_values())
        problem = Problem(
            stage="apply",
            reason=Reason.BUG,
            message=f"this is a bug of gitopsd: {text}",
            position=str(change.instruction.position),
            hint="please report it with this line",
        )
        return Outcome(id=change.id, done=Done.FAILED, action=change.action, why=change.why, problem=problem)

    def _known(self) -> Known:
        return Known(site=self.site, reading=self.reading, steps=self.steps)

    def _do(self, change: Change) -> Outcome:
        self.site.world.journal.step(self.site.environment.name, change.instruction, change.action.value)
        if change.action is Action.DELETE:
            delete(change, self._known(), self.diff.plan)
            return Outcome(id=change.id, done=Done.APPLIED, action=change.action, why=change.why)
        known = self._known()
        inputs = known.inputs(change.instruction)
        settled = settle(change, inputs, self._incarnation(change), self.recorded)
        if settled.action is Action.KEEP:
            return self._keep(settled)
        text = ""
        if isinstance(settled.instruction.op, AddService):
            step = converge(settled, known, inputs, self.patience)
        elif isinstance(settled.instruction.op, (StartService, StopService, RemoveService)):
            step = move(settled, known, inputs, self.patience)
        else:
            step, text = perform(settled.instruction, known, inputs, self.patience)
        self.site.change(partial(finished, step=step))
        self.steps[change.id] = step
        return Outcome(id=change.id, done=Done.APPLIED, action=settled.action, why=settled.why, text=text)

    def _incarnation(self, change: Change) -> str:
        op = change.instruction.op
        life = life_of(op) if kind_of(op) in (Kind.ONE_SHOT, Kind.CAPTURE) else None
        return self.steps[life].incarnation if life in self.steps and life is not None else ""

    def _keep(self, change: Change) -> Outcome:
        """Records the step that holds: a recalled result takes the place of the current one."""
        if change.before is None:
            raise ValueError(f"{change.id}: kept without anything recorded")
        current = self.recorded.steps.get(change.id)
        if current is not change.before and current != change.before:
            self.site.change(partial(finished, step=change.before))
        self.steps[change.id] = change.before
        return Outcome(id=change.id, done=Done.KEPT, action=Action.KEEP, why=change.why)


def patience_of(site: Site, newer: Newer) -> Patience:
    """The patience of a run that starts now."""
    clock = site.world.clock
    return Patience(clock, clock.monotonic() + site.environment.policy.timeout, newer)

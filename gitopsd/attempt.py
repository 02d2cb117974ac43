"""One attempt of the page: what it works with, decides and remembers. The one place that sets verdicts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from gitopsd.apply import Site, apply
from gitopsd.compare import Facts, compare
from gitopsd.errors import PASSING, Reason, StepError, TransientError, UserError
from gitopsd.fetch import read_arguments
from gitopsd.kit.text import one_line
from gitopsd.model.diff import Diff
from gitopsd.model.environment import Commit, Environment, PrunePolicy, RollbackPolicy
from gitopsd.model.package import Lock, moves
from gitopsd.model.plan import Evaluation, Plan, Problem
from gitopsd.model.record import EARLIER_GOODS, LastGood, RecordedEnclave
from gitopsd.model.run import Applied, Condition, ConditionState, Run, Trigger, Verdict
from gitopsd.model.values import Frozen, Secret, refs_in
from gitopsd.ports import Backend, EvaluationRequest, Record
from gitopsd.report import Start, announce
from gitopsd.resolve import keep_present, resolve
from gitopsd.resolve.closure import desired
from gitopsd.world import World

HOLDING = (Reason.INTERRUPTED, Reason.RESULT_LOST)
"""Reasons that wait for a person instead of leading to a rollback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A dry run: what the package asks for, and what applying it would do (None when there is no plan)."""

    evaluation: Evaluation
    diff: Diff | None = None


def nothing_newer() -> str:
    """For runs that nobody pre-empts."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an attempt ended, before it becomes a run."""

    verdict: Verdict
    applied: Applied | None = None
    rollback: Applied | None = None
    restored: str = ""
    problems: tuple[Problem, ...] = ()
    superseded_by: str = ""


@dataclass(kw_only=True)
class Attempt:
    """One run in the making. Each verb gives an :class:`End`; :meth:`ended` makes it a run."""

    environment: Environment
    commit: Commit
    world: World
    trigger: Trigger
    preempt: Callable[[], str]

    def __post_init__(self) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.started_at = self.world.clock.now()

    # --- what it works with -------------------------------------------------------------------------------

    @property
    def backend(self) -> Backend:
        return self.world.backends[self.environment.backend]

    @property
    def record(self) -> Record:
        return self.world.records[self.environment.backend]

    def recorded(self) -> RecordedEnclave:
        return self.record.load(self.environment.enclave)

    def desired(self, lock: Lock) -> Evaluation:
        """The plan of the package at the commit, dependencies where the lock has them; no evaluation when nothing
        that it is a function of changed."""
        world = self.world
        if self.trigger is Trigger.UPDATE:
            lock = Lock()
        request = EvaluationRequest(
            package=resolve(self.environment, self.commit, world.git, world.evaluator, lock=lock),
            arguments=read_arguments(self.environment, self.commit, world.git, world.evaluator),
            cluster_type=self.backend.cluster_type,
            constants=world.constants,
        )
        return desired(request, self.environment, self.backend, world)

    def difference(self, plan: Plan, recorded: RecordedEnclave, *, back: bool = False) -> Diff:
        live = self.backend.observe(self.environment.enclave)
        policy = self.environment.policy
        if back and policy.prune is PrunePolicy.OFF:
            policy = replace(policy, prune=PrunePolicy.ON)  # live shall equal what was good
        secrets = self.world.secrets
        names = {ref.name for item in plan.instructions for ref in refs_in(item.op) if isinstance(ref, Secret)}
        digests = {n: secrets.keyed_digest(secrets.reveal(self.environment.name, n)) for n in sorted(names)}
        return compare(plan, recorded, live, policy, Facts(commit=self.commit.id, secrets=Frozen(digests)))

    def site(self, *, back: bool = False, commit: str = "") -> Site:
        world = self.world
        return Site(
            environment=self.environment,
            backend=self.backend,
            record=self.record,
            evaluator=world.evaluator,
            secrets=world.secrets,
            git=world.git,
            downloads=world.downloads,
            clock=world.clock,
            journal=world.journal,
            commit=commit or self.commit.id,
            rollback=back,
        )

    # --- the page -----------------------------------------------------------------------------------------

    def follow(self) -> End:
        recorded = self.recorded()
        if (held := self._held(recorded)) is not None:
            return held
        evaluation = self.desired(recorded.lock)
        plan = evaluation.plan
        if plan is None:
            return End(verdict=Verdict.INVALID, problems=evaluation.problems)
        if plan.digest in recorded.bad_plans and self.trigger is Trigger.COMMIT:
            message = "this plan failed before and was rolled back"
            return self._hold(Reason.BAD_PLAN, message, "push another plan, or try it again with `gitopsd sync`")
        return self.carry_out(evaluation, recorded)

    def _held(self, recorded: RecordedEnclave) -> End | None:
        if self.environment.policy.suspend and self.trigger not in (Trigger.SYNC, Trigger.UPDATE):
            return self._hold(Reason.SUSPENDED, "the environment is suspended", "resume it to follow commits again")
        if recorded.pinned == self.commit.id and self.trigger is Trigger.COMMIT:
            message = "a person rolled this commit back"
            return self._hold(Reason.SUSPENDED, message, "push a new commit, or apply it again with `gitopsd sync`")
        source, followed = self.environment.source, recorded.commit
        if self.trigger is Trigger.COMMIT and self.world.git.rewrote(source.url, followed, self.commit.id):
            message = f"{source.ref} was moved by force: {self.commit.short} does not descend from {followed[:7]}"
            return self._hold(Reason.HISTORY_REWRITTEN, message, "look at it, then follow it with `gitopsd sync`")
        return None

    def _hold(self, reason: Reason, message: str, hint: str) -> End:
        problem = Problem(stage="pipeline", reason=reason, message=message, hint=hint, severity="warning")
        return End(verdict=Verdict.HELD, problems=(problem,))

    def planned(self, evaluation: Evaluation, recorded: RecordedEnclave) -> Diff | None:
        """What an evaluation's plan would do, and the dependencies that it moves; None without a plan."""
        if evaluation.plan is None:
            return None
        return replace(self.difference(evaluation.plan, recorded), moved=moves(recorded.lock, evaluation.lock))

    def carry_out(self, evaluation: Evaluation, recorded: RecordedEnclave) -> End:
        diff = self.planned(evaluation, recorded)
        if diff is None:
            return End(verdict=Verdict.INVALID, problems=evaluation.problems)
        if (lost := diff.lost) and not diff.empty:
            return self._hold(Reason.RESULT_LOST, lost, "restore it, or run the step again by changing its text")
        if evaluation.lock != recorded.lock:
            self._save(recorded, lock=evaluation.lock)
        start = Start(run_id=self.id, environment=self.environment.name, commit=self.commit, diff=diff)
        announce(start, self.world.store, clock=self.world.clock, journal=self.world.journal)
        applied = apply(diff, self.site(), self.preempt)
        if applied.preempted:
            return End(verdict=Verdict.SUPERSEDED, applied=applied, superseded_by=self.preempt())
        if applied.ok:
            self._remember(diff.plan)
            return End(verdict=Verdict.NOOP if diff.empty else Verdict.SUCCEEDED, applied=applied)
        return self._failed(diff, applied)

    def _failed(self, diff: Diff, applied: Applied) -> End:
        problems = tuple(item.problem for item in applied.failed if item.problem)
        if any(problem.reason in HOLDING for problem in problems):
            return End(verdict=Verdict.HELD, applied=applied, problems=problems)
        if self.trigger is Trigger.DRIFT or all(problem.reason in PASSING for problem in problems):
            return End(verdict=Verdict.FAILED, applied=applied, problems=problems)
        recorded = self.recorded()
        self._save(recorded, bad_plans=(diff.plan_digest,), commit=self.commit.id)
        good = recorded.last_good
        if self.environment.policy.rollback is RollbackPolicy.NONE or good is None:
            return End(verdict=Verdict.FAILED, applied=applied, problems=problems)
        back = self._back_to(good)
        verdict = Verdict.ROLLED_BACK if back.ok else Verdict.ROLLBACK_FAILED
        more = tuple(item.problem for item in back.failed if item.problem)
        return End(verdict=verdict, applied=applied, rollback=back, restored=good.commit, problems=(*problems, *more))

    def _back_to(self, good: LastGood) -> Applied:
        """Compares with the last good plan and applies that: the same two stages as any other run."""
        recorded = self.recorded()
        self._save(recorded, lock=recorded.lock.with_(good.lock))
        keep_present(good.lock, self.environment, self.world.git)
        recorded = replace(recorded, commit=good.commit)
        attempt = replace_commit(self, good.commit)
        diff = attempt.difference(good.plan, recorded, back=True)
        return apply(diff, self.site(back=True, commit=good.commit), nothing_newer)

    def check(self) -> End:
        recorded = self.recorded()
        if recorded.last_good is None or recorded.last_good.commit != self.commit.id:
            return End(verdict=Verdict.NOOP)
        diff = self.difference(recorded.last_good.plan, recorded)
        if diff.empty:
            return End(verdict=Verdict.NOOP, applied=Applied(diff=diff))
        applied = apply(diff, self.site(), self.preempt)
        problems = tuple(item.problem for item in applied.failed if item.problem)
        if applied.preempted:
            return End(verdict=Verdict.SUPERSEDED, applied=applied, superseded_by=self.preempt())
        return End(verdict=Verdict.SUCCEEDED if applied.ok else Verdict.FAILED, applied=applied, problems=problems)

    def go_back(self) -> End:
        """To the newest good plan that is not the one of the recorded commit."""
        recorded = self.recorded()
        goods = (*((recorded.last_good,) if recorded.last_good else ()), *recorded.earlier)
        older = [index for index, good in enumerate(goods) if good.commit != recorded.commit]
        if not older:
            return self._hold(Reason.ROLLBACK_FAILED, "there is no good plan to go back to", "push a fix")
        good = goods[older[0]]
        back = self._back_to(good)
        problems = tuple(item.problem for item in back.failed if item.problem)
        if not back.ok:
            return End(verdict=Verdict.ROLLBACK_FAILED, rollback=back, restored=good.commit, problems=problems)
        serials = self._serials()
        self._save(
            self.recorded(),
            pinned=recorded.commit,
            commit=good.commit,
            plan_digest=good.plan.digest,
            last_good=replace(good, serials=serials),
            earlier=goods[older[0] + 1 :],
        )
        return End(verdict=Verdict.ROLLED_BACK, rollback=back, restored=good.commit)

    # --- what is remembered -------------------------------------------------------------------------------

    def _remember(self, plan: Plan) -> None:
        """A plan that was applied whole is the last good one, with the results that it has."""
        recorded = self.recorded()
        if (
            recorded.last_good is not None
            and recorded.last_good.commit == self.commit.id
            and recorded.commit == self.commit.id
            and recorded.last_good.plan.digest == plan.digest
            and recorded.last_good.lock == recorded.lock
            and not recorded.bad_plans
            and not recorded.pinned
        ):
            return
        good = LastGood(
            commit=self.commit.id,
            plan=plan,
            serials=self._serials(),
            when=self.world.clock.now(),
            lock=recorded.lock,
        )
        earlier = recorded.earlier
        if recorded.last_good is not None and recorded.last_good.plan.digest != plan.digest:
            earlier = (recorded.last_good, *earlier)[:EARLIER_GOODS]
        self._save(
            recorded,
            commit=self.commit.id,
            plan_digest=plan.digest,
            last_good=good,
            earlier=earlier,
            bad_plans=(),
            pinned="",
        )

    def _serials(self) -> Frozen[str]:
        return Frozen({item: step.serial for item, step in self.recorded().steps.items()})

    def _save(self, recorded: RecordedEnclave, **changes: object) -> None:
        head = replace(recorded, environment=self.environment.name, **changes)  # type: ignore[arg-type]
        self.record.save_head(self.environment.enclave, head)

    # --- the end ------------------------------------------------------------------------------------------

    def guarded(self, verb: Callable[[], End]) -> End:
        """An error outside of ``apply`` is a verdict as well; nothing that was live has been touched by it."""
        try:
            return verb()
        except (UserError, StepError) as error:
            return End(verdict=Verdict.INVALID, problems=(Problem.of(error, "pipeline"),))
        except TransientError as error:
            return End(verdict=Verdict.FAILED, problems=(Problem.of(error, "pipeline"),))

    def ended(self, end: End) -> Run:
        """The run, kept in the store, and the condition that follows from it."""
        run = Run(
            id=self.id,
            environment=self.environment.name,
            commit=self.commit,
            trigger=self.trigger,
            verdict=end.verdict,
            applied=end.applied,
            rollback=end.rollback,
            restored=end.restored,
            problems=end.problems,
            superseded_by=end.superseded_by,
            started_at=self.started_at,
            ended_at=self.world.clock.now(),
        )
        if not (run.verdict is Verdict.NOOP and run.trigger is Trigger.DRIFT):
            self.world.store.save_run(run)
        self._set_condition(run)
        return run

    def _set_condition(self, run: Run) -> None:
        state = _CONDITIONS.get(run.verdict)
        before = self.world.store.condition(run.environment)
        waiting = before is not None and before.state is ConditionState.HELD and run.trigger is Trigger.DRIFT
        if state is None or (waiting and state is ConditionState.READY):
            return
        if run.problems and run.problems[0].reason is Reason.SUSPENDED and self.environment.policy.suspend:
            state = ConditionState.SUSPENDED
        message = one_line(run.problems[0].message, limit=300) if run.problems else ""
        since = before.since if before and before.state is state else run.ended_at
        now = Condition(environment=run.environment, state=state, message=message, commit=self.commit.id, since=since)
        if now != before:
            self.world.store.save_condition(now)


_CONDITIONS = {
    Verdict.NOOP: ConditionState.READY,
    Verdict.SUCCEEDED: ConditionState.READY,
    Verdict.FAILED: ConditionState.DEGRADED,
    Verdict.INVALID: ConditionState.DEGRADED,
    Verdict.ROLLED_BACK: ConditionState.HELD,
    Verdict.ROLLBACK_FAILED: ConditionState.DEGRADED,
    Verdict.HELD: ConditionState.HELD,
}


def replace_commit(attempt: Attempt, commit: str) -> Attempt:
    """The same attempt for another commit."""
    return Attempt(
        environment=attempt.environment,
        commit=replace(attempt.commit, id=commit),
        world=attempt.world,
        trigger=attempt.trigger,
        preempt=attempt.preempt,
    )

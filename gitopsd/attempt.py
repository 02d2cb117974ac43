"""One attempt of the page: what it works with, decides and remembers. The one place that sets verdicts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from gitopsd.apply import Site, apply, secret_digests
from gitopsd.compare import Facts, compare
from gitopsd.errors import PASSING, Reason, StepError, TransientError, UserError
from gitopsd.fetch import read_arguments
from gitopsd.model.diff import Action, Diff
from gitopsd.model.environment import Commit, Environment, InterruptedPolicy, PrunePolicy, RollbackPolicy
from gitopsd.model.package import EvaluationRequest, Lock, moves
from gitopsd.model.plan import Evaluation, Plan, Problem
from gitopsd.model.record import EARLIER_GOODS, SCHEME, STUCK, LastGood, RecordedEnclave
from gitopsd.model.run import Applied, Run, Trigger, Verdict, condition_after
from gitopsd.model.values import Frozen
from gitopsd.ports import Backend, Record
from gitopsd.report import Start, announce
from gitopsd.resolve import keep_present, resolve
from gitopsd.resolve.closure import desired
from gitopsd.world import World

HOLDING = (Reason.INTERRUPTED, Reason.RESULT_LOST)
"""Reasons that wait for a person instead of leading to a rollback."""
PERSONAL = (Trigger.SYNC, Trigger.UPDATE)
"""Runs that a person asked for: they try again what is held."""


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
        return self.world.backend_of(self.environment)

    @property
    def record(self) -> Record:
        return self.world.record_of(self.environment)

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

    def difference(self, plan: Plan, recorded: RecordedEnclave, *, good: LastGood | None = None) -> Diff:
        """What separates the enclave from a plan; from that of a good one on the way back to it."""
        live = self.backend.observe(self.environment.enclave)
        policy = self.environment.policy
        digests = secret_digests(plan, recorded, self.world.secrets, self.environment.name)
        facts = Facts(commit=self.commit.id, secrets=digests)
        if good is None or policy.prune is not PrunePolicy.OFF:
            return compare(plan, recorded, live, policy, facts)
        # live shall equal what was good: what came since goes, what had been left alone before is left alone
        diff = compare(plan, recorded, live, replace(policy, prune=PrunePolicy.ON), facts)
        return diff.without({c.id for c in diff.changes if c.action is Action.DELETE and c.id in good.serials})

    def site(self, *, back: bool = False, commit: str = "") -> Site:
        world, environment = self.world, self.environment
        if self.trigger in PERSONAL:  # whoever asks has decided
            policy = replace(environment.policy, interrupted=InterruptedPolicy.RERUN)
            environment = replace(environment, policy=policy)
        return Site(
            environment=environment,
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
        if (plan := evaluation.plan) is None:
            return End(verdict=Verdict.INVALID, problems=evaluation.problems)
        if recorded.bad_plans and plan.digest in recorded.bad_plans and self.trigger not in PERSONAL:
            good = recorded.last_good
            if good is not None and recorded.unfinished == good.plan.digest:
                return self._return(good, End(verdict=Verdict.ROLLED_BACK))  # that was interrupted
            message = "this plan failed before and is not tried again by itself"
            return self._hold(Reason.BAD_PLAN, message, "push another plan, or try it again with `gitopsd sync`")
        return self.carry_out(evaluation, recorded)

    def _held(self, recorded: RecordedEnclave) -> End | None:
        if self.environment.policy.suspend and self.trigger not in PERSONAL:
            return self._hold(Reason.SUSPENDED, "the environment is suspended", "resume it to follow commits again")
        if recorded.pinned == self.commit.id and self.trigger not in PERSONAL:
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
        if (diff := self.planned(evaluation, recorded)) is None:
            return End(verdict=Verdict.INVALID, problems=evaluation.problems)
        if (lost := diff.lost) and not diff.empty:
            return self._hold(Reason.RESULT_LOST, lost, "restore it, or run the step again by changing its text")
        begun = recorded.unfinished if diff.empty else diff.plan_digest
        if (evaluation.lock, begun) != (recorded.lock, recorded.unfinished):
            self._save(recorded, lock=evaluation.lock, unfinished=begun)
        start = Start(run_id=self.id, environment=self.environment.name, commit=self.commit, diff=diff)
        announce(start, self.world.store, clock=self.world.clock, journal=self.world.journal)
        applied = apply(diff, self.site(), self.preempt)
        if applied.preempted:
            return End(verdict=Verdict.SUPERSEDED, applied=applied, superseded_by=self.preempt())
        if applied.ok:
            self._remember(diff)
            return End(verdict=Verdict.NOOP if diff.empty else Verdict.SUCCEEDED, applied=applied)
        return self._failed(diff, applied, evaluation)

    def _failed(self, diff: Diff, applied: Applied, evaluation: Evaluation) -> End:
        problems = tuple(item.problem for item in applied.failed if item.problem)
        if any(problem.reason in HOLDING for problem in problems):
            return End(verdict=Verdict.HELD, applied=applied, problems=problems)
        if self.trigger is Trigger.DRIFT or all(problem.reason in PASSING for problem in problems):
            return End(verdict=Verdict.FAILED, applied=applied, problems=problems)
        recorded, failed = self.recorded(), End(verdict=Verdict.FAILED, applied=applied, problems=problems)
        good = recorded.last_good
        if good is not None and good.plan.digest == diff.plan_digest:
            return failed  # there is nothing else to go back to, and the plan is not what is bad
        asked = (evaluation.plan or diff.plan).digest
        if self.environment.policy.rollback is RollbackPolicy.NONE:
            good = None
        unfinished = good.plan.digest if good else recorded.unfinished
        self._save(recorded, bad_plans=(asked,), commit=self.commit.id, unfinished=unfinished)
        return self._return(good, failed) if good else failed

    def _return(self, good: LastGood, failed: End) -> End:
        """The way back after a failure; one that fails stops, and nothing but a new commit or a person goes on."""
        back = self._back_to(good)
        self._save(self.recorded(), unfinished="" if back.ok else STUCK)
        more = tuple(item.problem for item in back.failed if item.problem)
        return replace(
            failed,
            verdict=Verdict.ROLLED_BACK if back.ok else Verdict.ROLLBACK_FAILED,
            rollback=back,
            restored=good.commit,
            problems=(*failed.problems, *more),
        )

    def _back_to(self, good: LastGood) -> Applied:
        """Compares with the last good plan and applies that: the same two stages as any other run."""
        recorded = self.recorded()
        self._save(recorded, lock=recorded.lock.with_(good.lock))
        keep_present(good.lock, self.environment, self.world.git)
        recorded = replace(recorded, commit=good.commit)
        attempt = replace(self, commit=replace(self.commit, id=good.commit))
        diff = attempt.difference(good.plan, recorded, good=good)
        return apply(diff, self.site(back=True, commit=good.commit), nothing_newer)

    def check(self) -> End:
        recorded = self.recorded()
        good = recorded.last_good
        if good is None or good.commit != self.commit.id:
            return End(verdict=Verdict.NOOP)
        if recorded.unfinished and recorded.unfinished != good.plan.digest:
            return End(verdict=Verdict.NOOP)  # half-way to another plan, on purpose: nothing here is drift
        returns = bool(recorded.unfinished)
        diff = self.difference(good.plan, recorded, good=good if returns else None)
        applied = apply(diff, self.site(back=returns), self.preempt)
        problems = tuple(item.problem for item in applied.failed if item.problem)
        if applied.preempted:
            return End(verdict=Verdict.SUPERSEDED, applied=applied, superseded_by=self.preempt())
        if not applied.ok:
            return End(verdict=Verdict.FAILED, applied=applied, problems=problems)
        self._adopt(diff, recorded)
        if returns or not diff.empty:
            self._save(self.recorded(), unfinished="", last_good=replace(good, serials=self._serials()))
        return End(verdict=Verdict.NOOP if diff.empty else Verdict.SUCCEEDED, applied=applied)

    def go_back(self) -> End:
        """To the newest good plan that is not the one of the recorded commit."""
        recorded = self.recorded()
        goods = (*((recorded.last_good,) if recorded.last_good else ()), *recorded.earlier)
        older = [index for index, good in enumerate(goods) if good.commit != recorded.commit]
        if not older:
            return self._hold(Reason.ROLLBACK_FAILED, "there is no good plan to go back to", "push a fix")
        good = goods[older[0]]
        again = recorded.pinned and recorded.last_good and recorded.commit == recorded.last_good.commit
        pinned = recorded.pinned if again else recorded.commit  # the newest commit, also further back
        self._save(recorded, pinned=pinned, unfinished=good.plan.digest)
        end = self._return(good, End(verdict=Verdict.ROLLED_BACK))
        if end.verdict is Verdict.ROLLED_BACK:
            self._save(
                self.recorded(),
                commit=good.commit,
                plan_digest=good.plan.digest,
                last_good=replace(good, serials=self._serials()),
                earlier=goods[older[0] + 1 :],
            )
        return end

    # --- what is remembered -------------------------------------------------------------------------------

    def _remember(self, diff: Diff) -> None:
        """A plan that was applied whole is the last good one, with the results that it has."""
        recorded, plan, digest = self.recorded(), diff.plan, diff.plan_digest
        self._adopt(diff, recorded)
        before, serials = recorded.last_good, self._serials()
        if (
            before is not None
            and recorded.plan_digest == digest
            and (before.commit, recorded.commit) == (self.commit.id, self.commit.id)
            and (before.lock, before.serials) == (recorded.lock, serials)
            and not (recorded.bad_plans or recorded.pinned or recorded.unfinished)
        ):
            return
        when, lock = self.world.clock.now(), recorded.lock
        good = LastGood(commit=self.commit.id, plan=plan, serials=serials, when=when, lock=lock)
        earlier = recorded.earlier
        if before is not None and recorded.plan_digest != digest:
            earlier = (before, *earlier)[:EARLIER_GOODS]
        self._save(
            recorded,
            commit=self.commit.id,
            plan_digest=digest,
            last_good=good,
            earlier=earlier,
            bad_plans=(),
            pinned="",
            unfinished="",
            scheme=SCHEME,
        )

    def _adopt(self, diff: Diff, recorded: RecordedEnclave) -> None:
        """Takes the steps of an older release over as this one writes them."""
        if recorded.scheme >= SCHEME or not diff.empty:
            return
        for change in diff.changes:
            if change.before is not None and change.after is not None:
                self.record.finish(self.environment.enclave, replace(change.before, instruction=change.after))
        self._save(self.recorded(), scheme=SCHEME)

    def _serials(self) -> Frozen[str]:
        return Frozen({item: step.serial for item, step in self.recorded().steps.items()})

    def _save(self, recorded: RecordedEnclave, **changes: object) -> None:
        head = replace(recorded, environment=self.environment.name, **changes)  # type: ignore[arg-type]
        self.record.save_head(self.environment.enclave, head)

    def guarded(self, verb: Callable[[], End]) -> End:
        """An error outside of ``apply`` is a verdict as well; nothing that was live has been touched by it."""
        try:
            return verb()
        except (UserError, StepError) as error:
            return End(verdict=Verdict.INVALID, problems=(Problem.of(error, "pipeline", self.environment.position),))
        except TransientError as error:
            return End(verdict=Verdict.FAILED, problems=(Problem.of(error, "pipeline"),))

    def ended(self, end: End) -> Run:
        """The run, kept in the store, and the condition that follows from it."""
        well = end.applied is not None and end.verdict in (Verdict.NOOP, Verdict.SUCCEEDED)
        run = Run(
            id=self.id, environment=self.environment.name, commit=self.commit, trigger=self.trigger,
            verdict=end.verdict, applied=end.applied, rollback=end.rollback, restored=end.restored,
            problems=end.applied.crashed if end.applied and well else end.problems,
            superseded_by=end.superseded_by, started_at=self.started_at, ended_at=self.world.clock.now(),
        )  # fmt: skip
        store = self.world.store
        before = store.condition(run.environment)
        now = condition_after(run, before, suspended=self.environment.policy.suspend)
        turned = before is not None and now is not None and before.state is not now.state
        if turned or not (run.verdict is Verdict.NOOP and run.trigger is Trigger.DRIFT):
            store.save_run(run)
        if now is not None and now != before:
            store.save_condition(now)
        for problem in run.problems if turned and well else ():
            self.world.journal.problem(run.environment, problem)
        return run

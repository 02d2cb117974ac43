"""A devnet in memory: plans written by hand, compared and applied by the real stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from gitopsd.adapters.memory import Fuse, MemoryBackend
from gitopsd.apply import apply
from gitopsd.compare import Facts, compare
from gitopsd.model import head as heads
from gitopsd.model.diff import Diff
from gitopsd.model.environment import Commit, Environment, Policy, Source
from gitopsd.model.head import Head, LastGood
from gitopsd.model.plan import Plan
from gitopsd.model.record import Intent, Recorded, Step, finished, headed, intended
from gitopsd.model.run import Applied, Follow
from gitopsd.model.values import Frozen
from gitopsd.session import Session, Sessions
from gitopsd.world import Site, World, nothing_newer
from tests.stage import records
from tests.stage.ports import BoundSecrets, NoHeads, PlainEvaluator, Silence, SteppingClock, Uploads

ENCLAVE = "devnet"


@dataclass
class Devnet:
    """One enclave in memory and the stages that work on it."""

    fuse: Fuse = field(default_factory=Fuse)
    policy: Policy = Policy()
    secrets: BoundSecrets = field(default_factory=BoundSecrets)
    uploads: Uploads = field(default_factory=Uploads)

    def __post_init__(self) -> None:
        self.backend = MemoryBackend(fuse=self.fuse)
        self.record = records.in_memory(self.fuse)
        self.clock = SteppingClock()

    @property
    def recorded(self) -> Recorded:
        kept = self.record.read(ENCLAVE)
        return Recorded() if kept is None else kept.recorded

    def facts(self, commit: str) -> Facts:
        return Facts(
            commit=commit, secrets=Frozen({n: self.secrets.keyed_digest(v) for n, v in self.secrets.values.items()})
        )

    def compare(self, plan: Plan, commit: str = "c1") -> Diff:
        return compare(plan, self.recorded, self.backend.observe(ENCLAVE), self.policy, self.facts(commit))

    def apply(self, diff: Diff, commit: str = "c1", *, rollback: bool = False) -> Applied:
        return apply(diff, self.site(commit, rollback=rollback), nothing_newer)

    def site(self, commit: str, *, rollback: bool = False) -> Site:
        source = Source(name="repo", url="https://example.invalid/repo")
        environment = Environment(name="dev", source=source, package=".", enclave=ENCLAVE, policy=self.policy)
        world = World(
            git=self.uploads,  # type: ignore[arg-type]  # only files() is reached here
            downloads=self.uploads,  # type: ignore[arg-type]
            evaluator=PlainEvaluator(),
            backends={"local": self.backend},
            records={"local": Sessions(self.record, writer="a process of its own")},
            heads=NoHeads(),
            store=None,  # type: ignore[arg-type]  # no run ends here, only applies
            reports=None,  # type: ignore[arg-type]
            secrets=self.secrets,
            clock=self.clock,
            journal=Silence(),
        )
        made = Commit(url=source.url, ref=source.ref, id=commit)
        site = world.site(Follow(environment=environment, commit=made))
        return site.returning(commit) if rollback else site

    def deploy(self, plan: Plan, commit: str = "c1") -> Applied:
        """Compares and applies; a whole apply becomes the last good one, as in a run."""
        diff = self.compare(plan, commit)
        applied = self.apply(diff, commit)
        if applied.ok:
            self.remember(diff.plan, commit)
        return applied

    def remember(self, plan: Plan, commit: str) -> None:
        good = LastGood(commit=commit, plan=plan, digest=plan.digest, serials=self.recorded.serials)
        self.amend(partial(heads.achieved, good=good))

    def session(self) -> Session:
        """The record in the hands of another process."""
        return Sessions(self.record, writer="another").open(ENCLAVE)

    def amend(self, change: Callable[[Head], Head]) -> None:
        """Changes the head."""
        self.session().change(partial(headed, change=change))

    def keep_begun(self, intent: Intent) -> None:
        """Records that a step was begun."""
        self.session().change(partial(intended, intent=intent))

    def keep_finished(self, step: Step) -> None:
        """Records a finished step."""
        self.session().change(partial(finished, step=step))

    def go_back(self) -> Applied:
        good = self.recorded.head.good
        assert good is not None
        return self.apply(self.compare(good.plan, good.commit), good.commit, rollback=True)

    def effects_since(self, mark: int, *verbs: str) -> list[tuple[str, str]]:
        return [effect for effect in self.backend.effects[mark:] if not verbs or effect[0] in verbs]


def lines_of(diff: Diff) -> list[str]:
    """A diff as short lines: action, id, why, and the fields that differ."""
    lines = []
    for change in diff.changes:
        fields = ", ".join(item.path + ("" if item.known else " (known after apply)") for item in change.fields)
        why = f" ({change.why})" if change.why else ""
        lines.append(f"{change.action:<8} {change.id}{why}" + (f": {fields}" if fields else ""))
    lines += [f"drift    {item.service} ({item.why}): {item.detail}" for item in diff.drift]
    return lines

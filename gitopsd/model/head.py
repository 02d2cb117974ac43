"""The head of an environment's record: what it follows, how far it came, and what it can go back to.

Every transition is a pure function from a head to a head. They are the only way in which a head changes; who decides
when is ``decide``, and a session writes what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from gitopsd.model.package import Lock
from gitopsd.model.plan import Plan
from gitopsd.model.values import Frozen

SCHEME = 2
"""Number of the record's format. Newer releases read older numbers; older releases refuse newer ones."""

EARLIER_GOODS = 4
"""Good plans before the last one that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastGood:
    """The last plan that was applied whole. ``serials`` are those of its steps, by id: their results are kept for a
    way back as long as this is the last good plan. Sources are pinned inside the plan's ops; ``lock`` is what later
    plans go on with after a way back. ``digest`` is the plan's, kept because it takes long to make."""

    commit: str
    plan: Plan
    digest: str
    serials: Frozen[str] = Frozen()
    when: datetime | None = None
    lock: Lock = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """No plan is half-way: what differs from the last good plan is drift."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Under:
    """A plan was begun and has not come to its end. ``plan`` is its digest."""

    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Returning:
    """On the way back to the good plan with this digest."""

    good: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """The way back to this good plan failed: the enclave is as no plan describes it, until a person or a commit
    moves it on."""

    good: str


Course = Settled | Under | Returning | Stuck


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """Why an environment is left alone: ``suspended`` or ``destroyed``, by whom, since when, and until when (None:
    until a person resumes it)."""

    reason: str
    by: str
    since: datetime | None = None
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether its time is not over."""
        return self.until is None or now < self.until

    def __str__(self) -> str:
        return f"{self.reason} by {self.by}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where an environment stands with its enclave.

    ``commit`` is the newest commit whose plan was applied, or failed; ``announced`` the last commit that people were
    told ``pending`` of. ``earlier`` are the good plans before the last one, newest first. ``bad_plans`` are
    digests of plans whose apply failed. ``pinned`` is a commit that a person rolled back, until a new commit or
    ``sync``. ``lock`` holds the dependencies of the plan that was evaluated last.
    """

    environment: str = ""
    repository: str = ""
    commit: str = ""
    announced: str = ""
    course: Course = Settled()
    suspended: Suspension | None = None
    good: LastGood | None = None
    earlier: tuple[LastGood, ...] = ()
    bad_plans: tuple[str, ...] = ()
    pinned: str = ""
    lock: Lock = Lock()
    scheme: int = SCHEME

    @property
    def goods(self) -> tuple[LastGood, ...]:
        """Every good plan, newest first."""
        return ((self.good,) if self.good is not None else ()) + self.earlier

    def suspension(self, now: datetime) -> Suspension | None:
        """The suspension that holds now."""
        return self.suspended if self.suspended is not None and self.suspended.holds(now) else None


# --- forward ------------------------------------------------------------------------------------------------


def named(head: Head, *, environment: str, repository: str) -> Head:
    """The environment whose head it is, as it is called now."""
    return replace(head, environment=environment, repository=repository)


def announced(head: Head, commit: str) -> Head:
    """People were told that ``commit`` is pending."""
    return replace(head, announced=commit)


def locked(head: Head, lock: Lock) -> Head:
    """A plan was evaluated with these dependencies."""
    return replace(head, lock=lock)


def begun(head: Head, plan: str) -> Head:
    """The first change of a plan (its digest) is about to be made."""
    return replace(head, course=Under(plan=plan))


def achieved(head: Head, good: LastGood) -> Head:
    """A plan was applied whole: it is the last good one, and nothing is held against it or its commit."""
    before = head.good
    another = before is not None and before.digest != good.digest
    earlier = (before, *head.earlier)[:EARLIER_GOODS] if before is not None and another else head.earlier
    return replace(
        head, commit=good.commit, good=good, earlier=earlier, course=Settled(), bad_plans=(), pinned="", scheme=SCHEME
    )


def healed(head: Head, serials: Frozen[str]) -> Head:
    """The last good plan is live again; ``serials`` are those of its steps now."""
    good = None if head.good is None else replace(head.good, serials=serials)
    return replace(head, course=Settled(), good=good)


def adopted(head: Head) -> Head:
    """A record of an older release was taken over as this one writes it."""
    return replace(head, scheme=SCHEME)


# --- back ---------------------------------------------------------------------------------------------------


def failed(head: Head, *, commit: str, plan: str, back_to: LastGood | None) -> Head:
    """The plan (its digest) of a commit failed; ``back_to``: the enclave is about to return to that."""
    course = head.course if back_to is None else Returning(good=back_to.digest)
    return replace(head, commit=commit, bad_plans=(plan,), course=course)


def recalled(head: Head, good: LastGood) -> Head:
    """A person asked for an earlier good plan: the commit that is left stays pinned, also further back."""
    again = head.pinned and head.good is not None and head.commit == head.good.commit
    return replace(head, pinned=head.pinned if again else head.commit, course=Returning(good=good.digest))


def returning(head: Head, good: LastGood) -> Head:
    """The way back begins: later plans go on with the dependencies of then."""
    return replace(head, lock=head.lock.with_(good.lock))


def returned(head: Head, good: LastGood, *, well: bool) -> Head:
    """The way back came to its end."""
    return replace(head, course=Settled() if well else Stuck(good=good.digest))


def restored(head: Head, good: LastGood, serials: Frozen[str]) -> Head:
    """What a person asked for is live: it is the last good plan now, and what was newer is no good plan any more."""
    later = [index for index, item in enumerate(head.goods) if item is good or item == good]
    earlier = head.goods[later[0] + 1 :] if later else head.earlier
    return replace(head, commit=good.commit, good=replace(good, serials=serials), earlier=earlier)


# --- left alone ---------------------------------------------------------------------------------------------


def suspended(head: Head, suspension: Suspension) -> Head:
    """Nothing is done by itself any more."""
    return replace(head, suspended=suspension)


def resumed(head: Head) -> Head:
    """It follows commits again."""
    return replace(head, suspended=None)


def joined(head: Head, kept: Head | None) -> Head:
    """A record's head with what the daemon kept of the same environment: a suspension, a commit that was announced."""
    if kept is None:
        return head
    return replace(head, suspended=head.suspended or kept.suspended, announced=head.announced or kept.announced)

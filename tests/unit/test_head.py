"""Transitions of a head and of a record: from, what, to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from gitopsd.model import head as model
from gitopsd.model.head import EARLIER_GOODS, SCHEME, Head, LastGood, Returning, Stuck, Suspension, Under
from gitopsd.model.ops import AddService, Exec
from gitopsd.model.package import Lock, Pin
from gitopsd.model.parts import ExecRecipe, Image, ServiceSpec
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.record import PAST_RESULTS, Intent, Recorded, Step, finished, forgotten, headed, intended, kept_past
from gitopsd.model.values import Frozen

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SUSPENDED = Suspension(reason="suspended", by="a person")
UNTIL_NOON = replace(SUSPENDED, until=NOON)


def lock(**commits: str) -> Lock:
    return Lock(pins=tuple(Pin(root=root, ref="", url=root, commit=commit) for root, commit in commits.items()))


def good(name: str, **changes: object) -> LastGood:
    plan = Plan(package_digest="p", args_digest=name)
    return replace(LastGood(commit=f"commit {name}", plan=plan, digest=name), **changes)  # type: ignore[arg-type]


A, B, C = good("a"), good("b"), good("c", lock=lock(one="1"))
AT_B = Head(environment="dev", commit=B.commit, good=B, earlier=(A,), lock=lock(one="0", two="0"))
UNDER = replace(AT_B, course=Under(plan="c"), commit="commit c", bad_plans=("c",), pinned="commit x", scheme=1)

TRANSITIONS: dict[str, tuple[Head, Callable[[Head], Head], Head]] = {
    "named": (
        AT_B,
        partial(model.named, environment="prod", repository="url"),
        replace(AT_B, environment="prod", repository="url"),
    ),
    "announced": (AT_B, partial(model.announced, commit="c"), replace(AT_B, announced="c")),
    "announced to its end": (replace(AT_B, announced="c"), partial(model.announced, commit=""), AT_B),
    "locked": (AT_B, partial(model.locked, lock=lock(two="2")), replace(AT_B, lock=lock(two="2"))),
    "begun": (AT_B, partial(model.begun, plan="c"), replace(AT_B, course=Under(plan="c"))),
    "achieved the first time": (
        replace(Head(), course=Under(plan="a")),
        partial(model.achieved, good=A),
        Head(commit="commit a", good=A),
    ),
    "achieved another plan": (
        UNDER,
        partial(model.achieved, good=C),
        replace(AT_B, commit="commit c", good=C, earlier=(B, A)),
    ),
    "achieved the same plan at another commit": (
        UNDER,
        partial(model.achieved, good=replace(B, commit="later")),
        replace(AT_B, commit="later", good=replace(B, commit="later")),
    ),
    "healed": (
        replace(AT_B, course=Stuck(good="b")),
        partial(model.healed, serials=Frozen({"x": "2"})),
        replace(AT_B, good=replace(B, serials=Frozen({"x": "2"}))),
    ),
    "healed without a good plan": (
        Head(course=Under(plan="a")),
        partial(model.healed, serials=Frozen({"x": "2"})),
        Head(),
    ),
    "adopted": (replace(AT_B, scheme=1), model.adopted, replace(AT_B, scheme=SCHEME)),
    "failed with a way back": (
        replace(AT_B, course=Under(plan="c")),
        partial(model.failed, commit="commit c", plan="c", back_to=B),
        replace(AT_B, course=Returning(good="b"), commit="commit c", bad_plans=("c",)),
    ),
    "failed without": (
        replace(AT_B, course=Under(plan="c"), bad_plans=("x",)),
        partial(model.failed, commit="commit c", plan="c", back_to=None),
        replace(AT_B, course=Under(plan="c"), commit="commit c", bad_plans=("c",)),
    ),
    "recalled": (
        AT_B,
        partial(model.recalled, good=A),
        replace(AT_B, course=Returning(good="a"), pinned="commit b"),
    ),
    "recalled further back": (
        replace(AT_B, pinned="commit c"),
        partial(model.recalled, good=A),
        replace(AT_B, course=Returning(good="a"), pinned="commit c"),
    ),
    "recalled after a new commit": (
        replace(AT_B, pinned="commit x", commit="commit c"),
        partial(model.recalled, good=B),
        replace(AT_B, course=Returning(good="b"), pinned="commit c", commit="commit c"),
    ),
    "returning": (AT_B, partial(model.returning, good=C), replace(AT_B, lock=lock(one="1", two="0"))),
    "returned well": (replace(AT_B, course=Returning(good="b")), partial(model.returned, good=B, well=True), AT_B),
    "returned badly": (
        replace(AT_B, course=Returning(good="b")),
        partial(model.returned, good=B, well=False),
        replace(AT_B, course=Stuck(good="b")),
    ),
    "restored": (
        replace(AT_B, good=C, earlier=(B, A), commit="commit c"),
        partial(model.restored, good=B, serials=Frozen({"x": "2"})),
        replace(AT_B, good=replace(B, serials=Frozen({"x": "2"}))),
    ),
    "restored to what was forgotten": (
        AT_B,
        partial(model.restored, good=C, serials=C.serials),
        replace(AT_B, good=C, commit="commit c"),
    ),
    "suspended": (AT_B, partial(model.suspended, suspension=SUSPENDED), replace(AT_B, suspended=SUSPENDED)),
    "resumed": (replace(AT_B, suspended=SUSPENDED), model.resumed, AT_B),
    "joined with nothing": (AT_B, partial(model.joined, kept=None), AT_B),
    "joined with a suspension": (
        AT_B,
        partial(model.joined, kept=Head(suspended=SUSPENDED, announced="c", commit="x")),
        replace(AT_B, suspended=SUSPENDED, announced="c"),
    ),
    "joined with less": (
        replace(AT_B, suspended=UNTIL_NOON, announced="b"),
        partial(model.joined, kept=Head(suspended=SUSPENDED, announced="c")),
        replace(AT_B, suspended=UNTIL_NOON, announced="b"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSITIONS)
def test_a_head_that_is(name: str) -> None:
    before, change, after = TRANSITIONS[name]
    assert change(before) == after


def test_good_plans_are_kept_newest_first_and_some_of_them() -> None:
    head = Head()
    for name in "abcdefgh":
        head = model.achieved(head, good(name))
    assert [item.digest for item in head.goods] == list("hgfed")
    assert len(head.earlier) == EARLIER_GOODS


@pytest.mark.parametrize(
    ("suspension", "now", "holds"),
    [
        (None, NOON, False),
        (SUSPENDED, NOON, True),
        (UNTIL_NOON, NOON - HOUR, True),
        (UNTIL_NOON, NOON, False),
        (UNTIL_NOON, NOON + HOUR, False),
    ],
)
def test_a_suspension_holds_until_its_time_is_over(suspension: Suspension | None, now: datetime, holds: bool) -> None:
    assert Head(suspended=suspension).suspension(now) == (suspension if holds else None)


# --- records ------------------------------------------------------------------------------------------------


def once(serial: str, name: str = "exec/web@0") -> Step:
    op = Exec(service="web", life="service/web", recipe=ExecRecipe(command=("true",)))
    return Step(instruction=Instruction(id=name, op=op), serial=serial)


def service(serial: str) -> Step:
    op = AddService(name="web", spec=ServiceSpec(image=Image(name="busybox")))
    return Step(instruction=Instruction(id="service/web", op=op), serial=serial)


def recorded(*steps: Step, **fields: object) -> Recorded:
    return replace(Recorded(steps=Frozen({step.id: step for step in steps})), **fields)  # type: ignore[arg-type]


NEEDS_1 = Head(good=good("a", serials=Frozen({"exec/web@0": "1", "service/web": "w1"})))
INTENT = Intent(id="exec/web@0", key="k")

CHANGES: dict[str, tuple[Recorded, Callable[[Recorded], Recorded], Recorded]] = {
    "intended": (
        recorded(once("1")),
        partial(intended, intent=INTENT),
        recorded(once("1"), intents=Frozen({INTENT.id: INTENT})),
    ),
    "finished the first time": (
        recorded(service("w1"), intents=Frozen({INTENT.id: INTENT})),
        partial(finished, step=once("1")),
        recorded(service("w1"), once("1")),
    ),
    "finished again": (
        recorded(once("1"), service("w1")),
        partial(finished, step=once("2")),
        recorded(once("2"), service("w1"), past=(once("1"),)),
    ),
    "finished as it was": (
        recorded(once("1"), past=(once("0"),)),
        partial(finished, step=once("1")),
        recorded(once("1"), past=(once("0"),)),
    ),
    "recalled from the past": (
        recorded(once("2"), past=(once("1"),)),
        partial(finished, step=once("1")),
        recorded(once("1"), past=(once("2"),)),
    ),
    "a service replaced": (recorded(service("w1")), partial(finished, step=service("w2")), recorded(service("w2"))),
    "a service of a good plan replaced": (
        recorded(service("w1"), head=NEEDS_1),
        partial(finished, step=service("w2")),
        recorded(service("w2"), head=NEEDS_1, past=(service("w1"),)),
    ),
    "a service that was only begun": (
        recorded(service(""), head=NEEDS_1),
        partial(finished, step=service("w2")),
        recorded(service("w2"), head=NEEDS_1),
    ),
    "forgotten": (
        recorded(once("1"), service("w1"), once("3", "exec/web@1"), intents=Frozen({INTENT.id: INTENT})),
        partial(forgotten, ids=("exec/web@0", "service/web", "never/was")),
        recorded(once("3", "exec/web@1"), past=(once("1"),)),
    ),
    "headed as it was": (
        recorded(past=(service("w1"),)),
        partial(headed, change=lambda head: head),
        recorded(past=(service("w1"),)),
    ),
    "headed with other good plans": (
        recorded(head=NEEDS_1, past=(service("w1"), once("1"))),
        partial(headed, change=partial(model.achieved, good=B)),
        recorded(head=model.achieved(NEEDS_1, B), past=(service("w1"), once("1"))),
    ),
    "headed with none": (
        recorded(head=NEEDS_1, past=(service("w1"), once("1"))),
        partial(headed, change=lambda head: replace(head, good=None)),
        recorded(past=(once("1"),)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_record_that_is(name: str) -> None:
    before, change, after = CHANGES[name]
    found = change(before)
    assert (found, list(found.steps), list(found.intents)) == (after, list(after.steps), list(after.intents))


def test_a_head_that_does_not_change_leaves_the_very_record() -> None:
    before = recorded(once("1"))
    assert headed(before, replace) is before


def test_of_the_past_some_results_are_kept_per_id_and_all_that_good_plans_need() -> None:
    past = (*(once(str(number)) for number in range(20, 0, -1)), once("1", "exec/web@1"), service("w1"), service("w0"))
    kept = kept_past(past, NEEDS_1)
    assert [step.serial for step in kept] == [str(n) for n in range(20, 20 - PAST_RESULTS, -1)] + ["1", "1", "w1"]

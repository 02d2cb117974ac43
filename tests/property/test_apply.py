"""The properties of the design's section 9, on random plans in memory, with the world ending between effects."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitopsd.adapters.memory import Crash, plain_answer
from gitopsd.apply.order import edges, next_changes
from gitopsd.model.codec import dumps, loads
from gitopsd.model.diff import Action, Diff
from gitopsd.model.environment import OrderMode, Policy
from gitopsd.model.ops import AddService
from gitopsd.model.plan import Plan
from gitopsd.model.record import LiveEnclave, State
from gitopsd.model.run import Applied, Done
from tests.property.plans import EDITS, MOVES, Writer
from tests.stage.devnet import ENCLAVE, Devnet, lines_of

Moves = list[tuple[str, int, int, int]]
FEW = settings(max_examples=60, deadline=None)
MODES = st.sampled_from(OrderMode)


def plan_for(net: Devnet, moves: Moves) -> Plan:
    return Writer(net).write(moves)


@FEW
@given(EDITS, MODES)
def test_comparing_again_after_an_apply_is_empty(edit: tuple[Moves, Moves], mode: OrderMode) -> None:
    net = Devnet(policy=Policy(order=mode))
    for number, moves in enumerate(edit):
        plan = plan_for(net, moves)
        applied = net.deploy(plan, f"c{number}")
        assert applied.ok, applied.failed
        again = net.compare(plan, f"c{number}")
        assert again.empty, lines_of(again)


SECOND_LIFE_OF_C = ("service", 6, 0, 0), ("remove", 0, 0, 0), ("remove", 0, 0, 0), ("service", 6, 0, 0)
ANOTHER_OF_C = ("service", 6, 0, 0), ("exec", 0, 0, 0), ("remove", 0, 0, 0), ("service", 2, 0, 0)


@FEW
@given(EDITS, MODES)
@example(([*SECOND_LIFE_OF_C], [*ANOTHER_OF_C]), OrderMode.STAGED)
def test_nothing_starts_before_its_needs(edit: tuple[Moves, Moves], mode: OrderMode) -> None:
    net = Devnet()
    net.deploy(plan_for(net, edit[0]))
    diff = net.compare(plan_for(net, edit[1]), "c2")
    graph = edges(diff, mode)
    needs = {change.id: change.needs for change in diff.changes}
    ended = {change.id: Done.KEPT for change in diff.changes if change.action is Action.KEEP}
    while (step := next_changes(graph, ended, frozenset())).ready:
        for name in step.ready:
            assert graph[name] <= ended.keys()
            assert all(need in ended for need in needs[name])
        ended |= dict.fromkeys(step.ready, Done.APPLIED)
    assert ended.keys() == graph.keys(), "a cycle holds the rest"


@FEW
@given(MOVES, st.integers(0, 7), MODES)
def test_a_failure_skips_exactly_its_dependents(moves: Moves, victim: int, mode: OrderMode) -> None:
    net = Devnet(policy=Policy(order=mode))
    plan = plan_for(net, moves)
    shots = [item.id for item in plan.instructions if item.id.startswith(("exec/", "task/"))]
    if not shots:
        return
    bad = shots[victim % len(shots)]
    op = next(item.op for item in plan.instructions if item.id == bad)
    seen: Counter[str] = Counter()

    def answer(subject: str, command: tuple[str, ...]) -> tuple[int, str]:
        seen[subject] += 1
        return (1, "no\n") if is_victim(subject, command) else (0, "fine\n")

    def is_victim(subject: str, command: tuple[str, ...]) -> bool:
        name = getattr(op, "service", None) or getattr(op, "name", None)
        return subject == name

    net.backend.answer = answer
    diff = net.compare(plan)
    applied = net.apply(diff)
    failed = {item.id for item in applied.outcomes if item.done is Done.FAILED}
    skipped = {item.id for item in applied.outcomes if item.done is Done.SKIPPED}
    assert failed
    assert skipped == dependents(diff, failed, mode)


def dependents(diff: Diff, failed: set[str], mode: OrderMode) -> set[str]:
    graph = edges(diff, mode)
    found = set(failed)
    while more := {name for name, needs in graph.items() if needs & found and name not in found}:
        found |= more
    return found - failed


def seen_state(live: LiveEnclave) -> dict[str, tuple[State, str]]:
    return {name: (service.state, service.config_digest) for name, service in live.services.items()}


@FEW
@given(EDITS, st.integers(0, 40))
def test_after_a_rollback_live_equals_last_good_and_no_finished_one_shot_ran_again(
    edit: tuple[Moves, Moves], stop_after: int
) -> None:
    net = Devnet()
    first = plan_for(net, edit[0])
    if not first.instructions:  # an empty plan never prunes, not even on the way back
        return
    assert net.deploy(first).ok
    good = net.backend.observe(ENCLAVE)
    mark, count = len(net.backend.effects), [0]

    def answer(subject: str, command: tuple[str, ...]) -> tuple[int, str]:
        count[0] += 1
        return (1, "broken\n") if count[0] > stop_after % 4 else (0, "fine\n")

    net.backend.answer = answer
    failed = net.apply(net.compare(plan_for(net, edit[1]), "c2"), "c2")
    if failed.ok:
        return
    net.backend.answer = plain_answer  # what has to be done again in a fresh container comes to the same
    before_back = len(net.backend.effects)
    assert net.go_back().ok
    live = net.backend.observe(ENCLAVE)
    assert live.services.keys() == good.services.keys()
    assert {n: s.state for n, s in live.services.items()} == {n: s.state for n, s in good.services.items()}
    again = net.compare(first)
    assert again.empty, lines_of(again)
    if any(service.address != live.services[name].address for name, service in good.services.items()):
        return  # who reads an address that really changed, in whatever way, may do its work again
    # what a fresh container lost with its files may be done again, and what reads a capture of it; nothing else may
    fresh = {name for verb, name in net.backend.effects[mark:] if verb in ("remove", "start")}
    again_done = net.effects_since(before_back, "task", "exec")
    again_done += [effect for effect in net.effects_since(before_back, "request") if ": POST " in effect[1]]
    assert fresh or not again_done
    assert not [what for verb, what in again_done if verb != "task" and what.partition(":")[0] not in fresh]


@settings(max_examples=60, deadline=None)
@given(EDITS, st.integers(0, 60), st.integers(0, 60))
def test_killed_between_any_two_effects_it_converges_and_repeats_no_finished_one_shot(
    edit: tuple[Moves, Moves], first_kill: int, second_kill: int
) -> None:
    net = Devnet()
    assert net.deploy(plan_for(net, edit[0])).ok
    plan = plan_for(net, edit[1])
    mark = len(net.backend.effects)
    for kill in (first_kill, second_kill):
        net.fuse.after = net.fuse.effects + kill
        with suppress(Crash):
            net.deploy(plan, "c2")
        net.fuse.after = None
    applied = net.deploy(plan, "c2")
    assert applied.ok, applied.failed
    assert net.compare(plan, "c2").empty
    ran = Counter(net.effects_since(mark, "task"))
    ran += Counter(effect for effect in net.effects_since(mark, "exec") if keeps_its_files(net, effect[1]))
    assert all(count == 1 for count in ran.values()), ran


def keeps_its_files(net: Devnet, what: str) -> bool:
    """Whether an exec acted on a service with a persistent directory: a fresh container is a new incarnation."""
    name = what.partition(":")[0]
    adds = [step.instruction.op for step in net.recorded.steps.values() if isinstance(step.instruction.op, AddService)]
    return any(op.name == name and bool(op.spec.persistent_keys()) for op in adds)


@FEW
@given(EDITS)
def test_every_noun_survives_its_json(edit: tuple[Moves, Moves]) -> None:
    net = Devnet()
    net.deploy(plan_for(net, edit[0]))
    diff = net.compare(plan_for(net, edit[1]), "c2")
    applied: Applied = net.apply(diff, "c2")
    for noun in (diff.plan, diff, applied, net.recorded, net.backend.observe(ENCLAVE)):
        assert loads(dumps(noun)) == noun

"""When changes may start: what is handed over from service to service, in every order mode."""

from __future__ import annotations

import pytest

from gitopsd.apply.order import edges
from gitopsd.model.environment import OrderMode, Policy
from gitopsd.model.plan import Plan
from tests.stage.devnet import Devnet, lines_of
from tests.stage.scripts import Script, plan_of

MODES = pytest.mark.parametrize("mode", OrderMode)


def services(*, barrier: bool = False, **wants: tuple[str, int]) -> Plan:
    """Services by name with a persistent key and a fixed port each; a barrier after the first."""

    def write(s: Script) -> None:
        for number, (name, (data, port)) in enumerate(wants.items()):
            s.service(name, data=data, fixed_port=port)
            if barrier and number == 0:
                s.exec(name, "look")

    return plan_of(write)


def started(before: Plan, after: Plan, mode: OrderMode) -> list[str]:
    net = Devnet(policy=Policy(order=mode))
    assert net.deploy(before).ok
    mark = len(net.backend.effects)
    applied = net.deploy(after, "c2")
    assert applied.ok, applied.failed
    assert net.compare(after, "c2").empty, lines_of(net.compare(after, "c2"))
    return [subject for verb, subject in net.effects_since(mark) if verb in ("start", "remove")]


@MODES
@pytest.mark.parametrize("held", [("key", 0), ("", 9000)])
def test_who_gives_up_a_directory_or_a_port_goes_first(held: tuple[str, int], mode: OrderMode) -> None:
    free = ("", 0)
    if mode is not OrderMode.SERIAL:  # in which the plan's own order is the only one
        assert started(services(a=free, b=held), services(a=held, b=free), mode) == ["b", "a"]
    assert started(services(a=held, b=free), services(a=free, b=held), mode) == ["a", "b"]


@MODES
def test_a_service_that_leaves_goes_before_who_takes_its_directory(mode: OrderMode) -> None:
    assert started(services(old=("key", 9000)), services(new=("key", 9000)), mode) == ["old", "new"]


@MODES
@pytest.mark.parametrize("barrier", [False, True])
def test_services_that_swap_wait_for_no_one_for_ever(barrier: bool, mode: OrderMode) -> None:
    before = services(a=("one", 9000), b=("two", 9001), barrier=barrier)
    after = services(a=("two", 9001), b=("one", 9000), barrier=barrier)
    assert sorted(started(before, after, mode)) == ["a", "b"]


@MODES
def test_a_barrier_between_giver_and_taker_holds_nobody_for_ever(mode: OrderMode) -> None:
    before = services(a=("", 0), b=("key", 0), barrier=True)
    assert sorted(started(before, services(a=("key", 0), b=("", 0), barrier=True), mode)) == ["a", "b"]


@MODES
def test_what_the_plan_shares_orders_nobody(mode: OrderMode) -> None:
    net = Devnet(policy=Policy(order=mode))
    assert net.deploy(services(a=("key", 0), b=("key", 0))).ok
    diff = net.compare(services(a=("key", 9000), b=("key", 9001)), "c2")
    graph = edges(diff, mode)
    assert graph["service/a"] == frozenset()

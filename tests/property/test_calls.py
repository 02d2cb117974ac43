"""Whatever a package passes to a plan method or a type, it gets an answer or a refusal in its own terms."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gitopsd.evaluate.arguments import Signature
from gitopsd.evaluate.engine import HostError, SourcePosition, StructValue
from gitopsd.evaluate.host import PlanHost
from gitopsd.evaluate.methods import METHODS
from gitopsd.evaluate.references import References
from gitopsd.evaluate.sources import Sources
from gitopsd.evaluate.stage import check, with_needs
from gitopsd.evaluate.types import SIGNATURES
from gitopsd.model import codec
from gitopsd.model.package import Package
from gitopsd.model.plan import Plan
from tests.stage.scripted import LOCATOR, URL, MemoryTrees

WHERE = SourcePosition(file=f"{LOCATOR}/main.star", line=1)
TEXTS = st.one_of(
    st.sampled_from(
        ["", "web", "a", "==", "IN", "code", "1s", "TCP", "./x", "/x", "github.com/a/b", "\udcc3", "\0", "é"]
    ),
    st.text(max_size=8),
)
NUMBERS = st.one_of(st.integers(-2, 70_000), st.sampled_from([2**63, 2**64, -(2**70), 2**5000]), st.floats())
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.binary(max_size=3), st.just(range(2)))


def made(name: str, host: PlanHost, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects of a type that its constructor lets pass; None for the rest."""

    def construct(kwargs: dict[str, Any]) -> StructValue | None:
        try:
            return StructValue(type_name=name, fields=dict(host.construct(name, (), kwargs)))
        except HostError:
            return None

    return arguments(SIGNATURES[name], values).map(construct)


def arguments(signature: Signature, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the arguments of a call, all that it needs among them."""
    required = {item.name: values for item in signature.parameters if item.required}
    return st.fixed_dictionaries(
        required, optional={item.name: values for item in signature.parameters if not item.required}
    )


def anything(host: PlanHost) -> st.SearchStrategy[Any]:
    plain = st.recursive(
        LEAVES,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=2).map(tuple),
            st.dictionaries(st.one_of(TEXTS, st.integers(0, 3)), inner, max_size=3),
            st.dictionaries(st.sampled_from(["template", "data", "x"]), inner).map(
                lambda fields: StructValue(type_name="struct", fields=fields)
            ),
        ),
        max_leaves=6,
    )
    one = st.one_of(plain, *(made(name, host, plain) for name in SIGNATURES))
    two = st.one_of(one, st.lists(one, max_size=2), st.dictionaries(TEXTS, one, max_size=2))
    return st.one_of(two, *(made(name, host, two) for name in SIGNATURES))


def fresh() -> PlanHost:
    package = Package(locator=LOCATOR, url=URL, commit="c" * 40)
    trees = MemoryTrees({"main.star": "", "x": "", "Dockerfile": "", "flake.nix": ""})
    return PlanHost(References(), Sources(package, trees), "docker", {})


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_a_call_is_answered_or_refused_and_what_it_recorded_is_a_plan(data: st.DataObject) -> None:
    host = fresh()
    values = anything(host)
    for _ in range(data.draw(st.integers(1, 4))):
        method = data.draw(st.sampled_from(sorted(METHODS)))
        try:
            host.call(method, (), data.draw(arguments(METHODS[method].signature, values)), WHERE)
        except HostError as error:
            assert len(str(error)) < 2000
    recorded = tuple(host.recorder.instructions)
    check(recorded)
    plan = Plan(package_digest="p", args_digest="a", instructions=with_needs(recorded, host.recorder.words_by_id))
    assert codec.loads(codec.dumps(plan)) == plan
    assert len(plan.digest) == 64

"""Rounds of an evaluation: what is missing is fetched, what is only likely to be asked for must not matter."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from gitopsd.adapters.memory import MemoryBackend
from gitopsd.adapters.store import SqlStore
from gitopsd.errors import Reason, UserError
from gitopsd.model.codec import digest
from gitopsd.model.environment import Environment
from gitopsd.model.package import Arguments, EvaluationRequest, Missing, Package
from gitopsd.model.plan import Evaluation, Plan
from gitopsd.model.values import Frozen, Json
from gitopsd.resolve.closure import close, desired
from tests.unit.sources import COMMIT, SOURCE, Files, Yaml

ENVIRONMENT = Environment(name="dev", source=SOURCE, package="package", enclave="dev")
REQUEST = EvaluationRequest(
    package=Package(locator="github.com/acme/devnets", url=SOURCE.url, commit=COMMIT.id),
    arguments=Arguments(),
    cluster_type="docker",
)


class Asking(Yaml):
    """An evaluator that asks for sources round by round, and plans when there is nothing more to ask for."""

    def __init__(self, *rounds: tuple[str, ...]) -> None:
        self.rounds = list(rounds)
        self.pins: list[tuple[str, ...]] = []

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        self.pins.append(tuple(pin.root for pin in request.package.pins))
        if self.rounds:
            needed, *likely = (Missing(locator=root) for root in self.rounds.pop(0))
            return Evaluation(missing=(needed,), likely=tuple(likely))
        return Evaluation(plan=Plan(package_digest=request.package.digest, args_digest=""))


def test_what_may_be_asked_for_next_is_fetched_in_the_same_round() -> None:
    evaluator = Asking(("github.com/a/needed", "github.com/a/likely"))
    close(REQUEST, ENVIRONMENT, Files(), Files(), evaluator)
    assert evaluator.pins == [(), ("github.com/a/likely", "github.com/a/needed")]


def test_what_may_be_asked_for_and_cannot_be_had_does_not_matter_and_is_tried_once() -> None:
    files = Files()
    evaluator = Asking(("github.com/a/one", "github.com/private/repo"), ("github.com/a/two", "github.com/private/repo"))
    close(REQUEST, ENVIRONMENT, files, files, evaluator)
    assert evaluator.pins[-1] == ("github.com/a/one", "github.com/a/two")
    assert [missing.locator for missing, _ in files.pinned].count("github.com/private/repo") == 1


def test_a_host_that_does_not_answer_is_waited_for_once_where_nothing_needs_it() -> None:
    files = Files()
    evaluator = Asking(("github.com/a/needed", "github.com/away/repo", "github.com/a/late"))
    close(REQUEST, ENVIRONMENT, files, files, evaluator)
    assert evaluator.pins[-1] == ("github.com/a/needed",)
    assert [missing.locator for missing, _ in files.pinned] == ["github.com/a/needed", "github.com/away/repo"]


def test_what_is_needed_and_cannot_be_had_fails() -> None:
    with pytest.raises(UserError) as caught:
        close(REQUEST, ENVIRONMENT, Files(), Files(), Asking(("github.com/private/repo", "github.com/a/likely")))
    assert caught.value.reason is Reason.SOURCE_REFUSED


def test_a_package_that_always_asks_for_more_ends() -> None:
    rounds = tuple((f"github.com/a/r{number}",) for number in range(40))
    with pytest.raises(UserError, match="after 32 rounds"):
        close(replace(REQUEST, cluster_type="local"), ENVIRONMENT, Files(), Files(), Asking(*rounds))


def test_a_plan_is_kept_for_arguments_in_their_order() -> None:
    evaluator = Asking()
    sources = SimpleNamespace(git=Files(), downloads=Files(), evaluator=evaluator, store=SqlStore("sqlite://"))

    def evaluations(*values: Json) -> list[int]:
        counts = []
        for value in values:
            arguments = Arguments(values=Frozen({"of": (value,)}))
            desired(replace(REQUEST, arguments=arguments), ENVIRONMENT, MemoryBackend(), sources)
            counts.append(len(evaluator.pins))
        return counts

    sorted_keys, as_written = Frozen({"a": 1, "b": 2}), Frozen({"b": 2, "a": 1})
    assert evaluations(sorted_keys, as_written, sorted_keys, as_written) == [1, 2, 2, 2]
    assert digest(Frozen({"a": 1, "b": 2})) == Arguments(values=sorted_keys).digest, "records keep theirs"
    sources.store.close()

"""Assertions of `verify`, `wait` and ready conditions: typed, as `starlark-api.md` 6.10 has them."""

from __future__ import annotations

import pytest

from gitopsd.apply.recipes import holds
from gitopsd.errors import Reason, StepError
from gitopsd.model.values import Frozen, Value


@pytest.mark.parametrize(
    ("value", "assertion", "target"),
    [
        (0, "==", 0), (0, "!=", 1), (200, ">=", 200), (201, ">", 200), (199, "<", 200), (200, "<=", 200),
        (2**64, ">", 2**63), (0.5, "<", 0.6), ("a", "<", "b"), ("b\n", "==", "b\n"), ("x", "!=", "X"),
        (True, "==", True), (True, "!=", False), (False, "<", True), ((1, "a"), "==", (1, "a")), ((1,), "!=", (2,)),
        (Frozen({"a": 1}), "==", Frozen({"a": 1})), ("a", "IN", ("b", "a")), (200, "IN", (200, 201)),
        (True, "IN", (False, True)), ("200", "NOT_IN", (200,)), (1, "NOT_IN", (True, "1", 2)), ("a", "NOT_IN", ()),
    ],
)  # fmt: skip
def test_an_assertion_holds(value: Value, assertion: str, target: Value) -> None:
    assert holds(value, assertion, target)


@pytest.mark.parametrize(
    ("value", "assertion", "target"),
    [
        (0, "==", 1), (0, "!=", 0), (199, ">=", 200), (200, ">", 200), (200, "<", 200), (201, "<=", 200),
        ("a\n", "==", "a"), ("10", ">", "9"), ("c", "IN", ("a", "b")), ("a", "NOT_IN", ("a",)), (1, "IN", (True,)),
        ((1,), "==", (1, 2)),
    ],
)  # fmt: skip
def test_an_assertion_does_not_hold(value: Value, assertion: str, target: Value) -> None:
    assert not holds(value, assertion, target)


@pytest.mark.parametrize("assertion", ["==", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize(
    ("value", "target"),
    [(0, "0"), ("0", 0), (1, True), (True, "true"), (None, "x"), (1, 1.5), ("a", ("a",)), (Frozen({}), ())],
)
def test_values_of_two_types_are_an_error_and_never_just_unequal(value: Value, assertion: str, target: Value) -> None:
    with pytest.raises(StepError, match="cannot compare") as caught:
        holds(value, assertion, target)
    assert caught.value.reason is Reason.CHECK_FAILED


@pytest.mark.parametrize(
    ("value", "assertion", "target", "message"),
    [
        ("a", "IN", "abc", "IN needs a list"),
        (1, "NOT_IN", 1, "NOT_IN needs a list"),
        (Frozen({}), "<", Frozen({}), "does not order dict"),
    ],
)
def test_what_cannot_be_asked_is_told(value: Value, assertion: str, target: Value, message: str) -> None:
    with pytest.raises(StepError, match=message):
        holds(value, assertion, target)

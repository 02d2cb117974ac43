"""What is of the wrong type is refused on its way in, at its place."""

from __future__ import annotations

from typing import Any

import pytest

from gitopsd.model.codec import decode
from gitopsd.model.decoding import shape_of


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"$": "Port", "number": "80"}, "Port.number: expected int, found '80'"),
        ({"$": "Port", "number": True}, "Port.number: expected int, found True"),
        ({"$": "Port", "number": 80, "colour": 1}, "Port: unknown field 'colour'"),
        ({"$": "Port"}, "Port: field 'number' is missing"),
        ({"$": "Harbour"}, "unknown type 'Harbour'"),
        ({"$": "Instruction", "id": "a", "op": {"$": "Port", "number": 80}}, "found an object of type 'Port'"),
        ({"$": "Head", "bad_plans": ["a", 1]}, "Head.bad_plans: expected str, found 1"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        decode(data)


def test_a_type_without_a_form_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match="no JSON form"):
            shape_of(tuple[bytes, ...])

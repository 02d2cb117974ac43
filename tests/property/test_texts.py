"""Whatever people write where a duration or a locator belongs is read or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitopsd.kit.duration import format_duration, parse_duration
from gitopsd.kit.locators import LocatorError, Place, resolve
from gitopsd.model.package import Package

PACKAGE = Package(locator="github.com/acme/devnets", url="u", commit="0" * 40, path="packages/chain")
MAIN = Place(root=PACKAGE.locator, path="packages/chain/main.star")


@given(st.integers(min_value=-(10**10), max_value=10**10))
def test_what_is_written_reads_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@given(st.text(max_size=20))
def test_any_text_gives_seconds_or_a_refusal(text: str) -> None:
    try:
        assert isinstance(parse_duration(text), float)
    except ValueError as error:
        assert "duration" in str(error)


@given(st.text(max_size=60))
def test_whatever_is_written_gives_a_place_inside_or_a_refusal(text: str) -> None:
    try:
        place = resolve(text, MAIN, PACKAGE)
    except LocatorError:
        return
    assert ".." not in place.path.split("/")
    assert not place.path.startswith("/")

"""Durations in Go's forms."""

import pytest

from gitopsd.kit.duration import format_duration, go_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("1s", 1),
        ("500ms", 0.5),
        ("1m30s", 90),
        ("1h", 3600),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("-2m", -120),
        ("+2m", 120),
        ("1h0m0.25s", 3600.25),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("10μs", 1e-5),
        ("3ns", 3e-9),
        ("30m", 1800),
    ],
)
def test_the_forms_of_go_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "+",
        "1",
        "1d",
        "s",
        "1 s",
        " 1s",
        "1s ",
        "1m30",
        ".s",
        "1e3s",
        "--1s",
        "٣s",
        "1s\n",
        "9" * 40 + "h",
        "1h" * 50,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.5, "500ms"), (90, "1m30s"), (3600, "1h0m0s"), (2.5, "2.5s"), (-60, "-1m0s"), (0.9999, "1s")],
)
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (100_000, "100\u00b5s"),
        (1_500_000, "1.5ms"),
        (-3 * 10**9, "-3s"),
        (1_001_000_000, "1.001s"),
        (120 * 10**9, "2m0s"),
        (7200 * 10**9 + 250_000_000, "2h0m0.25s"),
    ],
)
def test_a_duration_is_written_as_go_writes_it(nanoseconds: int, text: str) -> None:
    assert go_duration(nanoseconds) == text
    assert round(parse_duration(text) * 10**9) == nanoseconds

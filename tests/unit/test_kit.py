"""The domain-free parts: text, units, redaction, backoff."""

from __future__ import annotations

import pytest

from gitopsd.kit.backoff import Backoff
from gitopsd.kit.redact import MASK, Redactor, mask_cut, redact_urls, spelled, spellings
from gitopsd.kit.text import duration_text, escape_markup, one_line, strip_controls, suggestion
from gitopsd.kit.units import parse_size


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link", "link"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("bell\x07 back\x08 c1\x9b31m", "bell back c131m"),
        ("abc\u202edef", "abcdef"),
        ("x\x1b", "x"),
        ("\ud800y", "y"),
    ],
)
def test_controls_are_stripped_and_the_text_stays(raw: str, clean: str) -> None:
    assert strip_controls(raw) == clean


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "\\[red]", "a\\", "a\\\\", "[link=http://e]x", "\\\\[b]", "plain"])
def test_rich_prints_escaped_text_as_it_is(text: str) -> None:
    from rich.text import Text

    assert Text.from_markup(escape_markup(text) + "[b]![/b]").plain == text + "!"


def test_one_line_cuts_at_its_limit() -> None:
    assert one_line("a\n b\t\tc", limit=4) == "a b…"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (14, "14 s"), (125, "2 min 5 s"), (120, "2 min"), (11400, "3 h 10 min"), (187200, "2 d 4 h")],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_near_word_is_suggested_and_a_far_one_is_not() -> None:
    assert suggestion("rolback", ["rollback", "drift"]) == "did you mean 'rollback'?"
    assert suggestion("zzz", ["rollback", "drift"]) == ""


def test_sizes_are_read_and_refused() -> None:
    assert (parse_size("512MiB"), parse_size("20 MB"), parse_size("7")) == (536870912, 20000000, 7)
    with pytest.raises(ValueError, match="expected a size such as 512MiB"):
        parse_size("12 furlongs")


def test_known_values_are_masked_in_every_spelling() -> None:
    masked = Redactor(["s3cr/et &x", "s3cr"]).text("a s3cr/et &x b s3cr%2Fet%20%26x c s3cr%2Fet+%26x")
    assert masked == f"a {MASK} b {MASK} c {MASK}"


def test_credentials_in_addresses_are_masked_without_being_known() -> None:
    text = redact_urls("fetch https://me:tok@host/x.git?access_token=1 failed")
    assert text == f"fetch https://{MASK}@host/x.git?{MASK} failed"


def test_data_is_masked_inside_out() -> None:
    assert Redactor(["hunter2"]).data({"a": ["x hunter2", 1, None]}) == {"a": [f"x {MASK}", 1, None]}


def test_waits_grow_to_their_limit_and_keep_what_was_asked_for() -> None:
    backoff = Backoff(first=1, factor=2, limit=8, spread=0)
    assert [backoff.wait(n) for n in (1, 2, 3, 4, 5, 5000)] == [1, 2, 4, 8, 8, 8]
    assert backoff.wait(1, retry_after=60) == 60
    assert Backoff(spread=0.5).wait(1, chance=0.0) == 0.5


def test_a_secret_is_found_in_every_form_and_can_be_spelled_again() -> None:
    value = 'pa"ss w\u00f6rd/1\nsecond line of it\n'
    forms = spellings(value)
    assert {"", "json", "ascii", "url", "form", "base64", "line 1", "strip json"} <= set(forms.values())
    for text, form in forms.items():
        assert spelled(value, form) == text


def test_the_beginning_of_a_secret_that_was_cut_off_is_masked() -> None:
    assert mask_cut('string ("hunter2-lo...) cannot', ("hunter2-long",), MASK) == f'string ("{MASK}...) cannot'
    assert mask_cut("ends with hunter2", ("hunter2-long",), MASK) == f"ends with {MASK}"
    assert mask_cut("the hunt… goes on", ("hunter2-long",), MASK) == "the hunt… goes on"

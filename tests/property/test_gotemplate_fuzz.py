"""No template and no data makes the template language do anything but render or raise TemplateError."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitopsd.adapters.gotemplate import TemplateError, render, render_bytes

WORDS = (
    *("if", "else", "end", "range", "with", "define", "template", "block", "break", "continue", "nil"),
    *("and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "index", "slice", "len", "call"),
    *("print", "printf", "println", "html", "js", "urlquery", "true", "false", "nosuchfunction"),
    *(".", ".a", ".a.b", ".n", ".l", ".m", ".n.Int64", ".n.Float64", ".n.String", "$", "$x", "$x.a", "$y"),
    *(":=", "=", ",", "|", "(", ")", "{{", "}}", "{{-", "-}}", "/*", "*/", " ", "\n", "\r", "\x00"),
    *('"a"', '"%d %v %[2]*.3[1]q %!"', "`raw`", '"', "`", "'c'", "'", r'"\xff\u00e9"', "text", "é", "世"),
    *("0", "1", "-1", "2.5", "1e3", "0x1F", "1_000", "1i", "1+2i", "08", "9223372036854775808", "1e999", "+"),
)
VERBS = st.lists(
    st.sampled_from([*"%#0+- 123456789.*[]vdsqxXtTbcoOUeEfFgGpwz", "[1]", "[2]", "99", "é"]), max_size=8
).map("".join)

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abnlm"), inner), max_leaves=8
)
actions = st.lists(st.sampled_from(WORDS), max_size=7).map(lambda words: "{{" + " ".join(words) + "}}")
soups = st.lists(st.sampled_from(WORDS) | actions | st.text(max_size=4), max_size=14).map("".join)


def _render_or_fail(template: str, data_json: str) -> bytes | None:
    try:
        return render_bytes(template, data_json, max_output=1 << 20, max_steps=20_000)
    except TemplateError as error:
        assert error.phase in ("parse", "exec", "data")
        assert error.line >= 1
        assert (error.column is None) == (error.phase == "parse")
        error.message.encode()
        return None


@given(soups, values)
@settings(max_examples=400, deadline=None)
def test_any_mixture_of_template_words_renders_or_raises_a_template_error(template: str, data: Any) -> None:
    _render_or_fail(template, json.dumps(data))


@given(st.text(), st.text())
@settings(deadline=None)
def test_any_text_as_template_and_as_data_renders_or_raises_a_template_error(template: str, data: str) -> None:
    _render_or_fail("{{" + template + "}}", "{}")
    _render_or_fail(template, data)


@given(VERBS, st.lists(values, max_size=3))
@settings(max_examples=300, deadline=None)
def test_any_format_over_any_values_gives_text_within_the_limits(verbs: str, data: list[Any]) -> None:
    arguments = " ".join(f"(index .l {place})" for place in range(len(data)))
    template = f'{{{{printf .f {arguments} 7 -2.5 "s" true 1i}}}}'
    data_json = json.dumps({"f": "%" + verbs, "l": data})
    try:
        render_bytes(template, data_json, max_output=1 << 16, max_steps=20_000)
    except TemplateError as error:
        assert "longer than" in error.message or "takes more than" in error.message


@given(st.text(st.characters(exclude_characters="{", exclude_categories=["Cs"])))
def test_text_without_actions_comes_out_as_it_is(text: str) -> None:
    assert render(text, "null") == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_printed_so_that_it_reads_back_as_the_same_float(value: float) -> None:
    text = render("{{.}}", json.dumps(value))
    assert float(text) == value
    assert math.copysign(1, float(text)) == math.copysign(1, value)


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_every_key_can_be_looked_up_with_index(data: dict[str, str], key: str) -> None:
    template = "{{with index .data .key}}{{.}}{{else}}none{{end}}"
    assert render(template, json.dumps({"data": data, "key": key})) == (data.get(key) or "none")


DEEP = 30_000


@pytest.mark.parametrize(
    ("template", "data"),
    [
        ("{{" + "(" * DEEP + "1" + ")" * DEEP + "}}", "0"),
        ("{{" + "(" * 9_999 + ".a" + ")" * 9_999 + ".b}}", '{"a": 1}'),
        ("{{" + "(print " * 9_999 + ".a" + ")" * 9_999 + "}}", '{"a": 1}'),
        ("{{if .}}" * DEEP, "1"),
        ("{{if .}}" * 20_000 + "x" + "{{end}}" * 20_000, "1"),
        ("{{if 0}}" + "{{else if 0}}" * 20_000 + "{{end}}", "1"),
        ('{{define "t"}}{{template "t" .}}{{end}}{{template "t" .}}', "1"),
        ('{{block "b" .}}' * 20_000 + "{{end}}" * 20_000, "1"),
        ("{{.}}", "[" * DEEP),
        ("{{.}}{{printf `%#v` .}}", "[" * 9_999 + "]" * 9_999),
        ("{{." + "a." * 20_000 + "a}}", '{"a":' * 9_999 + "1" + "}" * 9_999),
    ],
)
def test_depth_never_exhausts_the_stack(template: str, data: str) -> None:
    try:
        render_bytes(template, data)
    except TemplateError as error:
        assert error.message


@pytest.mark.parametrize(
    "template",
    [
        "{{range 9223372036854775807}}{{end}}",
        "{{range 1000000}}{{range 1000000}}{{end}}{{end}}",
        '{{$x := "ab"}}{{range 1000}}{{$x = print $x $x}}{{end}}',
        '{{$x := printf "%1000000d" 1}}{{range 10000000}}{{$y := html $x}}{{end}}',
        '{{range 1000000}}{{printf "%1000000d" 1}}{{end}}',
        '{{define "t"}}{{range 100}}{{template "t"}}{{end}}{{end}}{{template "t"}}',
    ],
)
def test_what_would_run_or_grow_without_end_is_stopped(template: str) -> None:
    with pytest.raises(TemplateError, match=r"takes more than|longer than|maximum template depth"):
        render_bytes(template, "null", max_output=4 << 20, max_steps=200_000)

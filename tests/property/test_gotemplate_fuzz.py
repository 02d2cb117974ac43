"""No template and no data makes the template language do anything but render or raise TemplateError."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitopsd.adapters.gotemplate import TemplateError, check, render, render_bytes

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

CORPUS = Path(__file__).parents[1] / "conformance" / "gotemplate.jsonl"
CASES = [
    (case["template"], json.dumps(case["data"]))
    for case in map(json.loads, CORPUS.read_text("utf-8").splitlines())
    if len(case["template"]) < 2000
]
PIECE = re.compile(r"""\{\{-?|-?}}|"(?:\\.|[^"\\])*"|`[^`]*`|\$?\.?\w+|\s+|.""", re.DOTALL)
PIECES = sorted({piece for template, _ in CASES for piece in PIECE.findall(template)})


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, str]:
    """A template that works in Go, or fails there, with up to three pieces taken out, put in or exchanged."""
    template, data = draw(st.sampled_from(CASES))
    pieces = PIECE.findall(template)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(pieces)))
        taken = draw(st.integers(0, 1))
        pieces[at : at + taken] = draw(st.lists(st.sampled_from(PIECES), max_size=1))
    return "".join(pieces), draw(st.just(data) | st.sampled_from(CASES).map(lambda case: case[1]))


operands = st.sampled_from(
    (
        ".",
        ".a",
        ".a.b",
        ".n",
        ".l",
        ".m",
        ".n.Int64",
        ".n.Float64",
        "$",
        "$.l",
        '"a"',
        '"%v %d"',
        "0",
        "1",
        "-1",
        "2.5",
        "nil",
    )
)
calls = st.sampled_from(
    ("print", "println", "printf", "len", "index", "slice", "and", "or", "not", "eq", "ne", "lt", "ge", "html", "js")
)
commands = operands | st.tuples(calls, st.lists(operands, min_size=1, max_size=3)).map(
    lambda call: " ".join((call[0], *call[1]))
)
pipelines = st.lists(commands, min_size=1, max_size=3).map(" | ".join) | commands.map(lambda inner: f"({inner}).a")
texts = st.sampled_from(("", "x", " ", "\n", "é"))
bodies = st.recursive(
    texts | pipelines.map(lambda pipe: f"{{{{ {pipe} }}}}"),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(
            st.sampled_from(("if", "with", "range", "range $x :=", "range $k, $v :=")), pipelines, inner, inner
        ).map(lambda part: f"{{{{{part[0]} {part[1]}}}}}{part[2]}{{{{else}}}}{part[3]}{{{{end}}}}"),
        st.tuples(pipelines, inner).map(lambda part: f'{{{{block "b" {part[0]}}}}}{part[1]}{{{{end}}}}'),
        st.tuples(pipelines, inner).map(lambda part: f"{{{{$y := {part[0]}}}}}{part[1]}{{{{$y}}}}"),
        inner.map(lambda body: f"{{{{range .l}}}}{body}{{{{- break -}}}}{{{{end}}}}"),
    ),
    max_leaves=12,
)


def _render_or_fail(template: str, data_json: str) -> bytes | None:
    try:
        output = render_bytes(template, data_json, max_output=1 << 20, max_steps=20_000)
    except TemplateError as error:
        if error.phase == "parse":
            with pytest.raises(TemplateError, match=re.escape(error.message)):
                check(template)
        assert error.phase in ("parse", "exec", "data")
        assert error.line >= 1
        assert (error.column is None) == (error.phase == "parse")
        error.message.encode()
        return None
    check(template)
    return output


@given(soups, values)
@settings(max_examples=400, deadline=None)
def test_any_mixture_of_template_words_renders_or_raises_a_template_error(template: str, data: Any) -> None:
    _render_or_fail(template, json.dumps(data))


@given(changed())
@settings(max_examples=1000, deadline=None)
def test_any_change_of_a_template_of_the_corpus_renders_or_raises_a_template_error(case: tuple[str, str]) -> None:
    template, data = case
    output = _render_or_fail(template, data)
    if output is not None:
        assert _render_or_fail("x" + template, data) == b"x" + output or '"template"' in template


@given(bodies, values)
@settings(max_examples=500, deadline=None)
def test_well_formed_templates_are_parsed_and_render_or_fail_when_executed(template: str, data: Any) -> None:
    try:
        render_bytes(template, json.dumps(data), max_output=1 << 20, max_steps=20_000)
    except TemplateError as error:
        allowed = error.phase == "exec" or "multiple definition" in error.message or "non executable" in error.message
        assert allowed, error.message


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

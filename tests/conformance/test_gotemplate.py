"""Every template of the corpus gives what Go's own text/template gives.

`gotemplate.jsonl` holds one case per line: a template, its data as JSON, and the output or error of real Go.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitopsd.adapters.gotemplate import TemplateError, render, render_bytes

CORPUS = Path(__file__).with_name("gotemplate.jsonl")

# Case by case, why it is not as in Go. This table may only shrink: a case that agrees has to leave it.
KNOWN_DIFFERENCES: dict[str, str] = {}


def _cases_by_area() -> dict[str, list[dict[str, Any]]]:
    cases: dict[str, list[dict[str, Any]]] = {}
    for line in CORPUS.read_text("utf-8").splitlines():
        case = json.loads(line)
        cases.setdefault(case["area"], []).append(case)
    return cases


CASES = _cases_by_area()


def _differences(case: dict[str, Any]) -> Iterator[str]:
    expect = case["expect"]
    try:
        output = render_bytes(case["template"], json.dumps(case["data"]))
    except TemplateError as error:
        if "phase" not in expect:
            yield f"fails with {error.message!r}"
            return
        for field in ("phase", "line", "column", "context"):
            if field in expect and getattr(error, field) != expect[field]:
                yield f"{field} is {getattr(error, field)!r}, not {expect[field]!r}"
        if expect["error_contains"] not in error.message:
            yield f"message {error.message!r} lacks {expect['error_contains']!r}"
        return
    if "phase" in expect:
        yield f"gives {output!r} instead of {expect['error']!r}"
        return
    encoded = expect.get("output_base64")
    wanted = expect["output"].encode() if encoded is None else base64.b64decode(encoded)
    if output != wanted:
        yield f"gives {output!r}, not {wanted!r}"


@pytest.mark.parametrize("area", sorted(CASES))
def test_templates_render_and_fail_as_in_go(area: str) -> None:
    found = {case["id"]: list(_differences(case)) for case in CASES[area]}
    unexpected = {name: what for name, what in found.items() if what and name not in KNOWN_DIFFERENCES}
    assert unexpected == {}


@pytest.mark.parametrize("area", sorted(CASES))
def test_messages_are_go_messages_word_for_word_outside_reflection(area: str) -> None:
    different = {}
    for case in CASES[area]:
        expect = case["expect"]
        if "error" in expect:
            with pytest.raises(TemplateError) as caught:
                render_bytes(case["template"], json.dumps(case["data"]))
            if caught.value.message != expect["error"]:
                different[case["id"]] = caught.value.message
    assert different == {}


def test_the_table_of_known_differences_names_only_cases_that_differ() -> None:
    by_id = {case["id"]: case for cases in CASES.values() for case in cases}
    assert [name for name in KNOWN_DIFFERENCES if not list(_differences(by_id[name]))] == []


def test_the_corpus_is_whole() -> None:
    assert sum(map(len, CASES.values())) == 1948
    assert len(CASES) == 27


@pytest.mark.parametrize(
    ("length", "capacity"),
    [(0, 0), (1, 1), (3, 4), (5, 8), (17, 32), (33, 71), (600, 1023), (1536, 2560), (3691, 5120), (11281, 14336)],
)
def test_a_list_can_be_widened_to_the_capacity_that_go_gives_it(length: int, capacity: int) -> None:
    data = json.dumps({"l": [1] * length})
    assert render(f"{{{{len (slice .l 0 {capacity})}}}}", data) == str(capacity)
    with pytest.raises(TemplateError, match=f"index out of range: {capacity + 1}"):
        render(f"{{{{len (slice .l 0 {capacity + 1})}}}}", data)


@pytest.mark.parametrize(
    ("data", "line", "fault"),
    [
        ("", 1, "expected a JSON value"),
        ('{"a": 1,\n "b" 2}', 2, "expected a colon"),
        ('{"a": 1,\n}', 2, "expected a key"),
        ("[1 2]", 1, "expected a comma"),
        ("[1,\n\n]", 3, "expected a JSON value"),
        ("1 1", 1, "unexpected text after"),
        ("nul", 1, "expected null"),
        ("NaN", 1, "expected a JSON value"),
        ("01", 1, "unexpected text after"),
        ("1e400", 1, "beyond the float64 range"),
        ('"a\nb"', 1, "a string does not end"),
        (r'"\q"', 1, "escape"),
        ("[" * 10_001, 1, "exceeded max depth"),
    ],
)
def test_data_that_is_not_json_is_refused_with_its_line(data: str, line: int, fault: str) -> None:
    with pytest.raises(TemplateError, match=fault) as caught:
        render("{{.}}", data)
    assert (caught.value.phase, caught.value.line) == ("data", line)


def test_a_parse_error_comes_before_an_error_in_the_data() -> None:
    with pytest.raises(TemplateError) as caught:
        render("{{", "not json")
    assert caught.value.phase == "parse"


def test_messages_name_the_template_and_the_definition_that_executes() -> None:
    with pytest.raises(TemplateError) as caught:
        render('a\n{{define "part"}}é{{.x.y}}{{end}}{{template "part" .}}', '{"x": 1}', name="node.toml")
    assert str(caught.value) == (
        'template: node.toml:2:23: executing "part" at <.x.y>: can\'t evaluate field y in type interface {}'
    )
    assert (caught.value.line, caught.value.column, caught.value.context) == (2, 23, ".x.y")


@pytest.mark.parametrize(
    ("template", "line", "fault"),
    [
        ('{{block "b" .}}x{{else\n}}y{{end}}', 1, "unexpected {{else}} in block clause"),
        ('{{define "b"}}x{{else\n}}y{{end}}', 2, "unexpected {{else}} in define clause"),
        ("\n{{0x10-0b1i}}", 2, "syntax error scanning complex number"),
        ("{{0x10-1i}}", 1, 'strconv.ParseFloat: parsing "0x10": invalid syntax'),
    ],
)
def test_parse_errors_name_the_line_and_the_fault_that_go_names(template: str, line: int, fault: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(template, "null")
    assert (caught.value.phase, caught.value.line) == ("parse", line)
    assert caught.value.message == f"template: template:{line}: {fault}"


def test_bytes_that_are_not_utf8_are_kept_as_bytes_and_replaced_in_text() -> None:
    assert render_bytes('{{slice "é" 1}}', "null") == b"\xa9"
    assert render('{{slice "é" 1}}', "null") == "\ufffd"


def test_lone_surrogates_become_the_replacement_character() -> None:
    assert render("{{.a}}\udc00{{.b}}", '{"a": "\\ud800", "b": "\ud800"}') == "\ufffd\ufffd\ufffd"


def test_output_longer_than_the_limit_is_refused() -> None:
    assert render("{{.}}{{.}}", '"12345"', max_output=10) == "1234512345"
    with pytest.raises(TemplateError, match="output is longer than 9 bytes"):
        render("{{.}}{{.}}", '"12345"', max_output=9)

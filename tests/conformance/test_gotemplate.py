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

from gitopsd.adapters.gotemplate import TemplateError, render_bytes

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

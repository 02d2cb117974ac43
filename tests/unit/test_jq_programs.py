"""jq programs give what gojq gives, which packages are written for. Each expectation was compared with gojq 0.12.19."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitopsd.adapters import jqprogram
from gitopsd.errors import Reason, StepError
from gitopsd.kit import jsontext

DOCUMENT = {
    "data": {
        "enr": "enr:-x", "p2p_addresses": ["/ip4/1", "/ip4/2"], "is_syncing": False, "finalized": {"epoch": "12"},
        "none": None, "number": 3, "half": 0.5,
    },
    "result": {"enode": "enode://ab@1.2.3.4:30303?discport=0", "ENR": None, "addresses": ["a", "b"]},
    "words": ["a1", "b22", "c"], "date": "2024-01-02T03:04:05Z", "zebra": {"b": 1, "a": {"d": 1, "c": 2}},
    "text": '{"z": 1, "a": {"y": 12345678901234567890, "b": 1.0}}',
}  # fmt: skip


def results(program: str, document: Any = DOCUMENT) -> list[Any]:
    return jqprogram.results(program, json.dumps(document, sort_keys=True))


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (".data.enr", ["enr:-x"]),
        (".data.p2p_addresses[-1]", ["/ip4/2"]),
        (".data.p2p_addresses[-3]", [None]),
        (".data.p2p_addresses[5:]", [[]]),
        (".data.is_syncing | tostring", ["false"]),
        (".data.finalized.epoch | tonumber", [12]),
        (".data.number | tostring", ["3"]),
        ('.result.ENR // ""', [""]),
        ('.data.is_syncing // "d"', ["d"]),
        ('.result.enode | split("?") | .[0]', ["enode://ab@1.2.3.4:30303"]),
        ('.result.enode | split("[@:]+"; null) | .[2]', ["1.2.3.4"]),
        ('.result.enode | test("^ENODE"; "i")', [True]),
        ('.result.enode | capture("@(?<ip>[0-9.]+)") | .ip', ["1.2.3.4"]),
        ('.words | map(gsub("[0-9]"; "#")) | join(",")', ["a#,b##,c"]),
        ('"aGVsbG8" | @base64d', ["hello"]),
        ("[limit(2; .words[])]", [["a1", "b22"]]),
        ("first(.words[]), (.words | last)", ["a1", "c"]),
        ('.words[] | select(startswith("b"))', ["b22"]),
        (".date | fromdateiso8601", [1704164645]),
        (".words | length as $n | $n", [3]),
        (". as {data: {number: $n}} | def f(x): x * 2; f($n)", [6]),
        ("if .data.number == 3 then 1 elif true then 2 else 3 end", [1]),
        ("[.words[] | tonumber?]", [[]]),
        ("try error({a: 1}) catch .a", [1]),
        ("reduce .words[] as $word (0; . + ($word | length))", [6]),
        ("7 % 3, 10 / 4, 10 / 5", [1, 2.5, 2]),
        (".data.number # the rest is said \\", [3]),
        (".data.number\n# the last line", [3]),
        ("empty", []),
    ],
)
def test_programs_of_packages_give_what_they_were_written_for(program: str, expected: list[Any]) -> None:
    assert results(program) == expected


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (".text | fromjson | .a.y", [12345678901234567890]),
        (".text | fromjson | .a.y | tostring", ["12345678901234567890"]),
        (".text | fromjson | [.a.b, .z]", [[1, 1]]),
        ('"123456789012345678901234567890" | tonumber', [123456789012345678901234567890]),
        ("9007199254740993", [9007199254740993]),
        ('"\\(.text | fromjson | .a.y)"', ["12345678901234567890"]),
        ("-9223372036854775809", [-9223372036854775809]),
    ],
)
def test_integers_beyond_a_float_keep_their_digits(program: str, expected: list[Any]) -> None:
    found = results(program)
    assert found == expected
    assert [type(item) for item in found] == [type(item) for item in expected]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (".zebra | to_entries[0].key", ["a"]),
        ("[.zebra.a[]]", [[2, 1]]),
        (".zebra | tostring", ['{"a":{"c":2,"d":1},"b":1}']),
        ('.zebra | "\\(.)"', ['{"a":{"c":2,"d":1},"b":1}']),
        (".text | fromjson | tojson", ['{"a":{"b":1.0,"y":12345678901234567890},"z":1}']),
        ("[.text | fromjson | .a[]]", [[1, 12345678901234567890]]),
        ("{z: 1, a: {y: 1, b: 2}} | tojson", ['{"a":{"b":2,"y":1},"z":1}']),
        ("{z: 1, a: 2} | to_entries | map(.key) | add", ["az"]),
        ("{z: 1, a: 2} | with_entries(.value += 1) | tostring", ['{"a":3,"z":2}']),
        ("[.zebra | paths | join(\".\")]", [["a", "a.c", "a.d", "b"]]),
    ],
)  # fmt: skip
def test_objects_are_sorted_by_their_keys(program: str, expected: list[Any]) -> None:
    assert results(program) == expected


def test_results_before_an_error_count_and_an_error_before_any_is_told() -> None:
    assert results(".words[0], (.words | error), 3") == ["a1"]
    assert results('.words[] | ltrimstr("a") | tonumber') == [1]
    for program in ('error("so it is")', 'null, error("so it is")'):
        with pytest.raises(StepError, match="so it is") as caught:
            results(program)
        assert caught.value.reason is Reason.EXTRACT_FAILED


@pytest.mark.parametrize(
    "program", [".[", ".a | ", "1 +", "foo", "$x", '"a', "{a", ") | (1", "", "# nothing", "def f: 1;"]
)
def test_what_is_no_program_is_refused_as_jq_refuses_it(program: str) -> None:
    with pytest.raises(StepError, match="failed: jq: error"):
        results(program)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2.0", 2), ("-0.0", 0), ("2.50", 2.5), ("1e3", 1000), ("1e20", 10**20), ("1e21", 1e21),
        ("12345678901234567890", 12345678901234567890), ("[1.0, {\"a\": 1e0}]", [1, {"a": 1}]),
    ],
)  # fmt: skip
def test_numbers_of_json_texts_are_integers_where_they_can_be(text: str, value: Any) -> None:
    found = jsontext.loads(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "1e400", "", "{", "1" * 5000, "'a'", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        jsontext.loads(text)

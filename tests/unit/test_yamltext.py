"""YAML as Kurtosis reads it: YAML 1.1 in the way of Go's yaml.v2 and ghodss/yaml."""

from __future__ import annotations

from typing import Any

import pytest

from gitopsd.adapters.yamltext import load
from gitopsd.errors import Reason, UserError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-1", -1), ("+1", 1), ("1_000", 1000), ("010", 8), ("0x1F", 31), ("0b101", 5), ("0", 0),
        ("0o17", 15),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("0xffffffffffffffff", 2**64 - 1), ("0x10000000000000000", "0x10000000000000000"),
        ("-0x8000000000000000", -(2**63)), ("-0x8000000000000001", "-0x8000000000000001"),
        ("0x8943545177806ED17B9F23F0a21ee5948eCaa776", "0x8943545177806ED17B9F23F0a21ee5948eCaa776"),
        ("0777777777777777777777777", "0777777777777777777777777"), ("0b1", 1),
        ("1.0", 1.0), ("1e3", 1000.0), (".5", 0.5), ("-2.5e-1", -0.25), ("1.", 1.0), ("-1e400", "-1e400"),
        ("yes", True), ("off", False), ("True", True), ("y", "y"), ("null", None), ("~", None), ("", None),
        ("'1'", "1"), ('"yes"', "yes"), ("1:30", "1:30"), ("2001-01-01", "2001-01-01"), ("1.2.3", "1.2.3"), ("-", "-"),
        ("!!str 1", "1"), ("!!int 7", 7), ("a b", "a b"), ("08x", "08x"), ("é", "é"),
    ],
)  # fmt: skip
def test_scalars(text: str, value: Any) -> None:
    found = load(f"a: {text}\n".encode() if text != "-" else b"a: '-'\n", "f")["data"]["a"]
    assert (type(found), found) == (type(value), value)


def test_keys_become_strings() -> None:
    assert load(b"1: a\nyes: b\nnull: c\n1.5: d\nx: e\n", "f")["data"] == {
        "1": "a", "true": "b", "null": "c", "1.5": "d", "x": "e",
    }  # fmt: skip


def test_anchors_and_merges_are_resolved_and_own_keys_win() -> None:
    text = b"base: &b {x: 1, y: 2}\nmore: &m {z: 3, x: 9}\nall: {<<: [*b, *m], y: 5}\nsame: *b\n"
    data = load(text, "f")["data"]
    assert data["all"] == {"y": 5, "x": 1, "z": 3}
    assert data["same"] == {"x": 1, "y": 2}
    assert load(text, "f")["duplicates"] == []


def test_json_with_tabs_is_read() -> None:
    assert load(b'{"a":\t[1, 2.5,\n\t\t{"b": null}]}', "f")["data"] == {"a": [1, 2.5, {"b": None}]}


def test_an_empty_text_is_nothing() -> None:
    assert load(b"# only a comment\n", "f")["data"] is None


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        (b"a: [1\nb: 2", "f:2:2", "did not find expected"),
        (b"a: 1\n---\nb: 2\n", "f:2:1", "another document"),
        (b"a: &a [*a]", "f:1:4", "a value without circles"),
        (b"? [1]\n: 2\n", "f:1:3", "a key is a list or a mapping"),
        (b"a: !!python/object/apply:os.system [x]", "f:1:4", "is not supported"),
        (b"a: !secret x", "f:1:4", "'!secret' is not supported"),
        (b"a: .inf", "f:1:4", "a finite number"),
        (b"<<: 5", "f:1:5", "no mapping"),
        (b"a: *nope", "f:1:4", "undefined alias"),
        (b"\xff\xfe\x00", "f", "not valid YAML"),
        (b"[" * 300 + b"]" * 300, "f:1:201", "more than 200 levels"),
    ],
)
def test_what_is_no_plain_data_is_refused_at_its_place(text: bytes, position: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        load(text, "f")
    assert caught.value.reason is Reason.CONFIG_INVALID
    assert caught.value.position == position
    assert said in caught.value.message

"""The shared argument rules: positions, names, exact types, messages."""

from __future__ import annotations

from typing import Any

import pytest

from gitopsd.evaluate.arguments import ANY, INT, LIST, TEXT, bind, may, need, non_empty, signature
from gitopsd.evaluate.engine import HostError, StructValue
from gitopsd.evaluate.methods import METHODS
from gitopsd.evaluate.printing import printed
from gitopsd.evaluate.types import SIGNATURES, construct

CALLED = signature("call", need("name", TEXT, non_empty), may("count", INT), may("items", LIST), may("free", ANY))

READY = {
    "recipe": StructValue(type_name="ExecRecipe", fields={"command": ["a"]}), "field": "code", "assertion": "==",
    "target_value": 0,
}  # fmt: skip


def refusal(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(HostError) as caught:
        bind(CALLED, args, kwargs)
    return str(caught.value)


def test_arguments_are_given_by_position_and_by_name_and_kept_in_declared_order() -> None:
    assert list(bind(CALLED, ("web",), {"items": [1], "count": 2})) == ["name", "count", "items"]


def test_only_what_was_given_is_kept() -> None:
    assert bind(CALLED, ("web",), {}) == {"name": "web"}


def test_every_signature_takes_a_description_last() -> None:
    for item in [method.signature for method in METHODS.values()] + list(SIGNATURES.values()):
        assert item.parameters[-1].name == "description"
    assert bind(CALLED, ("web", 1, [], None, "say it"), {})["description"] == "say it"
    assert "'description' is \"\"" in refusal("web", description="")


def test_a_missing_argument_is_named_with_its_type() -> None:
    assert refusal() == "call: the argument 'name' is missing, expected a string"


def test_an_unknown_argument_is_named_with_the_known_ones_and_the_nearest() -> None:
    said = refusal("web", coutn=1)
    assert "unexpected argument 'coutn'" in said
    assert "name, count, items, free, description" in said
    assert "did you mean 'count'?" in said


def test_too_many_and_doubled_arguments_are_refused() -> None:
    assert "got 6 positional arguments, expected at most 5" in refusal("web", 1, [], None, "d", 6)
    assert "given twice" in refusal("web", name="web")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("count", True, "'count' is True (bool), expected an int"),
        ("count", 1.0, "'count' is 1.0 (float), expected an int"),
        ("count", None, "'count' is None (NoneType), expected an int; leave it out instead of passing None"),
        ("items", (1,), "'items' is (1,) (tuple), expected a list"),
        ("items", {}, "'items' is {} (dict), expected a list"),
    ],
)
def test_types_are_exact_and_none_is_not_left_out(name: str, value: Any, said: str) -> None:
    assert said in refusal("web", **{name: value})


def test_a_slot_of_any_type_takes_none() -> None:
    assert bind(CALLED, ("web",), {"free": None}) == {"name": "web", "free": None}


def test_a_long_value_is_shortened_in_a_message() -> None:
    assert len(refusal("web", count=["x" * 10_000] * 1000)) < 300


@pytest.mark.parametrize(
    ("type_name", "given", "said"),
    [
        ("PortSpec", {"number": 0}, "expected 1 to 65535"),
        ("PortSpec", {"number": 65536}, "expected 1 to 65535"),
        ("PortSpec", {"number": 1, "transport_protocol": "tcp"}, "expected one of TCP, UDP, SCTP"),
        ("PortSpec", {"number": 1, "application_protocol": "a b"}, "letters, digits"),
        ("PortSpec", {"number": 1, "wait": 5}, "or None"),
        ("PortSpec", {"number": 1, "wait": "5"}, "a duration such as"),
        ("PortSpec", {"number": 1, "url": "http://a;b"}, "a URL such as"),
        ("PortSpec", {"number": 1, "url": "http://web/%zz"}, "a URL such as"),
        ("PortSpec", {"number": 1, "url": ""}, "a URL such as"),
        ("ServiceConfig", {"image": "x", "private_ip_address_placeholder": ""}, "not empty"),
        ("ServiceConfig", {"image": "x", "labels": {"a": "b c"}}, "at most 63 letters"),
        ("ServiceConfig", {"image": "x", "labels": {"a b": "c"}}, 'at "a b" it holds "c"'),
        ("ServiceConfig", {"image": "x", "labels": {"Team": "c"}}, "keys of at most 63 lower-case letters"),
        ("ServiceConfig", {"image": "x", "labels": {"a.test/b": "c"}}, 'at "a.test/b" it holds "c"'),
        ("ServiceConfig", {"image": "x", "labels": {"a": 1}}, 'strings to strings; at "a" it holds 1 (int)'),
        ("ServiceConfig", {"image": "x", "node_selectors": {"a": 1}}, 'at "a" it holds 1 (int)'),
        ("ServiceConfig", {"image": "x", "files_to_be_moved": {1: "a"}}, "at 1 it holds"),
        ("ServiceConfig", {"image": "x", "bind_mounts": {"/": "/host"}}, "the one source that may be mounted"),
        ("Directory", {"artifact_names": ["a", ""]}, 'at 1 it holds ""'),
        ("Directory", {"persistent_key": ""}, "not empty"),
        ("Directory", {"persistent_key": "a", "size": 2**63}, "expected 1 to 9223372036854775807"),
        ("User", {"uid": 2**63}, "expected 0 to 9223372036854775807"),
        ("User", {"uid": 0, "gid": 2**63}, "expected 0 to 9223372036854775807"),
        ("ExecRecipe", {"command": ["a", 1]}, "at 1 it holds 1 (int)"),
        ("ExecRecipe", {"command": ["a"], "extract": {"k": 1}}, 'at "k" it holds 1 (int)'),
        ("GetHttpRequestRecipe", {"port_id": "", "endpoint": "/"}, "not empty"),
        ("GetHttpRequestRecipe", {"port_id": "a", "endpoint": "/", "headers": {"h": None}}, "holds None (NoneType)"),
        ("ImageSpec", {"image": "x", "registry": ""}, "not empty"),
        ("ImageBuildSpec", {"image_name": "x", "build_context_dir": ".", "build_file": ""}, "not empty"),
        ("ImageBuildSpec", {"image_name": "x", "build_context_dir": ".", "build_args": {"A": 1}}, "holds 1 (int)"),
        ("Toleration", {"key": ""}, "not empty"),
        ("StoreSpec", {"src": "/a", "name": ""}, "not empty"),
        ("Service", {"name": "a", "hostname": "", "ip_address": "x", "ports": {}}, "not empty"),
        ("ServiceConfig", {"image": "x", "max_memory": 5}, "at least 6"),
        ("ServiceConfig", {"image": "x", "ready_conditions": {}}, "expected a ReadyCondition"),
        ("ServiceConfig", {"image": "x", "ports": None}, "leave it out"),
        ("Directory", {"size": 0}, "expected 1 to"),
        ("ExecRecipe", {"command": []}, "not empty"),
        ("ExecRecipe", {"command": "ls"}, "expected a list"),
        ("Toleration", {"operator": "Equals"}, "one of Exists, Equal"),
        ("User", {"uid": -1}, "expected 0 to"),
        ("ReadyCondition", {**READY, "assertion": "="}, "one of =="),
        ("ReadyCondition", {**READY, "recipe": 1}, "expected ExecRecipe or GetHttpRequestRecipe"),
        ("ReadyCondition", {**READY, "field": ""}, "not empty"),
        ("StoreSpec", {"src": ""}, "not empty"),
        ("ReadyCondition", {**READY, "interval": "1"}, "a duration such as"),
    ],
)
def test_type_constructors_check_what_they_get(type_name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(HostError) as caught:
        construct(type_name, (), given)
    assert said in str(caught.value)
    assert str(caught.value).startswith(type_name)


@pytest.mark.parametrize("url", ["http://web:80/a%20b", "web:80", "/path", "nowhere"])
def test_a_url_may_be_a_part_of_one(url: str) -> None:
    assert construct("PortSpec", (80,), {"url": url})["url"] == url


def test_type_constructors_take_positions() -> None:
    assert construct("PortSpec", (8080, "UDP"), {}) == {"number": 8080, "transport_protocol": "UDP"}


def test_a_disabled_wait_is_a_set_field() -> None:
    assert construct("PortSpec", (1,), {"wait": None}) == {"number": 1, "wait": None}


def test_an_object_of_another_type_is_named_in_a_message() -> None:
    port = StructValue(type_name="PortSpec", fields={"number": 1})
    with pytest.raises(HostError, match=r"'user' is PortSpec\(number=1\) \(PortSpec\), expected a User"):
        construct("ServiceConfig", ("image",), {"user": port})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b'a"\n', r'b"a\"\n"'),
        ([1.0, 1e6, 123456.0, 1234567.5, 1e-5, -0.0], "[1.0, 1e+06, 123456.0, 1.2345675e+06, 1e-05, -0.0]"),
        ((float("nan"), float("inf"), float("-inf")), "(nan, +inf, -inf)"),
        (range(3), "range(3)"),
        (range(1, 3), "range(1, 3)"),
        (range(5, 0, -2), "range(5, 0, -2)"),
        ({"a": (1,)}, '{"a": (1,)}'),
    ],
)
def test_values_are_printed_in_the_form_of_the_language(value: object, text: str) -> None:
    assert printed(value) == text

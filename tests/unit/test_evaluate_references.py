"""Placeholders: what a package may do with them, and what becomes of them."""

from __future__ import annotations

import json

import pytest

from gitopsd.evaluate.engine import HostError, OpaqueValue, StructValue
from gitopsd.evaluate.references import References
from gitopsd.model.values import Address, Frozen, Secret, StepResult, Text, freeze, starlark_repr

IP = Address(service="web", field="ip_address")
HOST = Address(service="web", field="hostname")
OUTPUT = StepResult(step="exec/web@0", field="output")


def test_a_token_is_plain_text_that_needs_no_escaping_anywhere() -> None:
    token = References().token(OUTPUT)
    assert token.isalnum() and token.isascii() and token.islower()
    assert json.loads(json.dumps(token)) == token
    assert not token.isdigit()


def test_a_token_is_the_same_in_every_evaluation_and_differs_by_reference() -> None:
    one, other = References(), References()
    assert one.token(IP) == other.token(IP)
    assert len({one.token(IP), one.token(HOST), one.token(OUTPUT)}) == 3


def test_a_text_is_itself_a_reference_or_a_mixture() -> None:
    references = References()
    ip, output = references.token(IP), references.token(OUTPUT)
    assert references.text("plain") == "plain"
    assert references.text(ip) == IP
    assert references.text(f"http://{ip}:80") == Text(parts=("http://", IP, ":80"))
    assert references.text(ip + output) == Text(parts=(IP, OUTPUT))
    assert references.text(ip + "abc0") == Text(parts=(IP, "abc0"))


def test_a_token_that_was_never_given_out_stays_text() -> None:
    stranger = References().token(IP)
    references = References()
    assert references.text(stranger) == stranger
    references.token(OUTPUT)
    assert references.text(stranger) == stranger


def test_a_cut_or_changed_token_is_remarked_upon() -> None:
    references = References()
    token = references.token(IP)
    assert references.text(token.upper()) == token.upper()
    assert references.text(token[:20]) == token[:20]
    assert len(references.take_remarks()) == 2
    assert references.take_remarks() == ()


def test_a_host_name_may_stand_where_a_known_text_is_expected() -> None:
    references = References()
    assert references.plain(references.token(HOST), "x") == "web"
    assert references.plain(f"{references.token(HOST)}.local", "x") == "web.local"


def test_any_other_reference_is_refused_where_a_known_text_is_expected() -> None:
    references = References()
    with pytest.raises(HostError, match=r"add_service: image holds <web ip_address>, which is known only when"):
        references.plain(f"nginx:{references.token(IP)}", "add_service: image")


def test_a_reference_stays_as_text_where_nothing_is_resolved_but_no_secret_does() -> None:
    references = References()
    assert references.opaque(f"x-{references.token(IP)}", "run_sh: name") == "x-<web ip_address>"
    assert references.take_remarks() == (
        "run_sh: name holds <web ip_address>, which is not resolved there: it stays as text",
    )
    with pytest.raises(HostError, match="run_sh: name holds"):
        references.opaque(references.token(IP) + references.token(Secret(name="DB")), "run_sh: name")


def test_values_are_frozen_json_with_references() -> None:
    references = References()
    token = references.token(OUTPUT)
    struct = StructValue(type_name="struct", fields={"b": [1, 2.5, None, True], "a": (token,)})
    assert references.value(struct, "x") == Frozen({"b": (1, 2.5, None, True), "a": (OUTPUT,)})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1: 2}, "has the key 1 (int); expected keys that are strings"),
        ({"a": [float("nan")]}, 'data["a"][0] is nan (float), which has no JSON form'),
        (OpaqueValue(type_name="function", text="<function f>"), "data is <function f> (function)"),
        (StructValue(type_name="PortSpec", fields={"number": 1}), "data is PortSpec(number=1) (PortSpec)"),
        (b"x", "(bytes), which has no JSON form"),
        (1 << 5_000, "an integer of 5001 bits; expected at most 4096"),
    ],
)
def test_what_has_no_json_form_is_refused_with_its_place(value: object, said: str) -> None:
    with pytest.raises(HostError) as caught:
        References().value(value, "data")
    assert said in str(caught.value)


def test_deep_values_are_refused() -> None:
    value: list[object] = []
    for _ in range(300):
        value = [value]
    with pytest.raises(HostError, match="nested more than 200 levels deep"):
        References().value(value, "data")


def test_keys_keep_references_as_text_with_a_remark() -> None:
    references = References()
    token = references.token(IP)
    assert references.value({token: 1}, "data") == Frozen({"<web ip_address>": 1})
    assert references.take_remarks() == ('the key "<web ip_address>" holds a reference, which is not resolved in keys',)


def test_secrets_among_the_arguments_reach_the_package_as_tokens_only() -> None:
    references = References()
    given = references.arguments({"a": freeze([{"secret": "NAME"}, {"secret": 1}, {"secret": "N", "x": 1}])})
    token = given["a"][0]
    assert "NAME" not in token
    assert references.text(token) == Secret(name="NAME")
    assert given["a"][1:] == [{"secret": 1}, {"secret": "N", "x": 1}]


def test_people_read_what_a_token_stands_for() -> None:
    references = References()
    assert references.readable(f"at {references.token(IP)}!") == "at <web ip_address>!"


def test_a_name_that_is_no_text_has_a_token_as_well() -> None:
    assert References().token(Address(service="\udcc3", field="hostname")).isalnum()


def test_a_host_name_in_a_key_is_the_plain_name_of_its_service() -> None:
    references = References()
    key = f"{references.token(HOST)}:80"
    assert references.value({key: 1}, "data") == Frozen({"web:80": 1})
    assert references.take_remarks() == ()


def test_output_without_a_json_form_is_its_printed_text() -> None:
    references = References()
    token = references.token(IP)
    assert references.output({"ip": token}, "") == Frozen({"ip": IP})
    assert references.output({1: 2}, f"{{1: 2}} {token}") == Text(parts=("{1: 2} ", IP))


def test_output_with_references_in_keys_is_json_text_that_resolves_them() -> None:
    references = References()
    token = references.token(IP)
    found = references.output({"a": [{token: token, "b": "\u00e9"}]}, "")
    assert found == Text(parts=('{"a": [{"b": "\u00e9", "', IP, '": "', IP, '"}]}'))


def test_output_is_json_as_the_language_encodes_it() -> None:
    references = References()
    port = StructValue(type_name="PortSpec", fields={"number": 80, "application_protocol": "http"})
    service = StructValue(type_name="Service", fields={"name": "web", "ports": {"http": port}})
    found = references.output({"b": [service], "a": (1, range(2))}, "")
    assert starlark_repr(found) == (
        '{"a": [1, [0, 1]], "b": [{"name": "web", "ports": {"http": {"application_protocol": "http", "number": 80}}}]}'
    )

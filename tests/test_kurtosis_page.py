"""The conformance table says what the code does."""

from __future__ import annotations

import pytest

from gitopsd.evaluate.methods import METHODS
from gitopsd.evaluate.specs import SPEC_FIELD_BY_ARGUMENT
from gitopsd.evaluate.types import SIGNATURES
from gitopsd.model.ops import Kind
from gitopsd.resolve.closure import ARGUMENTS
from tests.kurtosis_page import ON_LOCAL, PAGE, TASKS, WARNED, WARNED_OF, on_local, page


def test_the_page_is_what_the_code_makes_of_it() -> None:
    assert PAGE.read_text("utf-8") == page(), "write it anew with: python -m tests.kurtosis_page"


def test_every_method_and_type_has_its_table() -> None:
    text = page()
    assert all(f"\n### plan.{name} (" in text for name in METHODS)
    assert all(f"\n### {name}\n" in text for name in SIGNATURES)
    assert all(f"({kind.value})\n" in text for kind in Kind)


def test_every_warning_of_the_local_backend_is_in_the_table_under_the_name_that_packages_use() -> None:
    arguments = {item.name for item in SIGNATURES["ServiceConfig"].parameters}
    assert arguments >= WARNED_OF
    for argument, field in SPEC_FIELD_BY_ARGUMENT.items():
        told = on_local("ServiceConfig", argument)
        assert (told == WARNED) == (ARGUMENTS.get(field, field) in WARNED_OF), argument
    for task in TASKS:
        names = {item.name for item in METHODS[task].signature.parameters}
        assert {name for name in names if on_local(task, name) == WARNED} == names & WARNED_OF


@pytest.mark.parametrize(("owner", "name"), ON_LOCAL)
def test_every_remark_is_about_something_that_exists(owner: str, name: str) -> None:
    signature = SIGNATURES[owner] if owner in SIGNATURES else METHODS[owner].signature
    assert name in {item.name for item in signature.parameters}

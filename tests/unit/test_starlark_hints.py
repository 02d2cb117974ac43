"""What an author may have meant, behind the engine's own words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitopsd.adapters.starlark.hints import hint
from gitopsd.adapters.starlark.lowered import Lowered

UNIT = Lowered(
    text="", names=(), exports=("run",), imports=(), signatures={"run": ("plan", "nodes=", "*", "flag="), "main": ()}
)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            'function run got an unexpected keyword argument "nods"',
            "did you mean 'nodes'?; expected one of nodes, flag",
        ),
        ('function run got an unexpected keyword argument "zzz"', "expected one of nodes, flag"),
        ('function other got an unexpected keyword argument "nods"', ""),
        ("undefined: PortSpeck", "did you mean 'PortSpec'?"),
        ("undefined: zzz", ""),
        ("no function 'rum' in a/main.star", "did you mean 'run'?; expected one of run, main"),
        ("no function 'zzz' in a/main.star", "expected one of run, main"),
        ("fail: undefined: PortSpeck", ""),
        ("division by zero", ""),
    ],
)
def test_a_hint_says_what_may_have_been_meant(message: str, said: str) -> None:
    assert hint(message, UNIT, ("PortSpec", "len")) == said


def test_a_file_that_was_not_lowered_has_hints_for_builtins_alone() -> None:
    assert hint("undefined: lenn", None, ("len",)) == "did you mean 'len'?"
    assert hint("no function 'rum' in main.star", None, ()) == ""


def test_a_file_without_functions_has_the_form_of_one_for_a_hint() -> None:
    empty = replace(UNIT, signatures={})
    assert hint("no function 'run' in main.star", empty, ()) == (
        "expected a function that takes plan, such as def run(plan, args)"
    )

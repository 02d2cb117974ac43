"""The sources that an engine runs before any package: the prelude, and what the host adds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from gitopsd.adapters.starlark.times import CONSTANTS, FUNCTIONS

__all__ = ["FILE", "ORIGINALS", "prelude", "published", "restoring"]

FILE = "ƶ"
"""The file name of all sources that are not the author's."""
_FILES = ("values.star", "operators.star", "builtins.star")
ORIGINALS = (
    "abs", "all", "any", "bool", "bytes", "chr", "dict", "dir", "enumerate", "fail", "float", "getattr", "hasattr",
    "hash", "int", "len", "list", "max", "min", "ord", "range", "repr", "reversed", "sorted", "str", "tuple", "type",
    "zip",
)  # fmt: skip
_OPERATORS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "fdiv": "//", "or": "|", "xor": "^", "and": "&", "shl": "<<",
    "shr": ">>",
}  # fmt: skip
_COMPARISONS = {"lt": "<", "gt": ">", "le": "<=", "ge": ">="}
_REFUSALS = {
    "len": (1, "len: value of type %s has no len"), "list": (1, "list: for parameter 1: got %s, want iterable"),
    "tuple": (1, "tuple: for parameter 1: got %s, want iterable"),
    "enumerate": (2, "enumerate: for parameter 1: got %s, want iterable"),
    "reversed": (1, "reversed: for parameter 1: got %s, want iterable"),
    "bytes": (1, "bytes: got %s, want string, bytes, or iterable of ints"),
}  # fmt: skip
"""Builtins that would take a special value for the tuple that it is: at most so many arguments, else the refusal."""
_OWN = "struct type str repr bool dir hasattr getattr fail print zip any all dict".split()  # noqa: SIM905
_BINARY = """
def ƶ{name}(a, b):
    if ƶ_type(a) in ƶ_odd or ƶ_type(b) in ƶ_odd:
        if ƶ_strange(a) or ƶ_strange(b):
            return ƶ_operate("{name}", "{sign}", a, b)
    return a {sign} b
def ƶi{name}(a, b):
    if ƶ_type(a) in ƶ_odd or ƶ_type(b) in ƶ_odd:
        if ƶ_strange(a) or ƶ_strange(b):
            return ƶ_operate("{name}", "{sign}", a, b)
    a {sign}= b
    return a
"""
_COMPARISON = """
def ƶ{name}(a, b):
    if ƶ_type(a) in ƶ_sequences or ƶ_type(b) in ƶ_sequences:
        ƶ_compare("{sign}", a, b)
    return a {sign} b
"""
_REFUSING = """
def ƶ{name}(*a, **k):
    if a and ƶ_type(a[0]) in ƶ_odd and ƶ_strange(a[0]) and ƶ_len(a) <= {most} and not k:
        ƶ_fail("{message}" % ƶ_name(a[0]))
    return ƶ_{name}(*a, **k)
"""
_TYPE = """
def ƶ{name}(*a, **k):
    return ƶ_make("{name}", a, k)
"""
_PRINTING = """
def ƶ_make_{name}(n, file, line):
    def ƶplan_{name}(*a, **k):
        a = [ƶ_text(x) for x in a[:1]] + ƶ_list(a[1:])
        k = {{n: ƶ_text(x) if n == "msg" else x for n, x in k.items()}}
        return ƶ_one(ƶ_call(n, file, line, ƶ_repr((a, k))))
    return ƶplan_{name}
"""
_CALLING = """
def ƶ_make_{name}(n, file, line):
    def ƶplan_{name}(*a, **k):
        return ƶ_one(ƶ_call(n, file, line, ƶ_repr((a, k))))
    return ƶplan_{name}
"""
_FUNCTION = """
def ƶ{function}(*a, **k):
    return {call}
"""


def _text(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read()


def prelude(*, plan_methods: Iterable[str], text_methods: Iterable[str], careful: bool = False) -> str:
    """What does not depend on the types and constants of the host; first the engine's own builtins get private names,
    before anything can hide them."""
    parts = [*(f"ƶ_{name} = {name}" for name in ORIGINALS), f"ƶ_careful = {careful}"]
    parts += [_text(name) for name in _FILES]
    parts += [_BINARY.format(name=name, sign=sign) for name, sign in _OPERATORS.items()]
    parts += [_COMPARISON.format(name=name, sign=sign) for name, sign in _COMPARISONS.items()]
    parts += [_REFUSING.format(name=name, most=most, message=text) for name, (most, text) in _REFUSALS.items()]
    table = ", ".join(f'"{name}": ƶi{name}' for name in [*_OPERATORS, "mod"])
    methods = {name: _PRINTING if name in text_methods else _CALLING for name in plan_methods}
    parts += [template.format(name=name) for name, template in methods.items()]
    parts.append("ƶ_plan_methods = {" + ", ".join(f'"{name}": ƶ_make_{name}' for name in methods) + "}\n")
    parts.append(f"ƶ_augmenting = {{{table}}}\ndef ƶ_augment(op, x, y):\n    return ƶ_augmenting[op](x, y)\n")
    return "\n".join(parts)


def published(
    *, plan_methods: Iterable[str], type_names: Iterable[str], constants: Mapping[str, str], main: str
) -> str:
    """Modules, types and `plan`, under their private names. `main` is for uses of a name that its file also binds."""
    parts = [_TYPE.format(name=name) for name in type_names]
    calls = {f"json_{name}": f'ƶ_one(ƶ_json("{name}", ƶ_repr((a, k))))' for name in ("decode", "indent")}
    calls |= {f"time_{name}": f'ƶ_time_value(ƶ_time("{name}", ƶ_repr((a, k))))' for name in FUNCTIONS}
    parts += [_FUNCTION.format(function=function, call=call) for function, call in calls.items()]
    members = [f'"{name}": ƶjson_{name}' for name in ("decode", "encode", "indent")]
    parts.append(f'ƶjson = ƶ_module("json", {{{", ".join(members)}}})')
    members = [f'"{name}": ƶtime_{name}' for name in FUNCTIONS]
    members += [f'"{name}": (ƶ, "time.duration", None, {size})' for name, size in CONSTANTS.items()]
    parts.append(f'ƶtime = ƶ_module("time", {{{", ".join(members)}}})')
    members = [f"{_quote(name)}: {_quote(value)}" for name, value in constants.items()]
    parts.append(f'ƶkurtosis = ƶ_module("kurtosis", {{{", ".join(members)}}})')
    members = [f'"{name}": ƶ_plan_method("{name}", "", 0)' for name in plan_methods]
    parts.append(f'ƶ_plan = ƶ_module("plan", {{{", ".join(members)}}}) + (None,)')
    parts.append('ƶ_modules = {"json": ƶjson, "time": ƶtime, "kurtosis": ƶkurtosis, "plan": ƶ_plan}')
    parts.append(f"ƶimport_module = ƶimporter({_quote(main)})\nƶread_file = ƶreader({_quote(main)})\n")
    return "\n".join(parts)


def restoring(names: Iterable[str]) -> str:
    """Give builtins their meaning (back)."""
    return "\n".join(f"{name} = ƶ{name}" for name in names)


def builtin_names(type_names: Iterable[str]) -> tuple[str, ...]:
    """All names that the prelude gives to packages."""
    return (*_REFUSALS, *_OWN, "json", "time", "kurtosis", "import_module", "read_file", *type_names)


def _quote(text: str) -> str:
    """Write a Starlark string literal."""
    escaped = "".join(char if char.isprintable() and char not in '"\\' else _escape(char) for char in text)
    return f'"{escaped}"'


def _escape(char: str) -> str:
    return f"\\{char}" if char in '"\\' else f"\\U{ord(char):08x}"

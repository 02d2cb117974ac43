"""The lowering changes how a program is written, never what it means or on which line it stands."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitopsd.adapters.starlark.lowered import Unlowerable
from gitopsd.adapters.starlark.lowering import lower, origins
from gitopsd.adapters.starlark.scanner import scan

CORPUS = Path(__file__).parents[1] / "conformance" / "starlark.jsonl"
SOURCES = [
    text
    for line in CORPUS.read_text(encoding="utf-8").splitlines()
    for path, text in json.loads(line)["files"].items()
    if path.endswith(".star")
]
PLAN = frozenset(["print", "add_service"])
WORKER = """
import json, sys
import starlark_go
from gitopsd.adapters.starlark.callbacks import Callbacks
from gitopsd.adapters.starlark.lowering import lower
from gitopsd.adapters.starlark.prelude import prelude
class Nobody:
    plan_methods = text_methods = type_names = ()
    constants = {}
keep = Callbacks(Nobody())
star = starlark_go.Starlark(globals=keep.functions)
star.exec("ƶ_loaded = {}\\nƶ_literal = {}\\nƶ_modules = {}")
star.exec(prelude(plan_methods=(), text_methods=()))
for line in sys.stdin:
    both = []
    source = json.loads(line)
    lowered = [lower(source, path="x.star", plan_methods=frozenset(), careful=careful) for careful in (False, True)]
    for text in (source, *[item.text for item in lowered]):
        try:
            both.append(star.eval(text.strip()))
        except starlark_go.StarlarkError as error:
            both.append(error.args[0].removeprefix("fail: "))
    print(json.dumps([repr(value) for value in both]), flush=True)
"""

atoms = st.one_of(
    st.integers(min_value=0, max_value=99).map(str),
    st.sampled_from(['"ab"', "'%s'", "[1, 2]", "(3,)", '{"k": 5}', "None", "True", "1.5", "b'x'", "range(4)"]),
)


def combined(inner):
    binary = st.sampled_from(["+", "-", "*", "//", "%", "|", "&", "==", "!=", "<", "and", "or", "in", "not in"])
    return st.one_of(
        st.builds("({}) {} ({})".format, inner, binary, inner),
        st.builds("{} {} {}".format, atoms, st.sampled_from(["+", "*", "%", "//", "|", "and"]), inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("[x for x in [{}] if {}]".format, inner, inner),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("({})[{}:]".format, inner, inner),
        st.builds("(lambda x, *y: [x, y])({}, *[{}])".format, inner, inner),
        st.builds("(- {})".format, inner),
        st.builds("(not {})".format, inner),
        st.builds("{{{}: {}}}".format, st.sampled_from(["1", '"k"']), inner),
    )


expressions = st.recursive(atoms, combined, max_leaves=8)


@given(st.text(alphabet=st.sampled_from(list("abr\"'\\\n\r\t #.(){}[]=+-*/%<>!,:;059xeé\0@$")), max_size=60))
def test_the_tokens_and_gaps_of_any_text_join_to_the_text(text):
    gaps, tokens = scan(text)
    assert "".join(gap + token for gap, token in zip(gaps, tokens, strict=True)) == text


@given(st.sampled_from(SOURCES), st.booleans())
def test_lowering_keeps_every_line_where_it_is(source, careful):
    try:
        lowered = lower(source, path="x.star", plan_methods=PLAN, careful=careful).text
    except Unlowerable:
        return
    assert len(lowered.splitlines()) == len(source.splitlines())
    for before, after in zip(source.splitlines(), lowered.splitlines(), strict=True):
        assert len(before) - len(before.lstrip()) == len(after) - len(after.lstrip())


@given(st.integers(0, len(SOURCES) - 1), st.booleans())
@settings(deadline=None)
def test_every_helper_belongs_to_a_line_of_the_author(number, careful):
    source = SOURCES[number]
    try:
        places = origins(source, path="x.star", plan_methods=PLAN, careful=careful)
    except Unlowerable:
        return
    assert all(1 <= line <= len(source.splitlines()) for line in places.values())


@given(st.sampled_from(SOURCES), st.integers(min_value=0), st.integers(min_value=0), st.sampled_from("()[],.=:+ \n"))
def test_a_damaged_source_is_lowered_or_refused_and_nothing_else(source, at, length, put):
    start = at % (len(source) + 1)
    damaged = source[:start] + put + source[start + length % 7 :]
    with suppress(Unlowerable):
        lower(damaged, path="x.star", plan_methods=PLAN)


@settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(expressions, min_size=40, max_size=40))
def test_a_lowered_expression_has_the_value_or_the_error_of_the_original(texts):
    given_lines = "".join(json.dumps(f"{text}\n") + "\n" for text in texts)
    done = subprocess.run(
        [sys.executable, "-c", WORKER],
        input=given_lines,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    pairs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(pairs) == len(texts), done.stderr
    for text, (original, lowered, careful) in zip(texts, pairs, strict=True):
        assert lowered == original, text
        assert careful == original, text


COMPILER = """
import json, sys
import starlark_go
from gitopsd.adapters.starlark.callbacks import Callbacks
from gitopsd.adapters.starlark.prelude import prelude
class Nobody:
    plan_methods = text_methods = type_names = ()
    constants = {}
keep = Callbacks(Nobody())
star = starlark_go.Starlark(globals=keep.functions)
star.exec("ƶ_loaded = {}\\nƶ_literal = {}\\nƶ_modules = {}")
star.exec(prelude(plan_methods=(), text_methods=()))
def legal(text):
    try:
        star.exec(text + "\\nƶstop\\n")
    except starlark_go.SyntaxError:
        return False
    except starlark_go.ResolveError as error:
        return all(item.msg.startswith("undefined") for item in error.errors)
for line in sys.stdin:
    print(json.dumps([legal(text) for text in json.loads(line)]), flush=True)
"""


@settings(max_examples=2, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(SOURCES), st.integers(0, 2**16), st.sampled_from("()[],.=:+*-; \n")), min_size=50
    )
)
def test_what_the_engine_refuses_is_not_made_legal(damages):
    pairs = []
    for source, at, put in damages:
        start = at % (len(source) + 1)
        damaged = source[:start] + put + source[start:]
        with suppress(Unlowerable):
            pairs.append([damaged, lower(damaged, path="x.star", plan_methods=PLAN).text])
    done = subprocess.run(
        [sys.executable, "-c", COMPILER],
        input="".join(json.dumps(pair) + "\n" for pair in pairs),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    for (damaged, _), line in zip(pairs, done.stdout.splitlines(), strict=True):
        original, lowered = json.loads(line)
        assert lowered == original, damaged

"""Every program of two Starlark corpora gives what the native engine gave: the same prints, or the same error there.

`starlark.jsonl` is the shared corpus. `starlark_more.jsonl` is our own in the same format: programs that once gave
something else, with the results of go.starlark.net at the commit that Kurtosis uses.

Known to differ still, because the binding has no way or ordinary programs would pay for it:
- A source that is not UTF-8 or holds a NUL is refused: the binding carries neither.
- `read_file`, `import_module` and methods of `plan` equal themselves only through one name: each mention of them is a
  function that knows its place.
- A key function of `sorted`, `max` or `min` that gives structs, and is no lambda written in place, orders by what is in
  them; natively they have no order.
- A struct can be unpacked into three names or more, if they are as many as the tuple has that stands for it.
- The value of `x and y` is False when x is a duration of nothing; it is as untrue as that.
- A keyword that is given twice, the second time through `**`, is refused by `str.format` and by `json` and `time`.
- `max` and `min` take more than 255 arguments.
- `elems()` and `codepoints()` as keys of a dict are refused under other names.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CASES = [
    json.loads(line)
    for name in ("starlark.jsonl", "starlark_more.jsonl")
    for line in (HERE / name).read_text(encoding="utf-8").splitlines()
]
CHUNK = 120


def run_in_worker(cases):
    """Run cases in one fresh process; a case that ends its process has no outcome, and the rest go on in another."""
    outcomes = {}
    while cases:
        lines = "".join(json.dumps(case) + "\n" for case in cases)
        done = subprocess.run(
            [sys.executable, str(HERE / "starlark_worker.py")],
            input=lines,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        found = [json.loads(line) for line in done.stdout.splitlines()]
        outcomes |= {outcome["id"]: outcome for outcome in found}
        if len(found) < len(cases):
            outcomes[cases[len(found)]["id"]] = {"died": done.stderr[-2000:]}
        cases = cases[len(found) + 1 :]
    return outcomes


@pytest.fixture(scope="module")
def outcome_by_id():
    outcomes = {}
    for start in range(0, len(CASES), CHUNK):
        outcomes |= run_in_worker(CASES[start : start + CHUNK])
    return outcomes


def differences(case, outcome):
    """What an outcome has wrong: prints, whether it failed, where, with which words and stack."""
    expected = case["expect"]
    if "died" in outcome:
        return ["the process died: " + outcome["died"]]
    found = []
    if outcome["prints"] != expected["prints"]:
        found.append(f"printed {outcome['prints']}, expected {expected['prints']}")
    if ("error" in outcome) != ("error" in expected):
        found.append(f"error {outcome.get('error')!r}, expected {expected.get('error')!r}")
    elif "error" in expected:
        if expected["error_contains"] not in outcome["error"]:
            found.append(f"said {outcome['error']!r}, expected {expected['error_contains']!r} in it")
        found += [
            f"{name} is {outcome[name]}, expected {expected[name]}"
            for name in ("file", "line", "stack")
            if name in expected and outcome[name] != expected[name]
        ]
        if outcome["kind"] != expected["kind"] and not case.get("host_error"):
            found.append(f"kind is {outcome['kind']}, expected {expected['kind']}")
    return found


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_program_does_what_the_native_engine_does(case, outcome_by_id):
    assert differences(case, outcome_by_id[case["id"]]) == []

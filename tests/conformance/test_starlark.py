"""Every program of the Starlark corpus gives what the native engine gave: the same prints, or the same error there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CASES = [json.loads(line) for line in (HERE / "starlark.jsonl").read_text(encoding="utf-8").splitlines()]
CHUNK = 120

MISSES = {
    "struct-034": "a name that `struct` gets both directly and through ** is refused; the native engine keeps both",
    "json-020": "a struct that holds itself through a list is noticed one level later: its path is longer",
}
"""Cases that do not give what the native engine gives, and why. One that passes must leave this table."""


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
    found = differences(case, outcome_by_id[case["id"]])
    if case["id"] in MISSES:
        assert found, f"{case['id']} gives the native result now: take it out of MISSES"
    else:
        assert found == []

"""Every rule of the package language beyond the language itself, over the real interpreter and the real stage.

``kurtosis.jsonl`` has a line for each rule: a package that shows it (``files``, ``args``, pinned ``repositories``) and
what it has to print, or a fragment of the problem that it has to end with; ``warns`` is a fragment of a warning.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CASES = [json.loads(line) for line in (HERE / "kurtosis.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, Any]]:
    """What every case did, by its rule; all in one process, as none of them is meant to end it."""
    lines = "".join(json.dumps(case) + "\n" for case in CASES)
    command = [sys.executable, str(HERE / "kurtosis_worker.py")]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(CASES), done.stderr[-2000:]
    return {case["rule"]: outcome for case, outcome in zip(CASES, found, strict=True)}


def test_no_rule_stands_here_twice() -> None:
    assert len({case["rule"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case["rule"] for case in CASES])
def test_rule(case: dict[str, Any], outcomes: dict[str, dict[str, Any]]) -> None:
    outcome = outcomes[case["rule"]]
    if "fails" in case:
        assert "prints" not in outcome, outcome
        assert case["fails"] in "\n".join(outcome["problems"]), outcome
    else:
        assert outcome.get("prints") == case["prints"], outcome
        assert case.get("warns", "") in "\n".join(outcome["warnings"]), outcome

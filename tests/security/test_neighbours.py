"""What one environment does to itself stays with it: its neighbours in the same daemon go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stage.daemon import Daemon
from tests.stage.repository import Checkout
from tests.stage.waiting import until

pytestmark = pytest.mark.slow

GOOD = """
def run(plan, word):
    plan.run_sh(name = "say", run = "echo " + word)
"""
BOMB = "def run(plan):\n    [[[0 for a in range(100000)] for b in range(100000)] for c in range(100000)]\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    limits = {"evaluation": {"cpu": "6s", "time": "12s"}}
    with Daemon(tmp_path, Checkout(tmp_path / "repo"), {"limits": limits}) as made:
        yield made


def verdicts(daemon: Daemon) -> dict[str, str]:
    return {item["name"]: str(item.get("last_verdict")) for item in daemon.json("status")["environments"]}


def test_a_bomb_a_wrong_duration_and_an_unknown_backend_fail_only_their_own_environment(daemon: Daemon) -> None:
    environments = {
        "bomb": {"package": "bomb"},
        "wrong": {"package": "good", "args": {"word": "x"}, "timeout": "5 parsecs"},
        "lost": {"package": "good", "args": {"word": "x"}, "backend": "nowhere"},
    }

    def push(word: str) -> None:
        good = {"good": {"package": "good", "args": {"word": word}}}
        daemon.repository.push({
            "gitopsd.yaml": json.dumps({"environments": {**environments, **good}}),
            "good/kurtosis.yml": "name: github.com/acme/good\n",
            "good/main.star": GOOD,
            "bomb/kurtosis.yml": "name: github.com/acme/bomb\n",
            "bomb/main.star": BOMB + f"# {word}\n",
        })  # fmt: skip

    push("one")
    daemon.started()
    until(lambda: verdicts(daemon).get("good") == "succeeded", "the good one is there")
    push("two")
    until(lambda: verdicts(daemon).get("bomb") == "invalid", "the bomb is told")
    until(lambda: verdicts(daemon).get("lost") == "invalid", "the unknown backend is told")
    assert verdicts(daemon)["good"] == "succeeded"
    for name, expected in (
        ("bomb", "evaluation was ended"),
        ("wrong", "'5 parsecs'"),
        ("lost", "no backend 'nowhere'"),
    ):
        why = daemon.verb("why", name)
        assert expected in why.stdout + why.stderr, (name, why)
    assert not [line for line in daemon.lines() if "bug" in json.dumps(line).lower()]

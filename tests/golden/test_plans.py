"""Small packages and the plans that they evaluate to, in real workers. ``GOLDEN=write`` writes the plans anew."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gitopsd.adapters.worker.evaluator import WorkerEvaluator
from gitopsd.evaluate.methods import METHODS
from gitopsd.evaluate.types import TYPE_NAMES
from gitopsd.model import codec
from gitopsd.model.ops import method_of
from gitopsd.model.plan import Plan
from tests.stage.packages import files_of, request

FOLDER = Path(__file__).parent / "packages"
PACKAGES = sorted(path.name for path in FOLDER.iterdir())


def plan_of(name: str, scratch: Path) -> Plan:
    files = files_of(FOLDER / name)
    files.pop("plan.json", None)
    args = json.loads(files.pop("args.json", b"{}"))
    evaluation = WorkerEvaluator().evaluate(request(scratch / "mirror.git", files, args))
    assert evaluation.problems == () and evaluation.missing == ()
    assert evaluation.plan is not None
    return evaluation.plan


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_evaluates_to_its_golden_plan(name: str, tmp_path: Path) -> None:
    plan = plan_of(name, tmp_path)
    told = {key: codec.encode(getattr(plan, key)) for key in ("instructions", "output", "warnings")}
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    golden = FOLDER / name / "plan.json"
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("name", PACKAGES)
def test_needs_of_a_golden_plan_name_earlier_instructions_only(name: str, tmp_path: Path) -> None:
    seen: set[str] = set()
    for item in plan_of(name, tmp_path).instructions:
        assert set(item.needs) <= seen
        assert item.id not in seen
        seen.add(item.id)


def test_the_golden_packages_use_every_plan_method(tmp_path: Path) -> None:
    used = {method_of(item.op) for item in plan_of("everything", tmp_path).instructions}
    assert used == set(METHODS) - {"add_services"}
    assert len(METHODS) == 20
    assert len(TYPE_NAMES) == 15

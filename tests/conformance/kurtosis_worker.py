"""Evaluates packages, one JSON object per line on standard input, and writes what each did, one per line."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gitopsd.adapters.starlark.engine import StarlarkEngine
from gitopsd.evaluate import evaluate
from gitopsd.model.ops import Print
from gitopsd.model.package import Arguments, EvaluationRequest, Package, Pin
from gitopsd.model.values import Frozen, describe_text, freeze
from tests.stage.scripted import LOCATOR, MemoryTrees


class Trees:
    """One dict of files for every repository, by its address."""

    def __init__(self, files):
        self._trees = {url: MemoryTrees(found) for url, found in files.items()}

    def read(self, url, commit, path):
        return self._trees[url].read(url, commit, path)

    def files(self, url, commit, path):
        return self._trees[url].files(url, commit, path)


def outcome(case):
    repositories = case.get("repositories", {})
    pins = [Pin(root=root, ref=case.get("refs", {}).get(root, ""), url=root, commit="c" * 40) for root in repositories]
    package = Package(
        locator=LOCATOR, url="own", commit="a" * 40, replace=Frozen(case.get("replace", {})), pins=tuple(pins)
    )
    request = EvaluationRequest(
        package=package,
        arguments=Arguments(values=freeze(case.get("args", {}))),
        cluster_type=case.get("cluster_type", "docker"),
        constants=Frozen(case.get("constants", {})),
    )
    found = evaluate(request, StarlarkEngine, Trees({"own": case["files"], **repositories}))
    if found.plan is None:
        problems = [f"{problem.position}: {problem.message}" for problem in found.problems]
        return {"problems": problems, "missing": [item.locator for item in found.missing]}
    prints = [describe_text(item.op.message) for item in found.plan.instructions if isinstance(item.op, Print)]
    return {"prints": prints, "warnings": [item.message for item in found.plan.warnings]}


for line in sys.stdin:
    print(json.dumps(outcome(json.loads(line))), flush=True)

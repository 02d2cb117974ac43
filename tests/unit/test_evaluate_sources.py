"""What a package reads, and what it is told when that is not there."""

from __future__ import annotations

from gitopsd.errors import Reason
from gitopsd.evaluate import evaluate
from gitopsd.model.package import Arguments, Package
from gitopsd.ports import EvaluationRequest
from tests.evaluating import MemoryTrees, ScriptedEngine, evaluate_script


def test_a_download_that_is_not_there_is_missing() -> None:
    evaluation = evaluate_script(lambda plan, args: plan.upload_files("https://127.0.0.1/x.tgz"))
    assert evaluation.plan is None
    assert [item.url for item in evaluation.missing] == ["https://127.0.0.1/x.tgz"]


def test_a_repository_that_is_not_pinned_is_missing() -> None:
    evaluation = evaluate_script(lambda plan, args: plan.upload_files("github.com/a/b/c@v1"))
    (missing,) = evaluation.missing
    assert (missing.locator, missing.ref) == ("github.com/a/b", "v1")


def test_a_package_without_a_main_file_is_invalid() -> None:
    package = Package(locator="github.com/example/net", url="u", commit="c", path="deep/down")
    asked = EvaluationRequest(package=package, arguments=Arguments(), cluster_type="docker")
    (problem,) = evaluate(asked, lambda host: ScriptedEngine(host, lambda plan, args: None), MemoryTrees({})).problems
    assert problem.reason is Reason.PACKAGE_INVALID
    assert "deep/down/main.star" in problem.message

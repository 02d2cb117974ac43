"""What a package reads, and what it is told when that is not there."""

from __future__ import annotations

from functools import partial

import pytest

from gitopsd.errors import Reason
from gitopsd.evaluate import evaluate
from gitopsd.evaluate.engine import HostError
from gitopsd.evaluate.sources import Sources
from gitopsd.model.package import Arguments, EvaluationRequest, Package, Pin, TreeFile
from tests.stage.scripted import LOCATOR, URL, MemoryTrees, ScriptedEngine, evaluate_script


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


@pytest.mark.parametrize(
    ("name", "url", "warned"),
    [
        ("github.com/up/stream", f"https://{LOCATOR}.git", 1),
        ("github.com/up/stream", "git@github.com:example/net", 1),
        ("github.com/up/stream", URL, 0),
        (f"{LOCATOR}/chain", f"https://{LOCATOR}.git", 0),
        ("", f"https://{LOCATOR}.git", 0),
    ],
)
def test_a_package_that_bears_another_name_than_its_place_is_warned_of(name: str, url: str, warned: int) -> None:
    asked = EvaluationRequest(
        package=Package(locator=LOCATOR, url=url, commit="c" * 40, path="chain", name=name),
        arguments=Arguments(),
        cluster_type="docker",
    )
    engine = partial(ScriptedEngine, script=lambda plan, args: None)
    plan = evaluate(asked, engine, MemoryTrees({"chain/main.star": ""})).plan
    assert plan is not None
    assert [str(item.position) for item in plan.warnings] == ["chain/kurtosis.yml"] * warned
    assert all("names 'github.com/up/stream'" in item.message for item in plan.warnings)


class TwoTrees(MemoryTrees):
    """The repository at hand, and one at the address ``published``."""

    def read(self, url: str, commit: str, path: str) -> bytes:
        return b"published" if url == "published" else super().read(url, commit, path)

    def files(self, url: str, commit: str, path: str) -> tuple[TreeFile, ...]:
        if url == "published":
            return (TreeFile(path="Dockerfile", mode=0o644, content=f"FROM {path}".encode()),)
        return super().files(url, commit, path)


def copied() -> Sources:
    """Those of a package that was copied alone, and keeps the name that it is published under."""
    pin = Pin(root="github.com/up/mono", ref="HEAD", url="published", commit="d" * 40)
    package = Package(
        locator=LOCATOR, url=URL, commit="c" * 40, path="copies/net", name="github.com/up/mono/net", pins=(pin,)
    )
    return Sources(package, TwoTrees({"copies/net/main.star": ""}))


def test_an_image_is_built_from_where_its_folder_is_published() -> None:
    sources = copied()
    main = sources.main_file().path
    one, other = (sources.build(f"github.com/up/mono/{name}", "Dockerfile", main) for name in ("one", "other"))
    assert one != other
    with pytest.raises(HostError, match="no file or folder inside the repository"):
        sources.build("../one", "Dockerfile", main)


def test_what_was_found_where_it_is_published_is_not_beside_the_package() -> None:
    sources = copied()
    main = sources.main_file().path
    assert sources.read("github.com/up/mono/lib/x.star", main).content == b"published"
    with pytest.raises(HostError, match="no file or folder inside the repository"):
        sources.read("../lib/x.star", main)

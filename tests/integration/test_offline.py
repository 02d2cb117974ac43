"""Folders planned and checked without a daemon: what the backend will not honour is told."""

from __future__ import annotations

from pathlib import Path

from gitopsd.daemon.offline import Offline
from gitopsd.model.plan import Evaluation


def planned(folder: Path, config: str) -> Evaluation:
    (folder / "kurtosis.yml").write_text("name: github.com/example/net\n")
    (folder / "main.star").write_text(f"def run(plan):\n    plan.add_service('web', ServiceConfig({config}))\n")
    return Offline(folder=folder, cache=folder / "cache").plan()


def test_a_field_that_the_backend_cannot_honour_is_told(tmp_path: Path) -> None:
    plan = planned(tmp_path, "image='postgres:16', privileged=True, min_cpu=100").plan
    assert plan is not None
    assert [(str(item.position), item.message) for item in plan.warnings] == [
        ("main.star:2", "the local backend does not honour `min_cpu` of service/web"),
        ("main.star:2", "the local backend does not honour `privileged` of service/web"),
    ]
    problems = Offline(folder=tmp_path, cache=tmp_path / "cache").examine()
    assert [(item.severity, item.message) for item in problems] == [("warning", item.message) for item in plan.warnings]


def test_what_an_image_stands_for_is_left_to_the_operator(tmp_path: Path) -> None:
    plan = planned(tmp_path, "image='postgres:16', cmd=['x']").plan
    assert plan is not None
    assert plan.warnings == ()


def test_a_misspelt_name_has_a_hint(tmp_path: Path) -> None:
    planned(tmp_path, "image='x', ports={'a': PortSpec(number=1)}")
    (tmp_path / "main.star").write_text("def run(plan, nodes=1):\n    PortSpek(number=1)\n")
    (problem,) = Offline(folder=tmp_path, cache=tmp_path / "cache").examine()
    assert (problem.message, problem.hint) == ("undefined: PortSpek", "did you mean 'PortSpec'?")
    (tmp_path / "main.star").write_text("def run(plan, nodes=1):\n    pass\n")
    (tmp_path / "args.json").write_text('{"nods": 2}')
    (problem,) = Offline(folder=tmp_path, cache=tmp_path / "cache").examine(tmp_path / "args.json")
    assert problem.hint == "did you mean 'nodes'?; expected one of nodes"


def test_a_dependency_is_replaced_by_a_folder_beside_the_package_in_its_repository(tmp_path: Path) -> None:
    package, library = tmp_path / "packages" / "net", tmp_path / "library"
    for folder, name in ((package, "example/net"), (library, "acme/library")):
        folder.mkdir(parents=True)
        (folder / "kurtosis.yml").write_text(f"name: github.com/{name}\n")
    (package / "kurtosis.yml").write_text(
        "name: github.com/example/net\nreplace:\n  github.com/acme/library: ../../library\n"
    )
    (package / "main.star").write_text(
        "lib = import_module('github.com/acme/library/lib.star')\n\ndef run(plan):\n    plan.print(lib.NAME)\n"
    )
    (library / "lib.star").write_text("NAME = 'from beside'\n")
    offline = Offline(folder=package, cache=tmp_path / "cache")
    (problem,) = offline.examine()
    assert "leaves its repository" in problem.message
    (tmp_path / ".git").mkdir()
    plan = offline.plan().plan
    assert plan is not None
    assert [str(item.position) for item in plan.instructions] == ["packages/net/main.star:4"]
    assert "from beside" in str(plan.instructions)

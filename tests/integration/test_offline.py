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


def test_without_a_place_to_keep_anything_a_package_is_planned_or_told_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "kurtosis.yml").write_text("name: github.com/example/net\n")
    (tmp_path / "file").write_text("")
    offline = Offline(folder=tmp_path, cache=tmp_path / "file" / "cache")
    unused = "def unused():\n    import_module('github.com/a/b/c.star')\n"
    (tmp_path / "main.star").write_text(f"{unused}def run(plan):\n    pass\n")
    assert offline.examine() == ()
    (tmp_path / "main.star").write_text(f"{unused}def run(plan):\n    unused()\n")
    (problem,) = offline.examine()
    assert "nothing can be kept in" in problem.message
    assert problem.position == "main.star:2"

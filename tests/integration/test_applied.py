"""A golden package that uses every plan method, applied for real: processes, files and HTTP answers of this machine."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitopsd.evaluate.methods import METHODS
from gitopsd.model.ops import method_of
from gitopsd.model.run import Run, Verdict
from gitopsd.model.values import Frozen, thaw
from gitopsd.report.text import run_data, run_text
from tests.stage.local import LocalSite
from tests.stage.packages import files_of
from tests.stage.world import prints_of

PACKAGE = files_of(Path(__file__).parents[1] / "golden" / "packages" / "applied")
ARGS = json.loads(PACKAGE.pop("args.json"))
del PACKAGE["plan.json"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[LocalSite]:
    made = LocalSite(tmp_path)
    yield made
    made.backend.destroy("dev")


def follow(site: LocalSite, **args: str) -> Run:
    return site.apply(PACKAGE, {**ARGS, **args})


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def output(run: Run) -> dict[str, str]:
    assert run.applied is not None
    assert isinstance(run.applied.output, Frozen)
    found = thaw(run.applied.output)
    assert isinstance(found, dict)
    return found


def acted(run: Run) -> set[str]:
    assert run.applied is not None
    return {outcome.id for outcome in run.applied.outcomes if outcome.action.value != "keep"}


def test_every_plan_method_does_on_this_machine_what_it_says(site: LocalSite) -> None:
    run = follow(site)
    assert run.verdict is Verdict.SUCCEEDED, run.problems
    told = output(run)
    assert told["seeded"] == "seeding\n" and told["kept"] == "kept"
    live = site.backend.observe("dev")
    assert {name: service.ready for name, service in live.services.items()} == {"web": True, "db": True, "cache": True}
    assert told["url"] == f"http://{live.services['web'].address}:8080"
    assert json.loads(fetched(f"{told['url']}/config.json")) == {
        "greeting": "hello", "db": live.services["db"].address, "cluster": "docker", "sum": 42,
    }  # fmt: skip
    assert fetched(f"{told['url']}/words.txt") == b"alpha\nbeta\n"
    assert fetched(f"http://{live.services['db'].address}:8080/sorted.txt") == b"beta\nalpha\n"
    assert int(fetched(f"http://{live.services['db'].address}:8080/born.txt")) < int(told["born"])
    assert site.artifact("kept") == {"copy.txt": b"beta\nalpha\n"}
    assert f"  output: {json.dumps(told)}\n" in run_text(run)
    assert run_data(run)["output"] == told
    assert prints_of(run) == ["cache, db, web at http://web:8080: hello"]
    plan = site.recorded.head.good
    assert plan is not None
    assert {method_of(item.op) for item in plan.plan.instructions} == set(METHODS) - {"add_services"}


def test_a_second_run_does_nothing_and_one_argument_changes_what_hangs_on_it(site: LocalSite) -> None:
    first = follow(site)
    assert first.verdict is Verdict.SUCCEEDED, first.problems
    before = site.backend.observe("dev").services

    again = follow(site)
    assert again.verdict is Verdict.NOOP, again.problems
    assert site.backend.observe("dev").services == before

    changed = follow(site, note="second")
    assert changed.verdict is Verdict.SUCCEEDED, changed.problems
    after = site.backend.observe("dev").services
    assert {name for name in after if after[name].incarnation != before[name].incarnation} == {"cache"}
    assert output(changed)["born"] == output(first)["born"]

    greeted = follow(site, note="second", greeting="hi")
    assert greeted.verdict is Verdict.SUCCEEDED, greeted.problems
    told = output(greeted)
    assert json.loads(fetched(f"{told['url']}/config.json"))["greeting"] == "hi"
    assert told["born"] == output(first)["born"]
    assert "service/db" not in acted(greeted) and "task/seed" not in acted(greeted)
    assert prints_of(greeted) == ["cache, db, web at http://web:8080: hi"]

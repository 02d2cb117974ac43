"""What hostile repositories, packages and hands on the disk try, from the outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gitopsd.adapters.worker.evaluator import WorkerEvaluator
from gitopsd.daemon.roster import Roster, watched
from gitopsd.errors import Reason, StepError
from gitopsd.model.environment import Environment, Source
from gitopsd.model.run import Run, Verdict
from gitopsd.model.values import Frozen, Json
from gitopsd.session import Sessions
from tests.stage import records
from tests.stage.chain import Chain
from tests.stage.servers import Counting

UNTOUCHED = (Verdict.INVALID, Verdict.HELD)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Chain]:
    found = Chain(tmp_path)
    yield found
    found.close()


def told(run: Run) -> list[tuple[str, str, str]]:
    return [(problem.message, problem.position, problem.hint) for problem in run.problems]


@pytest.mark.parametrize(
    "program",
    [
        'import "{path}" as $x; $x', 'include "{name}" {{search: "{folder}"}}; .', '# c\n import "{path}" as $x; $x',
        '# c\r import "{path}" as $x; $x', 'module {{"a": 1}}; import "{path}" as $x; $x', '"{path}" | modulemeta',
    ],
)  # fmt: skip
def test_a_jq_program_reads_no_file_and_cannot_tell_whether_one_is_there(tmp_path: Path, program: str) -> None:
    (tmp_path / "there.json").write_text(json.dumps({"secret": "found-it"}))
    (tmp_path / "there.jq").write_text('def f: "found-it";')
    messages = set()
    for name in ("there", "else"):
        with pytest.raises(StepError) as caught:
            text = program.format(path=tmp_path / name, name=name, folder=tmp_path)
            WorkerEvaluator().extract(text, Frozen())
        messages.add(str(caught.value).replace(name, "NAME"))
    assert len(messages) == 1
    assert "found-it" not in messages.pop()


def test_words_of_jq_that_import_nothing_stay_usable() -> None:
    document: Json = Frozen({"import": 1, "a": Frozen({"include": 2})})
    assert WorkerEvaluator().extract(".import + .a.include | {\n import: ., module: 2 }", document) == (
        Frozen({"import": 3, "module": 2}),
    )


@pytest.mark.parametrize("call", ['read_file("./trap")', 'import_module("./trap")', 'plan.upload_files("./trap")'])
def test_what_a_link_points_to_cannot_be_told_from_what_is_missing(site: Chain, tmp_path: Path, call: str) -> None:
    """Attack cases 1 and 3: one message, whether or not anything is there, without a byte of it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "token").write_text("outside-bytes")
    link = site.repository.folder / "chain" / "trap"
    messages = set()
    for target in ("/etc/passwd", "/nowhere/at/all", "../../../outside/token", "trap", None):
        link.unlink(missing_ok=True)
        if target is not None:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
        run = site.follow(site.push(package=f"def run(plan):\n    {call}\n", extra=str(target)))
        assert run.verdict in UNTOUCHED
        messages.add(tuple(told(run)))
    assert len(messages) == 1, messages
    assert site.backend.effects == []


@pytest.mark.parametrize("path", ["../other/main.star", "/etc/passwd", "%2e%2e/x", "x" * 5000, "a\\0b"])
def test_paths_that_lead_out_are_refused_wherever_a_package_names_one(site: Chain, path: str) -> None:
    for call in ("read_file", "import_module", "plan.upload_files"):
        run = site.follow(site.push(package=f'def run(plan):\n    {call}("{path}")\n'))
        assert run.verdict is Verdict.INVALID, (call, run)
        assert "Traceback" not in str(run.problems)
        assert "root:" not in str(run.problems)
        assert len(run.problems[0].message) < 1500
    assert site.backend.effects == []


def test_a_plan_reaches_no_address_that_it_may_not_and_changes_nothing(site: Chain) -> None:
    """Attack case 19: a package is evaluated, but nothing of the network and the machine answers it."""
    site.follow(site.push())
    mark, before = len(site.backend.effects), site.recorded
    with closing(Counting()) as internal:
        for address in (internal.url + "/x", internal.url.replace("127.0.0.1", "localhost") + "/x"):
            package = f'def run(plan):\n    plan.upload_files("{address}")\n'
            commit = site.push(package=package)
            found = site.follow(commit)
            assert found.verdict is Verdict.INVALID
            assert found.problems[0].reason is Reason.SOURCE_REFUSED
        assert internal.hits == {}
    for locator in ("file:///etc/passwd", "http://169.254.169.254/x", "ext::sh -c id", "github.com/../x/y.star"):
        run = site.follow(site.push(package=f'm = import_module("{locator}")\ndef run(plan):\n    pass\n'))
        assert run.verdict is Verdict.INVALID, run
    assert len(site.backend.effects) == mark
    assert site.recorded.steps == before.steps


def test_a_record_that_another_hand_edited_is_an_error_and_nothing_is_done(site: Chain, tmp_path: Path) -> None:
    """Attack case 43: neither half a record nor a foreign type in it is carried out."""

    def restart() -> None:
        kept = Sessions(records.in_files(tmp_path / "backend"), writer="another")
        site.world = replace(site.world, records={"local": kept})

    restart()
    assert site.follow(site.push()).verdict is Verdict.SUCCEEDED
    mark = len(site.backend.effects)
    file = tmp_path / "backend/enclaves/dev/record/record.jsonl"
    good = file.read_bytes()
    for damage in (
        b"",
        b"[]\n" + good,
        good.replace(b'"$"', b'"$x"', 1),
        good.replace(b'"Head"', b'"Path"', 1),
        good[:40] + good[44:],
    ):
        assert damage != good
        file.write_bytes(damage)
        restart()
        run = site.follow(site.push("{level: debug}", extra=damage.hex()))
        assert run.verdict in UNTOUCHED, (damage[:40], run)
        assert run.problems[0].reason is Reason.RESULT_LOST
        assert len(site.backend.effects) == mark
    assert file.read_bytes() == damage


@pytest.mark.parametrize("name", ["..", "a/b", "shim", ".web.lock", "W" * 64, "a\nb", "$(id)"])
def test_a_service_name_is_a_label_and_nothing_else(site: Chain, name: str) -> None:
    package = f"def run(plan):\n    plan.add_service({name!r}, ServiceConfig(image='x:1'))\n"
    run = site.follow(site.push(package=package))
    if name == "shim":
        assert run.verdict is Verdict.SUCCEEDED
    else:
        assert run.verdict is Verdict.INVALID
        assert "main.star:2" in run.problems[0].position


@pytest.mark.parametrize("word", ["$(touch pwned); `id`", "a\nb\u202e\x1b[31m", "--help", "'\"\\"])
def test_metacharacters_arrive_as_they_are(site: Chain, word: str) -> None:
    """Attack case 12: values are arguments, never text of a shell."""
    site.ready = lambda _: True
    run = site.follow(site.push(json.dumps({"level": word, "password": word})))
    assert run.verdict is Verdict.SUCCEEDED, run.problems
    spec = site.backend.workload("dev", "web").spec
    assert spec.cmd[1] == word


def test_a_repository_cannot_claim_the_enclave_of_another(tmp_path: Path) -> None:
    """Attack case 17: it could run commands in the services of the other, and read its secrets there."""
    sources = [Source(name=name, url=f"https://example.invalid/{name}") for name in ("good", "evil")]
    roster = Roster(tuple(sources))
    environments = [
        Environment(name=name, source=source, package=".", enclave="dev")
        for name, source in zip(("dev", "other"), sources, strict=True)
    ]
    keys = [watched(source) for source in sources]
    roster.update(keys[0], (environments[0],), {})
    for _ in range(2):
        roster.update(keys[1], (environments[1],), {})
        assert roster.claimed(keys[1], (environments[1],)) == (("other", "dev", "dev"),)
        assert [member.environment.name for member in roster.members()] == ["dev"]
        roster.update(keys[0], (), {})  # its definition has left, its services are still there
    roster.forget("dev")
    roster.update(keys[1], (environments[1],), {})
    assert [member.environment.name for member in roster.members()] == ["other"]


def test_a_renamed_environment_keeps_its_enclave(tmp_path: Path) -> None:
    source = Source(name="good", url="https://example.invalid/good")
    roster = Roster((source,))
    for name in ("dev", "renamed"):
        roster.update(watched(source), (Environment(name=name, source=source, package=".", enclave="dev"),), {})
    member = roster.member("renamed")
    assert member is not None
    assert not member.vanished

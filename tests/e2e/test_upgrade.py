"""The last release deploys, this one goes on: nothing restarts, nothing repeats, and what was recorded still counts."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitopsd.errors import Reason
from tests.stage.releases import RELEASES, ROOT, Program, build, has_history, unpack
from tests.stage.upgrading import Place, Seen, place
from tests.stage.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_history(), reason="there is no git history here: this is an unpacked source archive"),
]
SMALL, LARGE, COUNTED, LATE = "devnet-small", "devnet-large", "counted", "late"
FOLLOWED = (SMALL, COUNTED)
ARGUMENTS, DEFINITIONS = "args/devnet-small.yaml", "gitopsd.yaml"
ONE_SHOTS = ("run_python", "run_sh", "exec", "post", "get", "after")
SCHEME = """
try:
    from gitopsd.model.head import SCHEME
except ImportError:  # before 0.2.0 it stood elsewhere
    from gitopsd.model.record import SCHEME
print(SCHEME)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The last release and this one, installed, with their wheels; ``sample`` is the last release's."""

    old: Program
    new: Program
    old_wheel: Path
    new_wheel: Path
    sample: Path


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    folder = tmp_path_factory.mktemp("programs")
    source = unpack(RELEASES[-1].commit, folder / "source")
    old_wheel, new_wheel = build(source, folder / "old-wheel"), build(ROOT, folder / "new-wheel")
    old, new = Program.make(folder / "old"), Program.make(folder / "new")
    old.install(old_wheel)
    new.install(new_wheel)
    sample = source / "sample-repo"
    return Programs(old=old, new=new, old_wheel=old_wheel, new_wheel=new_wheel, sample=sample)


@pytest.fixture
def here(tmp_path: Path, programs: Programs) -> Iterator[Place]:
    """A place where the last release runs."""
    with place(tmp_path, programs.sample, programs.old) as made:
        yield made


# --- what is done -----------------------------------------------------------------------------------------


def deploy(here: Place) -> None:
    """The sample, its large devnet made smaller, and the tests' own package beside it; by the last release."""
    file = here.repository.folder / DEFINITIONS
    text = f"  {COUNTED}:\n    package: ./packages/counted\n    args: {{url: {here.counter.url}, title: first}}\n"
    file.write_text(f"{file.read_text('utf-8').rstrip()}\n\n{text}", "utf-8")
    here.repository.edit("args/devnet-large.yaml", "nodes: 5", "nodes: 2")
    here.environments = (SMALL, LARGE, COUNTED)
    commit = here.repository.commit("Three devnets")
    here.start()
    here.expect(commit, "success", *here.environments)


def live_a_little(here: Place) -> None:
    """Gives the records a suspended devnet, an earlier good plan, a commit that was rolled back, and a revert."""
    assert here.verb("suspend", LARGE).returncode == 0
    here.repository.edit(ARGUMENTS, "title: Small devnet", "title: Second title")
    here.repository.edit(DEFINITIONS, "title: first", "title: second")
    here.expect(here.repository.commit("Second titles"), "success", *FOLLOWED)
    here.repository.edit(ARGUMENTS, "ready_timeout: 20s", "ready_timeout: 3s\nprotocol: 2")
    here.repository.edit(DEFINITIONS, "title: second", "title: broken")
    broken = here.repository.commit("Nothing that could get ready")
    here.expect(broken, "failure", *FOLLOWED)
    here.expect(here.repository.revert(broken), "success", *FOLLOWED)


def everything(here: Place) -> dict[str, Seen]:
    return {name: here.see(name) for name in here.environments}


# --- what is compared -------------------------------------------------------------------------------------


def touched(before: Seen, after: Seen) -> dict[str, str]:
    """What happened to each service whose process, or the shim of it, is another one now."""
    old, new = before.processes, after.processes
    gone = {name: "removed" for name in old.keys() - new.keys()}
    fresh = {name: "added" for name in new.keys() - old.keys()}
    return gone | fresh | {name: "restarted" for name in old.keys() & new.keys() if old[name] != new[name]}


def nothing_happened(before: Mapping[str, Seen], after: Mapping[str, Seen]) -> None:
    """Same processes and results; the past is as it was, and nothing but no-ops was added to it."""
    for name, old in before.items():
        new = after[name]
        assert touched(old, new) == {}, name
        assert (new.chain, new.taken) == (old.chain, old.taken), name
        assert new.height >= old.height, name
        facts = ("name", "state", "commit", "suspended", "vanished", "enclave", "backend", "problems")
        assert {fact: new.status[fact] for fact in facts} == {fact: old.status[fact] for fact in facts}
        facts = ("name", "state", "ready", "address", "restarts", "crashes", "incarnation")
        assert [{fact: item[fact] for fact in facts} for item in new.services] == [
            {fact: item[fact] for fact in facts} for item in old.services
        ], name
        remembers(old, new)
        added = new.history[: len(new.history) - len(old.history)]
        assert [run["verdict"] for run in added] == ["no-op"] * len(added), name


def remembers(before: Seen, after: Seen) -> None:
    """Every run of before is still there, as it was."""
    facts = ("id", "commit", "trigger", "verdict", "started_at", "ended_at", "superseded_by")
    old, new = ([{fact: run[fact] for fact in facts} for run in seen.history] for seen in (before, after))
    assert old
    assert new[len(new) - len(old) :] == old


def once(here: Place) -> None:
    """Each one-shot and capture was seen from outside exactly once."""
    assert dict(here.counter.hits) == dict.fromkeys(ONE_SHOTS, 1)


# --- the tests --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_an_upgrade_restarts_nothing_and_repeats_nothing(here: Place, programs: Programs, end: signal.Signals) -> None:
    deploy(here)
    live_a_little(here)
    told, before = here.told(), everything(here)
    assert {name: seen.status["state"] for name, seen in before.items()} == {
        SMALL: "ready",
        LARGE: "suspended",
        COUNTED: "ready",
    }
    once(here)

    here.end(end)
    here.program = programs.new
    here.start()
    here.looked(*FOLLOWED)

    after = everything(here)
    nothing_happened(before, after)
    assert here.told() == told, "no commit status, no message and no one-shot came again"

    changed = a_commit_touches_only_what_it_should(here, after)
    back = a_rollback_goes_to_the_plan_that_the_last_release_recorded(here, before, changed)
    the_last_release_refuses_what_it_cannot_read(here, programs, back)


def a_commit_touches_only_what_it_should(here: Place, before: Mapping[str, Seen]) -> dict[str, Seen]:
    here.repository.edit(ARGUMENTS, "title: Second title", "title: Third title")
    here.repository.edit(ARGUMENTS, "alice: 1000", "alice: 1000\n  carol: 5")
    here.repository.edit(DEFINITIONS, "title: second", "title: third")
    here.expect(here.repository.commit("Third titles"), "success", *FOLLOWED)

    after = everything(here)
    changes = {name: touched(before[name], after[name]) for name in here.environments}
    assert changes == {SMALL: {"explorer": "restarted"}, LARGE: {}, COUNTED: {"reader": "restarted"}}
    chain, genesis, deposits = after[SMALL].chain
    assert (chain, genesis) == before[SMALL].chain[:2]
    assert [item[:2] for item in deposits] == [("alice", 1000), ("carol", 5)]
    assert deposits[0] == before[SMALL].chain[2][0]
    assert after[COUNTED].chain == ("third",)
    assert after[COUNTED].taken == before[COUNTED].taken != ""
    once(here)
    return after


def a_rollback_goes_to_the_plan_that_the_last_release_recorded(
    here: Place, recorded: Mapping[str, Seen], before: Mapping[str, Seen]
) -> dict[str, Seen]:
    for name in FOLLOWED:
        run = here.json("rollback", name)["run"]
        assert (run["verdict"], run["restored"]) == ("rolled-back", recorded[name].status["commit"]), run["problems"]

    after = everything(here)
    changes = {name: touched(before[name], after[name]) for name in here.environments}
    assert changes == {SMALL: {"explorer": "restarted"}, LARGE: {}, COUNTED: {"reader": "restarted"}}
    assert after[SMALL].chain == before[SMALL].chain, "nobody was paid again"
    assert (after[COUNTED].chain, after[COUNTED].taken) == (recorded[COUNTED].chain, recorded[COUNTED].taken)
    for name in here.environments:
        remembers(before[name], after[name])
    once(here)
    return after


def the_last_release_refuses_what_it_cannot_read(here: Place, programs: Programs, before: Mapping[str, Seen]) -> None:
    """Where this release has another scheme of records; where it has not, the last one simply goes on."""
    here.end()
    records = here.records()
    assert records
    here.program = programs.old
    if int(programs.new.run_python(SCHEME)) > int(programs.old.run_python(SCHEME)):
        here.start(answers=False)
        until(lambda: refused(here), f"the last release refuses the records; {here.log}")
        here.end()
        assert here.records() == records
    else:
        here.start()
        here.looked(*FOLLOWED)
        here.end()
    here.program = programs.new
    for name, seen in before.items():
        assert here.alive(seen), name
    once(here)


def refused(here: Place) -> bool:
    """Whether the daemon ended because of what a newer release wrote, or refuses each environment that it follows."""
    assert here.daemon is not None
    said = [line for line in here.lines() if Reason.RECORD_NEWER.value in str(line)]
    if here.daemon.poll() is not None:
        text = here.log.read_bytes()[here.began :].decode("utf-8", "replace")
        assert here.daemon.returncode != 0, text
        assert Reason.RECORD_NEWER.value in text, text
        return True
    return {line.get("environment") for line in said} >= set(FOLLOWED)


def test_an_upgrade_in_the_middle_of_a_deployment_finishes_it(here: Place, programs: Programs) -> None:
    """The program is replaced where it is, as pip does it, while a service and a task of the last release run."""
    program = here.program = Program.make(here.folder / "program")
    program.install(programs.old_wheel)
    file = here.repository.folder / DEFINITIONS
    text = f"  {LATE}:\n    package: ./packages/late\n    args: {{url: {here.counter.url}}}\n    order: graph\n"
    file.write_text(f"environments:\n{text}", "utf-8")
    here.environments = (LATE,)
    here.counter.closed |= {"service-gate", "task-gate"}
    commit = here.repository.commit("A deployment that takes its time")
    here.start()
    hits = here.counter.hits
    until(lambda: {"first", "long", "service-gate", "task-gate"} <= hits.keys(), f"it is in the middle; {here.log}")
    before = here.see(LATE)
    here.end(signal.SIGKILL)
    assert "last" not in hits

    program.install(programs.new_wheel)
    here.start()
    asked = hits["service-gate"]
    until(lambda: hits["service-gate"] > asked + 2, f"this release waits for the service; {here.log}")
    here.counter.closed.clear()
    here.expect(commit, "success", LATE)

    after = here.see(LATE)
    # of a service that was not ready yet nothing is recorded: this release makes it anew, as the last one would
    assert touched(before, after).keys() <= {"slow"}
    assert {name: hits[name] for name in ("first", "long", "last")} == {"first": 1, "long": 1, "last": 1}
    assert after.status["state"] == "ready"
    here.looked(LATE)
    assert [item.state for item in here.forge.statuses if item.state != "pending"] == ["success"]

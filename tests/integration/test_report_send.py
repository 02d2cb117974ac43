"""Reports on their way: a real store, real forge and chat servers on loopback, a clock that tests hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitopsd.adapters.forges import ForgeKind, ForgeSettings, open_forge
from gitopsd.adapters.slack import Slack, SlackSettings
from gitopsd.adapters.store import Limits, SqlStore
from gitopsd.cli.demo_servers import Answer, ChatServer, ForgeServer
from gitopsd.errors import Reason
from gitopsd.model.diff import Action, Change, Diff, Drift, Why
from gitopsd.model.environment import Commit
from gitopsd.model.ops import AddService
from gitopsd.model.parts import Image, ServiceSpec
from gitopsd.model.plan import Instruction, Plan, Problem
from gitopsd.model.run import Applied, Done, Outcome, Run, Start, Trigger, Verdict
from gitopsd.model.values import Frozen
from gitopsd.report import Channels, announce, deliver, report

FORGE_TOKEN = "canary-forge-token-1234"
CHAT_TOKEN = "xoxb-canary-chat-token-1234"
URL = "file:///scratch/net"


@dataclass
class HeldClock:
    """Time that moves when a test says so."""

    time: datetime = datetime(2026, 1, 2, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Notes:
    """A journal that keeps its problems."""

    problems: list[str] = field(default_factory=list)

    def step(self, environment: str, instruction: Instruction, text: str) -> None:
        self.problems.append(f"unexpected step of {environment}: {text}")

    def problem(self, environment: str, problem: Problem) -> None:
        self.problems.append(f"{environment}: {problem}")


@dataclass
class Desk:
    """Everything that reporting needs."""

    store: SqlStore
    forge: ForgeServer
    chat: ChatServer
    path: Path
    clock: HeldClock = field(default_factory=HeldClock)
    notes: Notes = field(default_factory=Notes)
    kind: ForgeKind = ForgeKind.GITHUB

    def channels(self) -> Channels:
        settings = ForgeSettings(kind=self.kind, url=self.forge.url, token=lambda: FORGE_TOKEN, pause=0.0, timeout=5,
                                 repositories=Frozen({URL: "acme/net"}))  # fmt: skip
        slack = SlackSettings(token=lambda: CHAT_TOKEN, channel="devnets", base_url=self.chat.base_url, timeout=5)
        link = "https://gitopsd.invalid/environments/{environment}"
        return Channels(forges=(open_forge(settings),), chat=Slack(slack), link=link)

    def report(self, run: Run) -> None:
        report(run, self.store, clock=self.clock, journal=self.notes)

    def announce(self, start: Start) -> None:
        announce(start, self.store, clock=self.clock, journal=self.notes)

    def deliver(self) -> datetime | None:
        return deliver(self.store, self.channels(), clock=self.clock, journal=self.notes)

    def states(self) -> list[str]:
        return [status.state for status in self.forge.statuses]

    def lines(self) -> list[str]:
        """What stands in chat, threads left out, without the first line of a message."""
        return [item.text.splitlines()[1] for item in self.chat.messages if not item.thread]

    def restart(self) -> None:
        self.store.close()
        self.store = SqlStore(f"sqlite:///{self.path}")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    path = tmp_path / "gitopsd.db"
    forge = ForgeServer(token=FORGE_TOKEN, repositories=("acme/net",))
    chat = ChatServer(token=CHAT_TOKEN)
    made = Desk(store=SqlStore(f"sqlite:///{path}"), forge=forge, chat=chat, path=path)
    yield made
    made.store.close()
    forge.close()
    chat.close()


def commit(letter: str = "a") -> Commit:
    return Commit(url=URL, ref="main", id=letter * 40, subject=f"Commit {letter}")


def applied(action: Action = Action.CREATE, done: Done = Done.APPLIED) -> Applied:
    item = Instruction(id="service/web", op=AddService(name="web", spec=ServiceSpec(image=Image(name="nginx"))))
    diff = Diff(enclave="dev", plan=Plan(package_digest="p", args_digest="a"),
                changes=(Change(id=item.id, action=action, after=item),))  # fmt: skip
    trouble = Problem(stage="apply", reason=Reason.SERVICE_NOT_READY, message="port http is closed")
    end = Outcome(id=item.id, done=done, action=action, problem=trouble if done is Done.FAILED else None)
    return Applied(diff=diff, outcomes=() if action is Action.KEEP else (end,))


def make_run(number: int, verdict: Verdict = Verdict.SUCCEEDED, *, of: Commit | None = None, **rest: object) -> Run:
    ends = {
        Verdict.SUCCEEDED: applied(),
        Verdict.NOOP: applied(Action.KEEP),
        Verdict.ROLLED_BACK: applied(done=Done.FAILED),
    }
    run = Run(id=f"run-{number}", environment="dev", commit=of or commit(), trigger=Trigger.COMMIT, verdict=verdict,
              applied=ends.get(verdict))  # fmt: skip
    return replace(run, **rest)  # type: ignore[arg-type]


def make_start(number: int, of: Commit | None = None, diff: Diff | None = None) -> Start:
    return Start(run_id=f"run-{number}", environment="dev", commit=of or commit(), diff=diff)


def test_a_run_is_pending_then_done_on_the_forge_and_one_edited_message_in_chat(desk: Desk) -> None:
    desk.announce(make_start(1))
    assert desk.deliver() is None
    assert (desk.states(), desk.chat.messages) == (["pending"], [])
    desk.announce(make_start(1, diff=applied().diff))
    desk.deliver()
    assert desk.lines() == ["applying: 1 to add"]
    desk.report(make_run(1))
    assert desk.deliver() is None
    assert desk.states() == ["pending", "success"]
    assert desk.lines() == ["1 added"]
    message, details = desk.chat.messages
    assert (message.edits, details.thread, details.text) == (1, message.ts, "```+ service/web```")
    final = desk.forge.statuses[-1]
    assert (final.context, final.description) == ("gitopsd/dev", "1 added")
    assert final.target_url == "https://gitopsd.invalid/environments/dev"
    assert desk.notes.problems == []


@pytest.mark.parametrize("kind", list(ForgeKind))
def test_a_commit_gets_one_final_status_whatever_comes_later(desk: Desk, kind: ForgeKind) -> None:
    desk.kind = kind
    desk.report(make_run(1, Verdict.ROLLED_BACK, restored="b" * 40))
    desk.deliver()
    desk.announce(make_start(2))
    desk.report(make_run(2))
    desk.report(make_run(3, Verdict.SUPERSEDED))
    desk.restart()
    desk.report(make_run(1, Verdict.ROLLED_BACK, restored="b" * 40))
    assert desk.deliver() is None
    assert desk.states() == ["pending", "failed" if kind is ForgeKind.GITLAB else "failure"]


def test_a_skipped_commit_ends_as_superseded_and_chat_hears_nothing(desk: Desk) -> None:
    desk.report(make_run(1, Verdict.SUPERSEDED, superseded_by="b" * 40))
    desk.deliver()
    assert desk.states() == ["pending", "error"]
    assert desk.forge.statuses[-1].description == "superseded by bbbbbbb"
    assert desk.chat.messages == []


def test_a_preempted_run_ends_its_own_message(desk: Desk) -> None:
    desk.announce(make_start(1, diff=applied().diff))
    desk.deliver()
    desk.report(make_run(1, Verdict.SUPERSEDED, superseded_by="b" * 40))
    desk.deliver()
    assert desk.lines() == ["superseded by bbbbbbb"]


def test_a_no_op_is_told_to_the_forge_only(desk: Desk) -> None:
    desk.report(make_run(1, Verdict.NOOP))
    for number in range(2, 5):
        desk.report(make_run(number, Verdict.NOOP, trigger=Trigger.DRIFT))
    assert desk.deliver() is None
    assert desk.states() == ["pending", "success"]
    assert desk.chat.messages == []


def test_the_same_trouble_is_told_once_and_its_end_as_well(desk: Desk) -> None:
    away = Problem(stage="apply", reason=Reason.BACKEND_UNAVAILABLE, message="away", retry_after=30.0)
    for number in range(1, 4):
        desk.report(make_run(number, Verdict.FAILED, problems=(replace(away, message=f"away {number}"),)))
    desk.deliver()
    assert desk.lines() == ["waiting: away 1; tries again in 30 s"]
    assert desk.states() == ["pending"]
    desk.report(make_run(4, Verdict.NOOP))
    desk.report(make_run(5, Verdict.NOOP, trigger=Trigger.DRIFT))
    desk.deliver()
    assert desk.lines()[1:] == ["no changes, 1 unchanged"]
    assert desk.states() == ["pending", "success"]


def test_reported_drift_is_told_once(desk: Desk) -> None:
    drift = (Drift(service="web", why=Why.MISSING, detail="", healed=False),)
    kept = applied(Action.KEEP)
    found = replace(kept, diff=replace(kept.diff, drift=drift))
    for number in range(3):
        desk.report(make_run(number, Verdict.NOOP, trigger=Trigger.DRIFT, applied=found))
    desk.deliver()
    assert desk.lines() == ["drift, not healed: web (missing)"]


def crashed(times: int, more: tuple[Drift, ...] = (), action: Action = Action.KEEP) -> Applied:
    detail = f"it ended with code 3, {times} times so far, and is started again"
    drift = (Drift(service="job", why=Why.UNHEALTHY, detail=detail, healed=False), *more)
    made = applied(action)
    return replace(made, diff=replace(made.diff, drift=drift))


def test_a_service_that_crashes_is_told_once_and_that_it_does_no_more_as_well(desk: Desk) -> None:
    desk.report(make_run(1))
    for number in range(2, 5):
        desk.report(make_run(number, Verdict.NOOP, trigger=Trigger.DRIFT, applied=crashed(number)))
    desk.deliver()
    assert desk.lines()[1:] == ["crashed: job (it ended with code 3, 2 times so far, and is started again)"]
    desk.report(make_run(5, Verdict.NOOP, of=commit("b"), applied=crashed(5)))
    desk.report(make_run(6, Verdict.NOOP, of=commit("b"), trigger=Trigger.DRIFT, applied=crashed(6)))
    desk.deliver()
    assert len(desk.lines()) == 2
    for number in range(7, 9):
        desk.report(make_run(number, Verdict.NOOP, of=commit("b"), trigger=Trigger.DRIFT))
    desk.deliver()
    assert desk.lines()[2:] == ["no changes, 1 unchanged"]
    assert desk.states() == ["pending", "success"] * 2


def test_what_is_healed_beside_a_service_that_crashes_is_told(desk: Desk) -> None:
    desk.report(make_run(1, Verdict.NOOP, trigger=Trigger.DRIFT, applied=crashed(1)))
    missing = Drift(service="web", why=Why.MISSING, detail="")
    beside = crashed(2, (missing,), Action.CREATE)
    desk.report(make_run(2, trigger=Trigger.DRIFT, applied=beside))
    desk.report(make_run(3, Verdict.NOOP, trigger=Trigger.DRIFT, applied=crashed(3)))
    desk.deliver()
    assert desk.lines()[1:] == [
        "healed web (missing): 1 added; crashed: job (it ended with code 3, 2 times so far, and is started again)"
    ]


def test_what_a_person_asked_for_is_always_answered(desk: Desk) -> None:
    for number in range(2):
        desk.report(make_run(number, Verdict.ROLLED_BACK, trigger=Trigger.SYNC))
    desk.deliver()
    assert len(desk.lines()) == 2


def test_a_restart_sends_what_waited_and_nothing_twice(desk: Desk) -> None:
    desk.report(make_run(1))
    desk.restart()
    assert desk.deliver() is None
    desk.restart()
    desk.report(make_run(1))
    assert desk.deliver() is None
    assert desk.states() == ["pending", "success"]
    assert len(desk.chat.messages) == 2


def test_a_daemon_killed_after_a_send_was_noted_does_not_send_again(desk: Desk) -> None:
    desk.report(make_run(1))
    first = desk.store.outbox()[0]
    desk.store.mark_sent(first.key, "")
    desk.deliver()
    assert desk.states() == ["success"]
    assert desk.store.outbox() == ()


def test_a_rate_limit_rests_the_forge_and_not_the_chat(desk: Desk) -> None:
    desk.report(make_run(1, of=commit("a")))
    desk.report(make_run(2, of=commit("b")))
    desk.forge.troubles.append(
        Answer(status=403, data={"message": "secondary rate limit"}, headers={"Retry-After": "90"})
    )
    due = desk.deliver()
    assert due == desk.clock.now() + timedelta(seconds=90)
    assert len(desk.forge.requests) == 1
    assert desk.lines() == ["1 added", "1 added"]
    desk.clock.sleep(89)
    desk.deliver()
    assert len(desk.forge.requests) == 1
    desk.clock.sleep(1)
    assert desk.deliver() is None
    assert desk.states() == ["pending", "success", "pending", "success"]
    assert len(desk.notes.problems) == 1


def test_a_wait_of_weeks_is_cut_to_an_hour(desk: Desk) -> None:
    desk.report(make_run(1))
    desk.forge.troubles.append(Answer(status=429, data={"message": "no"}, headers={"Retry-After": "9999999"}))
    assert desk.deliver() == desk.clock.now() + timedelta(hours=1)


def test_waits_grow_and_a_report_is_given_up_after_a_day(desk: Desk) -> None:
    desk.report(make_run(1))
    desk.forge.close()
    waits = []
    while (due := desk.deliver()) is not None:
        waits.append((due - desk.clock.now()).total_seconds())
        desk.clock.time = due
    assert waits[:5] == [2, 4, 8, 16, 32]
    assert max(waits) <= 900
    given_up = [text for text in desk.notes.problems if "given up" in text]
    assert len(given_up) == 2
    assert len(desk.notes.problems) <= 4
    assert desk.lines() == ["1 added"]
    desk.forge = ForgeServer(token=FORGE_TOKEN, repositories=())


def test_a_refusal_is_tried_again_slowly_until_the_operator_mended_it(desk: Desk) -> None:
    desk.report(make_run(1))
    desk.forge.token = "rotated-by-the-operator"
    due = desk.deliver()
    assert due == desk.clock.now() + timedelta(seconds=60)
    assert "the token is wrong or has expired" in desk.notes.problems[0]
    desk.forge.token = FORGE_TOKEN
    desk.clock.time = due
    assert desk.deliver() is None
    assert desk.states() == ["pending", "success"]


def test_a_chat_that_fails_between_message_and_details_repeats_neither(desk: Desk) -> None:
    desk.announce(make_start(1, diff=applied().diff))
    desk.deliver()
    desk.report(make_run(1))
    desk.chat.troubles.append(Answer(status=429, data="", headers={"Retry-After": "5"}))
    desk.deliver()
    desk.clock.sleep(5)
    assert desk.deliver() is None
    assert [(item.edits, bool(item.thread)) for item in desk.chat.messages] == [(1, False), (0, True)]


def test_the_beginning_of_a_run_that_has_ended_is_not_posted_any_more(desk: Desk) -> None:
    desk.announce(make_start(1, diff=applied().diff))
    desk.report(make_run(1))
    desk.deliver()
    assert [asked.path for asked in desk.chat.requests] == ["/api/chat.postMessage", "/api/chat.postMessage"]
    assert desk.lines() == ["1 added"]


def test_a_repository_of_no_forge_and_no_chat_leave_nothing_waiting(desk: Desk) -> None:
    desk.report(make_run(1, of=replace(commit(), url="https://elsewhere.invalid/acme/net")))
    assert deliver(desk.store, Channels(), clock=desk.clock, journal=desk.notes) is None
    assert desk.store.outbox() == ()
    assert desk.forge.requests == []


def test_a_store_that_is_locked_fails_no_run(desk: Desk, tmp_path: Path) -> None:
    desk.store.close()
    desk.store = SqlStore(f"sqlite:///{desk.path}", limits=Limits(busy_seconds=0.02))
    other = SqlStore(f"sqlite:///{desk.path}")
    with other._write():
        desk.announce(make_start(1))
        desk.report(make_run(1))
    other.close()
    assert desk.notes.problems and all("store does not answer" in text for text in desk.notes.problems)


def test_no_token_is_in_a_message_a_journal_or_the_store(desk: Desk) -> None:
    desk.report(make_run(1))
    said = {"message": f"token {FORGE_TOKEN} and {CHAT_TOKEN}", "ok": False, "error": f"bad_{CHAT_TOKEN}"}
    desk.forge.troubles.extend([Answer(status=422, data=said), Answer(status=500, data=said)])
    desk.chat.troubles.extend([Answer(status=200, data=said), Answer(status=500, data=said)])
    for _ in range(6):
        desk.deliver()
        desk.clock.sleep(4000)
    assert desk.states() == ["pending", "success"]
    bodies = json.dumps([asked.body for asked in (*desk.forge.requests, *desk.chat.requests)])
    desk.store.close()
    kept = b"".join(file.read_bytes() for file in desk.path.parent.iterdir())
    for token in (FORGE_TOKEN, CHAT_TOKEN):
        assert token not in bodies
        assert token.encode() not in kept
    assert FORGE_TOKEN not in "".join(text for text in desk.notes.problems if "to the forge" in text)
    assert CHAT_TOKEN not in "".join(text for text in desk.notes.problems if "to the chat" in text)

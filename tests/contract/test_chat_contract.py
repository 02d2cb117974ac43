"""The contract of a chat, on a real HTTP server on loopback that answers as Slack's Web API does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gitopsd.adapters.slack import Slack, SlackSettings
from gitopsd.cli.demo_servers import Answer, ChatServer
from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.model.environment import Commit
from gitopsd.model.run import Report, ReportState

TOKEN = "xoxb-canary-token-0123456789"
COMMIT = Commit(url="https://git.invalid/net.git", ref="main", id="1a2b3c4d5e" * 4, subject="Grow the net")


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(token=TOKEN) as running:
        assert isinstance(running, ChatServer)
        yield running


def slack_for(server: ChatServer, *, token: str = TOKEN, channel: str = "devnets") -> Slack:
    return Slack(SlackSettings(token=lambda: token, channel=channel, base_url=server.base_url, timeout=1))


def make_report(
    state: ReportState = ReportState.PENDING, line: str = "applying: 3 to add", details: tuple[str, ...] = ()
) -> Report:
    return Report(key="k", environment="dev", commit=COMMIT, state=state, line=line, details=details, run_id="run-1")


def fails(server: ChatServer, message_id: str = "", **options: str) -> GitopsdError:
    with pytest.raises(GitopsdError) as caught:
        slack_for(server, **options).post(make_report(), message_id)
    assert caught.value.reason is Reason.REPORT_FAILED
    assert TOKEN not in str(caught.value)
    return caught.value


def test_a_message_is_posted_then_edited_in_place_with_details_in_its_thread(server: ChatServer) -> None:
    slack = slack_for(server)
    first = slack.post(make_report(), "")
    done = make_report(ReportState.SUCCESS, "3 added in 14 s", ("+ service/web", "+ service/db"))
    assert slack.post(done, first) == first
    slack.reply(done, first)
    message, details = server.messages
    assert message.text == ":white_check_mark: *dev* `1a2b3c4` Grow the net\n3 added in 14 s"
    assert (message.edits, message.thread) == (1, "")
    assert (details.text, details.thread) == ("```+ service/web\n+ service/db```", message.ts)


def test_text_from_elsewhere_stays_text(server: ChatServer) -> None:
    evil = "<!channel> <@U012> & <https://evil.invalid|click> \x1b[31m\u202e\nnext"
    commit = replace(COMMIT, subject=evil)
    slack = slack_for(server)
    message_id = slack.post(replace(make_report(line=evil), commit=commit), "")
    slack.reply(make_report(details=(evil, "```code``` ends")), message_id)
    for asked in server.requests:
        text = asked.body["text"]
        assert "<" not in text and ">" not in text and "\x1b" not in text and "\u202e" not in text
        assert "&lt;!channel&gt; &lt;@U012&gt; &amp; " in text
        assert asked.body["parse"] == "none"
        assert asked.body["unfurl_links"] is False
    assert server.requests[1].body["text"].count("```") == 2


def test_long_text_is_cut_outside_an_escape(server: ChatServer) -> None:
    slack = slack_for(server)
    message_id = slack.post(make_report(line="a" + "&<>" * 3000), "")
    slack.post(make_report(line="ab" + "&<>" * 3000), message_id)
    slack.reply(make_report(details=("abc" + "<" * 5000,)), message_id)
    for asked in server.requests:
        text = asked.body["text"].removesuffix("```")
        assert len(text) < server.LONGEST
        assert text.endswith((";…", "a…"))


def test_a_rate_limit_says_when_to_come_again(server: ChatServer) -> None:
    limited = {"ok": False, "error": "ratelimited"}
    server.troubles.append(Answer(status=429, data=limited, headers={"Retry-After": "30"}))
    error = fails(server)
    assert isinstance(error, TransientError)
    assert error.retry_after == 30
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [
    Answer(status=500, data="<html>oops</html>"), Answer(status=503, data=""), Answer(status=200, data="not json"),
    Answer(status=200, data=[1]), Answer(status=200, data={"ok": True}),
    Answer(status=200, data={"ok": True, "ts": [7]}),
    Answer(status=200, data={"ok": False, "error": {"a": 1}}),
    Answer(status=200, data={"ok": False, "error": "fatal_error"}),
    Answer(status=200, stall=True), Answer(status=429, data="", headers={"Retry-After": "soon"}),
])  # fmt: skip
def test_a_chat_in_trouble_is_tried_again(server: ChatServer, answer: Answer) -> None:
    server.troubles.append(answer)
    assert isinstance(fails(server), TransientError)


def test_a_chat_that_is_not_there_is_tried_again() -> None:
    gone = ChatServer(token=TOKEN)
    gone.close()
    assert isinstance(fails(gone), TransientError)


def test_a_wrong_token_and_a_wrong_channel_are_refused_with_what_to_do(server: ChatServer) -> None:
    refused = fails(server, token="xoxb-other-canary")
    assert isinstance(refused, UserError)
    assert "invalid_auth" in refused.message and "xoxb-other" not in str(refused)
    unknown = fails(server, channel="nowhere")
    assert isinstance(unknown, UserError)
    assert "channel_not_found" in unknown.message and "invite the app" in unknown.hint


def test_a_message_that_is_gone_is_posted_anew(server: ChatServer) -> None:
    slack = slack_for(server)
    message_id = slack.post(make_report(), f"{server.CHANNEL_ID}/1600000000.000009")
    assert message_id == f"{server.CHANNEL_ID}/{server.messages[0].ts}"


def test_an_odd_id_is_never_sent(server: ChatServer) -> None:
    with pytest.raises(UserError):
        slack_for(server).reply(make_report(details=("x",)), "nonsense")
    assert server.requests == []

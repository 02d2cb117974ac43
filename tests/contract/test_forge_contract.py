"""The contract of a forge, on a real HTTP server on loopback that answers as the published APIs do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gitopsd.adapters.forges import ForgeKind, ForgeSettings, open_forge
from gitopsd.cli.demo_servers import Answer, ForgeServer
from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.model.environment import Commit
from gitopsd.model.run import Report, ReportState
from gitopsd.model.values import Frozen

TOKEN = "canary-token-0123456789"
COMMIT = Commit(url="https://git.invalid/never/used.git", ref="main", id="1a2b3c4d5e" * 4)
CONTEXT = "gitopsd/dev"

FINAL = {
    ForgeKind.GITHUB: {"success": "success", "failure": "failure", "error": "error", "superseded": "error"},
    ForgeKind.GITLAB: {"success": "success", "failure": "failed", "error": "failed", "superseded": "canceled"},
    ForgeKind.GITEA: {"success": "success", "failure": "failure", "error": "error", "superseded": "warning"},
}


@pytest.fixture(params=list(ForgeKind))
def kind(request: pytest.FixtureRequest) -> ForgeKind:
    return ForgeKind(request.param)


@pytest.fixture
def server() -> Iterator[ForgeServer]:
    with ForgeServer(token=TOKEN, repositories=("acme/net",), commits=(COMMIT.id,)) as running:
        assert isinstance(running, ForgeServer)
        yield running


def settings_for(kind: ForgeKind, server: ForgeServer, *, token: str = TOKEN, timeout: float = 5.0) -> ForgeSettings:
    return ForgeSettings(kind=kind, url=server.url, token=lambda: token, pause=0.0, timeout=timeout)


def make_report(server: ForgeServer, state: ReportState = ReportState.SUCCESS, line: str = "3 added in 14 s") -> Report:
    commit = replace(COMMIT, url=f"{server.url}/acme/net.git")
    return Report(key="k", environment="dev", commit=commit, state=state, line=line)


def fails(
    kind: ForgeKind, server: ForgeServer, report: Report | None = None, *, token: str = TOKEN, timeout: float = 5.0
) -> GitopsdError:
    forge = open_forge(settings_for(kind, server, token=token, timeout=timeout))
    with pytest.raises(GitopsdError) as caught:
        forge.set_status(report or make_report(server), context=CONTEXT)
    assert caught.value.reason is Reason.REPORT_FAILED
    assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(caught.value.__cause__)
    return caught.value


def test_a_status_arrives_with_its_context_line_and_link(kind: ForgeKind, server: ForgeServer) -> None:
    forge = open_forge(settings_for(kind, server))
    forge.set_status(make_report(server), context=CONTEXT, target_url="https://gitopsd.invalid/dev")
    (status,) = server.statuses
    assert (status.api, status.repository, status.commit) == (kind.value, "acme/net", COMMIT.id)
    assert (status.context, status.state) == (CONTEXT, "success")
    assert status.description == "3 added in 14 s"
    assert status.target_url == "https://gitopsd.invalid/dev"
    assert len(server.requests) == 1


@pytest.mark.parametrize("state", [state for state in ReportState if state is not ReportState.PENDING])
def test_pending_is_followed_by_the_forges_word_for_the_end(
    kind: ForgeKind, server: ForgeServer, state: ReportState
) -> None:
    forge = open_forge(settings_for(kind, server))
    forge.set_status(make_report(server, ReportState.PENDING), context=CONTEXT)
    forge.set_status(make_report(server, state), context=CONTEXT)
    assert [status.state for status in server.statuses] == ["pending", FINAL[kind][state.value]]


def test_the_same_state_sent_again_is_no_failure(kind: ForgeKind, server: ForgeServer) -> None:
    forge = open_forge(settings_for(kind, server))
    for state in (ReportState.PENDING, ReportState.PENDING, ReportState.SUCCESS, ReportState.SUCCESS):
        forge.set_status(make_report(server, state), context=CONTEXT)
    assert {status.state for status in server.statuses} == {"pending", "success"}


def test_a_state_that_gitlab_will_not_leave_is_a_refusal(server: ForgeServer) -> None:
    forge = open_forge(settings_for(ForgeKind.GITLAB, server))
    forge.set_status(make_report(server, ReportState.SUCCESS), context=CONTEXT)
    error = fails(ForgeKind.GITLAB, server, make_report(server, ReportState.FAILURE))
    assert isinstance(error, UserError)
    assert "Cannot transition status via :drop from :success" in error.message


def test_user_text_fits_the_description(kind: ForgeKind, server: ForgeServer) -> None:
    line = "evil\x1b[31m\x00\r\n\u202etext <script> " + "é" * 600
    open_forge(settings_for(kind, server)).set_status(make_report(server, line=line), context=CONTEXT)
    description = server.statuses[0].description
    assert description.startswith("evil text <script> éé") and description.endswith("…")
    assert len(description) == (140 if kind is ForgeKind.GITHUB else 255)


def test_a_rate_limit_says_when_to_come_again(kind: ForgeKind, server: ForgeServer) -> None:
    limited = 403 if kind is ForgeKind.GITHUB else 429
    message = {"message": "You have exceeded a secondary rate limit. Please wait."}
    server.troubles.append(Answer(status=limited, data=message, headers={"Retry-After": "37"}))
    error = fails(kind, server)
    assert isinstance(error, TransientError)
    assert error.retry_after == 37
    assert len(server.requests) == 1


def test_a_spent_rate_limit_waits_for_its_reset(server: ForgeServer) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 500)}
    message = {"message": "API rate limit exceeded for user ID 1."}
    server.troubles.append(Answer(status=403, data=message, headers=headers))
    error = fails(ForgeKind.GITHUB, server)
    assert isinstance(error, TransientError)
    assert error.retry_after is not None and 400 < error.retry_after <= 500


@pytest.mark.parametrize("asked", ["Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-4", "9" * 400])
def test_an_odd_retry_after_does_no_harm(kind: ForgeKind, server: ForgeServer, asked: str) -> None:
    server.troubles.append(Answer(status=429, data={"message": "slow down"}, headers={"Retry-After": asked}))
    error = fails(kind, server)
    assert isinstance(error, TransientError)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_forge_in_trouble_is_tried_again(kind: ForgeKind, server: ForgeServer, status: int) -> None:
    server.troubles.append(Answer(status=status, data="<html><h1>Bad Gateway</h1></html>"))
    assert isinstance(fails(kind, server), TransientError)
    assert len(server.requests) == 1


@pytest.mark.parametrize("data", [[1, 2], 7, None, "not json", {"message": ["a"]}, {"message": {"base": "x"}}])
def test_an_answer_of_any_shape_is_a_problem_not_a_crash(kind: ForgeKind, server: ForgeServer, data: object) -> None:
    server.troubles.append(Answer(status=400, data=data))
    assert isinstance(fails(kind, server), UserError)


@pytest.mark.parametrize("data", [[1, 2], 7, "not json", {"id": {"x": 1}, "created_at": 4}])
def test_a_success_of_any_shape_is_a_success(kind: ForgeKind, server: ForgeServer, data: object) -> None:
    server.troubles.append(Answer(status=201, data=data))
    open_forge(settings_for(kind, server)).set_status(make_report(server), context=CONTEXT)


def test_an_endless_answer_is_cut(kind: ForgeKind, server: ForgeServer) -> None:
    server.troubles.append(Answer(status=201, data={"message": "x" * (3 * 1024 * 1024)}))
    assert isinstance(fails(kind, server), TransientError)


def test_a_forge_that_never_answers_is_left(kind: ForgeKind, server: ForgeServer) -> None:
    server.troubles.append(Answer(status=201, stall=True))
    error = fails(kind, server, timeout=0.3 if kind is not ForgeKind.GITHUB else 1)
    assert isinstance(error, TransientError)
    assert "does not answer" in error.message


def test_a_forge_that_is_not_there_is_tried_again(kind: ForgeKind) -> None:
    gone = ForgeServer(token=TOKEN, repositories=())
    gone.close()
    assert isinstance(fails(kind, gone), TransientError)


def test_a_redirect_is_not_followed_with_the_token(kind: ForgeKind, server: ForgeServer) -> None:
    with ForgeServer(token=TOKEN, repositories=("acme/net",)) as other:
        assert isinstance(other, ForgeServer)
        server.troubles.append(Answer(status=307, headers={"Location": f"{other.url}/steal"}))
        fails(kind, server)
        assert other.requests == []


def test_a_wrong_token_is_refused_with_what_to_do(kind: ForgeKind, server: ForgeServer) -> None:
    error = fails(kind, server, token="another-canary")
    assert isinstance(error, UserError)
    assert "another-canary" not in str(error)
    assert "401" in error.message and "token" in error.hint


def test_a_token_in_the_answer_is_masked(kind: ForgeKind, server: ForgeServer) -> None:
    server.troubles.append(Answer(status=422, data={"message": f"bad header: {TOKEN}"}))
    assert "***" in fails(kind, server).message


def test_a_rotated_token_is_used_at_once(kind: ForgeKind, server: ForgeServer) -> None:
    tokens = ["expired-token", TOKEN]
    settings = replace(settings_for(kind, server), token=lambda: tokens[0])
    forge = open_forge(settings)
    with pytest.raises(UserError):
        forge.set_status(make_report(server), context=CONTEXT)
    tokens.pop(0)
    forge.set_status(make_report(server), context=CONTEXT)
    assert len(server.statuses) == 1


def test_a_commit_that_the_forge_does_not_know_is_refused(kind: ForgeKind, server: ForgeServer) -> None:
    report = make_report(server)
    unknown = replace(report, commit=replace(report.commit, id="f" * 40))
    assert isinstance(fails(kind, server, unknown), UserError)


@pytest.mark.parametrize("commit", ["", "main", "../../../user", "1a2b3c4", "G" * 40])
def test_what_is_no_commit_id_never_becomes_a_path(kind: ForgeKind, server: ForgeServer, commit: str) -> None:
    report = make_report(server)
    assert isinstance(fails(kind, server, replace(report, commit=replace(report.commit, id=commit))), UserError)
    assert server.requests == []


def test_githubs_cap_of_statuses_is_a_refusal(server: ForgeServer) -> None:
    server.MOST = 2
    forge = open_forge(settings_for(ForgeKind.GITHUB, server))
    for _ in range(2):
        forge.set_status(make_report(server), context=CONTEXT)
    error = fails(ForgeKind.GITHUB, server)
    assert isinstance(error, UserError)
    assert "maximum number of statuses" in error.message


GOOD = [
    "https://git.example.org/acme/net", "https://git.example.org/acme/net.git/", "git@git.example.org:acme/net.git",
    "ssh://git@git.example.org:2222/acme/net.git", "https://bot:secret@GIT.example.org/acme/net.git",
]  # fmt: skip
BAD = [
    "https://other.example.org/acme/net", "https://git.example.org.evil.org/acme/net", "file:///srv/acme/net",
    "https://git.example.org/acme", "https://git.example.org/acme/../net", "https://git.example.org/acme/n%2Fet/x y",
    "git.example.org", "", "https://[git.example.org/acme/net", "https://git.example.org/acme/n?t=1#x/../..",
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_a_repositorys_urls_belong_to_its_forge(kind: ForgeKind, url: str) -> None:
    settings = ForgeSettings(kind=kind, url="https://git.example.org", token=str)
    assert settings.repository(url) == "acme/net"
    assert open_forge(settings).matches(url)


@pytest.mark.parametrize("url", BAD[:-1])
def test_other_urls_do_not(kind: ForgeKind, url: str) -> None:
    assert not open_forge(ForgeSettings(kind=kind, url="https://git.example.org", token=str)).matches(url)


def test_groups_below_groups_are_gitlabs_alone() -> None:
    def found(kind: ForgeKind) -> str | None:
        return ForgeSettings(kind=kind, url="https://git.example.org", token=str).repository(
            "https://git.example.org/a/b/c.git"
        )

    assert [found(kind) for kind in ForgeKind] == [None, "a/b/c", None]


def test_a_forge_below_a_path_and_a_mapped_folder_are_found() -> None:
    settings = ForgeSettings(kind=ForgeKind.GITLAB, url="https://example.org/gitlab", token=str,
                             repositories=Frozen({"file:///srv/net": "acme/net"}))  # fmt: skip
    assert settings.repository("https://example.org/gitlab/acme/net.git") == "acme/net"
    assert settings.repository("file:///srv/net") == "acme/net"


def test_public_addresses_are_known() -> None:
    github = ForgeSettings(kind=ForgeKind.GITHUB, token=str)
    assert github.api_address == "https://api.github.com"
    assert github.repository("git@github.com:acme/net.git") == "acme/net"
    assert replace(github, url="https://ghe.example.org").api_address == "https://ghe.example.org/api/v3"


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"'git\.example\.org' is no http"):
        open_forge(ForgeSettings(kind=ForgeKind.GITEA, url="git.example.org", token=str))


def test_a_gitlab_status_names_its_branch(server: ForgeServer) -> None:
    forge = open_forge(settings_for(ForgeKind.GITLAB, server))
    report = make_report(server)
    forge.set_status(replace(report, commit=replace(report.commit, ref="refs/heads/feature/x")), context=CONTEXT)
    assert server.statuses[0].ref == "feature/x"

"""What a real forge does, and what gitopsd's adapters do with it."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitopsd.adapters.forges import ForgeKind, ForgeSettings, open_forge
from gitopsd.adapters.git.mirrors import Binding, GitMirrors, GitRules
from gitopsd.adapters.git.remote import Credential
from gitopsd.errors import GitopsdError, Reason, UserError
from gitopsd.model.environment import Commit, Source
from gitopsd.model.run import Report, ReportState
from tests.testbed.forge import VARIABLES, Account, Forge, RefusedError, Repository, Status
from tests.testbed.forge_git import Key, Login, WorkTree, make_key
from tests.testbed.forge_hooks import Listener, listening

pytestmark = pytest.mark.testbed

FILES = {"env.yaml": "name: dev\n", "packages/main.star": "def run(plan):\n    pass\n"}
CONTEXT = "gitopsd/dev"


@pytest.fixture
def repository(forge: Forge) -> Repository:
    return forge.repository(FILES)


@pytest.fixture
def key(forge: Forge, tmp_path: Path) -> Key:
    """A key that the forge lets in as the member."""
    needs_ssh(forge)
    made = make_key(tmp_path / "keys")
    forge.add_key(forge.member, made)
    return made


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as running:
        yield running


def needs_ssh(forge: Forge) -> None:
    if not forge.access.host_keys:
        pytest.skip(f"this forge has no SSH: set {VARIABLES[2]} and {VARIABLES[3]}")


def changed(forge: Forge, folder: Path) -> str:
    """The known_hosts of one who met another key at the forge's address."""
    return forge.access.known(make_key(folder / "another").public)


def hashed(text: str, folder: Path) -> str:
    """A known_hosts file that does not tell its hosts."""
    file = file_of(folder, text)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True, timeout=10)
    return file.read_text()


def file_of(folder: Path, text: str) -> Path:
    (folder / "known_hosts").write_text(text)
    return folder / "known_hosts"


def refused_push(tree: WorkTree, url: str) -> str:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        tree.push(url)
    return str(caught.value.stderr)


# --- git --------------------------------------------------------------------------------------------------


def test_a_push_over_http_arrives_with_a_token(forge: Forge, repository: Repository, tmp_path: Path) -> None:
    tree = Login(token=forge.member.token).clone(repository.url, tmp_path / "tree")
    pushed = tree.commit({"env.yaml": "name: pushed\n"})
    tree.push(repository.url)
    assert repository.head() == pushed


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("nobody", "could not read Username"),
        ("forged", "could not read Username"),
        ("stranger", "User permission denied for writing"),
    ],
)
def test_a_push_over_http_is_refused_without_a_token_that_may_write(
    forge: Forge, repository: Repository, tmp_path: Path, who: str, words: str
) -> None:
    before = repository.head()
    token = {"nobody": "", "stranger": forge.stranger.token, "forged": secrets.token_hex(20)}[who]
    cloned = Login().clone(repository.url, tmp_path / "tree")
    cloned.commit({"env.yaml": "name: pushed\n"})
    assert words in refused_push(replace(cloned, login=Login(token=token)), repository.url)
    assert repository.head() == before


def test_a_push_over_ssh_arrives_with_a_key_at_a_known_host(
    forge: Forge, repository: Repository, key: Key, tmp_path: Path
) -> None:
    known = file_of(tmp_path, forge.known_hosts)
    tree = Login(key=key, known_hosts=known).clone(repository.ssh_url, tmp_path / "tree")
    pushed = tree.commit({"env.yaml": "name: pushed\n"})
    tree.push(repository.ssh_url)
    assert repository.head() == pushed


def test_a_push_over_ssh_stops_at_a_host_key_that_changed(
    forge: Forge, repository: Repository, key: Key, tmp_path: Path
) -> None:
    before = repository.head()
    cloned = Login().clone(repository.url, tmp_path / "tree")
    cloned.commit({"env.yaml": "name: pushed\n"})
    known = file_of(tmp_path, changed(forge, tmp_path))
    tree = replace(cloned, login=Login(key=key, known_hosts=known))
    assert "Host key verification failed" in refused_push(tree, repository.ssh_url)
    assert repository.head() == before


def test_a_push_over_ssh_is_refused_with_a_key_that_nobody_added(
    forge: Forge, repository: Repository, tmp_path: Path
) -> None:
    needs_ssh(forge)
    before = repository.head()
    cloned = Login().clone(repository.url, tmp_path / "tree")
    cloned.commit({"env.yaml": "name: pushed\n"})
    known = file_of(tmp_path, forge.known_hosts)
    tree = replace(cloned, login=Login(key=make_key(tmp_path / "keys"), known_hosts=known))
    assert "Permission denied" in refused_push(tree, repository.ssh_url)
    assert repository.head() == before


# --- pull requests, labels, comments, statuses, webhooks ----------------------------------------------------


def test_a_pull_request_from_a_branch_can_be_fetched_by_its_number(repository: Repository, tmp_path: Path) -> None:
    pushed = repository.commit({"env.yaml": "name: next\n"}, branch="next")
    request = repository.pull_request("next")
    assert request.head == pushed != repository.head()
    assert fetched(repository, request.ref, tmp_path) == pushed


def test_a_pull_request_from_a_fork_can_be_fetched_from_the_repository_that_it_asks(
    forge: Forge, repository: Repository, tmp_path: Path
) -> None:
    fork = repository.fork(forge.contributor)
    assert fork.owner == forge.contributor.name
    pushed = fork.commit({"env.yaml": "name: proposed\n"}, branch="proposal")
    request = repository.pull_request("proposal", fork=fork)
    assert request.head == pushed
    assert fetched(repository, request.ref, tmp_path) == pushed
    with pytest.raises(RefusedError) as caught:
        repository.seen_by(forge.contributor).commit({"env.yaml": "name: taken\n"})
    assert caught.value.status == 403


def fetched(repository: Repository, ref: str, folder: Path) -> str:
    return Login().clone(repository.url, folder / "fetched").fetch(repository.url, ref)


def test_labels_and_comments_of_a_pull_request_are_read_back(forge: Forge, repository: Repository) -> None:
    repository.commit({"env.yaml": "name: next\n"}, branch="next")
    request = repository.pull_request("next")
    assert request.labels() == set()
    for name in ("preview", "preview/large"):
        repository.label(name)
        request.add_label(name)
    assert request.labels() == {"preview", "preview/large"}
    request.comment("2 added, 1 removed – `dev`")
    assert request.comments() == ((forge.member.name, "2 added, 1 removed – `dev`"),)


def test_a_commit_status_is_read_back(repository: Repository) -> None:
    commit = repository.head()
    assert repository.statuses(commit) == ()
    first = Status(context=CONTEXT, state="pending", description="planning", target_url="https://gitopsd.test/dev")
    last = Status(context=CONTEXT, state="failure", description="1 failed", target_url="https://gitopsd.test/dev")
    for status in (first, last):
        repository.set_status(commit, status)
    assert repository.statuses(commit) == (first, last)


def test_a_webhook_is_delivered_to_loopback_with_a_signature_that_its_secret_proves(
    forge: Forge, repository: Repository, listener: Listener
) -> None:
    secret = secrets.token_hex(16)
    repository.webhook(listener.url, secret=secret, events=("push", "pull_request"))
    pushed = repository.commit({"env.yaml": "name: next\n"}, branch="next")
    push = listener.next()
    while push.data.get("after") != pushed:
        push = listener.next()
    assert (push.event, push.data["ref"]) == ("push", "refs/heads/next")
    assert push.data["repository"]["full_name"] == f"{repository.owner}/{repository.name}"
    assert push.is_signed_with(secret)
    assert not push.is_signed_with(secret + "x")
    request = repository.pull_request("next")
    opened = listener.next()
    assert (opened.event, opened.data["action"], opened.data["number"]) == ("pull_request", "opened", request.number)
    assert opened.is_signed_with(secret)
    request.close()
    assert listener.next().data["action"] == "closed"


@pytest.mark.parametrize("who", ["nobody", "stranger"])
def test_a_private_repository_does_not_exist_for_a_stranger(forge: Forge, tmp_path: Path, who: str) -> None:
    repository = forge.repository(FILES, private=True)
    stranger = forge.stranger if who == "stranger" else None
    with pytest.raises(RefusedError) as caught:
        forge.ask("GET", f"/repos/{repository.owner}/{repository.name}", by=stranger)
    assert caught.value.status == 404
    with pytest.raises(subprocess.CalledProcessError):
        Login(token=stranger.token if stranger else "").git("ls-remote", repository.url, folder=tmp_path)
    assert repository.head() in Login(token=forge.member.token).git("ls-remote", repository.url, folder=tmp_path)


# --- gitopsd: commit statuses -------------------------------------------------------------------------------


def report(repository: Repository, state: ReportState, line: str) -> Report:
    commit = Commit(url=repository.url, ref="main", id=repository.head())
    return Report(key="k", environment="dev", commit=commit, state=state, line=line)


def settings(forge: Forge, account: Account) -> ForgeSettings:
    return ForgeSettings(kind=ForgeKind.GITEA, url=forge.access.url, token=lambda: account.token, pause=0.0)


def test_gitopsd_reports_pending_then_the_end_of_a_run(forge: Forge, repository: Repository) -> None:
    sink = open_forge(settings(forge, forge.member))
    assert sink.matches(repository.url) and sink.matches(repository.ssh_url)
    link = f"{forge.access.url}/runs/1"
    sink.set_status(report(repository, ReportState.PENDING, "planning"), context=CONTEXT, target_url=link)
    sink.set_status(report(repository, ReportState.SUCCESS, "3 added in 14 s"), context=CONTEXT, target_url=link)
    assert repository.statuses(repository.head()) == (
        Status(context=CONTEXT, state="pending", description="planning", target_url=link),
        Status(context=CONTEXT, state="success", description="3 added in 14 s", target_url=link),
    )


@pytest.mark.parametrize(
    ("state", "word"),
    [(ReportState.FAILURE, "failure"), (ReportState.ERROR, "error"), (ReportState.SUPERSEDED, "warning")],
)
def test_gitopsd_tells_the_forge_every_end_in_its_own_word(
    forge: Forge, repository: Repository, state: ReportState, word: str
) -> None:
    open_forge(settings(forge, forge.member)).set_status(report(repository, state, "done"), context=CONTEXT)
    assert [status.state for status in repository.statuses(repository.head())] == [word]


def test_gitopsd_is_refused_with_a_token_that_may_not_write(forge: Forge, repository: Repository) -> None:
    sink = open_forge(settings(forge, forge.stranger))
    with pytest.raises(UserError) as caught:
        sink.set_status(report(repository, ReportState.SUCCESS, "done"), context=CONTEXT)
    assert caught.value.reason is Reason.REPORT_FAILED
    assert "403" in caught.value.message
    assert forge.stranger.token not in str(caught.value)
    assert repository.statuses(repository.head()) == ()


# --- gitopsd: fetches -----------------------------------------------------------------------------------------


def git_over_http(folder: Path, repository: Repository, token: str) -> GitMirrors:
    credential = Credential(name="bot", token=lambda: token)
    bindings = (Binding(url=repository.url, credential="bot"),)
    return GitMirrors(folder / "state", GitRules(credentials=(credential,), bindings=bindings))


def git_over_ssh(folder: Path, repository: Repository, key: Callable[[], str], known_hosts: str) -> GitMirrors:
    credential = Credential(name="bot", private_key=key)
    bindings = (Binding(url=repository.ssh_url, credential="bot"),)
    rules = GitRules(credentials=(credential,), bindings=bindings, known_hosts=known_hosts)
    return GitMirrors(folder / "state", rules)


def source(url: str, ref: str = "main") -> Source:
    return Source(name="s", url=url, ref=ref, credential="bot")


def refusal(git: GitMirrors, watched: Source) -> GitopsdError:
    with pytest.raises(GitopsdError) as caught:
        git.head(watched)
    return caught.value


def test_gitopsd_fetches_a_private_repository_over_http_with_a_token(forge: Forge, tmp_path: Path) -> None:
    repository = forge.repository(FILES, private=True)
    git = git_over_http(tmp_path, repository, forge.member.token)
    head = git.head(source(repository.url))
    assert head.id == repository.head()
    assert git.read(repository.url, head.id, "env.yaml") == b"name: dev\n"
    moved = repository.commit({"env.yaml": "name: moved\n"})
    assert git.head(source(repository.url)).id == moved


def test_gitopsd_is_refused_over_http_with_a_strangers_token(forge: Forge, tmp_path: Path) -> None:
    repository = forge.repository(FILES, private=True)
    error = refusal(git_over_http(tmp_path, repository, forge.stranger.token), source(repository.url))
    assert isinstance(error, UserError)
    assert error.reason is Reason.SOURCE_REFUSED
    assert forge.stranger.token not in f"{error!r} {error} {error.hint}"


@pytest.mark.parametrize("known", ["every key", "only its last key", "hashed"])
def test_gitopsd_fetches_a_private_repository_over_ssh_from_a_known_host(
    forge: Forge, key: Key, tmp_path: Path, known: str
) -> None:
    repository = forge.repository(FILES, private=True)
    texts = {
        "every key": forge.known_hosts,
        "only its last key": forge.access.known(forge.access.host_keys[-1]),
        "hashed": hashed(forge.known_hosts, tmp_path),
    }
    git = git_over_ssh(tmp_path, repository, lambda: key.private, texts[known])
    head = git.head(source(repository.ssh_url))
    assert head.id == repository.head()
    assert git.read(repository.ssh_url, head.id, "env.yaml") == b"name: dev\n"
    moved = repository.commit({"env.yaml": "name: moved\n"})
    assert git.head(source(repository.ssh_url)).id == moved


@pytest.mark.parametrize("known", ["unknown", "changed"])
def test_gitopsd_shows_no_key_to_a_host_that_is_not_the_known_one(
    forge: Forge, key: Key, tmp_path: Path, known: str
) -> None:
    repository = forge.repository(FILES, private=True)
    known_hosts = changed(forge, tmp_path) if known == "changed" else ""
    shown: list[str] = []

    def show() -> str:
        shown.append("the key")
        return key.private

    error = refusal(git_over_ssh(tmp_path, repository, show, known_hosts), source(repository.ssh_url))
    assert isinstance(error, UserError)
    assert error.reason is Reason.SOURCE_REFUSED
    assert "host key that is not in known_hosts" in error.message
    assert shown == []


def test_gitopsd_is_refused_over_ssh_with_a_key_that_nobody_added(forge: Forge, tmp_path: Path) -> None:
    needs_ssh(forge)
    repository = forge.repository(FILES, private=True)
    private = make_key(tmp_path / "keys").private
    error = refusal(git_over_ssh(tmp_path, repository, lambda: private, forge.known_hosts), source(repository.ssh_url))
    assert isinstance(error, UserError)
    assert error.reason is Reason.SOURCE_REFUSED
    assert "'bot'" in error.message
    assert private not in f"{error!r} {error} {error.hint}"


def test_gitopsd_fetches_the_head_of_a_pull_request_from_a_fork(forge: Forge, tmp_path: Path) -> None:
    repository = forge.repository(FILES)
    fork = repository.fork(forge.contributor)
    pushed = fork.commit({"env.yaml": "name: proposed\n"}, branch="proposal")
    request = repository.pull_request("proposal", fork=fork)
    git = git_over_http(tmp_path, repository, forge.member.token)
    assert git.head(source(repository.url, request.ref)).id == pushed
    assert git.read(repository.url, pushed, "env.yaml") == b"name: proposed\n"

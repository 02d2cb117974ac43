"""Git through libgit2 against real repositories and real servers on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pygit2
import pytest

from gitopsd.adapters.git.mirrors import Binding, GitMirrors, GitRules
from gitopsd.adapters.git.reader import ReadLimits, TreeReader
from gitopsd.adapters.git.remote import Credential, TransferLimits
from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.model.environment import Source
from gitopsd.model.package import Missing
from tests.stage.repository import Repository
from tests.stage.servers import HAS_HTTP_BACKEND, Host, serving, silent_server
from tests.stage.threads import at_once

CANARY = "canary-4f1d-token"
needs_backend = pytest.mark.skipif(not HAS_HTTP_BACKEND, reason="git http-backend is not installed")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "hosted" / "team" / "env.git")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serving(Host(root=tmp_path / "hosted")) as served:
        yield served


def mirrors(tmp_path: Path, **rules: object) -> GitMirrors:
    return GitMirrors(tmp_path / "state", GitRules(**rules))


def source(url: str, ref: str = "main", credential: str = "") -> Source:
    return Source(name="s", url=url, ref=ref, credential=credential)


def refusal(call: object, *args: object, **named: object) -> GitopsdError:
    with pytest.raises(GitopsdError) as caught:
        call(*args, **named)
    assert CANARY not in f"{caught.value!r} {caught.value} {caught.value.hint} {caught.value.__cause__}"
    return caught.value


# --- heads ------------------------------------------------------------------------------------------------


def test_the_head_of_a_branch_a_tag_and_a_commit_is_found(tmp_path: Path, repository: Repository) -> None:
    first = repository.commit({"a": b"1"})
    repository.tag("v1", first)
    repository.tag("light", first, annotated=False)
    second = repository.commit({"a": b"2"})
    git = mirrors(tmp_path)
    head = git.head(source(repository.url))
    assert (head.id, head.subject, head.author, head.when) == (second, "Change things", "Ann", 1_700_000_000)
    for ref in ("v1", "light", first, "refs/tags/v1"):
        assert git.head(source(repository.url, ref)).id == first
    assert [item.id for item in git.commits(source(repository.url))] == [second, first]
    assert git.read(repository.url, first, "a") == b"1"


def test_a_branch_and_a_tag_of_one_name_mean_the_branch_to_a_source_and_the_tag_to_a_locator(
    tmp_path: Path, repository: Repository
) -> None:
    tagged = repository.commit({"a": b"1"})
    repository.tag("both", tagged)
    branch = repository.commit({"a": b"2"}, branch="both")
    git = mirrors(tmp_path, rewrites={"https://github.com/": f"file://{tmp_path}/hosted/"})
    assert git.head(source(repository.url, "both")).id == branch
    assert git.pin(Missing(locator="github.com/team/env", ref="both"), environment="dev").commit == tagged


@needs_backend
def test_only_a_moved_ref_fetches(tmp_path: Path, repository: Repository, host: Host) -> None:
    repository.commit({"a": b"1"})
    git = mirrors(tmp_path)
    watched = source(f"{host.url}/team/env.git")
    git.head(watched)
    assert host.fetches == 1
    git.head(watched)
    assert host.fetches == 1
    moved = repository.commit({"a": b"2"})
    assert git.head(watched).id == moved
    assert host.fetches == 2


@needs_backend
def test_a_commit_that_no_ref_names_any_more_stays_readable(tmp_path: Path, repository: Repository, host: Host) -> None:
    old = repository.commit({"a": b"1"})
    git = mirrors(tmp_path)
    watched = source(f"{host.url}/team/env.git")
    assert git.head(watched).id == old
    new = repository.commit({"a": b"2"}, new_root=True)
    assert git.head(watched).id == new
    assert git.rewrote(watched.url, old, new)
    assert git.read(watched.url, old, "a") == b"1"


def test_a_fast_forward_is_no_rewrite(tmp_path: Path, repository: Repository) -> None:
    old, new = repository.commit({"a": b"1"}), repository.commit({"a": b"2"})
    git = mirrors(tmp_path)
    git.head(source(repository.url))
    assert not git.rewrote(repository.url, old, new)
    assert not git.rewrote(repository.url, old, old)


def test_a_branch_that_gives_way_to_a_folder_of_branches_is_followed(tmp_path: Path, repository: Repository) -> None:
    repository.commit({"a": b"1"}, branch="x")
    git = mirrors(tmp_path)
    git.head(source(repository.url, "x"))
    repository.git.references.delete("refs/heads/x")
    inner = repository.commit({"a": b"1"}, branch="x/y")
    assert git.head(source(repository.url, "x/y")).id == inner


def test_a_vanished_branch_an_empty_repository_and_an_empty_tree_are_told_apart(
    tmp_path: Path, repository: Repository
) -> None:
    git = mirrors(tmp_path)
    assert refusal(git.head, source(repository.url)).reason is Reason.SOURCE_EMPTY
    kept = repository.commit({"a": b"1"})
    repository.git.references.create("refs/heads/gone", pygit2.Oid(hex=kept))
    git.head(source(repository.url, "gone"))
    repository.git.references.delete("refs/heads/gone")
    missing = refusal(git.head, source(repository.url, "gone"))
    assert isinstance(missing, UserError)
    assert missing.reason is Reason.REF_MISSING
    repository.commit({})
    empty = refusal(git.head, source(repository.url))
    assert isinstance(empty, UserError)
    assert empty.reason is Reason.SOURCE_EMPTY
    assert git.read(repository.url, kept, "a") == b"1"


def test_a_tag_of_a_file_is_no_commit(tmp_path: Path, repository: Repository) -> None:
    repository.commit({"a": b"1"})
    repository.git.references.create("refs/tags/file", repository.git.create_blob(b"x"))
    assert refusal(mirrors(tmp_path).head, source(repository.url, "file")).reason is Reason.REF_MISSING


@pytest.mark.parametrize("ref", ["-c", "--upload-pack=x", "a b", "a\nb", "a@{1}", "x" * 10_000, "a..b", ""])
def test_a_ref_that_is_none_is_refused_before_anything_is_asked(tmp_path: Path, ref: str) -> None:
    error = refusal(mirrors(tmp_path).head, source("https://127.0.0.1:1/x/y", ref))
    assert error.reason is Reason.REF_MISSING
    assert len(str(error)) < 600


def test_a_damaged_mirror_is_made_anew(tmp_path: Path, repository: Repository) -> None:
    head = repository.commit({"a": b"1"})
    git = mirrors(tmp_path)
    git.head(source(repository.url))
    (Path(git.mirror(repository.url)) / "HEAD").unlink()
    assert git.head(source(repository.url)).id == head


def test_mirrors_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    mirrors(tmp_path)
    for folder in (tmp_path / "state" / "mirrors", tmp_path / "state" / "home" / ".ssh"):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_many_threads_may_ask_for_one_repository(tmp_path: Path, repository: Repository) -> None:
    head = repository.commit({"a": b"1"})
    git = mirrors(tmp_path)
    assert at_once(lambda _: git.head(source(repository.url)).id, range(8)) == [head] * 8


# --- addresses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["ext::sh -c touch% /tmp/x", "javascript:alert(1)", "https://github.com@evil.test/o/r", f"https://u:{CANARY}@h/o/r",
     f"https://{CANARY}@h/o/r", "https://h/o\n/r", "https://h/o%0a/r", "https://h\\@e/o/r", "git://h/o/r", "ssh://-x/o",
     "ssh://-oProxyCommand=x@h/o", f"ssh://git:{CANARY}@h/o", "https://h/", "https:///o/r", "https://h:99999999/o/r",
     f"https://h/o/r?token={CANARY}", "https://h/o/../r", "file://host/x", "file:///a/../b", "/srv/repo", "",
     "x" * 5000, "ftp://h/x", "https://[::1/x", "-u@h:x", "https://h/o/r#x", "https://hö.test/o/r"],
)  # fmt: skip
def test_addresses_that_are_not_connected_to(tmp_path: Path, url: str) -> None:
    error = refusal(mirrors(tmp_path).head, source(url))
    assert isinstance(error, UserError)
    assert error.reason is Reason.SOURCE_REFUSED
    assert "\n" not in str(error)


def test_the_longest_rewrite_stands_in_for_a_host(tmp_path: Path, repository: Repository) -> None:
    head = repository.commit({"a": b"1"})
    git = mirrors(
        tmp_path,
        rewrites={"https://github.com/": "file:///nowhere/", "https://github.com/te": f"file://{tmp_path}/hosted/te"},
    )
    pin = git.pin(Missing(locator="github.com/team/env"), environment="dev")
    assert (pin.root, pin.ref, pin.url, pin.commit) == (
        "github.com/team/env",
        "",
        "https://github.com/team/env",
        head,
    )
    assert git.read(pin.url, pin.commit, "a") == b"1"
    assert git.head(source("https://github.com/team/env.git")).id == head


def test_a_repository_that_is_not_in_the_mirror_is_no_repository(tmp_path: Path) -> None:
    git = mirrors(tmp_path, rewrites={"https://github.com/": f"file://{tmp_path}/hosted/"})
    error = refusal(git.pin, Missing(locator="github.com/no/where"), environment="dev")
    assert error.reason is Reason.SOURCE_REFUSED
    assert "is no repository" in str(error)


@pytest.mark.parametrize("locator", ["gitlab.com/o/r", "github.com/../x", "file:///etc", "github.com/o"])
def test_only_locators_can_be_pinned(tmp_path: Path, locator: str) -> None:
    assert refusal(mirrors(tmp_path).pin, Missing(locator=locator), environment="x").reason is Reason.SOURCE_REFUSED


@needs_backend
def test_a_commit_that_the_host_does_not_advertise_is_found_among_all_refs(
    tmp_path: Path, repository: Repository, host: Host
) -> None:
    old = repository.commit({"a": b"1"})
    repository.commit({"a": b"2"})
    git = mirrors(tmp_path, rewrites={"https://github.com/": f"{host.url}/"})
    assert git.pin(Missing(locator="github.com/team/env", ref=old), environment="dev").commit == old
    asked = len(host.requests)
    assert git.pin(Missing(locator="github.com/team/env", ref=old), environment="dev").commit == old
    assert len(host.requests) == asked
    unknown = refusal(git.pin, Missing(locator="github.com/team/env", ref="0" * 40), environment="dev")
    assert unknown.reason is Reason.REF_MISSING


# --- credentials ------------------------------------------------------------------------------------------


def token(name: str = "bot", value: str = CANARY) -> Credential:
    return Credential(name=name, token=lambda: value)


@needs_backend
def test_a_token_opens_the_repository_that_it_is_bound_to(tmp_path: Path, repository: Repository, host: Host) -> None:
    head = repository.commit({"a": b"1"})
    host.token = CANARY
    url = f"{host.url}/team/env.git"
    git = mirrors(tmp_path, credentials=(token(),), bindings=(Binding(url=url, credential="bot"),))
    assert git.head(source(url, credential="bot")).id == head
    assert refusal(git.head, source(url)).reason is Reason.SOURCE_REFUSED
    assert refusal(git.head, source(f"{host.url}/team/other", credential="bot")).reason is Reason.SOURCE_REFUSED
    assert refusal(git.head, source(url, credential="nope")).reason is Reason.SOURCE_REFUSED
    for file in (tmp_path / "state").rglob("*"):
        assert not file.is_file() or CANARY.encode() not in file.read_bytes()


@needs_backend
def test_a_wrong_token_is_shown_once_and_told_by_name(tmp_path: Path, repository: Repository, host: Host) -> None:
    repository.commit({"a": b"1"})
    host.token = "another"
    url = f"{host.url}/team/env.git"
    git = mirrors(tmp_path, credentials=(token(),), bindings=(Binding(url=url, credential="bot"),))
    error = refusal(git.head, source(url, credential="bot"))
    assert error.reason is Reason.SOURCE_REFUSED
    assert "'bot'" in str(error)
    assert sum(bool(authorization) for _, _, authorization in host.requests) == 1


@needs_backend
def test_a_locator_is_fetched_with_a_token_only_for_the_environments_that_it_is_bound_to(
    tmp_path: Path, repository: Repository, host: Host
) -> None:
    head = repository.commit({"a": b"1"})
    host.token = CANARY
    bindings = (
        Binding(url="https://github.com/team/env", credential="bot", environments=("dev-*",)),
        Binding(url=f"{host.url}/", credential="bot"),
    )
    git = mirrors(tmp_path, credentials=(token(),), bindings=bindings, rewrites={"https://github.com/": f"{host.url}/"})
    for ref in ("", head):
        wanted = Missing(locator="github.com/team/env", ref=ref)
        assert git.pin(wanted, environment="dev-1").commit == head
        assert refusal(git.pin, wanted, environment="stranger").reason is Reason.SOURCE_REFUSED


@needs_backend
def test_a_rewritten_host_gets_no_token_that_is_not_bound_to_it(
    tmp_path: Path, repository: Repository, host: Host
) -> None:
    repository.commit({"a": b"1"})
    host.token = CANARY
    bindings = (Binding(url="https://github.com/team/env", credential="bot", environments=("*",)),)
    git = mirrors(tmp_path, credentials=(token(),), bindings=bindings, rewrites={"https://github.com/": f"{host.url}/"})
    refusal(git.pin, Missing(locator="github.com/team/env"), environment="dev")
    assert not any(authorization for _, _, authorization in host.requests)


@needs_backend
@pytest.mark.parametrize("to_name", ["localhost", "127.0.0.1"])
def test_a_redirect_to_another_server_never_receives_the_token(
    tmp_path: Path, repository: Repository, host: Host, to_name: str
) -> None:
    repository.commit({"a": b"1"})
    host.token = CANARY
    with serving(Host(root=host.root, redirect_to=host.url.replace("127.0.0.1", to_name))) as door:
        url = f"{door.url}/team/env.git"
        git = mirrors(tmp_path, credentials=(token(),), bindings=(Binding(url=url, credential="bot"),))
        assert refusal(git.head, source(url, credential="bot")).reason is Reason.SOURCE_REFUSED
    assert not any(authorization for _, _, authorization in host.requests)


@needs_backend
def test_a_redirect_to_another_host_is_not_followed(tmp_path: Path, repository: Repository, host: Host) -> None:
    repository.commit({"a": b"1"})
    with serving(Host(root=host.root, redirect_to=host.url.replace("127.0.0.1", "localhost"))) as door:
        assert "redirects" in str(refusal(mirrors(tmp_path).head, source(f"{door.url}/team/env.git")))
    assert host.requests == []


def test_a_weak_host_key_is_refused_at_the_start(tmp_path: Path) -> None:
    weak = "h.test ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQDTgvwjlRHZ0m0hrMOWzEJnOVAdQlM4VZpUJL6QpTZ8zJtFHJSxGFWvYbdVJYpX"
    for text in (weak, "h.test ssh-dss AAAA", "garbage", "h.test ssh-rsa !!!"):
        error = refusal(mirrors, tmp_path, known_hosts=text)
        assert error.reason is Reason.CONFIG_INVALID
        assert error.position == "known_hosts:1"


@pytest.mark.parametrize("line", ["@revoked h.test ssh-ed25519 AAAA", "!h.test,*.test ssh-ed25519 AAAA"])
def test_a_known_host_that_is_not_to_be_trusted_is_refused_at_the_start(tmp_path: Path, line: str) -> None:
    error = refusal(mirrors, tmp_path, known_hosts=f"# keys\n{line}\n")
    assert error.reason is Reason.CONFIG_INVALID
    assert error.position == "known_hosts:2"
    assert "leave it out" in str(error)


# --- hosts that fail --------------------------------------------------------------------------------------


def test_a_host_that_is_down_is_transient(tmp_path: Path) -> None:
    git = mirrors(tmp_path)
    for url in ("http://127.0.0.1:1/o/r", "ssh://git@127.0.0.1:1/o/r"):
        error = refusal(git.head, source(url))
        assert isinstance(error, TransientError)
        assert error.reason is Reason.SOURCE_UNREACHABLE


@pytest.mark.parametrize(
    ("status", "kind"), [(500, TransientError), (429, TransientError), (404, UserError), (403, UserError)]
)
def test_a_status_decides_whether_it_may_pass(tmp_path: Path, host: Host, status: int, kind: type) -> None:
    host.status = status
    assert isinstance(refusal(mirrors(tmp_path).head, source(f"{host.url}/o/r")), kind)


@pytest.mark.parametrize("scheme", ["http", "https", "ssh"])
def test_a_host_that_accepts_and_never_answers_delays_only_its_own_check(
    tmp_path: Path, repository: Repository, scheme: str
) -> None:
    head = repository.commit({"a": b"1"})
    git = mirrors(tmp_path, transfer=TransferLimits(connect_timeout=1, server_timeout=1))
    outcome: list[GitopsdError] = []
    with silent_server() as port:
        url = f"{scheme}://127.0.0.1:{port}/o/r"
        waiting = threading.Thread(target=lambda: outcome.append(refusal(git.head, source(url))))
        waiting.start()
        assert git.head(source(repository.url)).id == head
        assert waiting.is_alive()
        waiting.join(timeout=20)
    assert [error.reason for error in outcome] == [Reason.SOURCE_UNREACHABLE]
    assert isinstance(outcome[0], TransientError)


@needs_backend
@pytest.mark.parametrize("limits", [TransferLimits(bytes=1000), TransferLimits(objects=3), TransferLimits(seconds=0)])
def test_an_oversized_or_endless_transfer_is_aborted(
    tmp_path: Path, repository: Repository, host: Host, limits: TransferLimits
) -> None:
    noise = bytes((index * index * 31 + index // 7) % 251 for index in range(20_000))
    repository.commit({f"f{index}": noise[index:] for index in range(8)})
    git = mirrors(tmp_path, transfer=limits)
    watched = source(f"{host.url}/team/env.git")
    error = refusal(git.head, watched)
    assert error.reason in (Reason.LIMIT_EXCEEDED, Reason.SOURCE_UNREACHABLE)
    assert git.commits(watched) == ()
    packs = Path(git.mirror(watched.url)) / "objects" / "pack"
    assert sum(file.stat().st_size for file in packs.iterdir()) == 0


@needs_backend
def test_a_small_pack_that_unfolds_to_gigabytes_is_refused(tmp_path: Path, host: Host) -> None:
    size = 96 * 1024 * 1024
    bomb = Repository(tmp_path / "hosted" / "bomb.git")
    bomb.commit_delta_bomb(size)
    git = mirrors(tmp_path, transfer=TransferLimits(memory=80 * 1024 * 1024))
    watched = source(f"{host.url}/bomb.git")
    error = refusal(git.head, watched)
    assert error.reason is Reason.LIMIT_EXCEEDED
    assert "memory" in str(error)
    assert list((Path(git.mirror(watched.url)) / "objects" / "pack").iterdir()) == []


# --- reads ------------------------------------------------------------------------------------------------

LINK, SUBMODULE, EXECUTABLE = 0o120000, 0o160000, 0o100755


@pytest.fixture
def reader(tmp_path: Path, repository: Repository) -> TreeReader:
    commit = repository.commit({
        "file": b"content",
        "run.sh": (EXECUTABLE, b"#!"),
        "inside": (LINK, b"folder/deep"),
        "folder/deep": b"deep",
        "folder/up": (LINK, b"../file"),
        "folder/sub/x": b"x",
        "tofolder": (LINK, b"folder"),
        "passwd": (LINK, b"/etc/passwd"),
        "missing": (LINK, b"nothing"),
        "out": (LINK, b"../../../../etc/passwd"),
        "outout": (LINK, b"folder/../../etc/passwd"),
        "loop": (LINK, b"loop"),
        "ping": (LINK, b"pong"),
        "pong": (LINK, b"ping"),
        "module": (SUBMODULE, pygit2.Oid(hex="1" * 40)),
        "tomodule": (LINK, b"module/file"),
        "circle/back": (LINK, b".."),
        "nul": (LINK, b"file\0x"),
        "withlink/a": b"a",
        "withlink/bad": (LINK, b"/etc/passwd"),
        "withmodule/a": b"a",
        "withmodule/m": (SUBMODULE, pygit2.Oid(hex="1" * 40)),
    })  # fmt: skip
    return TreeReader(str(repository.folder), commit)


def test_links_inside_the_tree_are_followed(reader: TreeReader) -> None:
    assert reader.read("file") == b"content"
    assert reader.read("./folder//deep") == b"deep"
    assert reader.read("inside") == b"deep"
    assert reader.read("tofolder/up") == b"content"
    assert reader.read("circle/back/file") == b"content"
    assert reader.exists("tofolder")
    assert reader.is_folder("tofolder")
    assert [(item.path, item.mode, item.content) for item in reader.files("run.sh")] == [("run.sh", 0o755, b"#!")]
    assert sorted((item.path, item.mode, item.content) for item in reader.files("tofolder/")) == [
        ("deep", 0o644, b"deep"),
        ("sub/x", 0o644, b"x"),
        ("up", 0o644, b"content"),
    ]


OUTSIDE = [
    "passwd", "missing", "out", "outout", "loop", "ping", "module", "module/file", "tomodule", "nul", "nothing",
    "file/x", "../file", "folder/../file", "..", "/etc/passwd", "/file", "file\0", "a\0b", "folder\\deep", "x" * 5000,
    "%2e%2e/file", "‥/file", "FILE", "passwd/x", ".git/config", "\udcff",
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
def test_what_lies_outside_the_tree_is_refused_like_what_is_not_there(reader: TreeReader, path: str) -> None:
    forbidden = refusal(reader.read, path)
    assert isinstance(forbidden, UserError)
    assert forbidden.reason is Reason.PATH_REFUSED
    absent = str(refusal(reader.read, "absent"))
    shown = str(forbidden)
    assert shown[shown.rindex(" is no file") :] == absent[absent.rindex(" is no file") :]
    assert "root:" not in shown
    assert not reader.exists(path)
    assert refusal(lambda: list(reader.files(path))).reason is Reason.PATH_REFUSED


def test_a_submodule_in_a_folder_is_empty_as_in_a_plain_clone(reader: TreeReader) -> None:
    assert [item.path for item in reader.files("withmodule")] == ["a"]
    assert refusal(lambda: list(reader.files("withmodule/m"))).reason is Reason.PATH_REFUSED


@pytest.mark.parametrize("path", ["withlink", "circle", "", "."])
def test_a_folder_that_holds_a_way_out_is_refused_as_a_whole(reader: TreeReader, path: str) -> None:
    assert refusal(lambda: list(reader.files(path))).reason is Reason.PATH_REFUSED


def test_a_folder_is_no_file(reader: TreeReader) -> None:
    assert refusal(reader.read, "folder").reason is Reason.PATH_REFUSED
    assert refusal(reader.read, "").reason is Reason.PATH_REFUSED


@pytest.mark.parametrize("name", [b"..", b".", b".git", b".GIT", b"a/b"])
def test_a_tree_with_a_name_that_git_would_never_write_is_refused(repository: Repository, name: bytes) -> None:
    blob = repository.git.create_blob(b"evil")
    tree = repository.git.odb.write(pygit2.enums.ObjectType.TREE, b"100644 " + name + b"\0" + blob.raw)
    made = pygit2.Oid(hex=_raw_commit(repository, tree))
    evil = TreeReader(str(repository.folder), str(made))
    assert refusal(lambda: list(evil.files(""))).reason is Reason.PATH_REFUSED


def _raw_commit(repository: Repository, tree: pygit2.Oid) -> str:
    text = f"tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n"
    return str(repository.git.odb.write(pygit2.enums.ObjectType.COMMIT, text.encode()))


def test_limits_hold_for_a_file_a_count_and_a_sum(repository: Repository) -> None:
    commit = repository.commit({f"many/{index}": b"x" * 10 for index in range(5)} | {"big": b"x" * 101})
    small = ReadLimits(file_bytes=100, files=4, total_bytes=1000)
    reader = TreeReader(str(repository.folder), commit, small)
    assert refusal(reader.read, "big").reason is Reason.LIMIT_EXCEEDED
    assert refusal(lambda: list(reader.files("many"))).reason is Reason.LIMIT_EXCEEDED
    reader = TreeReader(str(repository.folder), commit, ReadLimits(total_bytes=45))
    assert refusal(lambda: list(reader.files("many"))).reason is Reason.LIMIT_EXCEEDED


def test_folders_that_hold_each_other_many_times_end_at_a_limit(repository: Repository) -> None:
    tree = repository.tree({"f": b"x"})
    for _ in range(30):
        builder = repository.git.TreeBuilder()
        for name in ("a", "b", "c", "d"):
            builder.insert(name, tree, 0o040000)
        tree = builder.write()
    reader = TreeReader(str(repository.folder), _raw_commit(repository, tree), ReadLimits(files=500))
    assert refusal(lambda: list(reader.files(""))).reason is Reason.LIMIT_EXCEEDED


def test_a_commit_that_the_mirror_lacks_is_told(repository: Repository) -> None:
    for commit in ("0" * 40, "main", "", "HEAD"):
        assert refusal(TreeReader, str(repository.folder), commit).reason is Reason.REF_MISSING
    assert refusal(TreeReader, str(repository.folder / "nope"), "0" * 40).reason is Reason.REF_MISSING


def test_reading_and_checking_at_the_same_time_do_not_wait_for_each_other(
    tmp_path: Path, repository: Repository
) -> None:
    head = repository.commit({"a": b"1"})
    with silent_server() as port:
        url = f"http://127.0.0.1:{port}/o/r"
        git = mirrors(tmp_path, transfer=TransferLimits(connect_timeout=5, server_timeout=2))
        shadow = pygit2.init_repository(git.mirror(url), bare=True)
        shadow.remotes.create_anonymous(repository.url).fetch(["refs/heads/main:refs/heads/x"])
        waiting = threading.Thread(target=lambda: refusal(git.head, source(url)))
        waiting.start()
        until = time.monotonic() + 5
        while not waiting.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        assert git.read(url, head, "a") == b"1"
        assert waiting.is_alive()
        waiting.join(timeout=20)

"""Dependencies of packages over real repositories: locked per environment, moved when asked, private to who may."""

from __future__ import annotations

import http.server
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitopsd import pipeline
from gitopsd.adapters.git.mirrors import Binding, GitRules
from gitopsd.adapters.git.remote import Credential
from gitopsd.adapters.memory import MemoryBackend
from gitopsd.errors import Reason
from gitopsd.model.environment import Commit, Environment
from gitopsd.model.ops import AddService, UploadFiles
from gitopsd.model.package import Move
from gitopsd.model.plan import Plan
from gitopsd.model.run import Follow, Run, Trigger, Verdict
from tests.stage import records
from tests.stage.repository import Repository
from tests.stage.servers import HAS_HTTP_BACKEND, Host, running, serving
from tests.stage.world import Site

GITHUB = "https://github.com/"
MAIN = """
lib = import_module("github.com/acme/lib/lib.star")

def run(plan):
    plan.add_service("web", ServiceConfig(image=lib.IMAGE, env_vars={"NOTE": "%s"}))
"""


def library(image: str) -> dict[str, bytes]:
    return {"kurtosis.yml": b"name: github.com/acme/lib\n", "lib.star": f'IMAGE = "{image}"\n'.encode()}


class Hub(Site):
    """A folder of repositories that stands for GitHub, and a world that follows one of them."""

    def __init__(self, folder: Path, rules: GitRules | None = None, hosts: tuple[str, ...] = ()) -> None:
        self.envs = Repository(folder / "envs.git")
        self.lib = Repository(folder / "hub" / "acme" / "lib")
        self.broken: set[str] = set()
        backend = MemoryBackend(ready=lambda load: load.spec.image.name not in self.broken)
        rules = rules or GitRules(rewrites={GITHUB: f"file://{folder}/hub/"})
        super().__init__(folder / "state", self.envs, backend, records.in_memory(), rules=rules, hosts=hosts)

    def start(self) -> None:
        """A daemon that has nothing but the enclaves: no mirrors, no history, no kept plans."""
        shutil.rmtree(self.state, ignore_errors=True)
        super().start()

    def push(self, main: str, *, package: str = "net") -> Commit:
        self.envs.commit({
            "gitopsd.yaml": f"environments:\n  dev:\n    package: {package}\n".encode(),
            "net/kurtosis.yml": b"name: github.com/acme/envs/net\n",
            "net/main.star": main.encode(),
        })  # fmt: skip
        return self.head()

    @property
    def plan(self) -> Plan:
        assert self.recorded.head.good is not None
        return self.recorded.head.good.plan

    @property
    def image(self) -> str:
        return next(item.op.spec.image.name for item in self.plan.instructions if isinstance(item.op, AddService))


@pytest.fixture
def site(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


def moved(run: Run) -> tuple[Move, ...]:
    assert run.applied is not None, run.problems
    return run.applied.diff.moved


def test_a_dependency_without_a_commit_stays_where_it_is_until_it_is_asked_to_move(site: Hub) -> None:
    one = site.lib.commit(library("lib:1"))
    assert site.follow(site.push(MAIN % "a")).verdict is Verdict.SUCCEEDED
    assert [(pin.root, pin.ref, pin.commit) for pin in site.recorded.head.lock.pins] == [
        ("github.com/acme/lib", "", one)
    ]
    two = site.lib.commit(library("lib:2"))
    commit = site.push(MAIN % "b")
    run = site.follow(commit)
    assert (run.verdict, site.image, moved(run)) == (Verdict.SUCCEEDED, "lib:1", ())
    assert site.follow(commit, trigger=Trigger.SYNC).verdict is Verdict.NOOP

    planned = pipeline.plan(site.to_follow(commit, trigger=Trigger.UPDATE), site.world)
    assert planned.diff is not None
    assert planned.diff.moved == (Move(source="github.com/acme/lib", before=one, after=two),)
    assert site.recorded.head.lock.pins[0].commit == one, "a dry run moves nothing"

    run = site.follow(commit, trigger=Trigger.UPDATE)
    assert (run.verdict, site.image) == (Verdict.SUCCEEDED, "lib:2")
    assert moved(run) == planned.diff.moved
    assert site.follow(commit, trigger=Trigger.UPDATE).verdict is Verdict.NOOP


def test_a_lock_outlives_the_mirrors_and_the_kept_plans(site: Hub) -> None:
    site.lib.commit(library("lib:1"))
    commit = site.push(MAIN % "a")
    site.follow(commit)
    site.lib.commit(library("lib:2"))
    site.start()
    site.world.git.head(site.source)
    assert site.follow(commit).verdict is Verdict.NOOP
    run = site.follow(site.push(MAIN % "b"))
    assert (run.verdict, site.image) == (Verdict.SUCCEEDED, "lib:1")


def test_a_locked_commit_that_its_host_lost_is_told_with_the_way_on(site: Hub) -> None:
    site.lib.commit(library("lib:1"))
    site.follow(site.push(MAIN % "a"))
    shutil.rmtree(site.lib.folder)
    site.lib = Repository(site.lib.folder)
    site.lib.commit(library("lib:2"), new_root=True)
    commit = site.push(MAIN % "b")
    assert site.follow(commit).verdict is Verdict.SUCCEEDED, "the mirror still holds it"
    site.start()
    run = site.follow(site.push(MAIN % "c"))
    assert run.verdict is Verdict.INVALID
    assert "was locked to" in run.problems[0].message
    assert "sync --update" in run.problems[0].hint
    assert site.follow(site.push(MAIN % "d"), trigger=Trigger.UPDATE).verdict is Verdict.SUCCEEDED
    assert site.image == "lib:2"


def test_a_dependency_that_is_not_imported_any_more_leaves_the_lock(site: Hub) -> None:
    site.lib.commit(library("lib:1"))
    site.follow(site.push(MAIN % "a"))
    site.follow(site.push('def run(plan):\n    plan.add_service("web", ServiceConfig(image="own:1"))\n'))
    assert site.recorded.head.lock.pins == ()
    site.lib.commit(library("lib:2"))
    site.follow(site.push(MAIN % "a"))
    assert site.image == "lib:2"


def test_a_branch_a_tag_and_a_commit_are_locked_each_for_itself(site: Hub) -> None:
    one = site.lib.commit(library("lib:1"))
    site.lib.tag("v1", one, annotated=True)
    two = site.lib.commit(library("lib:2"), branch="next")
    main = (
        'a = import_module("github.com/acme/lib/lib.star@next")\n'
        'b = import_module("github.com/acme/lib/lib.star@v1")\n'
        f'c = import_module("github.com/acme/lib/lib.star@{one}")\n'
        "def run(plan):\n"
        '    plan.add_service("web", ServiceConfig(image="-".join([a.IMAGE, b.IMAGE, c.IMAGE])))\n'
    )
    commit = site.push(main)
    site.follow(commit)
    assert {pin.ref: pin.commit for pin in site.recorded.head.lock.pins} == {"next": two, "v1": one, one: one}
    three = site.lib.commit(library("lib:3"), branch="next")
    site.lib.tag("v1", three, annotated=False)
    assert site.follow(commit).verdict is Verdict.NOOP
    run = site.follow(commit, trigger=Trigger.UPDATE)
    assert {(move.source, move.after) for move in moved(run)} == {
        ("github.com/acme/lib@next", three), ("github.com/acme/lib@v1", three),
    }  # fmt: skip
    assert site.image == "lib:3-lib:3-lib:1"


def test_a_package_that_the_environment_names_by_its_locator_is_locked_as_well(site: Hub) -> None:
    def package(image: str) -> dict[str, bytes]:
        text = f'def run(plan):\n    plan.add_service("web", ServiceConfig(image="{image}"))\n'
        return {"kurtosis.yml": b"name: github.com/acme/lib\n", "main.star": text.encode()}

    one = site.lib.commit(package("lib:1"))
    site.follow(site.push("", package="github.com/acme/lib@main"))
    two = site.lib.commit(package("lib:2"))
    commit = site.push("# another commit", package="github.com/acme/lib@main")
    assert (site.follow(commit).verdict, site.image) == (Verdict.NOOP, "lib:1")
    run = site.follow(commit, trigger=Trigger.UPDATE)
    assert moved(run) == (Move(source="github.com/acme/lib@main", before=one, after=two),)
    assert site.image == "lib:2"


def test_a_move_that_fails_is_rolled_back_together_with_the_lock(site: Hub) -> None:
    one = site.lib.commit(library("lib:1"))
    commit = site.push(MAIN.replace("image=lib.IMAGE", 'image=lib.IMAGE, ports={"a": PortSpec(80, wait="1s")}') % "a")
    site.follow(commit)
    site.lib.commit(library("lib:2"))
    site.broken.add("lib:2")
    run = site.follow(commit, trigger=Trigger.UPDATE)
    assert run.verdict is Verdict.ROLLED_BACK
    assert [pin.commit for pin in site.recorded.head.lock.pins] == [one]
    assert site.follow(commit).verdict is Verdict.NOOP, "what runs is what the lock says"


def test_a_rollback_by_a_person_goes_back_to_the_lock_of_that_plan(site: Hub) -> None:
    one = site.lib.commit(library("lib:1"))
    commit = site.push(MAIN % "a")
    site.follow(commit)
    two = site.lib.commit(library("lib:2"))
    commit = site.push(MAIN % "b")
    site.follow(commit, trigger=Trigger.UPDATE)
    assert [pin.commit for pin in site.recorded.head.lock.pins] == [two]
    assert pipeline.roll_back(site.environment(commit), site.world).verdict is Verdict.ROLLED_BACK
    assert [pin.commit for pin in site.recorded.head.lock.pins] == [one]
    site.follow(site.push(MAIN % "c"))
    assert site.image == "lib:1"


# --- private repositories ---------------------------------------------------------------------------------


@pytest.mark.skipif(not HAS_HTTP_BACKEND, reason="needs the program git with http-backend")
def test_a_private_dependency_is_read_with_the_credential_of_its_environment_alone(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    with serving(Host(root=tmp_path / "hub", token="s3cret")) as host:
        rules = GitRules(
            rewrites={GITHUB: f"{host.url}/"},
            credentials=(Credential(name="robot", token=lambda: "s3cret"),),
            bindings=(
                Binding(url=f"{GITHUB}acme/", credential="robot", environments=("dev",)),
                Binding(url=f"{host.url}/", credential="robot"),
            ),
        )
        site = Hub(tmp_path, rules)
        site.lib.commit(library("lib:1"))
        commit = site.push(MAIN % "a")
        assert site.follow(commit).verdict is Verdict.SUCCEEDED
        assert any(authorization for _, _, authorization in host.requests)
        host.requests.clear()
        other = Environment(name="pr-1", source=site.source, package="net", enclave="pr-1")
        run = pipeline.follow(Follow(environment=other, commit=commit), site.world)
        assert (run.verdict, run.problems[0].reason) == (Verdict.INVALID, Reason.SOURCE_REFUSED)
        assert "github.com/acme/lib" in run.problems[0].message
        assert "s3cret" not in str(run.problems)
        assert host.requests and not any(authorization for _, _, authorization in host.requests)


# --- uploads from the web ---------------------------------------------------------------------------------


@dataclass
class Web:
    content: bytes
    answers: int = 0
    url: str = ""


@contextmanager
def web(content: bytes) -> Iterator[Web]:
    """A web server that answers every path with one content."""
    served = Web(content)

    class Requests(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answers += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(served.content)))
            self.end_headers()
            self.wfile.write(served.content)

        def log_message(self, *_: object) -> None:
            """Tests need no access log."""

    with running(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Requests)) as served.url:
        yield served


UPLOAD = """
def run(plan):
    plan.upload_files(src="{url}/genesis.json", name="genesis")
    plan.add_service("web", ServiceConfig(image="web:1", files={{"/g": "genesis"}}, env_vars={{"NOTE": "{note}"}}))
"""


def uploaded(site: Hub) -> Mapping[str, bytes]:
    content = next(item.op.content for item in site.plan.instructions if isinstance(item.op, UploadFiles))
    return {file.path: file.content for file in site.backend.get_artifact("dev", content)}


def test_an_upload_from_the_web_is_downloaded_once_and_stays_what_it_was(tmp_path: Path) -> None:
    with web(b"one") as served:
        site = Hub(tmp_path, hosts=(served.url.removeprefix("http://"),))
        assert site.follow(site.push(UPLOAD.format(url=served.url, note="a"))).verdict is Verdict.SUCCEEDED
        assert uploaded(site) == {"genesis.json": b"one"}
        assert served.answers == 1
        served.content = b"two"
        commit = site.push(UPLOAD.format(url=served.url, note="b"))
        assert site.follow(commit).verdict is Verdict.SUCCEEDED
        assert (uploaded(site), served.answers) == ({"genesis.json": b"one"}, 1)
        run = site.follow(commit, trigger=Trigger.UPDATE)
        assert (run.verdict, uploaded(site)) == (Verdict.SUCCEEDED, {"genesis.json": b"two"})
        assert [move.source for move in moved(run)] == [f"{served.url}/genesis.json"]
        served.content = b"three"
        pipeline.roll_back(site.environment(commit), site.world)
        assert (uploaded(site), served.answers) == ({"genesis.json": b"one"}, 2)


def test_a_download_that_was_lost_is_taken_again_only_with_the_same_content(tmp_path: Path) -> None:
    def lose(site: Hub) -> None:
        site.backend.destroy("dev")
        site.start()

    with web(b"one") as served:
        site = Hub(tmp_path, hosts=(served.url.removeprefix("http://"),))
        commit = site.push(UPLOAD.format(url=served.url, note="a"))
        site.follow(commit)
        _again(site, commit, lose, Verdict.SUCCEEDED)
        served.content = b"two"
        run = _again(site, commit, lose, Verdict.INVALID, Verdict.FAILED, Verdict.ROLLED_BACK, Verdict.ROLLBACK_FAILED)
        assert any("no longer holds" in str(problem) for problem in run.problems)


def _again(site: Hub, commit: Commit, lose: Callable[[Hub], None], *verdicts: Verdict) -> Run:
    lose(site)
    site.world.git.head(site.source)
    run = site.follow(commit)
    assert run.verdict in verdicts, run.problems
    return run

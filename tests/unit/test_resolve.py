"""Where a package is, and what it needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.model.codec import canonical
from gitopsd.model.environment import Commit, Environment, Source
from gitopsd.model.package import Download, Missing, Package, Pin, TreeFile
from gitopsd.model.values import Frozen
from gitopsd.resolve import complete, resolve
from tests.unit.sources import COMMIT, SOURCE, Files, Yaml

NAME = "name: github.com/acme/devnets/chain\n"


def environment(package: str, source: Source = SOURCE) -> Environment:
    return Environment(name="dev", source=source, package=package, enclave="dev", position="gitopsd.yaml:2:3")


class Unreachable:
    """Downloads of which none can be had."""

    def fetch(self, url: str) -> Download:
        raise TransientError(Reason.SOURCE_UNREACHABLE, f"{url} cannot be read: its host is unknown", retry_after=9.0)

    def files(self, download: Download) -> tuple[TreeFile, ...]:
        raise NotImplementedError


def refused(text: str) -> UserError:
    with pytest.raises(UserError) as caught:
        resolve(environment("chain"), COMMIT, Files().put("chain/kurtosis.yml", text), Yaml())
    assert caught.value.reason is Reason.PACKAGE_INVALID
    return caught.value


def test_a_path_is_a_package_of_the_commit_itself() -> None:
    files = Files().put("chain/kurtosis.yml", NAME + "replace: {github.com/a/b: github.com/c/d@v1}\n")
    assert resolve(environment("./chain/"), COMMIT, files, Yaml()) == Package(
        locator="github.com/acme/devnets",
        url=SOURCE.url,
        commit=COMMIT.id,
        path="chain",
        name="github.com/acme/devnets/chain",
        replace=Frozen({"github.com/a/b": "github.com/c/d@v1"}),
    )
    assert files.pinned == []


def test_a_locator_is_pinned_within_the_rules_of_the_environment() -> None:
    url = "https://github.com/eth/chain"
    files = Files().put("sub/kurtosis.yml", "name: github.com/other/name\n", url)
    package = resolve(environment("github.com/eth/chain/sub@1.2"), COMMIT, files, Yaml())
    assert (package.locator, package.url, package.commit, package.path) == (
        "github.com/eth/chain",
        url,
        "1" * 40,
        "sub",
    )
    assert files.pinned == [(Missing(locator="github.com/eth/chain", ref="1.2"), "dev")]


def test_a_package_begins_where_its_environment_says() -> None:
    files = Files().put("chain/kurtosis.yml", NAME)
    wish = replace(environment("chain"), main_file="small.star", main_function="start")
    package = resolve(wish, COMMIT, files, Yaml())
    assert (package.main_file, package.main_function) == ("small.star", "start")
    usual = resolve(environment("chain"), COMMIT, files, Yaml())
    assert package.digest != usual.digest
    assert "main" not in canonical(usual), "the plans that are kept stay those of the usual entry"


@pytest.mark.parametrize(
    ("url", "name", "path", "locator"),
    [
        ("https://github.com/o/r.git", "github.com/x/y", "", "github.com/o/r"),
        ("ssh://git@github.com/o/r", "github.com/x/y", "", "github.com/o/r"),
        ("git@github.com:o/r.git", "github.com/x/y", "", "github.com/o/r"),
        ("https://git.acme.test/o/r.git", "github.com/x/y", "", "github.com/x/y"),
        ("file:///srv/env", "github.com/x/y/p/q", "p/q", "github.com/x/y"),
        ("file:///srv/env", "github.com/x/y/z", "p/q", "github.com/x/y/z"),
        ("file:///srv/env", "github.com/x/y/z", "copies/z", "github.com/x/y"),
    ],
)
def test_a_repository_is_named_by_github_or_by_what_its_package_says(
    url: str, name: str, path: str, locator: str
) -> None:
    file = f"{path}/kurtosis.yml" if path else "kurtosis.yml"
    files = Files().put(file, f"name: {name}", url)
    commit = Commit(url=url, ref="main", id="b" * 40)
    assert resolve(environment(path or "."), commit, files, Yaml()).locator == locator


def test_a_package_without_its_file_is_told_with_where_it_was_named() -> None:
    with pytest.raises(UserError) as caught:
        resolve(environment("chain"), COMMIT, Files(), Yaml())
    assert caught.value.reason is Reason.PACKAGE_INVALID
    assert str(caught.value).startswith("gitopsd.yaml:2:3: the package 'chain' of dev has no file chain/kurtosis.yml")


def test_every_mistake_of_the_manifest_is_told() -> None:
    error = refused("nam: x\ndescription: [1]\nreplace: {github.com/a: github.com/c/d, github.com/a/b: 5, x: y}\n")
    text = str(error)
    assert error.position == "chain/kurtosis.yml:1:1"
    assert "unknown key 'nam', did you mean 'name'?" in text
    assert "the key 'name' is missing, expected github.com/owner/repo[/path]" in text
    assert "chain/kurtosis.yml:2:14: description" in text
    assert "chain/kurtosis.yml:3:25: replace: 'github.com/a' lacks a repository" in text
    assert "replace: 5 is no locator" in text
    assert "replace: 'x'" in text
    shown = str(refused("name: [a, null]\nreplace: [x]\n"))
    assert "name: ['a', None] is no locator" in shown and "replace: ['x'] is no mapping" in shown, shown


@pytest.mark.parametrize(
    "text",
    ["", "[]", "name: 5", "name: github.com/a/b/", "name: https://github.com/a/b", "name: github.com/a/b@v1", "name: {",
     "name: github.com/a/b\nname: github.com/a/b", "name: github.com/a/b\nreplace: [x]",
     "name: github.com/a/b\nreplace: {github.com/a/b@v1: ../x}"],
)  # fmt: skip
def test_a_wrong_manifest_is_refused(text: str) -> None:
    assert refused(text).position.startswith("chain/kurtosis.yml:")


def test_what_was_missing_is_pinned_once_and_kept() -> None:
    files = Files()
    pin = Pin(root="github.com/a/b", ref="", url="https://github.com/a/b", commit="9" * 40)
    package = Package(locator="github.com/o/r", url="u", commit="c", pins=(pin,))
    missing = (
        Missing(locator="github.com/a/b"),
        Missing(locator="github.com/c/d", ref="v2"),
        Missing(locator="https://x.test/f", url="https://x.test/f"),
    )
    whole = complete(package, missing, environment("."), files, files)
    assert whole.pins == (
        pin,
        Pin(root="github.com/c/d", ref="v2", url="https://github.com/c/d", commit="v" * 40),
    )
    assert whole.downloads == (Download(url="https://x.test/f", content="c"),)
    assert complete(whole, missing, environment("."), files, files) == whole
    assert len(files.pinned) == 1
    assert files.downloaded == ["https://x.test/f"]


def test_a_repository_that_may_not_be_read_is_told_with_what_needs_it() -> None:
    with pytest.raises(UserError) as caught:
        complete(
            Package(locator="github.com/o/r", url="u", commit="c"),
            (Missing(locator="github.com/private/repo", ref="v1"),),
            environment("."),
            Files(),
            Files(),
        )
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "the package needs github.com/private/repo@v1: " in str(caught.value)


def test_a_host_that_does_not_answer_is_told_with_what_needs_it_and_asked_again() -> None:
    missing = (Missing(locator="github.com/away/repo"),)
    with pytest.raises(TransientError) as caught:
        complete(Package(locator="github.com/o/r", url="u", commit="c"), missing, environment("."), Files(), Files())
    assert str(caught.value) == "gitopsd.yaml:2:3: the package needs github.com/away/repo: it is away"
    assert (caught.value.reason, caught.value.retry_after) == (Reason.SOURCE_UNREACHABLE, 7)


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (Missing(locator="github.com/private/repo"), "the package needs github.com/private/repo: https://github.com/"),
        (Missing(locator="https://x.test/f", url="https://x.test/f"), "the package needs https://x.test/f: cannot be"),
    ],
)
def test_what_cannot_be_had_is_told_with_the_line_that_asks_for_it(missing: Missing, told: str) -> None:
    frames = (("main.star", 2, "run"), ("lib.star", 7, "add"))
    asked = replace(missing, position="lib.star:7", stack=frames)
    with pytest.raises(GitopsdError) as caught:
        complete(
            Package(locator="github.com/o/r", url="u", commit="c"), (asked,), environment("."), Files(), Unreachable()
        )
    assert str(caught.value).startswith(f"lib.star:7: {told}")
    assert caught.value.stack == frames


def test_another_address_that_begins_as_the_one_that_is_needed_is_told_whole() -> None:
    class Moved(Unreachable):
        def fetch(self, url: str) -> Download:
            raise UserError(Reason.SOURCE_REFUSED, f"{url}.tar.gz asks for a credential")

    missing = (Missing(locator="https://x.test/f", url="https://x.test/f"),)
    with pytest.raises(UserError) as caught:
        complete(Package(locator="github.com/o/r", url="u", commit="c"), missing, environment("."), Files(), Moved())
    assert caught.value.message == "the package needs https://x.test/f: https://x.test/f.tar.gz asks for a credential"


def test_a_package_cannot_name_repositories_without_end() -> None:
    missing = tuple(Missing(locator=f"github.com/o/r{index}") for index in range(257))
    package = Package(locator="github.com/o/r", url="u", commit="c")
    with pytest.raises(UserError) as caught:
        complete(package, missing, environment("."), Files(), Files())
    assert caught.value.reason is Reason.LIMIT_EXCEEDED

"""Locators of packages: the forms and the replace rules of the package language's reference, sections 4.2 and 4.3."""

import pytest

from gitopsd.kit.locators import (
    LocatorError,
    Place,
    check_ref,
    check_replace,
    is_download,
    name_mismatch,
    parse_absolute,
    parse_package,
    published,
    resolve,
)
from gitopsd.model.package import Package
from gitopsd.model.values import Frozen

ROOT = "github.com/acme/devnets"
MAIN = Place(root=ROOT, path="packages/chain/main.star")
DEPENDENCY = Place(root="github.com/dep/tool", ref="v1", path="src/lib.star")


def package() -> Package:
    return replaced({})


def replaced(replace: dict[str, str]) -> Package:
    return Package(locator=ROOT, url="u", commit="0" * 40, path="packages/chain", replace=Frozen(replace))


@pytest.mark.parametrize(
    ("text", "caller", "expected"),
    [
        ("./lib.star", MAIN, "packages/chain/lib.star"),
        ("lib.star", MAIN, "packages/chain/lib.star"),
        ("a//./b/../lib.star", MAIN, "packages/chain/a/lib.star"),
        ("../other/x.star", MAIN, "packages/other/x.star"),
        ("../../x.star", MAIN, "x.star"),
        ("..", MAIN, "packages"),
        ("/x.star", MAIN, "x.star"),
        ("/", MAIN, ""),
        ("./x.star", DEPENDENCY, "src/x.star"),
        ("/x.star", DEPENDENCY, "x.star"),
    ],
)
def test_a_relative_locator_stands_beside_the_file_that_holds_it(text: str, caller: Place, expected: str) -> None:
    assert resolve(text, caller, package()) == Place(root=caller.root, ref=caller.ref, path=expected)


@pytest.mark.parametrize("text", ["../../../x", "/../x", "a/../../../../etc/passwd", "/..", "./../../../../x"])
def test_a_locator_that_leaves_its_repository_is_refused(text: str) -> None:
    with pytest.raises(LocatorError, match="leaves its repository"):
        resolve(text, MAIN, package())


@pytest.mark.parametrize(
    "text",
    ["", "a\0b", "a\nb", "x" * 5000, "https://github.com/o/r/x.star", "git@github.com:o/r/x.star://", "github.com",
     "github.com/o", "github.com/o/", "github.com/../r/x", "github.com/o/../x", "github.com/-o/r", "github.com/o o/r",
     "github.com/o/r@/x.star", "github.com/o/r/x@", "github.com/o/r/x@--upload-pack=y", "github.com/o/r/../../x",
     "gitlab.com/o/r/x.star", "file:///etc/passwd", "ext::sh -c x://", "github.com/о\u0000/r/x"],
)  # fmt: skip
def test_what_names_no_place_is_refused(text: str) -> None:
    with pytest.raises(LocatorError) as caught:
        resolve(text, MAIN, package())
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "ref", "path"),
    [
        ("github.com/o/r", "", ""),
        ("github.com/o/r/", "", ""),
        ("github.com/o/r/a/b.star", "", "a/b.star"),
        ("github.com/o/r/a/b.star@v1", "v1", "a/b.star"),
        ("github.com/o/r/a/b.star@feature/x", "feature/x", "a/b.star"),
        ("github.com/o/r/a/b.star@release/v1.0", "release/v1.0", "a/b.star"),
        ("github.com/o/r@v1/main.star", "v1", "main.star"),
        ("github.com/o/r@foo/bar/main.star", "foo/bar", "main.star"),
        ("github.com/o/r@v1.2.0/src/main.star", "v1.2.0", "src/main.star"),
        ("github.com/o/r@main/src/main.star", "main", "src/main.star"),
        ("github.com/o/r/sub@foo/bar", "foo/bar", "sub"),
        ("github.com/o/r/sub@v1/main.star", "v1", "sub/main.star"),
        ("github.com/o/r@" + "a" * 40, "a" * 40, ""),
    ],
)
def test_a_ref_may_stand_behind_the_file_or_behind_the_repository(text: str, ref: str, path: str) -> None:
    assert parse_absolute(text) == Place(root="github.com/o/r", ref=ref, path=path)


def test_all_behind_the_at_sign_of_a_package_is_its_ref() -> None:
    assert parse_package("github.com/o/r/p@release/v1.0") == Place(root="github.com/o/r", ref="release/v1.0", path="p")
    assert parse_package("github.com/o/r") == Place(root="github.com/o/r")


def test_the_root_package_must_not_name_itself_absolutely() -> None:
    for path in ("chain/lib.star", "chain/lib.star@v1", "chain2/x.star"):  # the test is by prefix, as upstream
        with pytest.raises(LocatorError, match="use a relative path"):
            resolve(f"{ROOT}/packages/{path}", MAIN, package())


def test_the_root_package_may_name_its_repository_elsewhere() -> None:
    assert resolve(f"{ROOT}/other/x.star", MAIN, package()) == Place(root=ROOT, path="other/x.star")
    assert resolve(f"{ROOT}/other/x.star@v1", MAIN, package()).ref == "v1"


def test_a_dependency_may_name_the_root_package_and_itself() -> None:
    assert resolve(f"{ROOT}/packages/chain/x.star", DEPENDENCY, package()) == Place(
        root=ROOT, path="packages/chain/x.star"
    )
    assert resolve("github.com/dep/tool/x.star", DEPENDENCY, package()) == Place(
        root="github.com/dep/tool", ref="v1", path="x.star"
    )


def copied(name: str, path: str, *, locator: str = ROOT, replace: dict[str, str] | None = None) -> Package:
    """A package that names itself otherwise than its place in the repository at hand."""
    return Package(
        locator=locator, url="u", commit="0" * 40, path=path, name=name, replace=Frozen(replace or {})
    )  # fmt: skip


def test_a_package_copied_into_another_repository_finds_its_files_where_its_own_root_would_be() -> None:
    whole, main = copied("github.com/up/net", "copies/net"), Place(root=ROOT, path="copies/net/src/main.star")
    assert resolve("/src/lib.star", main, whole).path == "copies/net/src/lib.star"
    assert resolve("../../shared.star", main, whole).path == "copies/shared.star"
    assert resolve("github.com/up/net/x.star", DEPENDENCY, whole) == Place(root=ROOT, path="copies/net/x.star")
    assert resolve(f"{ROOT}/copies/other/x.star", main, whole) == Place(root=ROOT, path="copies/other/x.star")
    with pytest.raises(LocatorError, match="use a relative path"):
        resolve("github.com/up/net/x.star", main, whole)
    part, main = copied("github.com/up/mono/net", "copies/net"), Place(root=ROOT, path="copies/net/main.star")
    assert resolve("/lib/x.star", main, part).path == "copies/lib/x.star"
    assert resolve("github.com/up/mono/lib/x.star", main, part) == Place(root=ROOT, path="copies/lib/x.star")
    assert resolve("github.com/up/other/x.star", main, part) == Place(root="github.com/up/other", path="x.star")
    rules = copied("github.com/up/net", "copies/net", replace={"github.com/a/b": "/deps/b"})
    assert resolve("github.com/a/b/x.star", main, rules).path == "copies/net/deps/b/x.star"


def test_what_lies_beside_a_package_in_its_own_repository_is_published_there() -> None:
    package = copied("github.com/up/mono/net", "copies/net")
    beside = Place(root="github.com/up/mono", ref="HEAD", path="lib/x.star")
    assert published(Place(root=ROOT, path="copies/lib/x.star"), package) == beside
    assert published(Place(root=ROOT, path="copies/net/x.star"), package) is None
    assert published(Place(root=ROOT, path="other/x.star"), package) is None
    assert published(DEPENDENCY, package) is None
    assert published(Place(root=ROOT, path="x.star"), copied("github.com/up/net", "")) is None


def test_a_package_that_lies_nowhere_as_its_name_says_is_known_by_its_whole_name() -> None:
    name = "github.com/up/mono/net"
    package, main = copied(name, "", locator=name), Place(root=name, path="main.star")
    assert resolve("/x.star", main, package) == Place(root=name, path="x.star")
    assert resolve("github.com/up/mono/lib/x.star", main, package) == Place(
        root="github.com/up/mono", path="lib/x.star"
    )
    assert resolve(f"{name}/x.star", DEPENDENCY, package) == Place(root=name, path="x.star")


def test_replace_takes_the_longest_key_and_keeps_the_rest_of_the_path() -> None:
    rules = replaced({
        "github.com/a/b": "github.com/x/y@v1",
        "github.com/a/b/src": "github.com/x/z/code@v2",
    })  # fmt: skip
    assert resolve("github.com/a/b/main.star", MAIN, rules) == Place(root="github.com/x/y", ref="v1", path="main.star")
    assert resolve("github.com/a/b/src/q/m.star", MAIN, rules) == Place(
        root="github.com/x/z", ref="v2", path="code/q/m.star"
    )


def test_replace_does_not_touch_a_whole_repository_or_an_inline_ref() -> None:
    rules = replaced({"github.com/a/b": "github.com/x/y@v1"})
    assert resolve("github.com/a/b", MAIN, rules) == Place(root="github.com/a/b")
    assert resolve("github.com/a/b/m.star@v9", MAIN, rules) == Place(root="github.com/a/b", ref="v9", path="m.star")
    assert resolve("github.com/a/bc/m.star", MAIN, rules).root == "github.com/a/bc"


def test_replace_pins_a_repository_by_its_own_name_for_every_package() -> None:
    rules = replaced({"github.com/dep/tool": "github.com/dep/tool@v7"})
    for caller in (MAIN, DEPENDENCY):
        assert resolve("github.com/dep/tool/x.star", caller, rules).ref == "v7"


def test_a_local_replace_reads_a_folder_of_the_root_package_as_if_it_were_the_repository() -> None:
    rules = replaced({"github.com/a/b": "../b"})
    place = resolve("github.com/a/b/src/m.star", MAIN, rules)
    assert place == Place(root=ROOT, path="packages/b/src/m.star", base="packages/b")
    assert resolve("./n.star", place, rules).path == "packages/b/src/n.star"
    assert resolve("/n.star", place, rules).path == "packages/b/n.star"
    with pytest.raises(LocatorError, match="leaves its repository"):
        resolve("../../n.star", place, rules)
    with pytest.raises(LocatorError, match="leaves its repository"):
        resolve("github.com/a/b/m.star", MAIN, replaced({"github.com/a/b": "../../../b"}))


def test_a_local_replace_stands_where_the_whole_repository_would() -> None:
    rules = replaced({"github.com/a/b": "../b"})
    assert resolve("github.com/a/b", MAIN, rules) == Place(root=ROOT, path="packages/b", base="packages/b")
    assert resolve("github.com/a/b", DEPENDENCY, rules) == Place(root=ROOT, path="packages/b", base="packages/b")


@pytest.mark.parametrize("text", ["./lib/x.star", "lib/x.star", "/packages/chain/lib/x.star"])
def test_replace_of_a_folder_reaches_relative_locators_too(text: str) -> None:
    rules = replaced({f"{ROOT}/packages/chain/lib": "github.com/x/lib@v1", ROOT: "github.com/x/other"})
    assert resolve(text, MAIN, rules) == Place(root="github.com/x/lib", ref="v1", path="x.star")
    assert resolve("./other.star", MAIN, rules) == Place(root="github.com/x/other", path="packages/chain/other.star")


def test_a_relative_locator_stays_at_the_version_that_its_file_was_imported_with() -> None:
    rules = replaced({"github.com/dep/tool/src": "github.com/x/y@v2"})
    assert resolve("./n.star", DEPENDENCY, rules) == Place(root="github.com/dep/tool", ref="v1", path="src/n.star")


def test_a_wrong_replace_map_is_told_entry_by_entry() -> None:
    wrong = check_replace({"github.com/a": "github.com/x/y", "github.com/a/b": "gitlab.com/x/y", "github.com/c/d": "."})
    assert [key for key, _ in wrong] == ["github.com/a", "github.com/a/b"]


def test_a_name_that_differs_from_the_location_gives_a_warning_only() -> None:
    assert name_mismatch(f"{ROOT}/packages/chain", package()) == ""
    assert "github.com/up/stream" in name_mismatch("github.com/up/stream", package())


@pytest.mark.parametrize("ref", ["main", "feature/x", "v1.0", "a" * 40, "release-1.2_x", "ünïcode", "a@b"])
def test_names_that_git_allows_are_refs(ref: str) -> None:
    assert check_ref(ref) == ref


@pytest.mark.parametrize(
    "ref",
    ["", "-c", "--upload-pack=x", "a b", "a\nb", "a@{1}", "x" * 10_000, "a..b", "a.lock", "/a", "a/", "a//b", ".a",
     "a/.b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "@", "a.", "a\0"],
)  # fmt: skip
def test_names_that_git_refuses_are_no_refs(ref: str) -> None:
    with pytest.raises(LocatorError):
        check_ref(ref)


def test_web_addresses_are_told_apart() -> None:
    assert is_download("https://x.test/y")
    assert is_download("http://x.test/y")
    assert not is_download("./http://x")

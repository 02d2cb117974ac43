"""The list of releases is true: of each, the commit that it was made from is in this repository's history."""

from __future__ import annotations

import pytest

from tests.stage.releases import PYPROJECT, RELEASES, Release, git, has_history, number_of, releases_in, version_in


def test_versions_ascend_up_to_the_one_to_come() -> None:
    numbers = [release.number for release in RELEASES]
    assert RELEASES
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < number_of(version_in(PYPROJECT.read_text("utf-8")))


@pytest.mark.parametrize("line", ["0.1.0", "0.1 " + "a" * 40, "0.1.0 abcdef0", "0.1.0  " + "a" * 40, ""])
def test_a_line_that_is_no_release_is_told(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        releases_in(f"# VERSION COMMIT\n{line}\n")


@pytest.mark.skipif(not has_history(), reason="there is no git history here: this is an unpacked source archive")
@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.version)
def test_a_release_was_made_from_a_commit_of_this_history_that_names_its_version(release: Release) -> None:
    found = git("merge-base", "--is-ancestor", release.commit, "HEAD")
    assert found.returncode == 0, f"{release.commit} is no ancestor of HEAD (is the clone shallow?) {found.stderr!r}"
    pyproject = git("show", f"{release.commit}:pyproject.toml")
    assert version_in(pyproject.stdout.decode()) == release.version

"""Public packages plan unchanged: with their defaults and with every argument file of their own.

What is not planned has to be the package's own refusal, a source that is not there, or a line in ``KNOWN`` with its
reason. ``python -m tests.compat.survey`` writes the same results into the manual.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.compat.packages import KNOWN, PACKAGES, Tried
from tests.compat.survey import FAILED, PLANNED, Survey


@pytest.fixture(scope="module")
def survey(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survey]:
    folder: Path | None = request.config.getoption("--packages")
    if folder is None:
        pytest.skip("public packages are tried with --packages DIR, which has them as DIR/<owner>/<name>")
    yield Survey(folder, tmp_path_factory.mktemp("packages"))


@pytest.mark.parametrize("tried", PACKAGES, ids=[tried.title for tried in PACKAGES])
def test_a_public_package_plans_unchanged(tried: Tried, survey: Survey) -> None:
    result = survey.result(tried)
    if result is None:
        pytest.skip(f"{tried.repository} is not among the packages")
    failed = [attempt for attempt in result.attempts if attempt.outcome == FAILED]
    assert not [f"{attempt.arguments or 'defaults'}: {attempt.why}" for attempt in failed]
    assert any(attempt.outcome == PLANNED for attempt in result.attempts) or tried.title in KNOWN


def test_every_known_failure_names_a_package() -> None:
    titles = [tried.title for tried in PACKAGES]
    assert all(any(fnmatchcase(title, known) for title in titles) for known in KNOWN)

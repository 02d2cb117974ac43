"""The configuration file: what is read, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitopsd.daemon.config import Reference
from gitopsd.daemon.configfile import ConfigError, load, reveal
from gitopsd.errors import Reason, UserError

EXAMPLE = Path(__file__).parents[2] / "config" / "gitopsd.yaml"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.upper().startswith("GITOPSD_"):
            monkeypatch.delenv(name)


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "gitopsd.yaml"
    file.write_text(text)
    return file


def mistakes(file: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.reason is Reason.CONFIG_INVALID
    return [str(problem).removeprefix(str(file)) for problem in caught.value.problems]


def test_the_annotated_example_loads() -> None:
    settings = load(EXAMPLE)
    assert settings.repositories["devnets"].interval == 30
    assert settings.limits.evaluation.memory == 256 * 2**20
    assert settings.backends["local"].images == {"python:3*": ("python3",)}


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    settings = load(write(tmp_path, ""))
    assert list(settings.backends) == ["local"]
    assert settings.drift.interval == 300


def test_a_relative_state_directory_is_taken_from_the_file(tmp_path: Path) -> None:
    assert load(write(tmp_path, "state_dir: state\n")).state_dir == tmp_path / "state"


def test_every_mistake_is_reported_at_once_with_its_line_and_what_was_expected(tmp_path: Path) -> None:
    text = """\
repositories:
  devnets:
    url: nowhere
    intervall: 30s
  other:
    url: https://h/x.git
    interval: soon
    credential: missing
limits:
  runs: many
drift: {interval: 30}
state-dir: x
"""
    assert mistakes(write(tmp_path, text)) == [
        ":3: repositories.devnets.url: expected an address such as https://host/owner/repo.git, "
        "ssh://git@host/… or file:///…, got 'nowhere'",
        ":4: repositories.devnets.intervall: unknown key (did you mean 'interval'?)",
        ":7: repositories.other.interval: expected a duration such as 30s, 5m or 1h30m, got 'soon'",
        ":10: limits.runs: input should be a valid integer, unable to parse string as an integer, got 'many'",
        ":11: drift.interval: expected a duration such as 30s, with its unit, got 30",
        ":12: state-dir: unknown key (did you mean 'state_dir'?)",
    ]


def test_a_credential_that_does_not_exist_is_named_with_its_line(tmp_path: Path) -> None:
    text = "repositories:\n  a:\n    url: file:///x\n    credential: fogre\ncredentials: {forge: {token: {env: T}}}\n"
    assert mistakes(write(tmp_path, text)) == [
        ":4: repositories.a.credential: 'fogre' is not among credentials; did you mean 'forge'?"
    ]


def test_a_secret_written_into_the_file_is_refused_and_never_shown(tmp_path: Path) -> None:
    text = "credentials:\n  a:\n    token: canary-7\nsecrets:\n  b: {env: X, file: Y, environments: [dev]}\n"
    found = mistakes(write(tmp_path, text))
    assert found == [
        ":3: credentials.a.token: secrets are not written here: expected {env: NAME} or {file: PATH}",
        ":5: secrets.b: expected exactly one of env and file",
    ]


def test_a_password_in_an_address_is_refused_and_never_shown(tmp_path: Path) -> None:
    found = mistakes(write(tmp_path, "repositories: {a: {url: 'https://me:canary-7@h/x.git'}}\n"))
    assert "must not carry a user or a password" in found[0]
    assert "canary-7" not in found[0]


def test_a_key_given_twice_is_a_mistake(tmp_path: Path) -> None:
    found = mistakes(write(tmp_path, "drift: {interval: 1m}\ndrift: {interval: 2m}\n"))
    assert found == [":2: drift: given twice, first in line 1"]


@pytest.mark.parametrize(
    ("text", "where"),
    [("a: [\n", ":2: is not YAML"), ("- x\n", ":1: expected a mapping"), ("a: \x01\n", ": is not YAML")],
)
def test_what_is_no_configuration_says_where(tmp_path: Path, text: str, where: str) -> None:
    assert mistakes(write(tmp_path, text))[0].startswith(where)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "none.yaml") == [": cannot be read: No such file or directory"]


def test_variables_override_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITOPSD_LIMITS__EVALUATION__TIME", "90s")
    monkeypatch.setenv("GITOPSD_REPOSITORIES__DEVNETS__REF", "next")
    settings = load(EXAMPLE)
    assert settings.limits.evaluation.time == 90
    assert settings.limits.evaluation.cpu == 20
    assert settings.repositories["devnets"].ref == "next"


def test_a_wrong_variable_is_named_as_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITOPSD_DRIFT__INTERVAL", "often")
    monkeypatch.setenv("GITOPSD_STATEDIR", "/x")
    found = mistakes(write(tmp_path, ""))
    assert found == [
        "GITOPSD_STATEDIR: names no setting (did you mean GITOPSD_STATE_DIR?)",
        "GITOPSD_DRIFT__INTERVAL: drift.interval: expected a duration such as 30s, 5m or 1h30m, got 'often'",
    ]


def test_variables_that_kubernetes_sets_by_itself_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITOPSD_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("GITOPSD_PORT_8080_TCP", "tcp://10.0.0.1:8080")
    load(write(tmp_path, ""))


def test_a_reference_reads_a_variable_or_a_file_and_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("value\n")
    assert reveal(Reference(file=str(tmp_path / "s")), {}) == "value"
    assert reveal(Reference(env="A"), {"A": "x"}) == "x"
    with pytest.raises(UserError, match="environment variable B is not set"):
        reveal(Reference(env="B"), {})
    with pytest.raises(UserError, match="cannot be read: No such file"):
        reveal(Reference(file=str(tmp_path / "t")), {})

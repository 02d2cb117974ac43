"""Secrets bound to environments, and the key of the installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitopsd.adapters.secrets import BoundSecret, BoundSecrets
from gitopsd.errors import UserError


def bound(tmp_path: Path) -> BoundSecrets:
    return BoundSecrets(
        {
            "faucet": BoundSecret(read=lambda: "canary-1", environments=("dev", "staging-*")),
            "other": BoundSecret(read=lambda: "canary-2", environments=("prod",)),
        },
        key_file=tmp_path / "state" / "key",
    )


def test_an_environment_gets_what_is_bound_to_it(tmp_path: Path) -> None:
    assert bound(tmp_path).reveal("staging-2", "faucet") == "canary-1"
    assert bound(tmp_path).names("prod") == ("other",)


def test_a_secret_of_others_and_one_that_does_not_exist_look_the_same(tmp_path: Path) -> None:
    messages = []
    for name in ("other", "never"):
        with pytest.raises(UserError) as caught:
            bound(tmp_path).reveal("dev", name)
        messages.append(str(caught.value).replace(name, "NAME"))
    assert messages[0] == messages[1]


def test_digests_tell_values_apart_and_stay_over_restarts(tmp_path: Path) -> None:
    first, again = bound(tmp_path), bound(tmp_path)
    assert first.keyed_digest("a") == again.keyed_digest("a") != first.keyed_digest("b")
    assert bound(tmp_path / "elsewhere").keyed_digest("a") != first.keyed_digest("a")


def test_only_the_owner_reads_the_key_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    bound(tmp_path)
    key = tmp_path / "state" / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in key.parent.iterdir()] == ["key"]
    key.write_bytes(b"short")
    with pytest.raises(UserError, match="holds 5 bytes"):
        bound(tmp_path)

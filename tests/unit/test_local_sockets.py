"""Listening sockets as the local backend sees them."""

from __future__ import annotations

from gitopsd.adapters.local import sockets
from gitopsd.adapters.local.settings import LocalSettings
from gitopsd.model.values import Frozen


def test_a_listener_on_every_address_is_reached_through_each() -> None:
    everywhere = sockets.Listener(address=sockets.WILDCARD, port=80, inode="1")
    assert sockets.reaches(everywhere, "127.1.2.3", 80)
    assert not sockets.reaches(everywhere, "127.1.2.3", 81)
    assert not sockets.reaches(sockets.Listener(address="127.1.2.4", port=80, inode="1"), "127.1.2.3", 80)


def test_the_first_glob_that_matches_an_image_gives_its_command() -> None:
    settings = LocalSettings(
        images=Frozen({"geth:v1.*": ("geth", "--old"), "ethereum/geth:*": ("geth",), "*": ("sh",)})
    )
    assert settings.prefix("ethereum/geth:v1.14") == ("geth", "--old")
    assert settings.prefix("ethereum/geth") == ("geth",)
    assert settings.prefix("docker.io/library/redis@sha256:ab") == ("sh",)
    assert LocalSettings().prefix("redis") == ()

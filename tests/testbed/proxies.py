"""Proxies that the environment names: downloads may go through them, what is on this machine must not."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from tests.testbed.places import LOOPBACK, NODE_ADDRESS

NAMES = ("http_proxy", "https_proxy", "all_proxy")
SPELLINGS = (*NAMES, *map(str.upper, NAMES))
DIRECT = (LOOPBACK, "localhost", NODE_ADDRESS)


def bypass(environment: MutableMapping[str, str]) -> None:
    """Exempt the testbed's addresses, in both spellings: programs differ in which of the two they prefer."""
    lower, upper = environment.get("no_proxy"), environment.get("NO_PROXY")
    for name, told in (("no_proxy", lower or upper or ""), ("NO_PROXY", upper or lower or "")):
        hosts = [host.strip() for host in told.split(",") if host.strip()]
        if hosts != ["*"]:  # alone, it exempts every host
            environment[name] = ",".join([*hosts, *(host for host in DIRECT if host not in hosts)])


def without(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server: it asks nothing beyond this machine."""
    return {name: value for name, value in environment.items() if name not in SPELLINGS}

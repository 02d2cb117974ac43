"""Which repository addresses are connected to, and how they are shown.

https and ssh always; http and file only where the operator wrote the address, in a watched repository or as the
target of a rewrite. A user or password inside an address is refused: it hides the real host or leaks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from gitopsd.errors import Reason, UserError
from gitopsd.kit.redact import redact_urls
from gitopsd.kit.text import one_line

_LONGEST_URL = 2048
_REFUSED = re.compile(r"[\x00-\x20\x7f\\\"<>^`{|}]|%0[0ad]", re.IGNORECASE)
_SCP_FORM = re.compile(r"([A-Za-z0-9._-]+)@([A-Za-z0-9.-]+):(?!//)(.+)")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_PORTS = {"https": 443, "http": 80, "ssh": 22, "file": 0}
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A repository's address in parts; ``text`` is what libgit2 gets."""

    text: str
    scheme: str
    user: str
    host: str
    port: int

    @property
    def server(self) -> tuple[str, str, int]:
        """What a credential is bound to."""
        return (self.scheme, self.host, self.port)

    @property
    def is_loopback(self) -> bool:
        """Whether it names this machine."""
        return self.host in _LOOPBACK


def parse_address(url: str, *, by_operator: bool) -> Address:
    """The parts of a repository address (``git@host:path`` is read as ssh). UserError SOURCE_REFUSED otherwise."""
    scp = _SCP_FORM.fullmatch(url) if "://" not in url else None
    text = f"ssh://{scp[1]}@{scp[2]}/{scp[3].lstrip('/')}" if scp else url
    if len(text) > _LONGEST_URL or _REFUSED.search(text):
        raise refused(url, "holds characters that no address has, or is too long")
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise refused(url, "is no address") from None
    _check_scheme(parts.scheme, url, by_operator)
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise refused(url, "has a query or a fragment")
    user, _, host_port = parts.netloc.rpartition("@")
    if parts.scheme == "file":
        _check_file(parts.netloc, parts.path, url)
        return Address(text=f"file://{parts.path}", scheme="file", user="", host="", port=0)
    host = re.sub(r":\d*$", "", host_port).lower()
    _check_server(parts.scheme, user, host, parts.netloc, url)
    if not parts.path.strip("/") or ".." in unquote(parts.path).split("/"):
        raise refused(url, "names no repository")
    return Address(text=text, scheme=parts.scheme, user=user, host=host, port=port)


def rewrite(url: str, rewrites: Mapping[str, str]) -> str:
    """The address with the longest matching prefix of ``rewrites`` replaced, as ``insteadOf`` of Git does it."""
    prefix = max((item for item in rewrites if item and url.startswith(item)), key=len, default="")
    return rewrites[prefix] + url[len(prefix) :] if prefix else url


def variants(url: str) -> tuple[str, ...]:
    """An address as it is, then with ``.git`` added or dropped: hosts and mirrors name repositories in both ways."""
    plain = url.rstrip("/")
    return (plain, plain[:-4]) if plain.endswith(".git") else (plain, plain + ".git")


def refused(url: str, why: str) -> UserError:
    """The error for an address that is not connected to."""
    shown = one_line(redact_urls(url), limit=200)
    return UserError(
        Reason.SOURCE_REFUSED,
        f"the repository address '{shown}' {why}",
        hint="expected https://host/path or ssh://git@host/path",
    )


def _check_scheme(scheme: str, url: str, by_operator: bool) -> None:
    if scheme not in _PORTS:
        raise refused(url, "has a scheme that is not allowed")
    if scheme in ("file", "http") and not by_operator:
        raise refused(url, f"has the scheme {scheme}, which only the operator may name")


def _check_file(host: str, path: str, url: str) -> None:
    if host not in ("", "localhost") or not path.startswith("/") or ".." in unquote(path).split("/"):
        raise refused(url, "is no absolute path: expected file:///path/to/repository")


def _check_server(scheme: str, user: str, host: str, netloc: str, url: str) -> None:
    if not _HOST.fullmatch(host) or ".." in host:
        raise refused(url, "names no valid host")
    if scheme == "ssh":
        if "@" in netloc and not _USER.fullmatch(user):
            raise refused(url, "has a password or a user that is not allowed")
    elif "@" in netloc:
        raise refused(url, "has a user or password in it: configure a credential instead")

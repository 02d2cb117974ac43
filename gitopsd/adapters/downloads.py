"""``http(s)://`` uploads: fetched within limits, from public addresses only, and kept by content digest.

A name is resolved here, every address that it has is checked, and the connection goes to the checked address, so a
name that resolves differently a moment later gains nothing. Each redirect is checked in the same way. No proxy, no
cookie, no credential and no setting of the environment takes part.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.kit.content import content_digest
from gitopsd.kit.redact import redact_urls
from gitopsd.kit.text import one_line
from gitopsd.model.package import Download, TreeFile

_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}
_UNICAST = ipaddress.ip_network("2000::/3")
"""All that is handed out of IPv6 (IANA, "Internet Protocol Version 6 Address Space")."""
_PROTOCOLS = (ipaddress.ip_network("192.0.0.0/24"),)
"""Kept for protocols by RFC 6890; some of it is global, none of it is a web server."""
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
_LAST_PORT = 65535
_LONGEST_URL = 4096
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """``bytes`` of one download, ``seconds`` for all of it (``server_timeout`` for each answer), ``redirects`` that
    are followed. The time is upstream's (``starlark-api.md`` section 4.2)."""

    bytes: int = 256 * 1024 * 1024
    seconds: float = 300.0
    server_timeout: float = 30.0
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class _Target:
    url: httpx.URL
    addresses: tuple[str, ...]


class HttpDownloads:
    """Downloads kept in ``folder``. ``allowed_hosts`` (``name`` or ``name:port``) may have addresses that are not
    public: what the operator lists there, packages may read."""

    def __init__(
        self, folder: Path, limits: DownloadLimits | None = None, *, allowed_hosts: tuple[str, ...] = ()
    ) -> None:
        self._folder = folder
        self._limits = limits or DownloadLimits()
        self._allowed = frozenset(host.lower() for host in allowed_hosts)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def fetch(self, url: str) -> Download:
        """Fetches and keeps what a URL holds.

        Raises UserError SOURCE_REFUSED for an address that is not allowed or a status of 4xx, LIMIT_EXCEEDED for too
        many bytes or redirects, and TransientError SOURCE_UNREACHABLE for a host that fails.
        """
        descriptor, name = tempfile.mkstemp(prefix="new-", dir=self._folder)
        fresh = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file, _Deadline(self._limits.seconds, url) as deadline:
                for chunk in self._stream(url, deadline):
                    file.write(chunk)
            content = content_digest([(_base_name(url), 0o644, fresh.read_bytes())])
            fresh.rename(self._folder / content)
        finally:
            fresh.unlink(missing_ok=True)
        return Download(url=url, content=content)

    def files(self, download: Download) -> tuple[TreeFile, ...]:
        """The one file that was downloaded, named as in the URL; taken again when it was lost. UserError
        SOURCE_REFUSED when the URL holds another content by now, and what fetching raises."""
        found = self._kept(download)
        if found is None:
            self.fetch(download.url)
            found = self._kept(download)
        if found is None:
            hint = "`gitopsd sync --update` takes what it holds now"
            raise _refused(download.url, "no longer holds what was downloaded from it", hint)
        return (found,)

    def _kept(self, download: Download) -> TreeFile | None:
        name = _base_name(download.url)
        try:
            content = (self._folder / Path(download.content).name).read_bytes()
        except OSError:
            return None
        same = content_digest([(name, 0o644, content)]) == download.content
        return TreeFile(path=name, mode=0o644, content=content) if same else None

    def _stream(self, url: str, deadline: _Deadline) -> Iterator[bytes]:
        current = url
        for _ in range(self._limits.redirects + 1):
            target = self._check(current)
            try:
                with self._client() as client, contextlib.closing(_answer(client, target, deadline)) as answer:
                    if answer.status_code not in _REDIRECTS:
                        yield from self._content(answer, url, deadline)
                        return
                    current = _redirected(target.url, answer, url)
            except GitopsdError:
                raise
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                deadline.check()
                text = one_line(redact_urls(str(error)), limit=200) or type(error).__name__
                raise TransientError(Reason.SOURCE_UNREACHABLE, f"{_shown(url)} cannot be read: {text}") from None
        raise UserError(Reason.LIMIT_EXCEEDED, f"{_shown(url)} redirects more than {self._limits.redirects} times")

    def _client(self) -> httpx.Client:
        timeout = httpx.Timeout(self._limits.server_timeout)
        return httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False)

    def _content(self, answer: httpx.Response, url: str, deadline: _Deadline) -> Iterator[bytes]:
        _check_status(answer, url)
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise _refused(url, "answers in a compressed form that was not asked for")
        left = self._limits.bytes
        for chunk in answer.iter_raw():
            left -= len(chunk)
            if left < 0:
                raise UserError(
                    Reason.LIMIT_EXCEEDED,
                    f"{_shown(url)} holds more than {self._limits.bytes} bytes",
                    hint="the operator sets this limit",
                )
            deadline.check()
            yield chunk

    def _check(self, text: str) -> _Target:
        try:
            url = httpx.URL(text)
            port = url.port or _PORTS.get(url.scheme, 0)
        except (httpx.InvalidURL, ValueError):
            raise _refused(text, "is no address") from None
        sound = url.scheme in _PORTS and url.host and port <= _LAST_PORT and len(text) <= _LONGEST_URL
        if not sound or not text.isprintable():
            raise _refused(text, "is no http or https address")
        if url.userinfo:
            raise _refused(text, "has a user or password in it")
        allowed = bool({url.host.lower(), f"{url.host.lower()}:{port}"} & self._allowed)
        addresses = _resolved(url.host, port, text)
        if not allowed and not all(_is_public(address) for address in addresses):
            raise _refused(text, "is not at a public address", "the operator can allow a host of an internal network")
        return _Target(url, addresses)


class _Deadline:
    """Cuts the connection of a download when its time is over, wherever the download is by then: a server that sends
    a byte now and then keeps within the time of every single answer."""

    def __init__(self, seconds: float, url: str) -> None:
        self._message = f"{_shown(url)} took longer than {seconds:g} seconds"
        self._end = time.monotonic() + seconds
        self._timer = threading.Timer(max(seconds, 0), self._cut)
        self._stream: Any = None

    def __enter__(self) -> _Deadline:
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def check(self) -> None:
        """Raises TransientError SOURCE_UNREACHABLE when the time is over."""
        if time.monotonic() >= self._end:
            raise TransientError(Reason.SOURCE_UNREACHABLE, self._message)

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Takes note of what the client is connected to; it tells of its own steps in this way."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._stream = info["return_value"]
            self.check()

    def _cut(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                self._stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def _answer(client: httpx.Client, target: _Target, deadline: _Deadline) -> httpx.Response:
    """The answer of the first address that can be connected to; name and certificate are those of the URL."""
    extensions = {"sni_hostname": target.url.raw_host.decode("ascii"), "trace": deadline.trace}
    headers = {"Host": target.url.netloc.decode("ascii"), "Accept-Encoding": "identity", "User-Agent": "gitopsd"}
    for address in target.addresses:
        deadline.check()
        url = target.url.copy_with(host=address)
        request = client.build_request("GET", url, headers=headers, extensions=extensions)
        try:
            return client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if address == target.addresses[-1]:
                raise
    raise AssertionError("a name that resolves has an address")


def _resolved(host: str, port: int, url: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise TransientError(Reason.SOURCE_UNREACHABLE, f"{_shown(url)} cannot be read: its host is unknown") from None
    return tuple(dict.fromkeys(str(item[4][0]) for item in found))


def _is_public(text: str) -> bool:
    """Whether an address is one of the public internet, also when it is written inside one of IPv6."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and any(address in network for network in _TRANSLATED):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(str(inner))
        if address not in _UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _PROTOCOLS)


def _redirected(before: httpx.URL, answer: httpx.Response, url: str) -> str:
    try:
        after = before.join(answer.headers["location"])
    except (KeyError, httpx.InvalidURL):
        raise _refused(url, "redirects to no address") from None
    if before.scheme == "https" and after.scheme != "https":
        raise _refused(url, "redirects to an address without encryption")
    return str(after)


def _check_status(answer: httpx.Response, url: str) -> None:
    status = answer.status_code
    if 200 <= status < 300:
        return
    message = f"{_shown(url)} answers with status {status}"
    if status >= 500 or status in (408, 425, 429):
        after = answer.headers.get("retry-after", "")
        wait = float(after) if after.isascii() and after.isdigit() and len(after) < 8 else None
        raise TransientError(Reason.SOURCE_UNREACHABLE, message, retry_after=wait)
    raise UserError(Reason.SOURCE_REFUSED, message)


def _base_name(url: str) -> str:
    """The last part of the path, ``download`` when there is none (``starlark-api.md`` section 4.2)."""
    name = unquote(url.split("?", 1)[0].split("#", 1)[0].split("://", 1)[-1].partition("/")[2].rpartition("/")[2])
    usable = name not in ("", ".", "..") and name.isprintable() and "/" not in name
    return name if usable and len(name.encode()) <= _LONGEST_NAME else "download"


def _shown(url: str) -> str:
    return one_line(redact_urls(url), limit=200)


def _refused(url: str, why: str, hint: str = "") -> UserError:
    return UserError(Reason.SOURCE_REFUSED, f"{_shown(url)} {why}", hint=hint)

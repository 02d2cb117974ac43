"""Uploads from web addresses, against real HTTP servers on loopback."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitopsd.adapters.downloads import DownloadLimits, HttpDownloads
from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.kit.content import content_digest
from tests.stage.servers import silent_server, trickling_server


class Site(http.server.ThreadingHTTPServer):
    """Answers by path: (status, headers, body)."""

    answers: dict[str, tuple[int, dict[str, str], bytes]]
    seen: list[dict[str, str]]
    url: str


class Requests(http.server.BaseHTTPRequestHandler):
    server: Site

    def log_message(self, *_: object) -> None:
        """Tests need no access log."""

    def do_GET(self) -> None:
        self.server.seen.append(dict(self.headers))
        status, headers, body = self.server.answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[Site]:
    server = Site(("127.0.0.1", 0), Requests)
    server.answers, server.seen = {}, []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as server:
        yield server


def downloads(tmp_path: Path, allowed: str = "127.0.0.1", **limits: object) -> HttpDownloads:
    return HttpDownloads(tmp_path / "downloads", DownloadLimits(**limits), allowed_hosts=(allowed,))


def refusal(kept: HttpDownloads, url: str) -> GitopsdError:
    with pytest.raises(GitopsdError) as caught:
        kept.fetch(url)
    assert list((kept._folder).iterdir()) == []
    return caught.value


def test_a_download_is_kept_under_its_content_and_named_as_in_the_url(tmp_path: Path, site: Site) -> None:
    site.answers["/a/file%20x.txt?v=1"] = (200, {}, b"content")
    kept = downloads(tmp_path)
    found = kept.fetch(f"{site.url}/a/file%20x.txt?v=1")
    assert found.content == content_digest([("file x.txt", 0o644, b"content")])
    (file,) = kept.files(found)
    assert (file.path, file.mode, file.content) == ("file x.txt", 0o644, b"content")
    assert kept.fetch(found.url) == found
    assert "Cookie" not in site.seen[0]
    assert "Authorization" not in site.seen[0]


@pytest.mark.parametrize("path", ["/", "", "/..", "/%2e%2e", "/a%2fb", "/x/", "/%00", "/" + "x" * 300])
def test_a_url_without_a_usable_name_gives_download(tmp_path: Path, site: Site, path: str) -> None:
    site.answers = dict.fromkeys([path or "/", path, "/"], (200, {}, b"x"))
    kept = downloads(tmp_path)
    assert kept.files(kept.fetch(site.url + path))[0].path == "download"


def test_content_that_was_changed_or_lost_is_taken_again_while_it_is_the_same(tmp_path: Path, site: Site) -> None:
    site.answers["/f"] = (200, {}, b"content")
    kept = downloads(tmp_path)
    found = kept.fetch(f"{site.url}/f")
    place = tmp_path / "downloads" / found.content
    place.write_bytes(b"other")
    assert [file.content for file in kept.files(found)] == [b"content"]
    place.unlink()
    assert [file.content for file in kept.files(found)] == [b"content"]
    place.unlink()
    site.answers["/f"] = (200, {}, b"another content")
    with pytest.raises(UserError, match="no longer holds"):
        kept.files(found)


def test_redirects_within_allowed_hosts_are_followed_and_counted(tmp_path: Path, site: Site) -> None:
    site.answers["/a"] = (302, {"Location": "/b"}, b"")
    site.answers["/b"] = (307, {"Location": f"{site.url}/c"}, b"")
    site.answers["/c"] = (200, {}, b"x")
    site.answers["/loop"] = (301, {"Location": "/loop"}, b"")
    kept = downloads(tmp_path)
    assert kept.files(kept.fetch(f"{site.url}/a"))[0].path == "a"
    (tmp_path / "downloads" / kept.fetch(f"{site.url}/a").content).unlink()
    assert refusal(kept, f"{site.url}/loop").reason is Reason.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]/x", "http://169.254.169.254/latest", "http://10.0.0.1/x",
     "http://[::ffff:127.0.0.1]/x", "http://[::ffff:10.0.0.1]/x", "http://[64:ff9b::7f00:1]/x", "http://[fe80::1]/x",
     "http://[fd00::1]/x", "http://100.64.0.1/", "http://0.0.0.0/", "http://0/", "http://2130706433/", "http://127.1/",
     "http://[2002:7f00:1::]/x", "http://192.168.1.1/", "http://224.0.0.1/", "http://[::127.0.0.1]/", "http://[fec0::1]/",
     "http://[64:ff9b:1::7f00:1]/", "http://[::ffff:0:7f00:1]/", "http://[5f00::1]/", "http://192.0.0.8/", "http://240.0.0.1/",
     "http://[ff02::1]/", "http://[::]/", "http://[100::1]/"],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused(tmp_path: Path, url: str) -> None:
    kept = HttpDownloads(tmp_path / "downloads")
    assert refusal(kept, url).reason is Reason.SOURCE_REFUSED


@pytest.mark.parametrize(
    "url",
    ["ftp://x.test/y", "file:///etc/passwd", "http://", "https://u:canary-1@127.0.0.1/x", "http://127.0.0.1:99999/",
     "http://127.0.0.1/a\nb", "javascript:1", ""],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(tmp_path: Path, url: str) -> None:
    error = refusal(downloads(tmp_path), url)
    assert error.reason is Reason.SOURCE_REFUSED
    assert "canary-1" not in str(error)


def test_a_redirect_to_an_internal_address_is_refused(tmp_path: Path, site: Site) -> None:
    with serving() as internal:
        internal.answers["/secret"] = (200, {}, b"secret")
        site.answers["/x"] = (302, {"Location": f"{internal.url}/secret"}, b"")
        kept = downloads(tmp_path, allowed=site.url.removeprefix("http://"))
        assert refusal(kept, f"{site.url}/x").reason is Reason.SOURCE_REFUSED
        assert internal.seen == []


def test_too_many_bytes_are_cut_off(tmp_path: Path, site: Site) -> None:
    site.answers["/big"] = (200, {}, b"x" * 100_000)
    assert refusal(downloads(tmp_path, bytes=99_999), f"{site.url}/big").reason is Reason.LIMIT_EXCEEDED


def test_a_compressed_answer_is_refused(tmp_path: Path, site: Site) -> None:
    site.answers["/z"] = (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b")
    assert refusal(downloads(tmp_path), f"{site.url}/z").reason is Reason.SOURCE_REFUSED


@pytest.mark.parametrize(
    ("status", "kind"), [(404, UserError), (403, UserError), (500, TransientError), (429, TransientError)]
)
def test_a_status_decides_whether_it_may_pass(tmp_path: Path, site: Site, status: int, kind: type) -> None:
    site.answers["/x"] = (status, {"Retry-After": "7"}, b"")
    error = refusal(downloads(tmp_path), f"{site.url}/x")
    assert isinstance(error, kind)
    assert getattr(error, "retry_after", 7.0) == 7.0


def test_queries_are_in_no_message(tmp_path: Path, site: Site) -> None:
    assert "canary-2" not in str(refusal(downloads(tmp_path), f"{site.url}/x?token=canary-2"))


def test_a_host_that_is_down_unknown_or_silent_is_transient(tmp_path: Path) -> None:
    kept = downloads(tmp_path, server_timeout=0.3)
    with silent_server() as port:
        urls = [f"http://127.0.0.1:{port}/x", "http://127.0.0.1:1/x", "http://nothing.invalid/x"]
        for url in urls:
            error = refusal(kept, url)
            assert isinstance(error, TransientError)
            assert error.reason is Reason.SOURCE_UNREACHABLE


def test_a_name_is_resolved_once_and_the_address_that_was_checked_is_connected_to(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["127.0.0.1", "169.254.169.254"]
    asked = socket.getaddrinfo

    def rebinding(host: str, *rest: object, **more: object) -> object:
        return asked(answers.pop(0) if host == "rebind.test" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    site.answers["/x"] = (200, {}, b"x")
    port = site.server_address[1]
    found = downloads(tmp_path, allowed="rebind.test").fetch(f"http://rebind.test:{port}/x")
    assert found.content == content_digest([("x", 0o644, b"x")])
    assert answers == ["169.254.169.254"]
    assert site.seen[0]["Host"] == f"rebind.test:{port}"


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"])
def test_a_server_that_answers_a_byte_at_a_time_is_cut_off_in_time(tmp_path: Path, start: bytes) -> None:
    with trickling_server(start, b"x") as port:
        began = time.monotonic()
        error = refusal(downloads(tmp_path, seconds=0.6, server_timeout=5.0), f"http://127.0.0.1:{port}/x")
    assert error.reason is Reason.SOURCE_UNREACHABLE
    assert "took longer than 0.6 seconds" in str(error)
    assert time.monotonic() - began < 3


def test_a_download_that_takes_too_long_is_ended(tmp_path: Path, site: Site) -> None:
    site.answers["/x"] = (200, {}, b"x" * 10)
    assert refusal(downloads(tmp_path, seconds=0.0), f"{site.url}/x").reason is Reason.SOURCE_UNREACHABLE

"""A proxy in the environment: what is on this machine is asked without it. No real server is needed."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from tests.testbed import readiness
from tests.testbed.places import LOOPBACK, NODE_ADDRESS
from tests.testbed.proxies import SPELLINGS, bypass, without


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server on loopback that answers every GET with ``ok``."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

    with ThreadingHTTPServer((LOOPBACK, 0), Answer) as found:
        thread = Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://{LOOPBACK}:{found.server_port}/"
        found.shutdown()
        thread.join()


@pytest.mark.usefixtures("deaf_proxy")
def test_clients_of_the_testbed_do_not_ask_a_proxy_for_it(server: str) -> None:
    ready = readiness.http(server)
    with pytest.raises(OSError, match="refused"):
        ready()
    bypass(os.environ)
    assert ready()
    assert httpx.get(server).text == "ok"


@pytest.mark.usefixtures("deaf_proxy")
def test_other_hosts_are_still_asked_through_the_proxy() -> None:
    bypass(os.environ)
    assert urllib.request.proxy_bypass(NODE_ADDRESS)
    assert not urllib.request.proxy_bypass("modules.test")
    assert set(urllib.request.getproxies()) >= {"http", "https", "all"}


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_hosts_that_are_exempt_already_stay_so_in_both_spellings(name: str) -> None:
    environment = {name: "intra.test, 127.0.0.1"}
    bypass(environment)
    bypass(environment)
    hosts = f"intra.test,127.0.0.1,localhost,{NODE_ADDRESS}"
    assert environment == {"no_proxy": hosts, "NO_PROXY": hosts}


def test_an_exemption_of_every_host_stays_as_it_is() -> None:
    environment = {"no_proxy": "*", "NO_PROXY": "*"}
    bypass(environment)
    assert environment == {"no_proxy": "*", "NO_PROXY": "*"}


def test_a_server_gets_no_proxy_whatever_its_spelling() -> None:
    environment = {**dict.fromkeys(SPELLINGS, "http://proxy.test:3128"), "PATH": "/bin"}
    assert without(environment) == {"PATH": "/bin"}

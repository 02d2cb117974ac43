"""Requests over a real local backend: what only reads is read again, what may change something is sent once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitopsd import pipeline
from gitopsd.adapters.local.backend import LocalBackend
from gitopsd.model.run import Run, Verdict
from tests.stage.local import LocalSite
from tests.stage.world import prints_of

PACKAGE = '''
SERVER = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        note("GET")
        self.reply(os.environ["IDENTITY"])
    def do_POST(self):
        note("POST")
        self.rfile.read(int(self.headers["Content-Length"]))
        self.reply("done")
    def reply(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_):
        pass
def note(method):
    with open("/data/asked", "a") as file:
        file.write(method + " ")
http.server.HTTPServer((os.environ["ADDRESS"], 8080), Answer).serve_forever()
"""

def run(plan, identity, level="info"):
    plan.add_service("web", ServiceConfig(
        image="python:3.11-alpine", entrypoint=["python3", "-u", "-c", SERVER],
        env_vars={"ADDRESS": "KURTOSIS_IP_ADDR_PLACEHOLDER", "IDENTITY": identity},
        files={"/data": Directory(persistent_key="web")}, ports={"http": PortSpec(8080)}))
    plan.request("web", PostHttpRequestRecipe(port_id="http", endpoint="/deploy"))
    known = plan.request("web", GetHttpRequestRecipe(port_id="http", endpoint="/identity"))
    for name, env in (("reader", {"ID": known["body"]}), ("other", {"LEVEL": level})):
        plan.add_service(name, ServiceConfig(image="alpine", entrypoint=["sleep", "infinity"], env_vars=env))
    plan.print(known["body"])
'''


class Asked(LocalSite):
    """The package above, and what its service was asked."""

    def deploy(self, identity: str, level: str = "info") -> Run:
        package = {"kurtosis.yml": "name: github.com/acme/net\n", "main.star": PACKAGE}
        return self.apply(package, {"identity": identity, "level": level})

    def asked(self) -> str:
        """The methods of all requests that reached the service, in order."""
        key = f"look-{uuid.uuid4().hex}"
        return self.backend.execute("dev", "web", ("cat", "/data/asked"), key=key, timeout=20).output.strip()

    def serials(self) -> dict[str, str]:
        """Of each service: another one after each time that it was started or changed."""
        return {name: step.serial for name, step in self.recorded.steps.items() if name.startswith("service/")}

    def start_again(self) -> None:
        """Another daemon on the same machine, whose database is lost."""
        self.backend = LocalBackend(self.enclaves, self.settings)
        self.start()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Asked]:
    found = Asked(tmp_path)
    yield found
    found.backend.destroy("dev")


def test_what_a_get_answers_is_read_again_when_its_service_began_anew_and_a_post_is_sent_once(site: Asked) -> None:
    first = site.deploy("one")
    assert (first.verdict, prints_of(first)) == (Verdict.SUCCEEDED, ["one"]), first.problems
    before = site.serials()
    second = site.deploy("two")
    assert (second.verdict, prints_of(second)) == (Verdict.SUCCEEDED, ["two"]), second.problems
    assert site.asked() == "POST GET GET"
    after = site.serials()
    assert {name for name in before if before[name] != after[name]} == {"service/web", "service/reader"}
    back = pipeline.roll_back(site.environment(site.head()), site.world)
    assert back.verdict is Verdict.ROLLED_BACK, back.problems
    assert site.asked() == "POST GET GET GET"
    assert site.recorded.steps["request/web@1"].output.values["body"] == "one"


def test_nothing_is_asked_again_while_the_service_runs_on(site: Asked) -> None:
    site.deploy("one")
    before = site.serials()
    site.start_again()
    assert site.deploy("one", "debug").verdict is Verdict.SUCCEEDED
    assert site.asked() == "POST GET"
    after = site.serials()
    assert {name for name in before if before[name] != after[name]} == {"service/other"}

"""A package followed over a local backend, and a web server for it to ask."""

from __future__ import annotations

from collections.abc import Mapping

from gitopsd.model.run import Run, Verdict
from tests.stage.local import LocalSite
from tests.stage.world import prints_of

WEB = '''
SERVER = """
import http.server, json, os, time
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        way, _, rest = self.path.removeprefix("/").partition("/")
        if way == "code":
            self.reply(int(rest), {"code": int(rest)})
        elif way == "to":
            self.reply(302, {}, Location=rest.replace("HERE", "http://" + self.headers["Host"]))
        elif way == "slow":
            time.sleep(float(rest))
            self.reply(200, {})
        elif way == "drip":
            self.send_response(200)
            self.end_headers()
            for _ in range(int(float(rest) * 10)):
                self.wfile.write(b".")
                time.sleep(0.1)
        elif way == "text":
            self.reply(200, rest, plain=True)
        else:
            self.any_path()
    def any_path(self):
        self.reply(200, {"path": self.path, "agent": self.headers.get("X-Agent"), "list": [1, None, 2.0], "yes": True,
                         "number": 3.0, "half": 0.5, "nothing": None, "deep": {"a": {"b": "c"}}})
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        code = 307 if self.path == "/again" else 303 if self.path == "/look" else 201
        self.reply(code, {"body": body, "type": self.headers.get_all("Content-Type")}, Location="/there")
    def reply(self, code, data, plain=False, **headers):
        text = data.encode() if plain else json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer((os.environ["ADDRESS"], 8080), Answer).serve_forever()
"""

def web(plan, **more):
    return plan.add_service("web", ServiceConfig(
        image="python:3.11-alpine", entrypoint=["python3", "-u", "-c", SERVER],
        env_vars={"ADDRESS": "KURTOSIS_IP_ADDR_PLACEHOLDER"},
        ports={"http": PortSpec(8080, application_protocol="http")}, **more))
'''


class RecipeSite(LocalSite):
    """A site whose package is the one file ``main.star``, if no others are given."""

    def run(self, main: str, files: Mapping[str, bytes] | None = None) -> Run:
        return self.apply({"kurtosis.yml": "name: github.com/acme/net\n", "main.star": main, **(files or {})})

    def printed(self, main: str, files: Mapping[str, bytes] | None = None) -> list[str]:
        """What a package prints when it is applied whole."""
        run = self.run(main, files)
        assert run.verdict is Verdict.SUCCEEDED, run.problems
        return prints_of(run)

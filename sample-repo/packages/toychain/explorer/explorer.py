"""An explorer of the toy chain: asks the nodes over HTTP and shows where they stand and whether they agree.

    explorer.py --config FILE --listen ADDRESS

    GET /          a page for people              GET /summary   the same as JSON
"""

import argparse
import html
import json
import os
import signal
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # nodes are never behind a proxy
SETTLED = 2  # blocks below the lowest head: above, two nodes may differ for a moment

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="refresh" content="2"><style>
body{{font:16px/1.5 system-ui;margin:3rem auto;max-width:56rem;color:#222}}
h1{{color:{colour}}} td,th{{padding:.3rem 1rem;text-align:left}} .bad{{color:#b00}} code{{font-size:.9em}}
</style></head><body><h1>{title}</h1><p>Chain <code>{chain}</code>, height <b>{height}</b>, {agree}.</p>
<table><tr><th>node<th>height<th>head<th>peers</tr>{rows}</table></body></html>"""


def ask(url):
    with DIRECT.open(url, timeout=2) as answer:
        return json.load(answer)


class Explorer:
    def __init__(self, config):
        self.title, self.colour = config["title"], config["colour"]
        self.nodes = {node["name"]: node["url"] for node in config["nodes"]}
        self.started_at = time.time()
        self.pool = ThreadPoolExecutor(16)

    def status(self, name):
        try:
            return ask(self.nodes[name] + "/status")
        except (OSError, ValueError) as problem:
            return {"name": name, "url": self.nodes[name], "unreachable": str(problem)}

    def block(self, url, height):
        try:
            return ask(f"{url}/blocks/{height}")["hash"]
        except (OSError, ValueError):
            return ""

    def summary(self):
        nodes = list(self.pool.map(self.status, self.nodes))
        alive = [node for node in nodes if "unreachable" not in node]
        lowest = min((node["height"] for node in alive), default=0)
        common = max(0, lowest - SETTLED)
        hashes = set(self.pool.map(lambda node: self.block(node["url"], common), alive))
        return {
            "title": self.title, "colour": self.colour, "started_at": self.started_at,
            "chain_id": alive[0]["chain_id"] if alive else "",
            "height": max((node["height"] for node in alive), default=0),
            "heights": {node["name"]: node.get("height") for node in nodes},
            "agree": len(alive) == len(nodes) and len(hashes) == 1 and "" not in hashes,
            "agreed_height": common, "nodes": nodes,
        }

    def page(self):
        view = self.summary()
        rows = "".join(self.row(node) for node in view["nodes"])
        agree = "all nodes agree" if view["agree"] else '<span class="bad">the nodes do not agree</span>'
        return PAGE.format(title=html.escape(self.title), colour=html.escape(self.colour), rows=rows, agree=agree,
                           chain=html.escape(view["chain_id"]), height=view["height"])

    @staticmethod
    def row(node):
        if "unreachable" in node:
            return f'<tr class="bad"><td>{html.escape(node["name"])}<td colspan="3">unreachable</tr>'
        cells = (node["name"], str(node["height"]), node["head"][:16], ", ".join(sorted(node["peers"])))
        return "<tr>" + "".join(f"<td>{html.escape(cell)}" for cell in cells) + "</tr>"


def answering(explorer):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/summary":
                self.send("application/json", json.dumps(explorer.summary()))
            elif self.path == "/":
                self.send("text/html; charset=utf-8", explorer.page())
            else:
                self.send_error(404)

        def send(self, kind, text):
            data = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            return

    return Answer


def main():
    parser = argparse.ArgumentParser(description="An explorer of the toy chain.")
    parser.add_argument("--config", required=True)
    parser.add_argument("--listen", required=True)
    options = parser.parse_args()
    config = json.loads(Path(options.config).read_text())
    server = ThreadingHTTPServer((options.listen, int(config["port"])), answering(Explorer(config)))
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(f"explorer of {len(config['nodes'])} nodes on {options.listen}:{config['port']}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

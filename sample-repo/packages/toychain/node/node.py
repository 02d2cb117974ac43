"""A node of a toy chain: standard library only, real HTTP between nodes, a chain that survives a restart.

    node.py run --config FILE --genesis FILE --data DIR --listen ADDRESS --advertise ADDRESS [--protocol N]
    node.py fund --node URL ACCOUNT AMOUNT

Blocks are made in turns: the nodes that are reachable, sorted by name, are asked height by height; who is late by
a block time loses the turn to the next. The longest chain wins, and of equal ones that with the smaller head hash.

    GET  /status      name, chain, height, head, peers, ready        POST /hello         a peer tells where it stands
    GET  /blocks/N    one block                                      POST /blocks        a peer hands over a block
    GET  /chain/N     the blocks from height N on (at most 500)      POST /transactions  {"account": ..., "amount": ...}
    GET  /accounts    balances, and each deposit with its block
"""

import argparse
import hashlib
import json
import os
import signal
import sys
import threading
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROTOCOL = 1
PAGE = 500  # blocks in one answer of /chain
WINDOW = 32  # blocks below its own head that a node asks for first when it catches up
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # peers are never behind a proxy


def digest(document):
    """SHA-256 of a document's canonical JSON."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def call(url, body=None, timeout=2.0):
    """GET, or POST when there is a body; the answer's JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with DIRECT.open(request, timeout=timeout) as answer:
        return json.load(answer)


def sealed(block):
    """The block with its hash, which is made of everything else in it."""
    return {**block, "hash": digest({key: value for key, value in block.items() if key != "hash"})}


class Chain:
    """The blocks, in memory and in ``chain.jsonl``: one line per block, appended and flushed before it is shown."""

    def __init__(self, folder, genesis):
        self.genesis = genesis
        self.genesis_hash = digest(genesis)
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "chain.jsonl"
        first = sealed({"height": 0, "parent": self.genesis_hash, "time": genesis["time"], "maker": "", "deposits": []})
        self.blocks = self._load(first)
        self.deposits = self._deposits_in(self.blocks)

    def _load(self, first):
        if not self.file.exists():
            self._write([first])
            return [first]
        lines = self.file.read_text().splitlines()
        if lines and json.loads(lines[0]) != first:
            sys.exit(f"refused: {self.file} holds another chain: its genesis differs from {self.genesis_hash[:12]}")
        blocks = [first]
        for line in lines[1:]:
            try:
                block = json.loads(line)
            except ValueError:  # the last line of a node that was killed while it wrote
                break
            if not self._follows(blocks[-1], block):
                break
            blocks.append(block)
        self._write(blocks)
        return blocks

    def _write(self, blocks):
        fresh = self.file.with_suffix(".new")
        fresh.write_text("".join(json.dumps(block) + "\n" for block in blocks))
        fresh.replace(self.file)

    @staticmethod
    def _deposits_in(blocks):
        return {item["id"]: {**item, "block": block["height"]} for block in blocks for item in block["deposits"]}

    @staticmethod
    def _follows(parent, block):
        return (block["parent"], block["height"] - 1) == (parent["hash"], parent["height"]) and sealed(block) == block

    @property
    def head(self):
        return self.blocks[-1]

    def append(self, block):
        if not self._follows(self.head, block):
            return False
        with self.file.open("a") as out:
            out.write(json.dumps(block) + "\n")
        self.blocks.append(block)
        self.deposits.update(self._deposits_in([block]))
        return True

    def adopt(self, blocks):
        """Takes another node's blocks when they join this chain and win; returns the deposits that lost their block,
        None when nothing was taken."""
        if not blocks or not 0 < blocks[0]["height"] <= len(self.blocks):
            return None
        chain = self.blocks[: blocks[0]["height"]]
        for block in blocks:
            if not self._follows(chain[-1], block):
                return None
            chain.append(block)
        ours, theirs = self.head, chain[-1]
        if (-theirs["height"], theirs["hash"]) >= (-ours["height"], ours["hash"]):
            return None
        dropped = self.blocks[blocks[0]["height"] :]
        self.blocks = chain
        self._write(chain)
        self.deposits = self._deposits_in(chain)
        return [item for block in dropped for item in block["deposits"] if item["id"] not in self.deposits]


class Node:
    """One member of the network: makes blocks in its turn, tells the others, listens to them."""

    def __init__(self, options):
        self.config = json.loads(Path(options.config).read_text())
        genesis = json.loads(Path(options.genesis).read_text())
        if digest(genesis) != self.config["genesis_hash"]:
            sys.exit(f"refused: {options.genesis} is not the genesis {self.config['genesis_hash'][:12]} of {options.config}")
        self.name = self.config["name"]
        self.block_time = float(self.config["block_time"])
        self.url = f"http://{options.advertise}:{self.config['port']}"
        self.protocol = options.protocol
        self.chain = Chain(Path(options.data), genesis)
        self.resumed_at = self.chain.head["height"]
        self.started_at = time.time()
        self.peers = {}  # name -> {"url": ..., "seen": ..., "height": ...}
        self.waiting = {}  # id -> deposit
        self.lock = threading.RLock()
        self.pool = ThreadPoolExecutor(8)

    def status(self):
        with self.lock:
            head = self.chain.head
            supported = self.protocol == PROTOCOL
            return {
                "name": self.name, "url": self.url, "started_at": self.started_at,
                "chain_id": self.chain.genesis["chain_id"], "genesis_hash": self.chain.genesis_hash,
                "height": head["height"], "head": head["hash"], "resumed_at": self.resumed_at,
                "block_time": self.block_time, "peers": {name: peer["url"] for name, peer in self.live().items()},
                "ready": supported and head["height"] > 0,
                "trouble": "" if supported else f"protocol {self.protocol} is unknown to this node, it speaks {PROTOCOL}",
            }

    def accounts(self):
        with self.lock:
            deposits, balances = list(self.chain.deposits.values()), {}
        for item in deposits:
            balances[item["account"]] = balances.get(item["account"], 0) + item["amount"]
        return {"balances": balances, "deposits": deposits}

    def live(self):
        limit = time.time() - max(3.0, 4 * self.block_time)
        return {name: peer for name, peer in sorted(self.peers.items()) if peer["seen"] > limit}

    def meet(self, status):
        """Notes a peer of the same chain, and whom it knows; catches up with it if it is ahead."""
        if status["genesis_hash"] != self.chain.genesis_hash or status["name"] == self.name:
            return self.status()
        with self.lock:
            self.peers[status["name"]] = {"url": status["url"], "seen": time.time()}
            for name, url in status["peers"].items():
                if name != self.name:
                    self.peers.setdefault(name, {"url": url, "seen": 0.0})
            head = self.chain.head
        if (-status["height"], status["head"]) < (-head["height"], head["hash"]):
            self.catch_up(status["url"])
        return self.status()

    def catch_up(self, url):
        """Asks a peer for the blocks that this node lacks: first the newest ones, then everything."""
        for start in (max(1, self.chain.head["height"] - WINDOW), 1):
            blocks = page = call(f"{url}/chain/{start}")
            while len(page) == PAGE:
                page = call(f"{url}/chain/{start + len(blocks)}")
                blocks = blocks + page
            with self.lock:
                lost = self.chain.adopt(blocks)
                self.waiting.update({item["id"]: item for item in lost or ()})
            if lost is not None:
                return

    def take_block(self, message):
        with self.lock:
            if self.chain.append(message["block"]):
                return {"taken": True}
        self.meet(message["from"])
        return {"taken": False}

    def take_deposit(self, message):
        deposit = {"id": message.get("id", uuid.uuid4().hex), "account": message["account"], "amount": message["amount"]}
        with self.lock:
            if deposit["id"] in {**self.chain.deposits, **self.waiting}:
                return deposit
            self.waiting[deposit["id"]] = deposit
        self.tell("/transactions", deposit)
        return deposit

    def tell(self, path, body):
        for peer in self.live().values():
            self.pool.submit(self.quietly, call, peer["url"] + path, body)

    @staticmethod
    def quietly(function, *arguments):
        try:
            function(*arguments)
        except (OSError, ValueError):  # a peer that is away comes back by its own hello
            return

    def greet_all(self):
        while True:
            with self.lock:
                urls = {peer["url"] for peer in self.peers.values()} | set(self.config["peers"])
            for url in urls - {self.url}:
                self.pool.submit(self.quietly, lambda url=url: self.meet(call(f"{url}/hello", self.status())))
            time.sleep(max(0.25, self.block_time / 2))

    def turn(self):
        """Seconds until this node may make the next block."""
        members = sorted({self.name, *self.live()})
        late = (members.index(self.name) - self.chain.head["height"] - 1) % len(members)
        return self.chain.head["time"] + self.block_time * (1 + late) - time.time()

    def make_blocks(self):
        time.sleep(self.block_time)  # first hear where the others stand
        while True:
            time.sleep(min(self.block_time / 5, 0.1))
            with self.lock:
                if self.turn() > 0:
                    continue
                head = self.chain.head
                block = sealed({
                    "height": head["height"] + 1, "parent": head["hash"], "time": time.time(), "maker": self.name,
                    "deposits": [item for item in self.waiting.values() if item["id"] not in self.chain.deposits],
                })
                self.chain.append(block)
                self.waiting.clear()
            self.tell("/blocks", {"block": block, "from": self.status()})

    def start(self):
        if self.protocol == PROTOCOL:
            threading.Thread(target=self.greet_all, daemon=True).start()
            threading.Thread(target=self.make_blocks, daemon=True).start()
        else:
            print(f"{self.name}: {self.status()['trouble']}; waiting for an update", flush=True)


def answering(node):
    """The HTTP side of a node."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            head, _, tail = self.path.strip("/").partition("/")
            blocks = node.chain.blocks
            if head in ("status", "accounts"):
                self.send(200, getattr(node, head)())
            elif head == "blocks" and tail.isdigit() and int(tail) < len(blocks):
                self.send(200, blocks[int(tail)])
            elif head == "chain" and tail.isdigit():
                self.send(200, blocks[int(tail) : int(tail) + PAGE])
            else:
                self.send(404, {"error": f"nothing at {self.path}"})

        def do_POST(self):
            work = {"/hello": node.meet, "/blocks": node.take_block, "/transactions": node.take_deposit}.get(self.path)
            if work is None:
                return self.send(404, {"error": f"nothing at {self.path}"})
            try:
                code, answer = 200, work(json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0)))))
            except (OSError, ValueError, KeyError, TypeError) as problem:
                code, answer = 400, {"error": str(problem)}
            return self.send(code, answer)

        def send(self, code, document):
            data = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            return

    return Answer


def run(options):
    node = Node(options)
    server = ThreadingHTTPServer((options.listen, int(node.config["port"])), answering(node))
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(f"{node.name}: {node.url}, chain {node.chain.genesis['chain_id']}, height {node.resumed_at}", flush=True)
    node.start()
    server.serve_forever()


def fund(options):
    """Sends a deposit and waits until it is in a block; prints what it became."""
    deposit = call(f"{options.node}/transactions", {"account": options.account, "amount": options.amount})
    deadline = time.time() + options.timeout
    while time.time() < deadline:
        deposits = {item["id"]: item for item in call(f"{options.node}/accounts")["deposits"]}
        if deposit["id"] in deposits:
            return print(json.dumps(deposits[deposit["id"]]))
        time.sleep(0.1)
    sys.exit(f"no block took deposit {deposit['id']} within {options.timeout:g} s")


def main():
    parser = argparse.ArgumentParser(description="A node of a toy chain.")
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("run")
    for flag in ("config", "genesis", "data", "listen", "advertise"):
        verb.add_argument(f"--{flag}", required=True)
    verb.add_argument("--protocol", type=int, default=PROTOCOL)
    verb.set_defaults(work=run)
    verb = verbs.add_parser("fund")
    verb.add_argument("--node", required=True)
    verb.add_argument("account")
    verb.add_argument("amount", type=int)
    verb.add_argument("--timeout", type=float, default=15.0)
    verb.set_defaults(work=fund)
    options = parser.parse_args()
    options.work(options)


if __name__ == "__main__":
    main()

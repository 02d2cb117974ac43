"""The sample's toy chain, as plain processes on loopback: what the demo builds on really holds."""

from __future__ import annotations

import json
import runpy
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.stage.waiting import until

PACKAGE = Path(__file__).parents[2] / "sample-repo" / "packages" / "toychain"
NODE = PACKAGE / "node" / "node.py"
EXPLORER = PACKAGE / "explorer" / "explorer.py"
BLOCK_TIME = 0.1
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url: str) -> Any:
    """The JSON at a URL, None while nothing answers."""
    try:
        with DIRECT.open(url, timeout=2) as answer:
            return json.load(answer)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def free_port(address: str) -> int:
    with socket.create_server((address, 0)) as listener:
        return int(listener.getsockname()[1])


def make_genesis(folder: Path, chain_id: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "genesis.json"
    path.write_text(json.dumps({"chain_id": chain_id, "time": 1000.0}))
    return path


def genesis_hash(path: Path) -> str:
    return str(runpy.run_path(str(NODE))["digest"](json.loads(path.read_text())))


@dataclass
class Network:
    """A few nodes of one chain, each on an address of its own, with data kept in a folder."""

    folder: Path
    genesis: Path
    port: int
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def url(self, number: int) -> str:
        return f"http://127.88.0.{number}:{self.port}"

    def start(self, number: int, *flags: str, genesis: Path | None = None) -> subprocess.Popen[str]:
        name = f"node-{number}"
        genesis = genesis or self.genesis
        config = self.folder / f"{name}.json"
        settings = {"name": name, "port": self.port, "block_time": BLOCK_TIME, "genesis_hash": genesis_hash(genesis)}
        config.write_text(json.dumps({**settings, "peers": [] if number == 1 else [self.url(1)]}))
        arguments = {"config": config, "genesis": genesis, "data": self.folder / name}
        options = [f"--{flag}={value}" for flag, value in arguments.items()]
        own = [f"--listen=127.88.0.{number}", f"--advertise=127.88.0.{number}"]
        return self.run(name, [sys.executable, str(NODE), "run", *options, *own, *flags])

    def start_explorer(self, count: int) -> str:
        nodes = [{"name": f"node-{number}", "url": self.url(number)} for number in range(1, count + 1)]
        config = self.folder / "explorer.json"
        config.write_text(json.dumps({"title": "<T>", "colour": "#123456", "port": self.port, "nodes": nodes}))
        self.run("explorer", [sys.executable, str(EXPLORER), f"--config={config}", "--listen=127.88.0.99"])
        return f"http://127.88.0.99:{self.port}"

    def run(self, name: str, command: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.processes[name] = process
        return process

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.communicate()

    def status(self, number: int) -> Any:
        return ask(f"{self.url(number)}/status")

    def at_height(self, number: int, height: int) -> Any:
        status = self.status(number)
        return status if status and status["height"] >= height else None


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    genesis = make_genesis(tmp_path, "test-1")
    network = Network(tmp_path, genesis, free_port("127.88.0.1"))
    yield network
    for name in list(network.processes):
        network.kill(name)


def fund(network: Network, number: int, account: str, amount: int) -> dict[str, Any]:
    command = [sys.executable, str(NODE), "fund", "--node", network.url(number), account, str(amount)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return dict(json.loads(done.stdout))


def test_nodes_make_blocks_in_turns_and_agree(network: Network) -> None:
    for number in (1, 2, 3):
        network.start(number)
    explorer = network.start_explorer(3)
    for number in (1, 2, 3):
        until(lambda number=number: len((network.status(number) or {"peers": {}})["peers"]) == 2)

    summary = until(lambda: (view := ask(f"{explorer}/summary")) and view["agreed_height"] > 20 and view)

    assert summary["agree"]
    assert summary["chain_id"] == "test-1"
    assert set(summary["heights"]) == {"node-1", "node-2", "node-3"}
    last = range(summary["agreed_height"] - 6, summary["agreed_height"])
    assert {ask(f"{network.url(1)}/blocks/{height}")["maker"] for height in last} == {"node-1", "node-2", "node-3"}


def test_a_deposit_reaches_every_node_once(network: Network) -> None:
    for number in (1, 2):
        network.start(number)
    until(lambda: network.at_height(2, 3) and network.status(2)["peers"])

    deposit = fund(network, 2, "alice", 70)

    for number in (1, 2):
        accounts = until(lambda number=number: (a := ask(f"{network.url(number)}/accounts"))["deposits"] and a)
        assert accounts["balances"] == {"alice": 70}
        assert [item["id"] for item in accounts["deposits"]] == [deposit["id"]]


def test_a_killed_node_continues_from_its_stored_height(network: Network) -> None:
    network.start(1)
    before = until(lambda: network.at_height(1, 5))
    network.kill("node-1")
    stored = (network.folder / "node-1" / "chain.jsonl").read_text()
    (network.folder / "node-1" / "chain.jsonl").write_text(stored + '{"height": 99, "par')  # killed while it wrote

    network.start(1)
    after = until(lambda: network.status(1))

    assert after["resumed_at"] >= before["height"]
    assert after["chain_id"] == before["chain_id"]
    until(lambda: network.at_height(1, after["resumed_at"] + 2))


def test_a_node_that_was_away_catches_up(network: Network) -> None:
    for number in (1, 2):
        network.start(number)
    until(lambda: network.at_height(2, 3))
    network.kill("node-2")
    height = network.status(1)["height"] + 3
    until(lambda: network.at_height(1, height + 2))

    network.start(2)

    until(lambda: network.at_height(2, height))
    until(lambda: ask(f"{network.url(2)}/blocks/{height}") == ask(f"{network.url(1)}/blocks/{height}"))


def test_a_different_genesis_is_refused(network: Network) -> None:
    network.start(1)
    until(lambda: network.at_height(1, 2))
    network.kill("node-1")
    kept = (network.folder / "node-1" / "chain.jsonl").read_text()

    process = network.start(1, genesis=make_genesis(network.folder / "other", "test-2"))
    _, errors = process.communicate(timeout=15)

    assert process.returncode == 1
    assert "holds another chain: its genesis differs" in errors
    assert (network.folder / "node-1" / "chain.jsonl").read_text() == kept


def test_a_node_with_an_unknown_protocol_answers_but_never_gets_ready(network: Network) -> None:
    network.start(1, "--protocol=7")

    status = until(lambda: network.status(1))

    assert not status["ready"]
    assert status["trouble"] == "protocol 7 is unknown to this node, it speaks 1"
    assert status["height"] == 0


def test_the_explorer_tells_an_unreachable_node_and_escapes_what_it_shows(network: Network) -> None:
    network.start(1)
    explorer = network.start_explorer(2)
    until(lambda: network.at_height(1, 3))

    summary = until(lambda: ask(f"{explorer}/summary"))

    assert not summary["agree"]
    assert summary["heights"]["node-2"] is None
    with DIRECT.open(explorer, timeout=5) as answer:
        page = answer.read().decode()
    assert "<title>&lt;T&gt;</title>" in page
    assert "unreachable" in page

"""The daemon killed with SIGKILL at each step of a deployment in turn, and started again each time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from gitopsd.ports import Records
from tests.stage import records
from tests.stage.daemon import Daemon
from tests.stage.repository import Checkout
from tests.stage.servers import Counting
from tests.stage.waiting import until

PACKAGE = """
NAMES = ["a", "b", "c"]

def hit(url, name):
    call = 'u.urlopen("{}/{}")'.format(url, name)
    return 'import time,urllib.request as u; time.sleep(0.1); {}; print("{}")'.format(call, name)

def node(name):
    return ServiceConfig(
        image="python:3.12",
        cmd=["python3", "/code/server.py", "KURTOSIS_IP_ADDR_PLACEHOLDER"],
        ports={"http": PortSpec(8080, wait="20s")},
        files={
            "/code": "code",
            "/genesis": "genesis",
            "/config": "config",
            "/data": Directory(persistent_key="data-" + name),
        },
    )

def run(plan, url):
    seed = plan.run_python(name="seed", run=hit(url, "seed"))
    plan.upload_files(src="./server.py", name="code")
    plan.run_sh(
        name="genesis",
        run="od -An -N8 -tx1 /dev/urandom > /tmp/genesis; python3 -c '" + hit(url, "genesis") + "'",
        image="python:3.12",
        store=[StoreSpec(src="/tmp/genesis", name="genesis")],
    )
    config = struct(template="seed {{.seed}}", data={"seed": seed.output})
    plan.render_templates(name="config", config={"config.txt": config})
    for name in NAMES:
        plan.add_service(name, node(name))
    for name in NAMES:
        plan.exec(name, ExecRecipe(command=["python3", "-c", hit(url, "init-" + name)]))
    plan.store_service_files(service_name="a", src="/genesis", name="taken")
    plan.run_python(name="after", run=hit(url, "after"), files={"/taken": "taken"})
    asked = GetHttpRequestRecipe(port_id="http", endpoint="/")
    plan.wait("b", recipe=asked, field="code", assertion="==", target_value=200)
    plan.verify(seed.output, "==", "seed\\n")
    plan.print("done")
"""
SERVER = """
import http.server, sys
http.server.ThreadingHTTPServer((sys.argv[1], 8080), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
INSTRUCTIONS = 15
ONE_SHOTS = ("seed", "genesis", "init-a", "init-b", "init-c", "after")
MOST_STEPS = 80
"""Lines about steps that one deployment may log at most."""


@pytest.fixture
def counter() -> Iterator[Counting]:
    found = Counting()
    yield found
    found.close()


def pushed(folder: Path, counter: Counting) -> Checkout:
    repository = Checkout(folder / "repo")
    repository.push(
        {
            "gitopsd.yaml": f"environments:\n  dev:\n    package: net\n    args: {{url: {counter.url}}}\n",
            "net/kurtosis.yml": "name: github.com/acme/net\n",
            "net/main.star": PACKAGE,
            "net/server.py": SERVER,
        }
    )
    return repository


def reached(daemon: Daemon, record: Records, lines: int) -> bool:
    """Whether the log tells of so many steps, or all is done."""
    return daemon.steps() >= lines or is_done(record)


def is_done(record: Records) -> bool:
    kept = record.read("dev")
    return kept is not None and kept.recorded.head.good is not None


@pytest.mark.slow
def test_it_converges_after_a_kill_at_each_step_and_repeats_no_one_shot(tmp_path: Path, counter: Counting) -> None:
    repository = pushed(tmp_path, counter)
    for kill_at in range(1, MOST_STEPS):
        counter.hits.clear()
        with Daemon(tmp_path / str(kill_at), repository) as daemon:
            record = records.in_files(daemon.state / "backends" / "local")
            daemon.start()
            until(partial(reached, daemon, record, kill_at), f"step {kill_at} or the end", every=0.01)
            if is_done(record):
                break  # there is no further step to be killed at
            daemon.kill()
            daemon.start()
            until(partial(is_done, record), f"it converges after a kill at step {kill_at}: {counter.hits}")
            assert counter.hits == dict.fromkeys(ONE_SHOTS, 1), f"killed at step {kill_at}"
    assert kill_at > INSTRUCTIONS, "it was killed at each instruction at least once"


@pytest.mark.slow
def test_a_restart_of_a_finished_devnet_does_nothing(tmp_path: Path, counter: Counting) -> None:
    repository = pushed(tmp_path, counter)
    with Daemon(tmp_path / "one", repository) as daemon:
        record = records.in_files(daemon.state / "backends" / "local")
        daemon.start()
        until(partial(is_done, record), "it is deployed")
        daemon.kill()
        before, mark = record.read("dev"), daemon.steps()
        daemon.start()
        repository.push({"README.md": "words\n"})
        until(lambda: any(line.get("verdict") == "no-op" for line in daemon.lines()), "it followed another commit")
        assert daemon.stop() == 0
        assert daemon.steps() == mark
        after = record.read("dev")
        assert before is not None and after is not None
        assert after.recorded.steps == before.recorded.steps
        assert counter.hits == dict.fromkeys(ONE_SHOTS, 1)

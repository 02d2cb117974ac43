"""The daemon killed with SIGKILL at each step of a deployment in turn, and started again each time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitopsd.adapters.local.record import FileRecord
from tests.daemons import Counting, Daemon, Repository, until

PACKAGE = """
def hit(plan, url, name):
    return 'import time,urllib.request as u; time.sleep(0.1); u.urlopen("' + url + "/" + name + '"); print("' + name + '")'

def run(plan, url):
    seed = plan.run_python(name="seed", run=hit(plan, url, "seed"), store=[])
    plan.upload_files(src="./server.py", name="code")
    genesis = plan.run_sh(
        name="genesis",
        run="od -An -N8 -tx1 /dev/urandom > /tmp/genesis; python3 -c '" + hit(plan, url, "genesis") + "'",
        image="python:3.12",
        store=[StoreSpec(src="/tmp/genesis", name="genesis")],
    )
    plan.render_templates(name="config", config={"config.txt": struct(template="seed {{.seed}}", data={"seed": seed.output})})
    for name in ["a", "b", "c"]:
        plan.add_service(name, ServiceConfig(
            image="python:3.12",
            cmd=["python3", "/code/server.py", "KURTOSIS_IP_ADDR_PLACEHOLDER"],
            ports={"http": PortSpec(8080, wait="20s")},
            files={"/code": "code", "/genesis": "genesis", "/config": "config", "/data": Directory(persistent_key="data-" + name)},
        ))
    for name in ["a", "b", "c"]:
        plan.exec(name, ExecRecipe(command=["python3", "-c", hit(plan, url, "init-" + name)]))
    plan.store_service_files(service_name="a", src="/genesis", name="taken")
    plan.run_python(name="after", run=hit(plan, url, "after"), files={"/taken": "taken"})
    plan.wait("b", recipe=GetHttpRequestRecipe(port_id="http", endpoint="/"), field="code", assertion="==", target_value=200)
    plan.verify(seed.output, "==", "seed\\n")
    plan.print("done")
"""
SERVER = """
import http.server, sys
http.server.ThreadingHTTPServer((sys.argv[1], 8080), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
ONE_SHOTS = ("seed", "genesis", "init-a", "init-b", "init-c", "after")
KILLS = 90
"""So many kills would mean that it does not get on."""
DELAYS = (0.0, 0.05, 0.15, 0.4, 0.8)
"""Seconds between a step's line in the log and the kill: before its effect, during it, and after."""


@pytest.fixture
def counter() -> Iterator[Counting]:
    found = Counting()
    yield found
    found.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    found = Daemon(tmp_path, Repository(tmp_path / "repo"))
    yield found
    if found.process and found.process.poll() is None:
        found.stop()
    destroyed = found.verb("destroy", "dev", "--yes")
    assert destroyed.returncode == 0, destroyed.stderr


@pytest.mark.slow
def test_it_converges_after_a_kill_at_each_step_and_repeats_no_one_shot(daemon: Daemon, counter: Counting) -> None:
    daemon.repository.push(
        {
            "gitopsd.yaml": f"environments:\n  dev:\n    package: net\n    args: {{url: {counter.url}}}\n",
            "net/kurtosis.yml": "name: github.com/acme/net\n",
            "net/main.star": PACKAGE,
            "net/server.py": SERVER,
        }
    )
    record = FileRecord(daemon.state / "backends" / "local")
    kills = 0
    while True:
        seen = daemon.steps()
        daemon.start()
        until(lambda: daemon.steps() > seen or record.load("dev").last_good, "a step or the end", seconds=90)
        if record.load("dev").last_good:
            break
        time.sleep(DELAYS[kills % len(DELAYS)])
        daemon.kill()
        kills += 1
        assert kills < KILLS, counter.hits
    assert kills >= len(ONE_SHOTS), "the deployment was interrupted at many steps"
    assert counter.hits == dict.fromkeys(ONE_SHOTS, 1)
    services = {name: step.serial for name, step in record.load("dev").steps.items()}
    daemon.kill()
    mark = daemon.steps()
    daemon.start()
    until(lambda: daemon.verb("status", "--output", "json").returncode == 0, "the daemon answers")
    assert daemon.stop() == 0
    assert daemon.steps() == mark, "a restart does nothing"
    assert {name: step.serial for name, step in record.load("dev").steps.items()} == services
    assert counter.hits == dict.fromkeys(ONE_SHOTS, 1)

"""The cases of the design's section 5, each as a golden file: what a second plan does to a devnet that the first made.

``GOLDEN=write`` in the environment writes the files anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gitopsd.model.values import Address
from tests.stage.devnet import ENCLAVE, Devnet, lines_of
from tests.stage.scripts import Script, plan_of, text

FOLDER = Path(__file__).parent / "diff"
Write = Callable[[Script], None]


def two_services(level: str = "info", description: str = "", labels: dict[str, str] | None = None) -> Write:
    def write(s: Script) -> None:
        db = s.service("db", data="db", description=description)
        s.exec("db", "init")
        s.service("web", env={"LEVEL": level, "DB": text("tcp://", db, ":80")}, labels=labels)

    return write


def execs(*commands: str, consumer: bool = False) -> Write:
    def write(s: Script) -> None:
        s.service("web")
        results = [s.exec("web", command) for command in commands]
        if consumer:
            s.service("reader", cmd=(results[-1],))

    return write


def templated_address(s: Script) -> None:
    web = s.service("web")
    s.template("config", "to ", text("http://", web))
    s.service("reader", artifacts={"/etc/reader": "config"})


def genesis(seed: str) -> Write:
    def write(s: Script) -> None:
        s.template("seed", seed)
        s.task("genesis", "make-genesis", files={"/in": "seed"}, store={"genesis": "/out"})
        s.service("node", artifacts={"/genesis": "genesis"}, data="chain")
        s.service("explorer")

    return write


def tool(image: str = "tool:1", command: str = "deploy") -> Write:
    def write(s: Script) -> None:
        s.service("tool", image=image)
        s.exec("tool", command)
        s.remove("tool")
        s.service("web")

    return write


def twice(command: str) -> Write:
    def write(s: Script) -> None:
        s.service("web", image="seed:1")
        s.exec("web", "seed")
        s.remove("web")
        s.service("web", image="app:1")
        s.exec("web", command)

    return write


def database(image: str = "db:1", data: str = "db", name: str = "db") -> Write:
    def write(s: Script) -> None:
        s.service(name, image=image, data=data)
        s.exec(name, "create-tables")
        s.exec(name, "seed-rows")

    return write


def captured(*commands: str) -> Write:
    def write(s: Script) -> None:
        s.service("db", data="db")
        for command in commands:
            s.exec("db", command)
        s.capture("db", "/dump", "dump")
        s.service("reader", artifacts={"/dump": "dump"})

    return write


def asked(method: str, image: str = "db:1") -> Write:
    def write(s: Script) -> None:
        s.service("db", image=image, data="db")
        s.service("reader", env={"ID": s.request("db", method, "/identity")})

    return write


def stopped(command: str) -> Write:
    def write(s: Script) -> None:
        s.service("job", data="job")
        s.exec("job", command)
        s.stop("job")

    return write


CASES: dict[str, tuple[Write, Write]] = {
    "nothing changed": (two_services(), two_services()),
    "one argument of one service changed": (two_services(), two_services("debug")),
    "a description changed": (two_services(), two_services(description="The database")),
    "a label changed is patched live": (two_services(), two_services(labels={"team": "a"})),
    "an exec inserted before an equal one": (execs("one"), execs("zero", "one")),
    "an exec inserted between two": (execs("one", "two"), execs("one", "more", "two")),
    "an exec inserted before a capture": (captured("one"), captured("one", "two")),
    "an exec reworded": (execs("print 1", consumer=True), execs("print  1", consumer=True)),
    "an exec removed": (execs("one", "two"), execs("two")),
    "a task whose input artifact changed and whose output is mounted": (genesis("1"), genesis("2")),
    "added, used and removed, unchanged": (tool(), tool()),
    "added, used and removed, another command": (tool(), tool(command="deploy --again")),
    "added, used and removed, another image": (tool(), tool(image="tool:2")),
    "removed and added again, unchanged": (twice("use"), twice("use")),
    "removed and added again, another command on the second life": (twice("use"), twice("use more")),
    "an image bump under init execs on a persistent directory": (database(), database(image="db:2")),
    "an image bump under init execs without a persistent directory": (
        database(data=""),
        database(image="db:2", data=""),
    ),
    "an image bump under a GET on a persistent directory": (asked("GET"), asked("GET", "db:2")),
    "an image bump under a POST on a persistent directory": (asked("POST"), asked("POST", "db:2")),
    "a renamed database": (database(), database(name="database")),
    "a service that ends stopped, unchanged": (stopped("a"), stopped("a")),
    "a service that ends stopped, another command": (stopped("a"), stopped("b")),
    "a service left the package": (two_services(), database()),
    "an empty package prunes nothing": (two_services(), lambda s: None),
}


def check(name: str, lines: list[str]) -> None:
    path = FOLDER / (name.replace(" ", "-").replace(",", "") + ".txt")
    if os.environ.get("GOLDEN") == "write":
        path.write_text("\n".join(lines) + "\n")
    assert lines == path.read_text().splitlines()


@pytest.mark.parametrize("name", CASES)
def test_what_a_second_plan_does(name: str) -> None:
    first, second = CASES[name]
    net = Devnet()
    assert net.deploy(plan_of(first)).ok
    diff = net.compare(plan_of(second), "c2")
    check(name, lines_of(diff))
    assert net.deploy(plan_of(second), "c2").ok
    again = net.compare(plan_of(second), "c2")
    assert again.empty, lines_of(again)


def test_a_template_with_an_address_whose_service_was_recreated() -> None:
    net = Devnet()
    plan = plan_of(templated_address)
    net.deploy(plan)
    net.backend.edit(ENCLAVE, "web", address="10.9.9.9")
    check("a template with an address whose Service was recreated", lines_of(net.compare(plan)))


def test_an_exec_reworded_that_prints_the_same_restarts_nobody() -> None:
    net = Devnet()
    net.backend.answer = lambda service, command: (0, "same\n")
    net.deploy(plan_of(execs("print 1", consumer=True)))
    mark = len(net.backend.effects)
    net.deploy(plan_of(execs("print  1", consumer=True)), "c2")
    assert [verb for verb, _ in net.backend.effects[mark:]] == ["exec"]


def test_a_new_release_with_another_scheme_restarts_nothing() -> None:
    net = Devnet()
    net.deploy(plan_of(two_services()))
    net.amend(lambda head: replace(head, scheme=0))
    changed_by_the_release = plan_of(two_services("an op that the new release writes otherwise"))
    diff = net.compare(changed_by_the_release, "c1")
    assert diff.empty
    check("a new release", lines_of(diff))


def test_hostnames_are_known_and_never_different() -> None:
    net = Devnet()

    def write(s: Script) -> None:
        s.service("web")
        s.service("reader", cmd=(Address(service="web", field="hostname"),))

    net.deploy(plan_of(write))
    net.backend.edit(ENCLAVE, "web", address="10.9.9.9")
    reader = next(change for change in net.compare(plan_of(write)).changes if change.id == "service/reader")
    assert reader.action == "keep"

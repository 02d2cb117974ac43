"""Random plans, written with the same script as the golden ones."""

from __future__ import annotations

from hypothesis import strategies as st

from gitopsd.model.plan import Plan
from gitopsd.model.values import Ref, Value
from tests.stage.devnet import Devnet
from tests.stage.scripts import Script, text

NAMES = ("a", "b", "c", "d")


class Writer:
    """Turns drawn moves into a valid plan: what a move needs and does not find, it leaves out."""

    def __init__(self, net: Devnet) -> None:
        self.net = net
        self.script = Script()
        self.up: dict[str, bool] = {}
        self.results: list[Ref] = []
        self.artifacts: list[str] = []
        self.tasks: set[str] = set()

    def write(self, moves: list[tuple[str, int, int, int]]) -> Plan:
        for kind, one, two, three in moves:
            getattr(self, kind)(one, two, three)
        return self.script.plan()

    def value(self, number: int) -> Value:
        if number % 3 and self.results:
            return text("v=", self.results[number % len(self.results)])
        return f"v{number % 2}"

    def mounted(self, number: int) -> dict[str, str]:
        if number % 2 and self.artifacts:
            return {"/in": self.artifacts[number % len(self.artifacts)]}
        return {}

    def service(self, one: int, two: int, three: int) -> None:
        name = NAMES[one % 4]
        if name in self.up:
            return
        address = self.script.service(
            name,
            image=f"app:{two % 2}",
            env={"V": self.value(three)},
            artifacts=self.mounted(two),
            data=name if one % 3 == 0 else "",
            labels={"l": str(three % 2)},
        )
        self.up[name] = True
        self.results.append(address)

    def running(self, number: int) -> str | None:
        names = [name for name, up in self.up.items() if up]
        return names[number % len(names)] if names else None

    def exec(self, one: int, two: int, three: int) -> None:
        if (name := self.running(one)) is not None:
            turn = self.script.count(f"exec/{name}")
            self.results.append(self.script.exec(name, f"do {two % 3} in turn {turn}", self.value(three)))

    def request(self, one: int, two: int, three: int) -> None:
        if (name := self.running(one)) is not None:
            turn = self.script.count(f"request/{name}")
            self.results.append(self.script.request(name, ("GET", "POST")[two % 2], f"/{three % 3}/turn/{turn}"))

    def task(self, one: int, two: int, three: int) -> None:
        name = f"t{one % 3}"
        if name in self.tasks:
            return
        self.tasks.add(name)
        stored = {f"made-{name}": "/out"} if two % 2 else {}
        self.results.append(self.script.task(name, self.value(three), files=self.mounted(two), store=stored))
        self.artifacts += list(stored)

    def template(self, one: int, two: int, three: int) -> None:
        name = f"config-{one % 2}"
        if name not in self.artifacts:
            self.artifacts.append(self.script.template(name, f"text {two % 2}", self.value(three)))

    def upload(self, one: int, two: int, three: int) -> None:
        name = f"up-{one % 2}"
        if name not in self.artifacts:
            content = b"content %d" % (two % 2)
            self.artifacts.append(self.script.upload(name, f"{name}/{two % 2}", content, self.net.uploads))

    def capture(self, one: int, two: int, three: int) -> None:
        name = f"cap-{two % 2}"
        service = self.running(one)
        if service is not None and name not in self.artifacts:
            self.artifacts.append(self.script.capture(service, "/file", name))

    def verify(self, one: int, two: int, three: int) -> None:
        self.script.verify(self.value(one), "!=", "never")

    def remove(self, one: int, two: int, three: int) -> None:
        if (name := self.running(one)) is not None:
            self.script.remove(name)
            del self.up[name]
            self.results = [ref for ref in self.results if getattr(ref, "service", "") != name]

    def stop(self, one: int, two: int, three: int) -> None:
        if (name := self.running(one)) is not None:
            self.script.stop(name)
            self.up[name] = False


KINDS = (
    "service", "service", "exec", "exec", "request", "task", "template", "upload", "capture", "verify", "remove",
    "stop",
)  # fmt: skip
MOVES = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 11), st.integers(0, 11), st.integers(0, 11)), max_size=12
)
"""Moves of one plan; two lists of them that share a beginning make an edit."""

EDITS = st.tuples(MOVES, MOVES, MOVES).map(lambda parts: (parts[0] + parts[1], parts[0] + parts[2]))

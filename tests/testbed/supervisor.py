"""Starts components in the order of their needs and waits until each is ready."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.testbed.ledger import Ledger
from tests.testbed.places import LOGS, MARK, TestbedError
from tests.testbed.processes import started
from tests.testbed.proxies import without

INTERVAL = 0.05  # seconds between two looks


@dataclass(frozen=True, kw_only=True)
class Component:
    """A server: how it is started, how it tells that it is ready, and what must be ready before."""

    name: str
    command: tuple[str | Path, ...]
    ready: Callable[[], bool]  # asked again and again; an OSError counts as "not yet"
    needs: tuple[str, ...] = ()  # names of components of the same start
    then: Callable[[], None] | None = None  # done once it is ready, before others that need it start
    environment: Mapping[str, str] = field(default_factory=dict)
    patience: float = 60.0  # seconds from its start until it must be ready

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name}.log"


@dataclass(kw_only=True)
class Started:
    component: Component
    process: subprocess.Popen[bytes]
    deadline: float


def start(components: Iterable[Component], ledger: Ledger) -> None:
    """Start all and return when all are ready; raises ``TestbedError`` with the end of the log that tells why not.

    What was started stays, written in the ledger, also after an error.
    """
    waiting = list(components)
    starting: list[Started] = []
    ready: set[str] = set()
    while waiting or starting:
        for component in [item for item in waiting if ready.issuperset(item.needs)]:
            waiting.remove(component)
            starting.append(_launch(component, ledger))
        if not starting:
            raise TestbedError(f"{[item.name for item in waiting]} need what none of them is: look at their needs")
        for item in [item for item in starting if _is_ready(item)]:
            starting.remove(item)
            if item.component.then:
                item.component.then()
            ready.add(item.component.name)
        time.sleep(INTERVAL)


def _launch(component: Component, ledger: Ledger) -> Started:
    LOGS.mkdir(parents=True, exist_ok=True)
    environment = {**without(os.environ), **component.environment, MARK: component.name}
    with component.log.open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in component.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd="/",  # not every user may look into the folder of whoever starts it
            start_new_session=True,
        )
    ledger.write("process", name=component.name, pid=process.pid, start=started(process.pid))
    return Started(component=component, process=process, deadline=time.monotonic() + component.patience)


def _is_ready(item: Started) -> bool:
    component = item.component
    code = item.process.poll()
    if code is not None:
        raise TestbedError(f"{component.name} ended with {code} before it was ready; {_tail(component.log)}")
    try:
        if component.ready():
            return True
    except OSError:
        pass
    if time.monotonic() > item.deadline:
        raise TestbedError(f"{component.name} is not ready after {component.patience:g} s; {_tail(component.log)}")
    return False


def _tail(log: Path, lines: int = 15) -> str:
    return f"the end of {log}:\n" + "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])

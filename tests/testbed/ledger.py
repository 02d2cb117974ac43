"""What a run changed on the machine, written down before it is done, so that it can be undone after a crash."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.testbed.places import LEDGER, LOCK, TestbedError


class Ledger:
    """Entries ``{"did": KIND, ...}``, one JSON object a line, in the order of the changes."""

    def __init__(self, file: Path = LEDGER) -> None:
        self.file = file

    def write(self, did: str, **facts: Any) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.touch(mode=0o600)  # tokens are among the offers
        with self.file.open("r+b") as stream:
            stream.seek(sum(map(len, self._lines())))
            stream.truncate()  # what a killed writer left of a line
            stream.write(json.dumps({"did": did, **facts}).encode() + b"\n")

    def entries(self, did: str | None = None) -> list[dict[str, Any]]:
        """All entries, or those of a kind; none without a file. A half-written last line is nothing done."""
        found = [json.loads(line) for line in self._lines()]
        return [entry for entry in found if did in (None, entry["did"])]

    def _lines(self) -> list[bytes]:
        data = self.file.read_bytes() if self.file.exists() else b""
        return [line for line in data.splitlines(keepends=True) if line.endswith(b"\n")]

    def offer(self, name: str, value: str) -> None:
        """Tell users of the testbed a value, as the variable ``name`` of ``python -m tests.testbed env``."""
        self.write("offer", name=name, value=value)

    def offers(self) -> dict[str, str]:
        return {entry["name"]: entry["value"] for entry in self.entries("offer")}

    def parts(self) -> set[str]:
        """The parts that are up: those whose start came to its end."""
        return {entry["name"] for entry in self.entries("part")}

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)


@contextmanager
def lock(purpose: str, *, patience: float = 0.0) -> Iterator[None]:
    """Hold the machine's one testbed; raises ``TestbedError`` if another holds it longer than ``patience`` seconds."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a+", encoding="utf-8") as stream:
        _take(stream.fileno(), time.monotonic() + patience)
        stream.truncate(0)
        stream.write(f"process {os.getpid()}, {purpose}")
        stream.flush()
        yield


def _take(descriptor: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = LOCK.read_text("utf-8")
                message = f"the testbed of this machine is in the hands of {holder}: wait until that has ended"
                raise TestbedError(message) from None
            time.sleep(0.1)

"""The testbed as a whole: its parts, and the verbs of the command."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable
from typing import Any

from tests.testbed import build as building
from tests.testbed import packages
from tests.testbed.ledger import Ledger, lock
from tests.testbed.places import DATA, TestbedError
from tests.testbed.processes import alive, started
from tests.testbed.undo import undo

PARTS = {"cluster": "cluster", "second": "second", "forge": "forge_server", "helm": "helm"}  # of PART: module
AT_ONCE = ("cluster", "forge", "helm")  # what `up` starts when no part is named
MINUTES = 60.0


def build(say: Callable[[str], None]) -> None:
    """Install Debian's parts, build the rest; quick when all is there."""
    _as_root("build")
    building.go()  # a machine that lacks it shall say so before minutes of other work
    packages.install(say)
    building.build(say)
    importlib.import_module("tests.testbed.images").build(say)


def why_not() -> str:
    """Why this machine has no testbed to bring up, in a few words; empty when it has."""
    if os.geteuid() != 0:
        return "needs root"
    try:
        lacking = [*packages.missing(), *building.missing()]
        if not lacking and not importlib.import_module("tests.testbed.images").folder().is_dir():
            lacking = ["the images"]
    except TestbedError as error:
        return str(error)
    return f"lacks {', '.join(lacking)}" if lacking else ""


def up(parts: Iterable[str] = AT_ONCE, *, session: int | None = None) -> None:
    """Bring parts up on a machine without a testbed; what a crashed or broken run left is cleaned before.

    ``session`` is the process that owns the testbed: once it has ended, another ``up`` may clean it away.
    Raises ``TestbedError`` if one is up already, if another process is at it, or if a part does not start.
    """
    _as_root("up")
    if lacking := why_not():
        raise TestbedError(f"this machine {lacking}: run `python -m tests.testbed build`")
    with lock("up"):
        ledger = Ledger()
        if ledger.parts() and not _stale(ledger):
            raise TestbedError(
                f"a testbed is up already ({', '.join(sorted(ledger.parts()))}){_owner(ledger)}: "
                "`env` tells how to use it, `down` ends it"
            )
        _begin(ledger, session)
        try:
            _start(ledger, parts)
        except BaseException:  # also an interrupt from the keyboard
            undo(ledger)
            raise


def ensure(part: str, *, session: int) -> None:
    """Have a part up for a test session: in the testbed that is up, unless another session has it, else in a new one.

    Raises ``TestbedError`` as ``up`` does, and if the testbed belongs to another living session.
    """
    with lock(f"start of the {part} for session {session}", patience=5 * MINUTES):
        ledger = Ledger()
        if not ledger.parts() or _stale(ledger):
            _begin(ledger, session)
        owner = _facts(ledger).get("session")
        if owner not in (None, session):
            raise TestbedError(f"a testbed is up{_owner(ledger)}: wait until that has ended, or run `down`")
        if part in ledger.parts():
            return
        try:
            _start(ledger, (part,))
        except BaseException:
            if owner == session:  # what was brought up by hand stays
                undo(ledger)
            raise


def down() -> None:
    """Undo all that the ledger holds; nothing to do is no error."""
    _as_root("down")
    with lock("down"):
        undo(Ledger())


def end_session(session: int) -> None:
    """Bring down what ``ensure`` brought up for a session, and nothing else."""
    ledger = Ledger()
    if os.geteuid() == 0 and _facts(ledger).get("session") == session:
        down()


def status() -> list[str]:
    """Lines for a person: parts, and each process with its state."""
    ledger = Ledger()
    if not ledger.entries():
        return ["down"]
    parts = ", ".join(sorted(ledger.parts())) or "none (an `up` did not come to its end)"
    lines = [f"parts up: {parts}{_owner(ledger)}"]
    for entry in ledger.entries("process"):
        state = "runs" if alive(entry["pid"], entry["start"]) else "has ended"
        lines.append(f"{entry['name']:<26} {entry['pid']:>8}  {state}")
    return lines


def _begin(ledger: Ledger, session: int | None) -> None:
    undo(ledger)
    ledger.write("folder", path=str(DATA))
    DATA.mkdir(parents=True)
    ledger.write("begin", session=session, start=started(session) if session else None)


def _start(ledger: Ledger, parts: Iterable[str]) -> None:
    for part in parts:
        if part not in PARTS:
            raise TestbedError(f"there is no part {part!r}: expected some of {', '.join(PARTS)}")
        importlib.import_module(f"tests.testbed.{PARTS[part]}").start(ledger)
        ledger.write("part", name=part)


def _facts(ledger: Ledger) -> dict[str, Any]:
    return next(iter(ledger.entries("begin")), {})


def _stale(ledger: Ledger) -> bool:
    """Its session has ended, or one of its servers has."""
    facts = _facts(ledger)
    orphaned = facts["session"] is not None and not alive(facts["session"], facts["start"])
    return orphaned or not all(alive(entry["pid"], entry["start"]) for entry in ledger.entries("process"))


def _owner(ledger: Ledger) -> str:
    session = _facts(ledger).get("session")
    return f" for the tests of process {session}" if session else ""


def _as_root(verb: str) -> None:
    if os.geteuid() != 0:
        raise TestbedError(f"`{verb}` makes bridges, mounts and cgroups: run it as root")

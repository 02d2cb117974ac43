"""What is undone after a run that was cut off, and what others use and so stays. No real server is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testbed import node, undo
from tests.testbed.ledger import Ledger

MODPROBE = """#!/bin/sh
case "$1 $2" in
  "--quiet overlay") ;;  # built in, like in many kernels
  "--quiet "*) mkdir "$MODULES/$2" && echo live > "$MODULES/$2/initstate" ;;
  "--remove "*) rm -r "$MODULES/$3" ;;
esac
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for ``/sys/module``, with a modprobe that changes it; no bridge is on the machine."""
    program, found, links = tmp_path / "bin" / "modprobe", tmp_path / "modules", tmp_path / "links"
    for folder in (program.parent, found, links):
        folder.mkdir()
    program.write_text(MODPROBE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("MODULES", str(found))
    monkeypatch.setattr(undo, "LINKS", links)
    for place in (node, undo):
        monkeypatch.setattr(place, "KERNEL_MODULES", found)
    return found


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Not the machine's; undoing it ends no process of a testbed that is up."""
    monkeypatch.setattr(undo, "marked", set)
    return Ledger(tmp_path / "ledger")


def loaded(modules: Path) -> list[str]:
    return [item.name for item in modules.iterdir()]


def test_a_kernel_module_that_was_loaded_is_unloaded(modules: Path, ledger: Ledger) -> None:
    node.load_kernel_modules(ledger)
    assert loaded(modules) == ["br_netfilter"]
    undo.undo(ledger)
    assert loaded(modules) == []


def test_a_kernel_module_that_the_machine_had_stays(modules: Path, ledger: Ledger) -> None:
    (modules / "br_netfilter").mkdir()
    (modules / "br_netfilter" / "initstate").touch()
    node.load_kernel_modules(ledger)
    undo.undo(ledger)
    assert loaded(modules) == ["br_netfilter"]


def test_kernel_modules_stay_while_others_have_bridges(modules: Path, ledger: Ledger) -> None:
    node.load_kernel_modules(ledger)
    (undo.LINKS / "docker0" / "bridge").mkdir(parents=True)
    undo.undo(ledger)
    assert loaded(modules) == ["br_netfilter"]


def test_a_line_that_a_killed_writer_left_torn_is_nothing_done(tmp_path: Path, ledger: Ledger) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    ledger.write("folder", path=str(folder))
    with ledger.file.open("a") as stream:
        stream.write('{"did": "folder", "pa')
    undo.undo(ledger)
    assert not folder.exists()
    assert not ledger.file.exists()


def test_what_is_written_after_a_torn_line_is_read_and_undone(tmp_path: Path, ledger: Ledger) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    ledger.offer("NAME", "value")
    with ledger.file.open("a") as stream:
        stream.write('{"did": "part", "na')
    ledger.write("folder", path=str(folder))
    assert [entry["did"] for entry in ledger.entries()] == ["offer", "folder"]
    undo.undo(ledger)
    assert not folder.exists()

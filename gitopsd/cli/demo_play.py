"""Plays the scenes of the demo and sums up."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from gitopsd.cli.demo_scenes import LAST, SCENES, Scene
from gitopsd.cli.demo_stage import Stage, stage
from gitopsd.cli.demo_watch import Unmet
from gitopsd.kit.text import strip_controls

_STYLES = {"+": "green", "~": "yellow", "-/+": "yellow", "-": "red", ">": "cyan"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How a scene ended; ``why`` is empty when everything that it promises was seen."""

    title: str
    seconds: float
    why: str = ""


def play(*, leave: bool) -> int:
    """Plays every scene and returns the exit status: 0 when all of them really happened. With ``leave`` it ends by
    itself, else the daemon stays up until Ctrl-C. What failed leaves its logs, and no process."""
    console = Console(highlight=False)
    if sys.platform != "linux":
        console.print("gitopsd demo runs services as processes of this machine, which works on Linux only")
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="gitopsd-demo-"))
    played: list[Played] = []
    try:
        _play_all(folder, console, played, leave=leave)
    except KeyboardInterrupt:
        console.print("interrupted; everything was ended")
    except Unmet as problem:
        played.append(Played(title="the stage is set", seconds=0.0, why=str(problem)))
    return _summary(console, played, folder)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _play_all(folder: Path, console: Console, played: list[Played], *, leave: bool) -> None:
    console.print(f"A scratch repository, a daemon, a forge and a chat in {folder}")
    with stage(folder, lambda line: console.print(_coloured(line), no_wrap=True, overflow="ellipsis")) as set_up:
        for number, scene in enumerate(SCENES, 1):
            played.append(_play(scene, set_up, console, number=number))
            if played[-1].why:
                return
        if not leave:
            _stay(console, set_up)
        played.append(_play(LAST, set_up, console, number=len(SCENES) + 1))


def _play(scene: Scene, set_up: Stage, console: Console, *, number: int) -> Played:
    console.rule(Text(f"{number}  {scene.title}", style="bold"), align="left")
    began = time.monotonic()
    why = ""
    facts: tuple[str, ...] = ()
    try:
        facts = scene.act(set_up)
    except Unmet as problem:
        why = str(problem)
    seconds = time.monotonic() - began
    for fact in facts:
        console.print(Text.assemble(("  ✓ ", "green"), strip_controls(fact)), soft_wrap=True)
    if why:
        console.print(Text.assemble(("  ✗ ", "red"), strip_controls(why)))
    return Played(title=scene.title, seconds=seconds, why=why)


def _coloured(line: str) -> Text:
    style = _STYLES.get((line.split() or [""])[0], "")
    return Text(strip_controls(line), style=style)


def _stay(console: Console, set_up: Stage) -> None:
    console.rule("yours until Ctrl-C", align="left")
    console.print(f"  edit and commit in {set_up.repository.folder}; watch with", markup=False)
    console.print(f"  gitopsd status --config {set_up.daemon.config}", markup=False)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("  ending")


def _summary(console: Console, played: Sequence[Played], folder: Path) -> int:
    console.rule("the demo", align="left")
    for scene in played:
        mark = ("✗", "red") if scene.why else ("✓", "green")
        console.print(Text.assemble(mark, f" {scene.title} ({scene.seconds:.1f} s)"), soft_wrap=True)
        if scene.why:
            console.print(Text(f"    {strip_controls(scene.why)}"))
    reached = {scene.title for scene in played}
    missed = [scene.title for scene in (*SCENES, LAST) if scene.title not in reached]
    for title in missed:
        console.print(Text.assemble(("✗", "red"), f" {title} (not reached)"))
    if missed or any(scene.why for scene in played):
        console.print(f"logs and state are kept in {folder}", markup=False, soft_wrap=True)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    console.print(f"all of it happened, in {sum(scene.seconds for scene in played):.0f} s")
    return 0

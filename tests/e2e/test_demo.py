"""The demo, as a person runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gitopsd.cli.demo_scenes import LAST, SCENES
from gitopsd.cli.demo_watch import processes_of, until

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from gitopsd.cli import main; main()", "demo"]


def variables(scratch: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "160"}


@pytest.mark.slow
def test_every_scene_of_the_demo_really_happens(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--exit"],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        env=variables(tmp_path),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for scene in (*SCENES, LAST):
        assert f"✓ {scene.title} (" in done.stdout
    assert "✗" not in done.stdout
    assert list(tmp_path.iterdir()) == [], "the scratch folder is gone"


@pytest.mark.slow
def test_an_interrupted_demo_leaves_no_process_and_says_where_its_logs_are(tmp_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets its background jobs ignore it
    demo = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True, env=variables(tmp_path), cwd=tmp_path)
    assert demo.stdout is not None
    with demo.stdout as lines:
        next(line for line in lines if "git commit" in line)
        folder = next(tmp_path.glob("gitopsd-demo-*"))
        until(lambda: len(processes_of(folder / "state")) > 1, "the deployment has begun", seconds=120)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 1
        rest = lines.read()

    assert f"logs and state are kept in {folder}" in rest
    assert (folder / "daemon.log").is_file()
    assert processes_of(folder) == ()

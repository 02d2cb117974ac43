"""The demo, as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitopsd.cli.demo_scenes import LAST, SCENES

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_scene_of_the_demo_really_happens(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from gitopsd.cli import main; main()", "demo", "--exit"]
    variables = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT), "COLUMNS": "160"}

    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=variables, cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    for scene in (*SCENES, LAST):
        assert f"✓ {scene.title} (" in done.stdout
    assert "✗" not in done.stdout
    assert list(tmp_path.iterdir()) == [], "the scratch folder is gone"

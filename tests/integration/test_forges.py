"""What opening a forge does to the process that opens it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.stage.processes import variables


def said(program: str, folder: Path) -> str:
    """What a program prints that starts in a folder."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=folder, env=variables(), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_no_env_file_of_a_folder_above_reaches_the_daemon(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CANARY_OF_ENV_FILE=1\n")
    (tmp_path / "deep").mkdir()
    program = (
        "import os\n"
        "from gitopsd.adapters.forges import ForgeKind, ForgeSettings, open_forge\n"
        "open_forge(ForgeSettings(kind=ForgeKind.GITEA, url='http://127.0.0.1:9', token=str))\n"
        "print(sorted(key for key in os.environ if 'CANARY' in key or 'DOTENV' in key))\n"
    )
    assert said(program, tmp_path / "deep") == "[]"


def test_no_library_of_a_forge_is_imported_before_one_is_opened(tmp_path: Path) -> None:
    program = (
        "import sys, gitopsd.adapters.forges\n"
        "print([name for name in ('github', 'gitlab', 'pyforgejo', 'requests', 'httpx') if name in sys.modules])\n"
    )
    assert said(program, tmp_path) == "[]"

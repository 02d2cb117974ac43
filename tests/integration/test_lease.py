"""The lock of a state directory, between processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitopsd.daemon.lease import Lease
from gitopsd.errors import Reason, UserError


def test_a_second_process_is_refused_with_the_pid_of_the_first_and_may_follow_it(tmp_path: Path) -> None:
    with Lease(tmp_path):
        code = (
            "import sys; from pathlib import Path; from gitopsd.daemon.lease import Lease\n"
            "try: Lease(Path(sys.argv[1]))\nexcept Exception as error: print(error.reason, error)"
        )
        told = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
        assert told.stdout.startswith(f"{Reason.LOCKED} {tmp_path} is in use by the gitopsd with pid {os.getpid()}")
        with pytest.raises(UserError):
            Lease(tmp_path)
    Lease(tmp_path).release()

"""The process beside each service, task and execution: starts it, restarts it, keeps its output, outlives the daemon.

Started as ``python -I -S shim.py`` with a job (JSON) on standard input, so that values of secrets never lie on disk.
Where namespaces are allowed it is process 1 of a pid namespace: nothing that a service starts survives it.
Below the job's ``folder`` it writes ``shim.json`` (pid, start, boot), ``state.json`` and ``output.log``; at the end of
a task or an execution its files to ``stored/<index>`` and then ``result.json``. Imports the standard library alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from typing import Any

if __name__ == "__main__":  # -I leaves the package's own folder out of the path
    sys.path.append(os.path.dirname(os.path.abspath(__file__)).rsplit("/", 3)[0])

from gitopsd.adapters.local import sandbox
from gitopsd.adapters.local.spawning import identity
from gitopsd.adapters.local.supervisor import Supervisor, write


def main() -> int:
    """Reads the job and goes on as a process of its own; returns when that has written who it is."""
    if "--probe" in sys.argv:
        return _probe()
    job = json.load(sys.stdin)
    os.umask(0o077)
    os.makedirs(job["folder"], exist_ok=True)
    lock = os.open(f"{job['folder']}/lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a second shim for one folder ends here
    if job["kind"] in ("service", "task") and job["mode"] != "plain":
        _isolate(job["mode"])
    told, tell = os.pipe()
    if os.fork():
        os.close(tell)
        return 0 if os.read(told, 1) else 1
    os.close(told)
    _quiet(job["folder"])
    write(job["folder"], "shim.json", identity())
    for name in ("state.json", "result.json"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{job['folder']}/{name}")
    os.write(tell, b"x")
    os.close(tell)
    Supervisor(job).run()
    return 0


def _probe() -> int:
    """Tries to put a view together below the folder that is named, and says which mode works."""
    mode, scratch = sys.argv[2:4]
    _isolate(mode)
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    sandbox.unshare(sandbox.NEWNS)
    nothing: dict[str, Any] = {"owner": None, "mounts": [], "hosts": "", "masks": [], "visible": [], "python": ""}
    sandbox.View({"scratch": scratch} | nothing).enter()
    return 0


def _isolate(mode: str) -> None:
    if mode == "user":
        sandbox.own_user_namespace()
    sandbox.unshare(sandbox.NEWPID | sandbox.NEWUTS | sandbox.NEWIPC)


def _quiet(folder: str) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    errors = os.open(f"{folder}/shim.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for source, target in ((null, 0), (errors, 1), (errors, 2)):
        os.dup2(source, target)


if __name__ == "__main__":
    sys.exit(main())

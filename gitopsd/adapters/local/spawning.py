"""What a shim forks: the maker of the mounts, the command, the reader of files. Imports the standard library alone."""

from __future__ import annotations

import json
import os
import signal
from typing import Any, NoReturn

from gitopsd.adapters.local import sandbox, taking

NOT_STARTED, NOT_FOUND = 126, 127


def identity() -> dict[str, Any]:
    """What names this process for ever: pid, start time and boot, as the machine's ``/proc`` shows them."""
    with open("/proc/self/stat") as file:
        text = file.read()
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    return {"pid": int(text.split()[0]), "start": int(text.rpartition(")")[2].split()[19]), "boot": boot}


def build(job: dict[str, Any], say: int, held: int) -> NoReturn:
    """Makes the mounts, tells its pid, and ends when nobody needs its ``/proc`` entry any more."""
    try:
        pid = str(identity()["pid"])
        sandbox.unshare(sandbox.NEWNS)
        sandbox.View(job["view"]).enter()
        os.write(say, pid.encode())
        os.read(held, 1)
    except OSError as error:
        os.write(say, str(error).encode())
    finally:
        os._exit(0)


def become(job: dict[str, Any], view: str, ends: tuple[int | None, int], say: int) -> NoReturn:
    """Becomes the command, with its input (None: nothing) and its output as ``ends``; what goes wrong before that is
    said through a pipe that closes by itself."""
    source, out = ends
    try:
        os.write(say, json.dumps(identity()).encode() + b"\n")
        os.setsid()
        _enter(job, view)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        source = os.open("/dev/null", os.O_RDONLY) if source is None else source
        for end, target in ((source, 0), (out, 1), (out, 2)):
            os.dup2(end, target)
        os.execvpe(job["argv"][0], job["argv"], job["env"])
    except FileNotFoundError:
        os.write(say, f"{job['argv'][0]}: not found".encode())
    except BaseException as error:
        os.write(say, f"{job['argv'][0]}: {error}".encode())
    finally:
        os._exit(NOT_FOUND)


def _enter(job: dict[str, Any], view: str) -> None:
    if view:
        sandbox.setns(view, sandbox.NEWNS)
    os.chdir(job["cwd"])
    sandbox.restrict(job)
    if job["mode"] == "plain" or job.get("join"):
        sandbox.die_with_parent()


def read_out(job: dict[str, Any], view: str, path: str, out: int) -> NoReturn:
    """Sends the files of a path, as the command's user in its view."""
    try:
        _enter(job, view)
        with os.fdopen(out, "wb") as file:
            taking.send(path, file)
    finally:
        os._exit(0)

"""The supervisor: the one loop of a shim, from the first start of its command to the end.

Imports the standard library alone. It runs in one thread and as process 1 where it has a pid namespace.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from typing import IO, Any

from gitopsd.adapters.local import sandbox, spawning, taking


def write(folder: str, name: str, data: dict[str, Any], *, durable: bool = False) -> None:
    """Replaces a JSON file as a whole."""
    path = f"{folder}/.{name}.new"
    with open(path, "w") as file:
        json.dump(data, file)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.replace(path, f"{folder}/{name}")


class Log:
    """Output on disk, either rotated at a size or cut at one."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._path = f"{job['folder']}/output.log"
        self._rotate: int = job["log_bytes"] if job["kind"] == "service" else 0
        self._keep: int = job["log_files"]
        self._left: int = job["output_bytes"]
        mode = "ab" if self._rotate else "wb"
        self._file: IO[bytes] = open(self._path, mode, buffering=0)  # noqa: SIM115

    def add(self, data: bytes) -> None:
        """Appends; a full disk loses output, never the service."""
        with contextlib.suppress(OSError):
            if self._rotate:
                if self._file.tell() + len(data) > self._rotate:
                    self._turn()
                self._file.write(data)
            elif self._left > 0:
                self._file.write(data[: self._left])
                self._left -= len(data)
                if self._left <= 0:
                    self._file.write(b"\n[gitopsd: the output was cut here]\n")

    def _turn(self) -> None:
        self._file.close()
        for number in range(self._keep - 1, 0, -1):
            older = f"{self._path}.{number - 1}" if number > 1 else self._path
            with contextlib.suppress(FileNotFoundError):
                os.replace(older, f"{self._path}.{number}")
        self._file = open(self._path, "wb", buffering=0)  # noqa: SIM115


class Supervisor:
    """Runs one job to its end. Everything happens in one thread, in :meth:`run`."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._folder: str = job["folder"]
        self._service = job["kind"] == "service"
        self._log = Log(job)
        self._view = ""
        self._stop = False
        self._input = os.pipe()  # nothing is ever written: a shell that reads commands waits, as it does in Kurtosis
        self._steady_at: float | None = None
        self._state: dict[str, Any] = {
            "phase": "starting", "restarts": 0, "crashes": 0, "exit_code": None, "config": job["config"],
        }  # fmt: skip
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._end)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _end(self, number: int, _frame: object) -> None:
        self._stop = self._stop or number != signal.SIGHUP

    def _tell(self, phase: str, **fields: Any) -> None:
        self._state.update(fields, phase=phase)
        # what has finished is not started again: not even a machine that goes down may forget it
        write(self._folder, "state.json", self._state, durable=phase == "finished")

    def run(self) -> None:
        """Starts the job, and again after each end when it is a service."""
        try:
            if self._service:
                self._keep_facts()
            self._open_view()
        except (OSError, RuntimeError) as error:
            self._tell("failed", error=f"its private view of the files could not be made: {error}")
            return
        if self._job["kind"] == "take":
            self._finish(0, late=False)
            return
        delay, longest = self._job["backoff"]
        while not self._stop:
            code = self._once()
            if not self._service or code is None:
                break
            if self._state["phase"] == "finished":
                self._rest()
                break
            self._wait_until(time.monotonic() + min(delay * 2 ** min(self._state["crashes"] - 1, 30), longest))
            self._state["restarts"] += 1
        if self._service and self._state["phase"] not in ("failed", "finished"):
            self._tell("stopped", pid=None)

    def _is_done(self, code: int) -> bool:
        """Whether this end of a service was its last. What it shall be is read now: it may have a port by now."""
        with contextlib.suppress(OSError, ValueError), open(f"{self._folder}/../workload.json") as file:
            return code == 0 and not self._stop and json.load(file).get("may_finish") is True
        return False

    def _rest(self) -> None:
        """Waits to be stopped: files of a finished service are taken out of the view that this process holds."""
        while not self._stop and os.path.exists(self._folder):
            self._wait_until(time.monotonic() + 5.0)

    def _keep_facts(self) -> None:
        """Keeps in memory alone, for executions that join later, what may hold secrets."""
        facts = {key: self._job[key] for key in ("mode", "env", "uid", "gid")}
        facts |= {key: self._job["view"][key] for key in ("scratch", "mounts")}
        self._state["facts"] = os.memfd_create("facts")
        os.write(self._state["facts"], json.dumps(facts).encode())

    def _open_view(self) -> None:
        """Makes the mounts in a process that ends right away and keeps its mount namespace, or joins another's."""
        mode, join = self._job["mode"], self._job.get("join")
        if mode == "plain":
            sandbox.subreaper()
            return
        if join:
            place = f"/proc/{join['pid']}"
            view = os.open(f"{place}/fd/{join['view']}", os.O_RDONLY)
            self._view = f"/proc/self/fd/{view}"
            if mode == "user":
                sandbox.setns(f"{place}/ns/user", sandbox.NEWUSER)
            for name, kind in (("pid", sandbox.NEWPID), ("uts", sandbox.NEWUTS), ("ipc", sandbox.NEWIPC)):
                sandbox.setns(f"{place}/ns/{name}", kind)
        else:
            sandbox.name_host(self._job["hostname"])
            self._make_view()

    def _make_view(self) -> None:
        said, say = os.pipe()
        held, hold = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(hold)
            spawning.build(self._job, say, held)
        os.close(say)
        answer = os.read(said, 65536).decode()
        if answer.isdigit():
            view = os.open(f"/proc/{answer}/ns/mnt", os.O_RDONLY)
            self._view = f"/proc/self/fd/{view}"
            self._state["view"] = view
        for descriptor in (said, held, hold):
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        if not self._view:
            raise RuntimeError(answer or "the process that makes it ended")

    def _once(self) -> int | None:
        """Runs the command to its end; None when a first start failed or the shim was told to stop."""
        deadline = time.monotonic() + self._job["timeout"] if self._job["timeout"] else None
        error, pid, output = self._start()
        if error and self._service and not self._state["restarts"]:
            self._tell("failed", error=error, pid=None)
            return None
        if error:
            self._log.add(f"{error}\n".encode())
        code, late = self._attend(pid, output, deadline)
        if error:
            code = spawning.NOT_STARTED if "Permission" in error else spawning.NOT_FOUND
        self._kill_all()
        if self._service:
            done = self._is_done(code)
            crashes = 0 if done else self._state["crashes"] + 1
            self._tell("finished" if done else "backoff", exit_code=code, pid=None, crashes=crashes)
        else:
            self._finish(code, late=late)
        return None if self._stop else code

    def _start(self) -> tuple[str, int, int]:
        """Forks and executes. Returns what went wrong, the pid and the reading end of its output."""
        output, out = os.pipe()
        said, say = os.pipe()
        os.set_blocking(self._input[0], True)  # the last start may have changed what all starts share
        self._give_away(self._input[0], out)
        pid = os.fork()
        if pid == 0:
            spawning.become(self._job, self._view, (self._input[0] if self._service else None, out), say)
        os.close(out)
        os.close(say)
        with os.fdopen(said, "rb") as file:
            who, error = file.readline(), file.read().decode("utf-8", "replace")
        if not error and who:
            self._tell("running", **{key: json.loads(who)[key] for key in ("pid", "start")})
        return error, pid, output

    def _give_away(self, *descriptors: int) -> None:
        """Lets another user open its own input and output by name, such as ``/dev/stdout``."""
        if self._job["uid"] is not None:
            for each in descriptors:
                with contextlib.suppress(OSError):
                    os.fchown(each, self._job["uid"], self._job["gid"])

    def _attend(self, pid: int, output: int, deadline: float | None) -> tuple[int, bool]:
        """Copies output until the process has ended; ends it at the deadline or when told to stop."""
        kill_at, late = deadline, False
        asked = False
        self._steady_at = time.monotonic() + self._job["steady"] if self._state["crashes"] else None
        while True:
            self._poll(output, self._steady_at if kill_at is None else kill_at)
            self._settle()
            code = self._reap(pid)
            if code is not None:
                self._drain(output)
                os.close(output)
                return code, late
            now = time.monotonic()
            if self._stop and not asked:
                asked, kill_at = True, now + self._job["grace"]
                _signal(pid, signal.SIGTERM)
            elif kill_at is not None and now >= kill_at:
                late = late or not asked
                _signal(pid, signal.SIGKILL)
                kill_at = now + 1.0

    def _settle(self) -> None:
        """Forgets earlier ends of a service when it has run for long enough."""
        if self._steady_at is not None and time.monotonic() >= self._steady_at:
            self._steady_at = None
            self._tell(self._state["phase"], crashes=0)

    def _poll(self, output: int, until: float | None) -> None:
        left = 5.0 if until is None else max(0.0, min(5.0, until - time.monotonic()))
        ready, _, _ = select.select([output, self._wake], [], [], left)
        if not ready and not os.path.exists(self._folder):
            self._stop = True  # somebody deleted the state: nobody could ever find this process again
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 512)
        if output in ready:
            data = os.read(output, 65536)
            if data:
                self._log.add(data)
            else:
                select.select([self._wake], [], [], min(left, 0.05))

    def _drain(self, output: int) -> None:
        os.set_blocking(output, False)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(output, 65536):
                self._log.add(data)

    def _reap(self, pid: int) -> int | None:
        """Collects every dead child; the exit code of ``pid`` when it was among them (128 + signal, as shells)."""
        found = None
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == pid:
                    code = os.waitstatus_to_exitcode(ended[1])
                    found = code if code >= 0 else 128 - code
        return found

    def _wait_until(self, when: float) -> None:
        while not self._stop and (left := when - time.monotonic()) > 0:
            select.select([self._wake], [], [], left)
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 512)
            self._reap(-1)

    def _finish(self, code: int, *, late: bool) -> None:
        stored, problem = [], ""
        for index, path in enumerate(self._job["store"]):
            wrong = None if late or self._stop else self._take(path, f"{self._folder}/stored/{index}")
            stored.append("" if wrong == "missing" else str(index))
            problem = problem or (wrong or "").removeprefix("missing")
        write(
            self._folder,
            "result.json",
            {"code": code, "late": late, "stopped": self._stop, "stored": stored, "problem": problem},
            durable=True,
        )

    def _take(self, path: str, folder: str) -> str | None:
        source, out = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(source)
            spawning.read_out(self._job, self._view, path, out)
        os.close(out)
        with os.fdopen(source, "rb") as file:
            wrong = taking.receive(file, folder, limit=self._job["artifact_bytes"])
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        return wrong

    def _kill_all(self) -> None:
        """Ends what the command left behind. An execution leaves its children to the service's own shim."""
        if self._job.get("join"):
            return
        if os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.waitpid(-1, 0)
        while children := _children():
            for pid in children:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)


def _children() -> list[int]:
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(pid) for pid in file.read().split()]
    return []


def _signal(pid: int, number: int) -> None:
    for target in (-pid, pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(target, number)

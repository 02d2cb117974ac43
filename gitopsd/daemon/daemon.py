"""The daemon: puts the parts together, starts them, adopts what runs, and ends without ending any service."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from typing import Any

from gitopsd.daemon.checks import Asking, Checker, CheckParts, merge_asking
from gitopsd.daemon.config import Settings
from gitopsd.daemon.lease import Lease, Role
from gitopsd.daemon.log import open_log
from gitopsd.daemon.operator import Operator, OperatorParts
from gitopsd.daemon.progress import Progress
from gitopsd.daemon.queue import KeyedQueue
from gitopsd.daemon.release import program_version
from gitopsd.daemon.roster import Roster, Watched, watched
from gitopsd.daemon.runs import Runner, RunParts
from gitopsd.daemon.schedule import Doors, Schedule
from gitopsd.daemon.server import Server
from gitopsd.daemon.wiring import Wired, redactor, wire
from gitopsd.daemon.work import Asked, Work, merge
from gitopsd.daemon.worker import Crew
from gitopsd.errors import Reason, TransientError
from gitopsd.kit.text import count_text
from gitopsd.model.environment import Source
from gitopsd.report import deliver
from gitopsd.web.commands import Answer, Request

LOOK_UP = 0.5
"""Seconds after which the first thread looks up: a signal that another thread took does not wake it."""
OUTBOX_INTERVAL = 1.0
"""Seconds after which the outbox is looked at even if nothing was put into it."""


class Daemon:
    """gitopsd on one state directory, which it locks.

    ``scheduled`` False is the direct use by the command line: the same parts, but nothing happens by itself, and
    there is no socket.
    """

    def __init__(self, settings: Settings, *, scheduled: bool = True) -> None:
        """Takes the lock and opens everything. UserError LOCKED when another process has it."""
        self.settings = settings
        self._scheduled = scheduled
        self._lease = Lease(settings.state_dir, role=Role.DAEMON if scheduled else Role.COMMAND)
        try:
            self._log = open_log(settings.log, redactor(settings))
            self._progress: Progress | None = None
            self._outbox: KeyedQueue[str, None] = KeyedQueue(lambda _, new: new)
            self._wired = wire(settings, log=self._log, listener=self._tell, wake=self._wake)
            self._assemble(self._wired)
        except BaseException:
            self._lease.release()
            raise

    def _tell(self, environment: str, instruction: str, text: str) -> None:
        if self._progress is not None:
            self._progress.tell(environment, instruction, text)

    def _wake(self) -> None:
        """There is something to send."""
        self._outbox.put("outbox", None)

    # --- the parts ------------------------------------------------------------------------------------------

    def _assemble(self, wired: Wired) -> None:
        world, limits = wired.world, self.settings.limits
        self._world = world
        self._progress = Progress(world.clock.now)
        self._roster = Roster(wired.sources)
        self._checks: KeyedQueue[Watched, Asking] = KeyedQueue(merge_asking)
        self._queue: KeyedQueue[str, Work] = KeyedQueue(merge)
        self._schedule = Schedule(
            Doors(
                check=lambda key: _dropped(self._checks.put(key, Asking())),
                drift=lambda name: self._again(name, Asked.DRIFT),
                retry=lambda name: self._again(name, Asked.RETRY),
                deliver=self._wake,
            )
        )
        self._checker = Checker(self._check_parts())
        self._runner = Runner(self._run_parts(self._progress))
        self._crews: tuple[Crew[Any, Any], ...] = (
            Crew(self._checks, self._checker.check, size=limits.checks, name="check", log=self._log),
            Crew(self._queue, self._runner.run, size=limits.runs, name="run", log=self._log),
            Crew(self._outbox, self._deliver, size=1, name="report", log=self._log),
        )
        self._commands = Operator(self._operator_parts(self._progress, world.clock.now()))

    def _check_parts(self) -> CheckParts:
        return CheckParts(
            world=self._world,
            roster=self._roster,
            put=self._put if self._scheduled else lambda _: None,
            delay=lambda key, seconds: self._schedule.delay(key, seconds=seconds),
            drift=self._watch_drift,
            watch=self._watch,
            unwatch=self._schedule.unwatch,
            log=self._log,
        )

    def _run_parts(self, progress: Progress) -> RunParts:
        return RunParts(
            world=self._world,
            roster=self._roster,
            progress=progress,
            waiting=self._queue.waiting,
            retry=lambda name, seconds: self._schedule.retry(name, seconds=seconds),
            forget=self._schedule.forget,
            log=self._log,
        )

    def _operator_parts(self, progress: Progress, started_at: datetime) -> OperatorParts:
        return OperatorParts(
            world=self._world,
            roster=self._roster,
            progress=progress,
            schedule=self._schedule,
            check=self._ask_check,
            put=self._put,
            working=self._queue.running,
            waiting=self._queue.waiting,
            started_at=started_at,
            version=program_version(),
            scheduled=self._scheduled,
        )

    # --- what passes between them ---------------------------------------------------------------------------

    def _put(self, work: Work) -> None:
        if not self._queue.put(work.environment.name, work):
            _refuse(work.tickets)

    def _ask_check(self, key: Watched) -> Future[None]:
        ticket: Future[None] = Future()
        if not self._checks.put(key, Asking(tickets=(ticket,))):
            _refuse((ticket,))
        return ticket

    def _again(self, name: str, asked: Asked) -> None:
        member = self._roster.member(name)
        if member is not None and member.commit is not None and (asked is Asked.DRIFT or not member.problems):
            self._put(Work(asked=asked, environment=member.environment, commit=member.commit))

    def _watch(self, source: Source) -> None:
        """Checks a ref as often as its repository says; the shortest interval counts where several say so."""
        if self._scheduled:
            same = [item.interval for item in self.settings.repositories.values() if item.url == source.url]
            self._schedule.watch(watched(source), interval=min(same))

    def _watch_drift(self, name: str) -> None:
        if self._scheduled:
            self._schedule.drift(name, interval=self.settings.drift.interval)

    def _deliver(self, _: str, __: None) -> None:
        deliver(self._world.store, self._wired.channels, clock=self._world.clock, journal=self._world.journal)

    # --- its life -------------------------------------------------------------------------------------------

    def ask(self, request: Request) -> Iterator[Answer]:
        """The commands, for whoever runs in this process."""
        return self._commands.ask(request)

    def start(self) -> None:
        """Recalls what was followed before and begins. What the first checks find goes on from there: services that
        run are adopted, interrupted runs are finished, and nothing else happens."""
        for environment, commit in self._world.store.environments():
            self._roster.recall(environment, commit)
            if environment.backend in self._world.backends:
                self._watch_drift(environment.name)
        for crew in self._crews:
            crew.start()
        self._schedule.start()
        if not self._scheduled:
            return
        self._server = Server(self.settings.state_dir, self._commands, log=self._log)
        self._server.start()
        self._schedule.deliver(interval=OUTBOX_INTERVAL)
        keys = {watched(source): source for source in self._wired.sources}
        for source in keys.values():
            self._watch(source)
        known = count_text(len(self._roster.members()), "known environment")
        self._log.info(f"watching {count_text(len(keys), 'repository', 'repositories')}, {known}", pid=os.getpid())

    def stop(self) -> None:
        """Takes nothing new, lets steps in flight end within the grace time, and closes. Services run on."""
        self._schedule.stop()
        if self._scheduled:
            self._server.stop()
        self._runner.stop()
        for asking in self._checks.close():
            _refuse(asking.tickets)
        for work in self._queue.close():
            _refuse(work.tickets)
        if not self._queue.idle(self.settings.limits.grace):
            self._log.warning("steps in flight did not end in time; the next start goes on with them")
        self._outbox.empty(2.0)
        self._outbox.close()
        self._outbox.idle(1.0)
        self._wired.close()
        self._lease.release()
        self._log.info("stopped; services run on")


def run(settings: Settings) -> None:
    """Runs the daemon until SIGTERM or SIGINT; a second signal ends it at once."""
    daemon = Daemon(settings)
    ended = threading.Event()

    def end(_: int, __: object) -> None:
        if ended.is_set():
            os._exit(130)
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    daemon.start()
    while not ended.wait(LOOK_UP):
        pass
    daemon.stop()


def _refuse(tickets: tuple[Future[Any], ...]) -> None:
    for ticket in tickets:
        with suppress(Exception):
            ticket.set_exception(TransientError(Reason.LOCKED, "the daemon is stopping", hint="ask again in a moment"))


def _dropped(_: bool) -> None:
    """A key that a closed queue does not take is not needed any more."""

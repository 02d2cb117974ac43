"""When things are looked at. Jobs only put keys on queues: whatever can block or fail happens elsewhere."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from gitopsd.daemon.roster import Watched

JITTER = 0.1
"""Share of an interval that is left to chance, so that checks spread out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where due keys go; none of these may block."""

    check: Callable[[Watched], None]
    drift: Callable[[str], None]
    retry: Callable[[str], None]
    deliver: Callable[[], None]


class Schedule:
    """One job per distinct (url, ref), one per environment for drift, one for the outbox, one per repetition.

    A job that was missed, because the machine slept or was busy, is done once (``coalesce``), however often it was
    due.
    """

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._jobs = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self) -> None:
        self._jobs.start()

    def stop(self) -> None:
        if self._jobs.running:
            self._jobs.shutdown(wait=False)

    def watch(self, key: Watched, *, interval: float) -> None:
        """Checks (url, ref) now and every ``interval`` seconds."""
        self._every(_check_id(key), interval, self._doors.check, args=(key,))

    def delay(self, key: Watched, *, seconds: float) -> None:
        """Puts the next check off: it failed."""
        self._move(_check_id(key), seconds)

    def drift(self, environment: str, *, interval: float) -> None:
        """Compares an environment every ``interval`` seconds, first at a random part of it; an environment that has
        such a job keeps it."""
        name = f"drift/{environment}"
        if self._jobs.get_job(name) is None:
            self._every(name, interval, self._doors.drift, args=(environment,), first=interval * random.random())

    def retry(self, environment: str, *, seconds: float) -> None:
        """Asks again in a while; an earlier repetition that still waits is replaced."""
        self._jobs.add_job(
            self._doors.retry, "date", run_date=_in(seconds), args=(environment,),
            id=f"retry/{environment}", replace_existing=True,
        )  # fmt: skip

    def deliver(self, *, interval: float) -> None:
        """Looks at the outbox every ``interval`` seconds."""
        self._every("outbox", interval, self._doors.deliver)

    def forget(self, environment: str) -> None:
        """Ends drift checks and repetitions of an environment."""
        for name in (f"drift/{environment}", f"retry/{environment}"):
            self._end(name)

    def unwatch(self, key: Watched) -> None:
        """Ends the checks of (url, ref)."""
        self._end(_check_id(key))

    def _end(self, name: str) -> None:
        with suppress(JobLookupError):
            self._jobs.remove_job(name)

    def retry_at(self, environment: str) -> datetime | None:
        """When an environment is tried again."""
        return self._next(f"retry/{environment}")

    def check_at(self, key: Watched) -> datetime | None:
        """When (url, ref) is asked next."""
        return self._next(_check_id(key))

    def _next(self, name: str) -> datetime | None:
        job = self._jobs.get_job(name)
        when = getattr(job, "next_run_time", None)
        return when if isinstance(when, datetime) else None

    def _every(
        self, name: str, interval: float, door: Callable[..., None], *, args: tuple[Any, ...] = (), first: float = 0
    ) -> None:
        trigger = IntervalTrigger(seconds=interval, jitter=interval * JITTER, timezone=UTC)
        self._jobs.add_job(door, trigger, args=args, id=name, next_run_time=_in(first), replace_existing=True)

    def _move(self, name: str, seconds: float) -> None:
        with suppress(JobLookupError):
            self._jobs.modify_job(name, next_run_time=_in(seconds))


def _check_id(key: Watched) -> str:
    return f"check/{key[0]} {key[1]}"


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)

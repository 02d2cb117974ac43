"""``SqlStore``: the port ``Store`` over SQLAlchemy Core."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Connection, Table, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from gitopsd.adapters.store import tables
from gitopsd.adapters.store.plans import ReadPlans
from gitopsd.adapters.store.sealing import Seal
from gitopsd.adapters.store.tables import VERSION, open_engine
from gitopsd.errors import Reason, TransientError, UserError
from gitopsd.model.environment import Commit, Environment
from gitopsd.model.plan import Evaluation
from gitopsd.model.run import Condition, Outgoing, Report, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``runs`` kept per environment; ``plan_bytes`` of compressed plans kept in all, the longest unused go first;
    ``read_plan_bytes`` of them (counted compressed) also in memory; ``busy_seconds`` that a writer waits for another
    process that holds SQLite's write lock."""

    runs: int = 200
    plan_bytes: int = 64 * 1024 * 1024
    read_plan_bytes: int = 256 * 1024
    busy_seconds: float = 10.0


class SqlStore:
    """History, conditions, the outbox and cached plans in one database; may be shared by threads.

    Every method raises TransientError BACKEND_UNAVAILABLE when the database does not answer, is locked or full.
    """

    def __init__(self, url: str, *, limits: Limits = Limits(), key: bytes = b"") -> None:
        """Opens (and makes) the database. What it holds is sealed with ``key``, see ``sealing.py``.

        Raises UserError CONFIG_INVALID for a URL or a file that cannot be used, RECORD_NEWER for a database that a
        newer release wrote.
        """
        self._engine = open_engine(url, busy_seconds=limits.busy_seconds)
        self._writer = self._engine.execution_options(gitopsd_writes=True)
        self._limits = limits
        self._seal = Seal(key)
        self._plans = ReadPlans(size=limits.read_plan_bytes)
        # One writer at a time, and one user at all of the single connection of a database in memory.
        self._lock = threading.RLock()
        self._in_memory = self._engine.dialect.name == "sqlite" and self._engine.url.database in (None, "", ":memory:")
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes every connection; the store must not be used afterwards."""
        self._engine.dispose()

    # --- runs ---------------------------------------------------------------------------------------------

    def save_run(self, run: Run) -> None:
        """Keeps a run, in the place of an earlier one with its id; the oldest above the limit go."""
        with self._write() as connection:
            body = self._seal.pack(run, f"runs {run.environment}")
            self._put(connection, tables.runs, "id", {"id": run.id, "environment": run.environment, "body": body})
            mine = tables.runs.c.environment == run.environment
            oldest = connection.execute(
                select(tables.runs.c.number).where(mine).order_by(tables.runs.c.number.desc()).offset(self._limits.runs)
            ).scalar()
            if oldest is not None:
                connection.execute(delete(tables.runs).where(mine, tables.runs.c.number <= oldest))

    def runs(self, environment: str, *, limit: int = 20) -> tuple[Run, ...]:
        """The newest runs of an environment, newest first."""
        query = select(tables.runs.c.body).where(tables.runs.c.environment == environment)
        with self._read() as connection:
            rows = connection.execute(query.order_by(tables.runs.c.number.desc()).limit(limit)).scalars().all()
        return tuple(self._seal.opened(rows, Run, f"runs {environment}"))

    # --- conditions and environments ------------------------------------------------------------------------

    def save_condition(self, condition: Condition) -> None:
        with self._write() as connection:
            body = self._seal.pack(condition, f"conditions {condition.environment}")
            row = {"environment": condition.environment, "body": body}
            self._put(connection, tables.conditions, "environment", row)

    def condition(self, environment: str) -> Condition | None:
        """Where an environment stands; None when that was never said."""
        query = select(tables.conditions.c.body).where(tables.conditions.c.environment == environment)
        with self._read() as connection:
            rows = connection.execute(query).scalars().all()
        return next(self._seal.opened(rows, Condition, f"conditions {environment}"), None)

    def save_environment(self, environment: Environment, commit: Commit) -> None:
        """Keeps what was followed last."""
        with self._write() as connection:
            row = {"name": environment.name, "body": self._seal.pack((environment, commit), "environments")}
            self._put(connection, tables.environments, "name", row)

    def environments(self) -> tuple[tuple[Environment, Commit], ...]:
        """What was followed last, by name."""
        with self._read() as connection:
            query = select(tables.environments.c.body).order_by(tables.environments.c.name)
            rows = connection.execute(query).scalars().all()
        pairs = self._seal.opened(rows, tuple, "environments")
        return tuple(cast("tuple[Environment, Commit]", pair) for pair in pairs if len(pair) == 2)

    def forget_environment(self, name: str) -> None:
        """Forgets an environment and its condition; its history stays."""
        with self._write() as connection:
            connection.execute(delete(tables.environments).where(tables.environments.c.name == name))
            connection.execute(delete(tables.conditions).where(tables.conditions.c.environment == name))

    # --- reports --------------------------------------------------------------------------------------------

    def sent(self, key: str) -> str | None:
        """The remote id of what was sent under a key, None when nothing was."""
        with self._read() as connection:
            return connection.execute(select(tables.sent.c.remote_id).where(tables.sent.c.key == key)).scalar()

    def mark_sent(self, key: str, remote_id: str) -> None:
        with self._write() as connection:
            self._put(connection, tables.sent, "key", {"key": key, "remote_id": remote_id})

    def enqueue(self, item: Outgoing) -> bool:
        """Keeps a report for sending; False when one with its key waits already or was sent."""
        body = self._seal.pack(_fixed(item), f"outbox {item.key}")
        row = {"key": item.key, "attempts": item.attempts, "due_at": _seconds(item.due_at), "body": body}
        with self._write() as connection:
            if connection.execute(select(tables.sent.c.key).where(tables.sent.c.key == item.key)).first():
                return False
            statement = self._insert(tables.outbox).values(row).on_conflict_do_nothing(index_elements=["key"])
            return connection.execute(statement).rowcount == 1

    def outbox(self, *, limit: int = 200) -> tuple[Outgoing, ...]:
        """What waits to be sent, oldest first."""
        columns = (tables.outbox.c.key, tables.outbox.c.attempts, tables.outbox.c.due_at, tables.outbox.c.body)
        with self._read() as connection:
            rows = connection.execute(select(*columns).order_by(tables.outbox.c.number).limit(limit)).all()
        found = []
        for key, attempts, due_at, body in rows:
            for channel, stream, report, queued_at in self._seal.opened([body], tuple, f"outbox {key}"):
                when = None if due_at is None else datetime.fromtimestamp(due_at, UTC)
                item = Outgoing(key=key, channel=channel, stream=stream, report=cast("Report", report),
                                attempts=attempts, due_at=when, queued_at=queued_at)  # fmt: skip
                found.append(item)
        return tuple(found)

    def reschedule(self, key: str, *, attempts: int, due_at: datetime) -> None:
        """Puts the next attempt of a waiting report off."""
        change = update(tables.outbox).where(tables.outbox.c.key == key)
        with self._write() as connection:
            connection.execute(change.values(attempts=attempts, due_at=_seconds(due_at)))

    def dequeue(self, key: str) -> None:
        """Takes a report out of the outbox."""
        with self._write() as connection:
            connection.execute(delete(tables.outbox).where(tables.outbox.c.key == key))

    # --- cached plans ---------------------------------------------------------------------------------------

    def cached_plan(self, key: str) -> Evaluation | None:
        """An evaluation kept under a key, None when there is none (any more)."""
        read = self._plans.get(key)
        columns = (tables.plans.c.used, *(() if read else (tables.plans.c.body,)))
        with self._read() as connection:
            row = connection.execute(select(*columns).where(tables.plans.c.key == key)).first()
            newest = connection.execute(select(func.max(tables.plans.c.used))).scalar() if row else None
        if row is None:
            return None
        if row.used != newest:
            with self._write() as connection:
                change = update(tables.plans).where(tables.plans.c.key == key)
                connection.execute(change.values(used=_next_use(connection)))
        if read is not None:
            return read
        for found in self._seal.opened([row.body], Evaluation, f"plans {key}"):
            self._plans.keep(key, found, size=len(row.body))
            return found
        return None

    def keep_plan(self, key: str, evaluation: Evaluation) -> None:
        """Keeps an evaluation; those unused for longest go when there are too many bytes."""
        body = self._seal.pack(evaluation, f"plans {key}")
        if len(body) > self._limits.plan_bytes:
            return
        self._plans.forget(key)
        with self._write() as connection:
            row = {"key": key, "size": len(body), "used": _next_use(connection), "body": body}
            self._put(connection, tables.plans, "key", row)
            excess = (connection.execute(select(func.sum(tables.plans.c.size))).scalar() or 0) - self._limits.plan_bytes
            if excess > 0:
                self._drop_plans(connection, excess)

    def _drop_plans(self, connection: Connection, excess: int) -> None:
        query = select(tables.plans.c.key, tables.plans.c.size).order_by(tables.plans.c.used)
        for key, size in connection.execute(query).all():
            if excess <= 0:
                return
            connection.execute(delete(tables.plans).where(tables.plans.c.key == key))
            excess -= size

    # --- the database ---------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        with self._write() as connection:
            tables.metadata.create_all(connection)
            found = connection.execute(select(tables.meta.c.value).where(tables.meta.c.name == "version")).scalar()
            if found is None:
                self._put(connection, tables.meta, "name", {"name": "version", "value": str(VERSION)})
            elif not found.isdecimal() or int(found) > VERSION:
                raise UserError(
                    Reason.RECORD_NEWER,
                    f"the store has layout {found[:20]!r}, this release knows {VERSION}",
                    hint="start the release that wrote it, or move the store away: no enclave depends on it",
                )

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._guard(self._in_memory), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._guard(True), self._writer.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _guard(self, alone: bool) -> Iterator[None]:
        try:
            if alone:
                with self._lock:
                    yield
            else:
                yield
        except OperationalError as error:
            raise TransientError(
                Reason.BACKEND_UNAVAILABLE, f"the store does not answer: {type(error.orig).__name__}"
            ) from None
        except DatabaseError as error:
            raise UserError(
                Reason.CONFIG_INVALID,
                f"the store is damaged or no database: {type(error.orig).__name__}",
                hint="move it away: no enclave depends on it",
            ) from None
        except SQLAlchemyError as error:
            raise TransientError(Reason.BACKEND_UNAVAILABLE, f"the store failed: {type(error).__name__}") from None

    def _insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        return postgresql.insert(table) if self._engine.dialect.name == "postgresql" else sqlite.insert(table)

    def _put(self, connection: Connection, table: Table, key: str, row: Mapping[str, Any]) -> None:
        rest = {name: value for name, value in row.items() if name != key}
        statement = self._insert(table).values(dict(row)).on_conflict_do_update(index_elements=[key], set_=rest)
        connection.execute(statement)


def _next_use(connection: Connection) -> int:
    return (connection.execute(select(func.max(tables.plans.c.used))).scalar() or 0) + 1


def _seconds(when: datetime | None) -> float | None:
    return None if when is None else when.timestamp()


def _fixed(item: Outgoing) -> tuple[str, str, Report, datetime | None]:
    return (item.channel, item.stream, item.report, item.queued_at)

"""The tables, and how a database is opened."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    StaticPool,
    Table,
    Text,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from gitopsd.errors import Reason, UserError

VERSION = 1
"""Number of the tables' layout. A database with a higher one was written by a newer release and is refused."""

metadata = MetaData()

meta = Table(
    "gitopsd_meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

runs = Table(
    "gitopsd_runs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("environment", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("gitopsd_runs_by_environment", "environment", "number"),
)

conditions = Table(
    "gitopsd_conditions",
    metadata,
    Column("environment", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

environments = Table(
    "gitopsd_environments",
    metadata,
    Column("name", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

sent = Table(
    "gitopsd_sent",
    metadata,
    Column("key", Text, primary_key=True),
    Column("remote_id", Text, nullable=False),
)

outbox = Table(
    "gitopsd_outbox",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Float),
    Column("body", LargeBinary, nullable=False),
)

plans = Table(
    "gitopsd_plans",
    metadata,
    Column("key", Text, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("used", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("gitopsd_plans_by_use", "used"),
)


def open_engine(url: str, *, busy_seconds: float) -> Engine:
    """An engine for a database URL; a SQLite file is made with mode 0600, its folder with 0700.

    Raises UserError CONFIG_INVALID for a URL that SQLAlchemy cannot read or whose driver is not installed; the message
    holds no part of the URL behind its scheme, as it may carry a password.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return create_engine(parsed, pool_pre_ping=True, pool_size=4)
        return _open_sqlite(url, parsed.database or "", busy_seconds)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError):
        scheme = url.partition(":")[0][:40]
        raise UserError(
            Reason.CONFIG_INVALID,
            f"the store's URL ({scheme}:…) cannot be used: expected sqlite:///FILE or postgresql+psycopg://…",
            hint="for PostgreSQL install its driver as well: pip install 'psycopg[binary]'",
        ) from None
    except OSError as error:
        raise UserError(
            Reason.CONFIG_INVALID,
            f"the store's file cannot be made: {error.strerror}: {error.filename}",
            hint="give the daemon a state directory that it may write to",
        ) from None


def _open_sqlite(url: str, path: str, busy_seconds: float) -> Engine:
    options: dict[str, Any] = {"connect_args": {"check_same_thread": False, "timeout": busy_seconds}}
    if path in ("", ":memory:"):
        options["poolclass"] = StaticPool
    else:
        file = Path(path)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        file.chmod(0o600)
    engine = create_engine(url, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # sqlite3 would begin transactions by itself, late and deferred: a reader that turns writer then fails at once.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=FAST"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("gitopsd_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

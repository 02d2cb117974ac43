"""The store: history, conditions, what was reported, the outbox and cached plans, over SQLAlchemy 2.

SQLite in one file (0600, WAL) by default; ``sqlite://`` keeps it in memory; PostgreSQL by URL. Values of the model are
kept as the model's own JSON (``model.codec``), compressed; columns hold only what is searched for. What a newer
release wrote and this one cannot read is left out of an answer, not an error: the store is history, not truth.
"""

from gitopsd.adapters.store.sql import Limits, SqlStore

__all__ = ["Limits", "SqlStore"]

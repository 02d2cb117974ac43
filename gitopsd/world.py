"""The world that a run works in: every port, wired once by the composition root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitopsd.model.values import Frozen
from gitopsd.ports import (
    Backend,
    Chat,
    Clock,
    Downloads,
    Evaluator,
    Forge,
    Git,
    Journal,
    Record,
    Secrets,
    Store,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """``backends`` and ``records`` have the same keys."""

    git: Git
    downloads: Downloads
    evaluator: Evaluator
    backends: Mapping[str, Backend]
    records: Mapping[str, Record]
    store: Store
    forges: tuple[Forge, ...] = ()
    chat: Chat | None = None
    secrets: Secrets
    clock: Clock
    journal: Journal
    constants: Frozen[str] = Frozen()

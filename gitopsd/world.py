"""The world that a run works in: every port, wired once by the composition root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from gitopsd.errors import Reason, UserError
from gitopsd.kit.text import suggestion
from gitopsd.model.environment import Environment
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

T = TypeVar("T")


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

    def backend_of(self, environment: Environment) -> Backend:
        """UserError ENVIRONMENT_INVALID for a backend that is not configured."""
        return _named(self.backends, environment)

    def record_of(self, environment: Environment) -> Record:
        """UserError ENVIRONMENT_INVALID for a backend that is not configured."""
        return _named(self.records, environment)


def _named(things: Mapping[str, T], environment: Environment) -> T:
    if environment.backend not in things:
        raise UserError(
            Reason.ENVIRONMENT_INVALID,
            f"{environment.name}: there is no backend {environment.backend!r}",
            position=environment.position,
            hint=suggestion(environment.backend, things) or f"configured: {', '.join(sorted(things))}",
        )
    return things[environment.backend]

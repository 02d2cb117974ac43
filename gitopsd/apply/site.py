"""Where a diff is applied: the ports, and how long and for whom steps may wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gitopsd.errors import Reason, StepError, TransientError, UserError
from gitopsd.kit.redact import SHORTEST, mask_cut, spellings
from gitopsd.kit.text import one_line
from gitopsd.model.environment import Environment
from gitopsd.model.values import Value, starlark_repr
from gitopsd.ports import Backend, Clock, Downloads, Evaluator, Git, Journal, Record, Secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The environment and the ports that a run works with. ``commit`` is the id that steps bear as theirs;
    ``rollback`` tells that this is a way back, which never deletes persistent data."""

    environment: Environment
    backend: Backend
    record: Record
    evaluator: Evaluator
    secrets: Secrets
    git: Git
    downloads: Downloads
    clock: Clock
    journal: Journal
    commit: str = ""
    rollback: bool = False

    @property
    def enclave(self) -> str:
        return self.environment.enclave

    def secret_values(self) -> dict[str, str]:
        """Values of the secrets that the environment may use, by name; those that cannot be read, or are so short
        that they would match by chance, are left out."""
        found = {}
        for name in self.secrets.names(self.environment.name):
            try:
                found[name] = self.secrets.reveal(self.environment.name, name)
            except UserError:
                continue
        return {name: value for name, value in found.items() if len(value) >= SHORTEST}

    def masked(self, text: str) -> str:
        """A text with the names of secrets in place of their values. To be called before a text is cut."""
        return masked(text, self.secret_values())

    def shown(self, value: Value, *, limit: int = 0) -> str:
        """A value on one line of a message, secrets masked, at most ``limit`` characters long (0: any)."""
        return one_line(self.masked(starlark_repr(value)), limit=limit)


def masked(text: str, secrets: Mapping[str, str]) -> str:
    """A text with the names of secrets in place of their values, however they are spelled, and of the beginnings of
    them that others cut off."""
    forms = [(form, name) for name, value in secrets.items() for form in spellings(value)]
    for form, name in sorted(forms, key=lambda item: -len(item[0])):
        text = text.replace(form, f"<secret {name}>")
    for name, value in secrets.items():
        text = mask_cut(text, (value, *value.splitlines()), f"<secret {name}>")
    return text


@dataclass(frozen=True, slots=True)
class Patience:
    """How long waiting steps go on: until the run's deadline (monotonic seconds), or until something newer wants its
    place. Steps that only wait ask it; a step in flight is finished first."""

    clock: Clock
    deadline: float
    newer: Callable[[], str]
    stopped: threading.Event = field(default_factory=threading.Event)

    def remaining(self, limit: float | None = None) -> float:
        """Seconds left of the run, at most ``limit``."""
        left = max(self.deadline - self.clock.monotonic(), 0.0)
        return left if limit is None else min(left, limit)

    def check(self) -> None:
        """Raises TransientError PREEMPTED when something newer waits, StepError TIMED_OUT at the deadline."""
        if self.stopped.is_set() or self.newer():
            self.stopped.set()
            raise TransientError(Reason.PREEMPTED, "stopped: something newer takes its place")
        if self.clock.monotonic() >= self.deadline:
            raise StepError(
                Reason.TIMED_OUT, "the run's time is over", hint="raise `timeout` of the environment if it needs more"
            )

    def sleep(self, seconds: float) -> None:
        """Waits at most ``seconds`` and looks up every quarter of a second; raises like :meth:`check`."""
        end = self.clock.monotonic() + seconds
        while True:
            self.check()
            left = end - self.clock.monotonic()
            if left <= 0:
                return
            self.clock.sleep(min(left, 0.25))

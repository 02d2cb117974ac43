"""What there is to do for an environment, and what two waiting pieces of work become together. Pure."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, replace
from enum import StrEnum

from gitopsd.model.environment import Commit, Environment
from gitopsd.model.run import Run


class Asked(StrEnum):
    """``drift``, ``retry`` and ``start`` come from the daemon, ``commit`` from a repository, the rest from a person."""

    DRIFT = "drift"
    START = "start"
    RETRY = "retry"
    COMMIT = "commit"
    RESUME = "resume"
    SYNC = "sync"
    UPDATE = "update"
    ROLLBACK = "rollback"
    DESTROY = "destroy"


_MEEK = (Asked.DRIFT, Asked.START, Asked.RETRY)
_FOLLOWING = (Asked.START, Asked.RETRY, Asked.COMMIT, Asked.RESUME, Asked.SYNC, Asked.UPDATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One thing to do for one environment. ``tickets`` are those who wait for its run."""

    asked: Asked
    environment: Environment
    commit: Commit
    tickets: tuple[Future[Run | None], ...] = ()

    @property
    def follows(self) -> bool:
        """Whether it makes the environment follow its commit."""
        return self.asked in _FOLLOWING


def merge(waiting: Work, new: Work) -> Work:
    """One piece of work out of a waiting one and a new one; whoever waited for either waits for the result.

    The newer one wins, but what the daemon asks by itself never takes the place of more, a destroy stays one, and a
    commit that comes after a ``sync`` is followed as one.
    """
    tickets = waiting.tickets + new.tickets
    if new.asked is Asked.DRIFT or (new.asked in _MEEK and waiting.asked is not Asked.DRIFT):
        winner = replace(waiting, commit=new.commit, environment=new.environment) if new.follows else waiting
    elif waiting.asked is Asked.DESTROY:
        winner = waiting
    elif waiting.asked in (Asked.SYNC, Asked.RESUME, Asked.UPDATE) and new.asked is Asked.COMMIT:
        winner = replace(new, asked=waiting.asked)
    else:
        winner = new
    return replace(winner, tickets=tickets)


def takes_place(running: Work, waiting: Work | None) -> str:
    """What wants the place of a running piece of work: a commit's id, ``rollback``, ``destroy``; empty for nothing.

    A drift check and a repetition wait; so does a commit that is being followed already.
    """
    if waiting is None or waiting.asked in _MEEK:
        return ""
    if waiting.follows:
        same = running.follows and waiting.commit.id == running.commit.id
        return "" if same else waiting.commit.id
    return waiting.asked.value

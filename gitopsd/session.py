"""Sessions: the only way to write a record. One a process and enclave, shared by the threads of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gitopsd.model.record import Kept, Recorded
from gitopsd.ports import Records


class Session:
    """A claimed record. ``recorded`` is what it holds now; another writer's claim ends the session, whose next change
    raises TransientError RECORD_FENCED. May be shared by threads."""

    def __init__(self, records: Records, enclave: str, kept: Kept) -> None:
        self._records = records
        self._enclave = enclave
        self._kept = kept
        self._certain = True
        self._lock = threading.Lock()

    @property
    def recorded(self) -> Recorded:
        """What the record holds. Raises as reading it does when a write before failed."""
        with self._lock:
            return self._settled().recorded

    @property
    def generation(self) -> int:
        return self._kept.generation

    def change(self, step: Callable[[Recorded], Recorded]) -> Recorded:
        """Stores what ``step`` makes of the record, and returns it; ``step`` is pure and may give back what it got.
        Raises as :class:`~gitopsd.ports.Records` does."""
        with self._lock:
            before = self._settled().recorded
            after = step(before)
            if after is before:
                return before
            try:
                self._records.write(self._enclave, self.generation, before, after)
            except BaseException:
                self._certain = False
                raise
            self._kept = Kept(generation=self.generation, recorded=after)
            return after

    def delete(self) -> None:
        """Deletes the record. The session is over."""
        with self._lock:
            self._certain = False
            self._records.delete(self._enclave, self.generation)

    def _settled(self) -> Kept:
        """What is kept; read again after a write that failed, since it may have come through. The generation stays that
        of this session: it is for the next write to see that another one came."""
        if not self._certain:
            found = self._records.read(self._enclave)
            recorded = found.recorded if found is not None else Recorded()
            self._kept, self._certain = Kept(generation=self.generation, recorded=recorded), True
        return self._kept


class Sessions:
    """The records of one backend's enclaves as runs use them: looked at without a claim, or opened by one."""

    def __init__(self, records: Records, *, writer: str) -> None:
        """``writer`` names this process to people who look at a record."""
        self._records = records
        self._writer = writer
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def peek(self, enclave: str) -> Recorded | None:
        """The record, None when there is none; for dry runs and for people. Never writes."""
        found = self._records.read(enclave)
        return None if found is None else found.recorded

    def open(self, enclave: str) -> Session:
        """The session of an enclave's record, which is claimed unless it is ours already."""
        with self._lock:
            session, found = self._open.get(enclave), self._records.read(enclave)
            if session is None or found is None or found.generation != session.generation:
                session = Session(self._records, enclave, self._records.claim(enclave, self._writer))
            self._open[enclave] = session
            return session

    def close(self, enclave: str) -> None:
        """Forgets a session, whose record was deleted."""
        with self._lock:
            self._open.pop(enclave, None)

"""The port Records as files, in ``enclaves/<enclave>/record`` below the state folder (folders 0700, files 0600).

Format, scheme 2::

    record.jsonl   the record, see ``ledger.py`` and ``ledger_file.py``: a snapshot, and the differences since
    head.json      {"scheme": 2, "record": "record.jsonl"}, for releases that look here first; every later scheme has it
    lock           held by whoever writes

``generation`` is the fence: a claim raises it, and each write under an older one is refused. Every write holds the
lock, reads what others wrote since, and is one append that is on the disk before it returns; now and then the file is
written anew.

``head.json`` decides which scheme holds: with the number 1, or none where files of scheme 1 are, those are the record
(``record_scheme1.py``). A claim takes it over: it writes record.jsonl, then head.json, then removes the old files; a
release that knows scheme 1 alone sees all of its own before, and refuses after. A new record is written in the same
order, and deleted in the opposite one.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gitopsd.adapters.local import record_scheme1 as scheme1
from gitopsd.adapters.local.folders import Folders, locked, looked_at, remove_tree
from gitopsd.adapters.local.ledger_file import Damaged, LedgerFile, Newer, Stamp, stamp_of
from gitopsd.errors import Reason, TransientError, UserError
from gitopsd.kit.files import sync_folder, write_file
from gitopsd.model.head import SCHEME
from gitopsd.model.record import Kept, Recorded

_FIRST = 2
"""The first scheme that is kept in record.jsonl."""


class FileRecords:
    """Records of the enclaves below a state folder. Safe over threads and processes."""

    def __init__(self, state: Path) -> None:
        self._folders = Folders(Path(os.path.realpath(state)))
        self._places: dict[str, _Place] = {}
        self._lock = threading.Lock()

    def read(self, enclave: str) -> Kept | None:
        """The record and its generation; None when there is none."""
        with self._at(enclave) as place:
            return place.read()

    def claim(self, enclave: str, writer: str) -> Kept:
        """Raises the generation; every other writer's writes are refused from now on."""
        with self._at(enclave) as place:
            return place.claim(writer)

    def write(self, enclave: str, generation: int, before: Recorded, after: Recorded) -> None:
        """Appends what makes the record ``after``; what it differs from is what the file holds."""
        with self._at(enclave) as place:
            place.write(generation, after)

    def delete(self, enclave: str, generation: int) -> None:
        """Deletes the record."""
        with self._at(enclave) as place:
            place.delete(generation)

    @contextlib.contextmanager
    def _at(self, enclave: str) -> Iterator[_Place]:
        with self._lock:
            place = self._places.setdefault(enclave, _Place(enclave, self._folders.record(enclave)))
        with place.mutex:
            try:
                yield place
            except OSError as error:
                place.known = None
                raise TransientError(
                    Reason.BACKEND_UNAVAILABLE,
                    f"the record of enclave {enclave!r}: {error.filename or place.journal}: {error.strerror or error}",
                    hint="what it records is not lost; look at the disk and the permissions there",
                ) from error
            except Damaged as error:
                place.known = None
                raise scheme1.damaged(place.journal, error) from None
            except Newer as error:
                raise _newer(enclave, error.args[0]) from None
            except BaseException:
                place.known = None
                raise


class _Place:
    """The record of one enclave, as this process knows it. One thread at a time."""

    def __init__(self, enclave: str, folder: Path) -> None:
        self.enclave = enclave
        self.folder = folder
        self.journal = folder / "record.jsonl"
        self.head = folder / "head.json"
        self.mutex = threading.Lock()
        self.known: LedgerFile | None = None
        self._head_stamp: Stamp | None = None

    # --- reading --------------------------------------------------------------------------------------------

    def read(self) -> Kept | None:
        if self._current():
            return self.known.kept if self.known is not None else None
        with looked_at(self.folder / "lock"):
            return self._load()

    def _current(self) -> bool:
        """Whether the files are still as they are known."""
        return (
            self.known is not None
            and _stamp(self.journal) == self.known.stamp
            and self._head_stamp is not None
            and _stamp(self.head) == self._head_stamp
        )

    def _load(self) -> Kept | None:
        """What is there, into ``known`` where it has the present scheme; for whoever holds the lock."""
        if self._current() and self.known is not None:
            return self.known.kept
        known, self.known = self.known, None
        self._head_stamp = _stamp(self.head)
        scheme = self._scheme()
        if scheme < _FIRST and (scheme or scheme1.exists(self.folder)):
            return scheme1.read(self.folder)
        if not scheme and _stamp(self.journal) is None:
            return None
        try:
            self.known = LedgerFile.read(self.journal, known)
        except FileNotFoundError:
            raise scheme1.damaged(self.journal, "it is not there") from None
        return self.known.kept

    def _scheme(self) -> int:
        """The number that head.json says; 0 when it is not there."""
        if self._head_stamp is None:
            return 0
        scheme = scheme1.json_of(self.head).get("scheme")
        if not isinstance(scheme, int):
            raise scheme1.damaged(self.head, "it has no scheme number")
        if scheme > SCHEME:
            raise Newer(scheme)
        return scheme

    # --- writing --------------------------------------------------------------------------------------------

    def claim(self, writer: str) -> Kept:
        with locked(self.folder / "lock"):
            found = self._load()
            for name in (self.journal.name, self.head.name):
                for left in self.folder.glob(f".{name}.*"):
                    left.unlink(missing_ok=True)
            generation = _first_generation() if found is None else found.generation + 1
            if self.known is not None:
                self.known.claim(generation, writer)
                self._renew_grown()
            else:
                self._make(
                    Kept(generation=generation, recorded=Recorded())
                    if found is None
                    else replace(found, generation=generation),
                    writer,
                )
            self._tell_older()
            kept = self._load()
            assert kept is not None
            return kept

    def _make(self, kept: Kept, writer: str) -> None:
        """Writes the whole record, which counts once head.json says so if another one is there."""
        for folder in (self.folder, *self.folder.parents[:2]):
            sync_folder(folder.parent)
        LedgerFile.make(self.journal, kept, writer)

    def _tell_older(self) -> None:
        """Makes head.json say the scheme, then removes files of the first one."""
        self._head_stamp = _stamp(self.head)
        if self._scheme() < SCHEME:
            data = {"scheme": SCHEME, "record": self.journal.name}
            write_file(self.head, json.dumps(data).encode(), durable=True)
        if scheme1.exists(self.folder):
            scheme1.remove(self.folder)

    def write(self, generation: int, after: Recorded) -> None:
        if _stamp(self.folder) is None:
            raise _fenced(self.enclave, None)
        with locked(self.folder / "lock"):
            found = self._load()
            if found is None or self.known is None or not generation or found.generation != generation:
                raise _fenced(self.enclave, self.known)
            self.known.change(after)
            self._renew_grown()

    def _renew_grown(self) -> None:
        """Writes the file anew when it has grown; that it cannot is no reason for the write before to fail."""
        if self.known is not None and self.known.grown():
            known, self.known = self.known, None
            with contextlib.suppress(OSError):
                self.known = LedgerFile.make(self.journal, known.kept, known.ledger.writer)

    def delete(self, generation: int) -> None:
        if _stamp(self.folder) is None:
            return
        with locked(self.folder / "lock"):
            found = self._load()
            if found is not None and (self.known is None or found.generation != generation):
                raise _fenced(self.enclave, self.known)
            scheme1.remove(self.folder)
            self.head.unlink(missing_ok=True)
            self.journal.unlink(missing_ok=True)
            self.known = None
            remove_tree(self.folder)
            sync_folder(self.folder.parent)


def _stamp(path: Path) -> Stamp | None:
    """The stamp of a file; None when it is not there."""
    try:
        return stamp_of(os.stat(path))  # noqa: PTH116  - asked for often
    except FileNotFoundError:
        return None


def _first_generation() -> int:
    """One that no record before it had, so that a writer of one that was deleted is refused."""
    return time.time_ns() // 1_000_000


def _fenced(enclave: str, known: LedgerFile | None) -> TransientError:
    by = "never claimed, or deleted" if known is None else f"taken over by {known.ledger.writer or 'another daemon'!r}"
    return TransientError(
        Reason.RECORD_FENCED,
        f"the record of enclave {enclave!r} was {by}",
        hint="only one daemon may follow an enclave; this one stops writing",
    )


def _newer(enclave: str, scheme: int) -> UserError:
    return UserError(
        Reason.RECORD_NEWER,
        f"the record of enclave {enclave!r} has scheme {scheme}; this release knows up to {SCHEME}",
        hint="run the release of gitopsd that wrote it, or a later one",
    )

"""The file of a record's ledger: lines that are only ever appended, until all of it is written anew.

Each line is ``<crc> <JSON>``, in UTF-8 (lone surrogates as they are). The checksum, eight hexadecimal digits of CRC-32,
goes on from that of the line before, so that no line can be lost, come twice or change place. Only the end of the
file can be torn, by a kill or a power cut in an append that nobody was told to be done: that is left out by readers and
cut off by the next writer. Anything else that is not as it was written is damage.
"""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitopsd.adapters.local.ledger import Ledger
from gitopsd.kit.files import write_file
from gitopsd.model.head import SCHEME
from gitopsd.model.record import Kept, Recorded

ENOUGH = 256 * 1024
"""Bytes below which a file is not written anew."""
Stamp = tuple[int, int, int]


class Damaged(Exception):
    """The file is not as it was written."""


class Newer(Exception):
    """A newer release wrote the file; its only argument is the number of the scheme."""


class LedgerFile:
    """A ledger and how far its file is known. After an error in writing it is no longer of use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = Ledger()
        self.torn = False
        self.stamp: Stamp = (0, 0, 0)
        self._length = 0
        self._lines = 0
        self._crc = 0
        self._limit = ENOUGH

    # --- reading --------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, path: Path, known: LedgerFile | None = None) -> LedgerFile:
        """The file as it is; ``known``, as it was, goes on where it can. Raises OSError, Damaged, Newer."""
        with path.open("rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            if known is not None and known._goes_on(file.fileno(), found):
                return known
            fresh = cls(path)
            fresh._follow(file.readall(), whole=True)
            fresh.stamp = stamp_of(found)
            return fresh

    def _goes_on(self, descriptor: int, found: os.stat_result) -> bool:
        """Reads what was appended; whether that follows on what is known."""
        if found.st_ino != self.stamp[0] or found.st_size <= self._length or self.torn:
            return False
        data = _read_at(descriptor, self._length)
        if not _whole(data, self._crc):
            return False
        self._follow(data, whole=False)
        self.stamp = stamp_of(found)
        return True

    def _follow(self, data: bytes, *, whole: bool) -> None:
        lines = data.split(b"\n")
        rest = lines.pop()
        parsed = []
        for index, line in enumerate(lines):
            crc = zlib.crc32(line[9:], self._crc)
            if line[:9] != b"%08x " % crc:
                if (whole and index == 0) or index < len(lines) - 1 or rest:
                    raise Damaged(f"line {self._lines + 1} is not as it was written")
                rest = line
                break
            parsed.append(json.loads(line[9:].decode("utf-8", "surrogatepass")))
            self._crc = crc
            self._lines += 1
            self._length += len(line) + 1
        if whole:
            self._begin(parsed)
        self.torn = bool(rest)
        try:
            self.ledger.follow(parsed)
            _ = self.ledger.kept
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise Damaged(f"what it says makes no sense: {type(error).__name__}: {error}") from error

    def _begin(self, lines: list[dict[str, Any]]) -> None:
        if not lines:
            raise Damaged("it has no whole line")
        scheme = lines[0].get("scheme")
        if not isinstance(scheme, int):
            raise Damaged("its first line has no scheme number")
        if scheme > SCHEME:
            raise Newer(scheme)

    @property
    def kept(self) -> Kept:
        return self.ledger.kept

    # --- writing: by whoever holds the lock ---------------------------------------------------------------------

    @classmethod
    def make(cls, path: Path, kept: Kept, writer: str) -> LedgerFile:
        """Writes a file anew that holds all of a record, whole or not at all."""
        made = cls(path)
        line = made._line(made.ledger.snapshot(kept, writer))
        write_file(path, line, durable=True)
        made._wrote(line, path.stat())
        made._limit = max(ENOUGH, 2 * len(line))
        return made

    def claim(self, generation: int, writer: str) -> None:
        """Appends a claim."""
        self._append(self.ledger.claimed(generation, writer))

    def change(self, after: Recorded) -> None:
        """Appends what makes the record ``after``."""
        text = self.ledger.change(after)
        if text:
            self._append(text)

    def grown(self) -> bool:
        """Whether so much was appended that the file is better written anew; it is told once."""
        if self._length <= self._limit:
            return False
        self._limit = 2 * self._length
        return True

    def _line(self, text: str) -> bytes:
        data = text.encode("utf-8", "surrogatepass")
        return b"%08x %s\n" % (zlib.crc32(data, self._crc), data)

    def _append(self, text: str) -> None:
        line = self._line(text)
        descriptor = os.open(self.path, os.O_WRONLY)
        try:
            if self.torn:
                os.ftruncate(descriptor, self._length)
                self.torn = False
            try:
                _write_at(descriptor, line, self._length)
                os.fdatasync(descriptor)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(descriptor, self._length)
                    os.fdatasync(descriptor)
                raise
            self._wrote(line, os.fstat(descriptor))
        finally:
            os.close(descriptor)

    def _wrote(self, line: bytes, found: os.stat_result) -> None:
        self._crc = zlib.crc32(line[9:-1], self._crc)
        self._lines += 1
        self._length += len(line)
        self.stamp = stamp_of(found)


def stamp_of(found: os.stat_result) -> Stamp:
    """What changes when a file does."""
    return found.st_ino, found.st_size, found.st_mtime_ns


def _whole(data: bytes, crc: int) -> bool:
    """Whether these are lines that follow on the one with this checksum."""
    for line in data.split(b"\n")[:-1]:
        crc = zlib.crc32(line[9:], crc)
        if line[:9] != b"%08x " % crc:
            return False
    return data.endswith(b"\n")


def _read_at(descriptor: int, offset: int) -> bytes:
    parts = []
    while part := os.pread(descriptor, 1 << 20, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written

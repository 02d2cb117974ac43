"""The port Heads as files of the daemon's state folder: one per environment (mode 0600, in a folder 0700).

Format: ``{"environment": name, "scheme": n, "of": n, "head": <Head>}``, replaced as a whole; ``scheme`` is that of the
file, ``of`` the head's own, ``<Head>`` the form of ``gitopsd.model.codec``. Releases before kept suspensions alone, all
in one file ``{"<environment>": "suspended by a person"}``: that is read as well, and taken over by the first write.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gitopsd.errors import Reason, TransientError, UserError
from gitopsd.kit.files import folder_name, make_folder, sync_folder, write_file
from gitopsd.model import codec
from gitopsd.model.head import SCHEME, Head, Suspension


class FileHeads:
    """Heads in ``folder``; ``older`` is the file of suspensions that releases before kept. Safe over threads; one
    process at a time."""

    def __init__(self, folder: Path, *, older: Path) -> None:
        self._folder = folder
        self._older = older
        self._lock = threading.Lock()

    def load(self, environment: str) -> Head | None:
        """The head; None when none is kept. Never writes."""
        with self._lock, _told(environment, self._folder):
            found = self._read(environment)
            return self._suspensions().get(environment) if found is None else found

    def keep(self, environment: str, head: Head) -> None:
        """Keeps a head, durably."""
        with self._lock, _told(environment, self._folder):
            self._take_over()
            self._write(environment, head)

    def drop(self, environment: str) -> None:
        """Forgets a head, durably."""
        with self._lock, _told(environment, self._folder):
            self._take_over()
            with contextlib.suppress(FileNotFoundError):
                self._place(environment).unlink()
                sync_folder(self._folder)

    def _place(self, environment: str) -> Path:
        return self._folder / f"{folder_name(environment)}.json"

    def _read(self, environment: str) -> Head | None:
        path = self._place(environment)
        data = _object(path)
        if data is None:
            return None
        scheme = data.get("scheme")
        if not isinstance(scheme, int):
            raise _damaged(path, "it has no scheme number")
        if scheme > SCHEME:
            raise UserError(
                Reason.RECORD_NEWER,
                f"what is kept of environment {environment!r} has scheme {scheme}; this release knows up to {SCHEME}",
                hint="run the release of gitopsd that wrote it, or a later one",
            )
        try:
            head = codec.decode(data["head"])
        except (LookupError, TypeError, ValueError) as error:
            raise _damaged(path, error) from None
        if not isinstance(head, Head) or not isinstance(data.get("of"), int):
            raise _damaged(path, "it holds no head")
        return replace(head, scheme=data["of"])

    def _write(self, environment: str, head: Head) -> None:
        data = {
            "environment": environment,
            "scheme": SCHEME,
            "of": head.scheme,
            "head": codec.encode(replace(head, scheme=SCHEME)),
        }
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        if not self._folder.is_dir():
            sync_folder(make_folder(self._folder).parent)
        write_file(self._place(environment), text.encode("utf-8", "surrogatepass"), durable=True)

    # --- what releases before kept --------------------------------------------------------------------------------

    def _suspensions(self) -> dict[str, Head]:
        found = _object(self._older) or {}
        if not all(isinstance(why, str) for why in found.values()):
            raise _damaged(self._older, "it holds something else than texts")
        return {name: Head(environment=name, suspended=_suspension(why)) for name, why in found.items()}

    def _take_over(self) -> None:
        """Writes a head for each, then removes the file; one that is written already is newer."""
        for name, head in self._suspensions().items():
            if self._read(name) is None:
                self._write(name, head)
        with contextlib.suppress(FileNotFoundError):
            self._older.unlink()
            sync_folder(self._older.parent)


def _suspension(why: str) -> Suspension:
    reason, _, by = why.partition(" by ")
    return Suspension(reason=reason, by=by or "a person")


@contextlib.contextmanager
def _told(environment: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransientError(
            Reason.BACKEND_UNAVAILABLE,
            f"what is kept of environment {environment!r}: {error.filename or folder}: {error.strerror or error}",
            hint="look at the disk and the permissions there",
        ) from error


def _object(path: Path) -> dict[str, Any] | None:
    """The JSON object of a file; None when it is not there. Raises OSError, and UserError RESULT_LOST."""
    try:
        data = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _damaged(path, error) from None
    if not isinstance(data, dict):
        raise _damaged(path, "it holds no object")
    return data


def _damaged(path: Path, why: object) -> UserError:
    return UserError(
        Reason.RESULT_LOST,
        f"the file {path} cannot be read: {why}",
        hint="restore it from a backup, or delete it: the environments that it suspends are followed again then",
    )

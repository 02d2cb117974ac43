"""The port Record as files, in ``enclaves/<enclave>/record`` below the state folder (folders 0700, files 0600).

Format, scheme 1; every file is JSON, replaced as a whole by an atomic rename and synced to the disk::

    head.json            {"scheme": 1, "generation": n, "owner": text, "head": <RecordedEnclave without steps,
                          past, intents and last_good>}
    last_good.json       <LastGood>; absent when there is none
    steps/<id>.json      {"number": n, "step": <Step>}; a later step has the greater number
    past/<number>.json   {"number": n, "step": <Step>}; of each identity, spec, inputs and incarnation the newest
    intents/<id>.json    <Intent>
    blobs/<sha256>       a text of more than 4000 characters, UTF-8; where it stood is {"$": "blob", "sha256": ...}

``<...>`` is the form of ``gitopsd.model.codec``; ids are percent-encoded in names. ``generation`` is the fence: a
daemon that claims the record raises it, and each write of another that still has an older one is refused.
A scheme number above :data:`~gitopsd.model.record.SCHEME` is refused, a lower one is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from gitopsd.adapters.local.folders import Folders, folder_name, locked, make_folder, remove_tree, write_file
from gitopsd.errors import Reason, TransientError, UserError
from gitopsd.model import codec
from gitopsd.model.ops import Kind, kind_of
from gitopsd.model.record import SCHEME, Intent, LastGood, RecordedEnclave, Step
from gitopsd.model.values import Frozen

_T = TypeVar("_T")
_LARGE = 4000
_BLOB = re.compile(r'"\$": ?"blob", ?"sha256": ?"([0-9a-f]{64})"')


class FileRecord:
    """Records of the enclaves below a state folder. Safe over threads and processes."""

    def __init__(self, state: Path) -> None:
        self._folders = Folders(Path(os.path.realpath(make_folder(state.absolute()))))
        self._generations: dict[str, int] = {}

    def load(self, enclave: str) -> RecordedEnclave:
        """The record; an empty one when there is none. UserError RECORD_NEWER when a newer release wrote it,
        RESULT_LOST when a file of it is damaged."""
        folder = self._folders.record(enclave)
        if not (folder / "head.json").is_file():
            return RecordedEnclave(name=enclave)
        with locked(folder / "lock"):
            head = _Head.read(folder, enclave)
            good = folder / "last_good.json"
            return replace(
                head.head,
                generation=head.generation,
                steps=Frozen({step.id: step for _, step in _numbered(folder, "steps")}),
                past=tuple(step for _, step in reversed(_numbered(folder, "past"))),
                intents=Frozen({intent.id: intent for intent in _each(folder, "intents")}),
                last_good=_typed(_decode(folder, good), LastGood, good) if good.is_file() else None,
            )

    def claim(self, enclave: str, owner: str) -> int:
        """Raises the generation; every other writer's writes are refused from now on."""
        folder = make_folder(self._folders.record(enclave))
        with locked(folder / "lock"):
            head = _Head.read(folder, enclave)
            generation = head.generation + 1
            _Head(head=head.head, generation=generation, owner=owner).write(folder)
            _drop_unused_blobs(folder)
            self._generations[enclave] = generation
        return generation

    def begin(self, enclave: str, intent: Intent) -> None:
        """Writes an intent."""
        with self._writing(enclave) as folder:
            _write(folder, _place(folder, "intents", intent.id), codec.encode(intent))

    def finish(self, enclave: str, step: Step) -> None:
        """Writes a step's result. The one it replaces goes to the past first, its intent goes last, so that a kill
        in between loses nothing."""
        with self._writing(enclave) as folder:
            path = _place(folder, "steps", step.id)
            if path.is_file():
                former = _read_step(folder, path)[1]
                if former.serial != step.serial or not codec.same(former, step):
                    _retire(folder, former)
            _write(folder, path, {"number": _next(folder), "step": codec.encode(step)})
            _place(folder, "intents", step.id).unlink(missing_ok=True)

    def forget(self, enclave: str, ids: tuple[str, ...]) -> None:
        """Moves results to the past, drops the rest, and the intents of both."""
        with self._writing(enclave) as folder:
            for name in ids:
                path = _place(folder, "steps", name)
                if path.is_file():
                    _retire(folder, _read_step(folder, path)[1])
                    path.unlink()
                _place(folder, "intents", name).unlink(missing_ok=True)

    def save_head(self, enclave: str, head: RecordedEnclave) -> None:
        """Writes everything but steps, past, intents and the generation."""
        with self._writing(enclave) as folder:
            known = _Head.read(folder, enclave)
            good = folder / "last_good.json"
            if head.last_good is None:
                good.unlink(missing_ok=True)
            else:
                _write(folder, good, codec.encode(head.last_good))
            _Head(head=head, generation=known.generation, owner=known.owner).write(folder)

    def delete(self, enclave: str) -> None:
        """Deletes the record. A writer that claimed it before must claim it again."""
        folder = self._folders.record(enclave)
        if folder.is_dir():
            with self._writing(enclave):
                remove_tree(folder)
        self._generations.pop(enclave, None)

    @contextlib.contextmanager
    def _writing(self, enclave: str) -> Iterator[Path]:
        folder = make_folder(self._folders.record(enclave))
        with locked(folder / "lock"):
            head = _Head.read(folder, enclave)
            if head.generation != self._generations.get(enclave, 0):
                raise TransientError(
                    Reason.RECORD_FENCED,
                    f"the record of enclave {enclave!r} was taken over by {head.owner or 'another daemon'!r}",
                    hint="only one daemon may follow an enclave; this one stops writing",
                )
            yield folder


class _Head:
    """What ``head.json`` holds."""

    def __init__(self, *, head: RecordedEnclave, generation: int, owner: str) -> None:
        self.head = head
        self.generation = generation
        self.owner = owner

    @classmethod
    def read(cls, folder: Path, enclave: str) -> _Head:
        path = folder / "head.json"
        try:
            data = json.loads(path.read_bytes())
        except FileNotFoundError:
            return cls(head=RecordedEnclave(name=enclave), generation=0, owner="")
        except ValueError as error:
            raise _damaged(path, error) from None
        if not isinstance(data, dict) or not isinstance(data.get("scheme"), int):
            raise _damaged(path, "it has no scheme number")
        if data["scheme"] > SCHEME:
            raise UserError(
                Reason.RECORD_NEWER,
                f"the record of enclave {enclave!r} has scheme {data['scheme']}; this release knows up to {SCHEME}",
                hint="run the release of gitopsd that wrote it, or a later one",
            )
        head = _typed(_decode_data(folder, data["head"], path), RecordedEnclave, path)
        return cls(head=replace(head, scheme=SCHEME), generation=int(data["generation"]), owner=str(data["owner"]))

    def write(self, folder: Path) -> None:
        small = replace(self.head, steps=Frozen(), past=(), intents=Frozen(), last_good=None, scheme=SCHEME)
        data = {
            "scheme": SCHEME,
            "generation": self.generation,
            "owner": self.owner,
            "head": codec.encode(replace(small, generation=self.generation)),
        }
        _write(folder, folder / "head.json", data)


def _place(folder: Path, kind: str, name: str) -> Path:
    return folder / kind / f"{folder_name(name)}.json"


def _retire(folder: Path, step: Step) -> None:
    """Moves a result to the past, in the place of an equal execution's."""
    if kind_of(step.instruction.op) not in (Kind.ONE_SHOT, Kind.CAPTURE):
        return
    parts = (step.id, step.instruction.op, step.inputs, step.incarnation)
    name = hashlib.sha256(codec.canonical(parts).encode("utf-8", "surrogatepass")).hexdigest()
    _write(folder, _place(folder, "past", name), {"number": _next(folder), "step": codec.encode(step)})


def _next(folder: Path) -> int:
    """A number greater than every one that this record has given."""
    path = folder / "number"
    try:
        number = int(path.read_text()) + 1
    except (FileNotFoundError, ValueError):
        number = 1 + max((n for kind in ("steps", "past") for n, _ in _numbered(folder, kind)), default=0)
    write_file(path, str(number).encode())
    return number


def _numbered(folder: Path, kind: str) -> list[tuple[int, Step]]:
    found = [_read_step(folder, path) for path in _files(folder, kind)]
    return sorted(found, key=lambda item: item[0])


def _each(folder: Path, kind: str) -> list[Intent]:
    return [_typed(_decode(folder, path), Intent, path) for path in _files(folder, kind)]


def _files(folder: Path, kind: str) -> list[Path]:
    place = folder / kind
    return sorted(place.glob("[!.]*.json")) if place.is_dir() else []


def _read_step(folder: Path, path: Path) -> tuple[int, Step]:
    try:
        data = json.loads(path.read_bytes())
        number = int(data["number"])
        encoded = data["step"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None
    return number, _typed(_decode_data(folder, encoded, path), Step, path)


def _write(folder: Path, path: Path, data: Any) -> None:
    make_folder(path.parent)
    text = json.dumps(_shrink(folder, data), ensure_ascii=False, separators=(",", ":"))
    write_file(path, text.encode("utf-8", "surrogatepass"), durable=True)


def _shrink(folder: Path, data: Any) -> Any:
    """The same with every large text kept as a blob of its own."""
    if isinstance(data, str) and len(data) > _LARGE:
        raw = data.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(raw).hexdigest()
        path = make_folder(folder / "blobs") / digest
        if not path.is_file():
            write_file(path, raw, durable=True)
        return {"$": "blob", "sha256": digest}
    if isinstance(data, dict):
        return {key: _shrink(folder, item) for key, item in data.items()}
    if isinstance(data, list):
        return [_shrink(folder, item) for item in data]
    return data


def _grow(folder: Path, data: Any) -> Any:
    if isinstance(data, dict):
        if data.get("$") == "blob":
            return (folder / "blobs" / data["sha256"]).read_bytes().decode("utf-8", "surrogatepass")
        return {key: _grow(folder, item) for key, item in data.items()}
    if isinstance(data, list):
        return [_grow(folder, item) for item in data]
    return data


def _decode(folder: Path, path: Path) -> Any:
    try:
        data = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None
    return _decode_data(folder, data, path)


def _decode_data(folder: Path, data: Any, path: Path) -> Any:
    try:
        return codec.decode(_grow(folder, data))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None


def _typed(value: Any, kind: type[_T], path: Path) -> _T:
    if not isinstance(value, kind):
        raise _damaged(path, f"it holds no {kind.__name__}")
    return value


def _damaged(path: Path, why: object) -> UserError:
    return UserError(
        Reason.RESULT_LOST,
        f"the record's file {path.parent.name}/{path.name} cannot be read: {why}",
        hint=f"restore {path} from a backup, or delete it: what it records will be done again",
    )


def _drop_unused_blobs(folder: Path) -> None:
    """Deletes the blobs that no file names any more."""
    blobs = folder / "blobs"
    if not blobs.is_dir():
        return
    used: set[str] = set()
    for path in (*folder.glob("*.json"), *folder.glob("*/*.json")):
        used.update(_BLOB.findall(path.read_text("utf-8", "surrogatepass")))
    for path in blobs.iterdir():
        if path.name not in used:
            path.unlink(missing_ok=True)

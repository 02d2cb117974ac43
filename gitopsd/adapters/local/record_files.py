"""The files of a record: JSON with large texts kept apart, replaced as a whole, synced; see ``record.py``."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from gitopsd.adapters.local.folders import folder_name, make_folder, write_file
from gitopsd.errors import Reason, UserError
from gitopsd.model import codec
from gitopsd.model.record import SCHEME, Intent, LastGood, RecordedEnclave, Step
from gitopsd.model.values import Frozen

_T = TypeVar("_T")
_LARGE = 4000
_BLOB = re.compile(r'"\$":"blob","sha256":"([0-9a-f]{64})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What ``head.json`` holds."""

    head: RecordedEnclave
    generation: int = 0
    owner: str = ""

    @classmethod
    def read(cls, folder: Path, enclave: str) -> Head:
        """The head; an empty one when there is none. UserError RECORD_NEWER, RESULT_LOST."""
        path = folder / "head.json"
        if not path.is_file():
            return cls(head=RecordedEnclave(name=enclave))
        data = _json(path)
        scheme = data.get("scheme")
        if not isinstance(scheme, int):
            raise _damaged(path, "it has no scheme number")
        if scheme > SCHEME:
            raise UserError(
                Reason.RECORD_NEWER,
                f"the record of enclave {enclave!r} has scheme {scheme}; this release knows up to {SCHEME}",
                hint="run the release of gitopsd that wrote it, or a later one",
            )
        head = decoded(folder, path, RecordedEnclave, "head")
        return cls(
            head=replace(head, scheme=scheme), generation=int(data["generation"]), owner=str(data.get("owner", ""))
        )

    def write(self, folder: Path) -> None:
        """Writes it, without what has files of its own."""
        head = replace(self.head, steps=Frozen(), past=(), intents=Frozen(), last_good=None, earlier=())
        small = replace(head, scheme=SCHEME, generation=0)
        data = {
            "scheme": self.head.scheme,
            "generation": self.generation,
            "owner": self.owner,
            "head": codec.encode(small),
        }
        write(folder, folder / "head.json", data)


def place(folder: Path, kind: str, name: str) -> Path:
    """The file of a step or an intent."""
    return folder / kind / f"{folder_name(name)}.json"


def past_place(folder: Path, step: Step) -> Path:
    """The file of an earlier execution."""
    name = f"{step.id}\n{step.serial or codec.digest(step)}"
    return folder / "past" / f"{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}.json"


def write_step(folder: Path, path: Path, step: Step, number: int) -> None:
    """Writes a step with its number."""
    write(folder, path, {"number": number, "step": codec.encode(step)})


def steps(folder: Path, kind: str) -> list[tuple[int, Step]]:
    """Steps of ``steps`` or ``past`` with their numbers, in order."""
    found = [(number_of(path), decoded(folder, path, Step, "step")) for path in _files(folder, kind)]
    return sorted(found, key=lambda item: item[0])


def number_of(path: Path) -> int:
    """The number of a step's file."""
    number = _json(path).get("number")
    if not isinstance(number, int):
        raise _damaged(path, "it has no number")
    return number


def intents(folder: Path) -> dict[str, Intent]:
    """Intents by id."""
    found = [decoded(folder, path, Intent) for path in _files(folder, "intents")]
    return {intent.id: intent for intent in found}


def last_good(folder: Path) -> LastGood | None:
    """The last good plan."""
    path = folder / "last_good.json"
    return decoded(folder, path, LastGood) if path.is_file() else None


def earlier(folder: Path) -> tuple[LastGood, ...]:
    """The good plans before the last one, newest first."""
    path = folder / "earlier.json"
    if not path.is_file():
        return ()
    goods = decoded(folder, path, tuple, "earlier")
    if not all(isinstance(good, LastGood) for good in goods):
        raise _damaged(path, "it holds something else than good plans")
    return goods


def write(folder: Path, path: Path, data: Any) -> None:
    """Replaces a file of the record; what it refers to is on the disk before it."""
    make_folder(path.parent)
    text = json.dumps(_shrink(folder, data), ensure_ascii=False, separators=(",", ":"))
    write_file(path, text.encode("utf-8", "surrogatepass"), durable=True)


def decoded(folder: Path, path: Path, kind: type[_T], key: str = "") -> _T:
    """The value that a file holds, or that stands under ``key`` in it. UserError RESULT_LOST when it is damaged."""
    data = _json(path)
    try:
        value = codec.decode(_grow(folder, data[key] if key else data))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None
    if not isinstance(value, kind):
        raise _damaged(path, f"it holds no {kind.__name__}")
    return value


def drop_unused_blobs(folder: Path) -> None:
    """Deletes the large texts that no file names any more."""
    blobs = folder / "blobs"
    if not blobs.is_dir():
        return
    used: set[str] = set()
    for path in (*folder.glob("*.json"), *folder.glob("*/*.json")):
        used.update(_BLOB.findall(path.read_text("utf-8", "surrogatepass")))
    for path in blobs.iterdir():
        if path.name not in used:
            path.unlink(missing_ok=True)


def _shrink(folder: Path, data: Any) -> Any:
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


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None
    if not isinstance(data, dict):
        raise _damaged(path, "it holds no object")
    return data


def _files(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / kind).glob("[!.]*.json"))


def _damaged(path: Path, why: object) -> UserError:
    return UserError(
        Reason.RESULT_LOST,
        f"the record's file {path.parent.name}/{path.name} cannot be read: {why}",
        hint=f"restore {path} from a backup, or delete it: what it records will be done again",
    )

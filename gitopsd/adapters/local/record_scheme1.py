"""Records as releases before scheme 2 wrote them. They are read, and removed once they are written anew.

A folder of JSON files, each replaced as a whole::

    head.json            {"scheme": 1, "generation": n, "owner": text, "head": <RecordedEnclave>}; may be missing
    last_good.json       <LastGood>
    earlier.json         {"earlier": [<LastGood>, ...]}
    steps/<id>.json      {"number": n, "step": <Step>}; steps are in the order of their numbers
    past/<sha256>.json   {"number": n, "step": <Step>}; the newest has the greatest number
    intents/<id>.json    <Intent>
    blobs/<sha256>       a long text; where it stood is {"$":"blob","sha256":"..."}
    number               the greatest number that was given

Of the head: ``unfinished`` was the digest of the plan that was half-way, ``stuck`` after a way back that failed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from gitopsd.adapters.local.folders import remove_tree
from gitopsd.errors import Reason, UserError
from gitopsd.model import codec
from gitopsd.model.head import Course, Head, LastGood, Returning, Settled, Stuck, Under
from gitopsd.model.package import Lock
from gitopsd.model.record import Intent, Kept, Recorded, Step
from gitopsd.model.values import Frozen

_T = TypeVar("_T")
_HOLDING = ("last_good.json", "earlier.json", "steps", "past", "intents")
_FILES = ("number", "blobs", "intents", "past", "steps", "earlier.json", "last_good.json")


def exists(folder: Path) -> bool:
    """Whether there is such a record, its head aside. Raises OSError."""
    return any(_there(folder / name) for name in _HOLDING)


def remove(folder: Path) -> None:
    """Deletes its files, its head aside. Raises OSError."""
    for name in _FILES:
        if _there(folder / name):
            remove_tree(folder / name)


def _there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def read(folder: Path) -> Kept:
    """The record as it is written now; its scheme and its generation are those of then. Raises OSError, and UserError
    RESULT_LOST for a damaged file."""
    head, good = folder / "head.json", folder / "last_good.json"
    data: dict[str, Any] = json_of(head) if _there(head) else {"scheme": 1}
    last = _value(good, lambda: _good(folder, json_of(good))) if _there(good) else None
    current = {step.id: step for step in _steps(folder, "steps")}
    past = [step for step in reversed(list(_steps(folder, "past")))]
    return _value(
        head,
        lambda: Kept(
            generation=int(data.get("generation", 0)),
            recorded=Recorded(
                head=_head(data["scheme"], data.get("head", {}), last, _earlier(folder)),
                steps=Frozen(current),
                past=tuple(item for item in past if item.id not in current or current[item.id].serial != item.serial),
                intents=Frozen({item.id: item for item in _intents(folder)}),
            ),
        ),
    )


def _head(scheme: int, data: dict[str, Any], good: LastGood | None, earlier: tuple[LastGood, ...]) -> Head:
    def field(name: str) -> Any:
        return codec.decode(data[name]) if name in data else ""

    return Head(
        environment=field("environment"),
        commit=field("commit"),
        course=_course(field("unfinished"), "" if good is None else good.digest),
        good=good,
        earlier=earlier,
        bad_plans=field("bad_plans") or (),
        pinned=field("pinned"),
        lock=field("lock") or Lock(),
        scheme=scheme,
    )


def _course(unfinished: str, good: str) -> Course:
    if not unfinished:
        return Settled()
    if unfinished == "stuck":
        return Stuck(good=good)
    return Returning(good=good) if unfinished == good else Under(plan=unfinished)


def _earlier(folder: Path) -> tuple[LastGood, ...]:
    path = folder / "earlier.json"
    if not _there(path):
        return ()
    return _value(path, lambda: tuple(_good(folder, item) for item in json_of(path)["earlier"]))


def _good(folder: Path, data: dict[str, Any]) -> LastGood:
    fields = {name: codec.decode(_grown(folder, item)) for name, item in data.items() if name != "$"}
    return LastGood(digest=fields["plan"].digest, **fields)


def _steps(folder: Path, kind: str) -> Iterator[Step]:
    def numbered(path: Path) -> tuple[int, Step]:
        data = json_of(path)
        return int(data["number"]), _decoded(folder, data["step"], Step)

    found = [_value(path, lambda: numbered(path)) for path in _files(folder, kind)]  # noqa: B023
    return (step for _, step in sorted(found, key=lambda item: item[0]))


def _intents(folder: Path) -> Iterator[Intent]:
    for path in _files(folder, "intents"):
        yield _value(path, lambda: _decoded(folder, json_of(path), Intent))  # noqa: B023


def _files(folder: Path, kind: str) -> list[Path]:
    if not _there(folder / kind):
        return []
    return sorted(path for path in (folder / kind).iterdir() if path.suffix == ".json" and path.name[0] != ".")


def _decoded(folder: Path, data: Any, kind: type[_T]) -> _T:
    value = codec.decode(_grown(folder, data))
    if not isinstance(value, kind):
        raise ValueError(f"it holds no {kind.__name__}")
    return value


def _grown(folder: Path, data: Any) -> Any:
    if isinstance(data, dict):
        if data.get("$") == "blob":
            return (folder / "blobs" / data["sha256"]).read_bytes().decode("utf-8", "surrogatepass")
        return {key: _grown(folder, item) for key, item in data.items()}
    return [_grown(folder, item) for item in data] if isinstance(data, list) else data


def json_of(path: Path) -> dict[str, Any]:
    """The object that a file of a record holds. Raises OSError, and UserError RESULT_LOST."""

    def parsed() -> dict[str, Any]:
        data = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
        if not isinstance(data, dict):
            raise ValueError("it holds no object")
        return data

    return _value(path, parsed)


def _value(path: Path, make: Callable[[], _T]) -> _T:
    try:
        return make()
    except FileNotFoundError as error:
        raise damaged(path, error) from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise damaged(path, error) from None


def damaged(path: Path, why: object) -> UserError:
    """A file of a record that is not as it was written."""
    return UserError(
        Reason.RESULT_LOST,
        f"the record's file {path.parent.name}/{path.name} cannot be read: {why}",
        hint=f"restore {path} from a backup, or delete it: what it records will be done again",
    )

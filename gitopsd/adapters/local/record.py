"""The port Record as files, in ``enclaves/<enclave>/record`` below the state folder (folders 0700, files 0600).

Format, scheme 1; every file is JSON, replaced as a whole by an atomic rename and synced to the disk::

    head.json            {"scheme": 1, "generation": n, "owner": text, "head": <RecordedEnclave without steps,
                          past, intents, last_good and earlier>}
    last_good.json       <LastGood>; absent when there is none
    earlier.json         {"earlier": [<LastGood>, ...]}; absent as long as there was none
    steps/<id>.json      {"number": n, "step": <Step>}; steps are in the order of their numbers
    past/<sha256>.json   {"number": n, "step": <Step>}; the newest has the greatest number
    intents/<id>.json    <Intent>
    blobs/<sha256>       a text of more than 4000 characters; where it stood is {"$":"blob","sha256":"..."}

``<...>`` is the form of ``gitopsd.model.codec``; ids are percent-encoded in names. ``generation`` is the fence: a
daemon that claims the record raises it, and each write of another that still has an older one is refused.
A scheme number above :data:`~gitopsd.model.record.SCHEME` is refused, a lower one is read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from gitopsd.adapters.local import record_files as files
from gitopsd.adapters.local.folders import Folders, locked, make_folder, remove_tree, write_file
from gitopsd.adapters.local.record_files import Head
from gitopsd.errors import Reason, TransientError
from gitopsd.model import codec
from gitopsd.model.plan import Instruction
from gitopsd.model.record import Intent, RecordedEnclave, Step, finished, forgotten, kept_past
from gitopsd.model.values import Frozen

Change = Callable[[RecordedEnclave], RecordedEnclave]


class FileRecord:
    """Records of the enclaves below a state folder. Safe over threads and processes."""

    def __init__(self, state: Path) -> None:
        self._folders = Folders(Path(os.path.realpath(make_folder(state.absolute()))))
        self._generations: dict[str, int] = {}
        self._known: dict[str, RecordedEnclave] = {}

    def load(self, enclave: str) -> RecordedEnclave:
        """The record; an empty one when there is none. UserError RECORD_NEWER when a newer release wrote it,
        RESULT_LOST when a file of it is damaged."""
        folder = self._folders.record(enclave)
        if not folder.is_dir():
            return RecordedEnclave(name=enclave)
        with locked(folder / "lock"):
            known, generation = self._known.get(enclave), self._generations.get(enclave)
            if known is not None and generation == Head.read(folder, enclave).generation:
                return known  # nobody else has written since
            return _read(folder, enclave)

    def claim(self, enclave: str, owner: str) -> int:
        """Raises the generation; every other writer's writes are refused from now on."""
        folder = make_folder(self._folders.record(enclave))
        with locked(folder / "lock"):
            generation = Head.read(folder, enclave).generation + 1
            found = replace(_read(folder, enclave), generation=generation)
            Head(head=found, generation=generation, owner=owner).write(folder)
            files.drop_unused_blobs(folder)
            self._generations[enclave] = generation
            self._known[enclave] = found
        return generation

    def begin(self, enclave: str, intent: Intent) -> None:
        """Writes an intent."""
        self._change(enclave, lambda found: replace(found, intents=found.intents.with_({intent.id: intent})))

    def finish(self, enclave: str, step: Step) -> None:
        """Writes a step's result. The one it replaces goes to the past first, its intent goes last, so that a kill
        in between loses nothing."""
        self._change(enclave, lambda found: finished(found, step))

    def forget(self, enclave: str, ids: tuple[str, ...]) -> None:
        """Moves results to the past, drops the rest, and the intents of both."""
        self._change(enclave, lambda found: forgotten(found, ids))

    def save_head(self, enclave: str, head: RecordedEnclave) -> None:
        """Writes everything but steps, past, intents and the generation."""

        def merged(found: RecordedEnclave) -> RecordedEnclave:
            past = kept_past(found.past, head)
            return replace(
                head, steps=found.steps, past=past, intents=found.intents, name=enclave, generation=found.generation
            )

        self._change(enclave, merged)

    def delete(self, enclave: str) -> None:
        """Deletes the record; a writer claims it again before it writes a new one."""
        folder = self._folders.record(enclave)
        if folder.is_dir():
            with self._writing(enclave):
                remove_tree(folder)
        self._generations.pop(enclave, None)
        self._known.pop(enclave, None)

    def _change(self, enclave: str, change: Change) -> None:
        with self._writing(enclave) as (folder, head):
            before = self._known.get(enclave) if head.generation else None
            before = before or _read(folder, enclave)
            self._known.pop(enclave, None)
            after = change(before)
            _write_difference(folder, before, after)
            if _head_differs(before, after):
                replace(head, head=after).write(folder)
            self._known[enclave] = after

    @contextlib.contextmanager
    def _writing(self, enclave: str) -> Iterator[tuple[Path, Head]]:
        folder = make_folder(self._folders.record(enclave))
        with locked(folder / "lock"):
            head = Head.read(folder, enclave)
            if head.generation != self._generations.get(enclave, 0):
                raise TransientError(
                    Reason.RECORD_FENCED,
                    f"the record of enclave {enclave!r} was taken over by {head.owner or 'another daemon'!r}",
                    hint="only one daemon may follow an enclave; this one stops writing",
                )
            yield folder, head


def _read(folder: Path, enclave: str) -> RecordedEnclave:
    head, good = Head.read(folder, enclave), files.last_good(folder)
    wanted = {item.id: item for item in good.plan.instructions} if good else {}
    current = {step.id: _shared(step, wanted) for _, step in files.steps(folder, "steps")}
    past = [step for _, step in reversed(files.steps(folder, "past"))]
    return replace(
        head.head,
        generation=head.generation,
        steps=Frozen(current),
        past=tuple(step for step in past if step.id not in current or current[step.id].serial != step.serial),
        intents=Frozen(files.intents(folder)),
        last_good=good,
        earlier=files.earlier(folder),
    )


def _shared(step: Step, wanted: Mapping[str, Instruction]) -> Step:
    """The step with the very instruction of the last good plan where it is equal: half the memory, and equal at a
    glance."""
    item = wanted.get(step.id)
    return replace(step, instruction=item) if item and codec.same(item, step.instruction) else step


def _write_difference(folder: Path, before: RecordedEnclave, after: RecordedEnclave) -> None:
    """Writes what is new, then deletes what is no more; in an order in which a kill loses no result."""
    if after.earlier is not before.earlier and not codec.same(after.earlier, before.earlier):
        files.write(folder, folder / "earlier.json", {"earlier": codec.encode(after.earlier)})
    if after.last_good is not None and not codec.same(after.last_good, before.last_good):
        files.write(folder, folder / "last_good.json", codec.encode(after.last_good))
    earlier = {id(step) for step in before.past}
    for step in reversed([step for step in after.past if id(step) not in earlier]):
        files.write_step(folder, files.past_place(folder, step), step, _next(folder))
    for name, step in after.steps.items():
        if before.steps.get(name) is not step:
            path = files.place(folder, "steps", name)
            number = files.number_of(path) if path.is_file() else _next(folder)
            files.write_step(folder, path, step, number)
    for name, intent in after.intents.items():
        if before.intents.get(name) is not intent:
            files.write(folder, files.place(folder, "intents", name), codec.encode(intent))
    _delete_difference(folder, before, after)


def _delete_difference(folder: Path, before: RecordedEnclave, after: RecordedEnclave) -> None:
    for name in before.steps.keys() - after.steps.keys():
        files.place(folder, "steps", name).unlink(missing_ok=True)
    for name in before.intents.keys() - after.intents.keys():
        files.place(folder, "intents", name).unlink(missing_ok=True)
    kept = {files.past_place(folder, step) for step in after.past}
    for step in before.past:
        path = files.past_place(folder, step)
        if path not in kept:
            path.unlink(missing_ok=True)
    if after.last_good is None:
        (folder / "last_good.json").unlink(missing_ok=True)


def _head_differs(before: RecordedEnclave, after: RecordedEnclave) -> bool:
    return any(
        getattr(before, name) != getattr(after, name)
        for name in ("environment", "commit", "plan_digest", "bad_plans", "pinned", "unfinished", "lock", "scheme")
    )


def _next(folder: Path) -> int:
    """A number greater than every one that this record has given."""
    path = folder / "number"
    try:
        number = int(path.read_text()) + 1
    except (FileNotFoundError, ValueError):
        number = 1 + max((n for kind in ("steps", "past") for n, _ in files.steps(folder, kind)), default=0)
    write_file(path, str(number).encode())
    return number

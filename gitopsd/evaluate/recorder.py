"""Keeps what the plan methods record: instructions with their ids, the services and artifacts so far, warnings.

**Ids** name the thing. Named ones: ``service/web`` (``service/web#2`` for the life after ``remove_service`` and
``add_service``), ``artifact/genesis`` for what ``upload_files``, ``render_templates`` and ``store_service_files``
make, ``task/seed``; made again under the same name, they get ``#2``, ``#3``. Nameless ones: method, subject, ordinal
(``exec/web@0``, ``verify@0``, ``run_sh@0`` for a task without a name). ``%``, ``@`` and ``#`` in a name are escaped
as ``%25``, ``%40`` and ``%23`` there.

**Names that the author left out** come from content, never from chance or position: a task is ``sh-<8 digits of a
digest of its op>``, what it stores ``<task>-<path>``, templates ``render-<digest>``, an upload and a capture
``<last part of the path>-<digest of where it comes from>``; equal ones are told apart by ``-2``, ``-3``. So an
instruction that is put in before another does not rename it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace

from gitopsd.evaluate.engine import StructValue
from gitopsd.evaluate.references import References
from gitopsd.evaluate.sources import Sources
from gitopsd.model.codec import digest
from gitopsd.model.ops import Op
from gitopsd.model.parts import Image
from gitopsd.model.plan import Instruction, Position, Warned
from gitopsd.model.values import Ref, StepResult, map_refs

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A service that was added and not removed: its life's id, where its AddService is, and what the script got."""

    life: str
    index: int
    value: StructValue


class Recorder:
    """The state of one evaluation. ``where`` and ``description`` are those of the call that is being recorded;
    ``words_by_id`` holds the words of uploaded texts by instruction id."""

    def __init__(self, references: References, sources: Sources, cluster_type: str) -> None:
        self.references = references
        self.sources = sources
        self.cluster_type = cluster_type
        self.instructions: list[Instruction] = []
        self.warnings: list[Warned] = []
        self.services: dict[str, Registered] = {}
        self.words_by_id: dict[str, frozenset[str]] = {}
        self.calling_file = ""
        self._position = Position()
        self._description = ""
        self._lives: Counter[str] = Counter()
        self._named: Counter[str] = Counter()
        self._ordinals: Counter[str] = Counter()
        self._generated: Counter[str] = Counter()

    def begin(self, calling_file: str, line: int, description: str) -> None:
        """A call starts: what is recorded until the next one bears its position and description."""
        self.calling_file = calling_file
        self._position = Position(file=self.sources.display(calling_file), line=line)
        self._description = description

    def warn(self, message: str) -> None:
        """Keeps a warning at the author's position."""
        self.warnings.append(Warned(message=message, position=self._position))

    def add(self, instruction_id: str, op: Op) -> None:
        """Appends an instruction; what it needs is found when all are there."""
        self.instructions.append(
            Instruction(id=instruction_id, op=op, position=self._position, description=self._description)
        )

    def sourced(self, image: Image) -> Image:
        """An image with the content digest of what it is built from: other content under the same name is another
        image. Raises HostError when the folder or the file that tells how to build is not there."""
        if image.build is None:
            return image
        told = {name: str(value) for name, value in image.build.items()}
        file = told.get("build_file") or f"{told['flake_location_dir']}/flake.nix"
        content = self.sources.build(told["build_context_dir"], file, self.calling_file)
        return replace(image, build=image.build.with_({"content": content}))

    def token(self, step: str, field: str) -> str:
        """The placeholder of a field of an instruction's result."""
        return self.references.token(StepResult(step=step, field=field))

    def new_life(self, service: str) -> str:
        """The id of the next life of a service."""
        self._lives[service] += 1
        return self._current_life(service)

    def life(self, service: str) -> str:
        """The id of the life that a step acts on; the last one of a service that was removed."""
        return self._current_life(service)

    def _current_life(self, service: str) -> str:
        ordinal = self._lives[service]
        return f"service/{escaped(service)}" + (f"#{ordinal}" if ordinal > 1 else "")

    def named_id(self, kind: str, name: str) -> str:
        """``artifact/NAME`` or ``task/NAME``, with ``#2`` and so on when it is made again."""
        plain = f"{kind}/{escaped(name)}"
        self._named[plain] += 1
        return plain if self._named[plain] == 1 else f"{plain}#{self._named[plain]}"

    def nameless_id(self, kind: str, subject: str = "") -> str:
        """``exec/web@0``, ``verify@0``: the next ordinal of a kind and subject."""
        group = f"{kind}/{escaped(subject)}" if subject else kind
        self._ordinals[group] += 1
        return f"{group}@{self._ordinals[group] - 1}"

    def generated_name(self, prefix: str, content: object) -> str:
        """A name for what the author left nameless, from what it is made of; ordinals of nameless steps do not
        count, so an instruction put in before them changes nothing."""
        return self.unique_name(f"{prefix}-{digest(map_refs(content, _without_ordinal))[:8]}")

    def unique_name(self, name: str) -> str:
        """The name, with ``-2`` and so on when it was generated before."""
        self._generated[name] += 1
        return name if self._generated[name] == 1 else f"{name}-{self._generated[name]}"


def escaped(name: str) -> str:
    """A name as a part of an id, in which ``@`` and ``#`` have a meaning."""
    return name.replace("%", "%25").replace("@", "%40").replace("#", "%23")


def slug(text: str) -> str:
    """The last part of a path in lower-case letters, digits and hyphens; ``files`` when nothing is left."""
    last = text.rstrip("/*").rpartition("/")[2].lower()
    return _NOT_IN_NAMES.sub("-", last).strip("-")[:40] or "files"


def _without_ordinal(ref: Ref) -> Ref:
    if not isinstance(ref, StepResult):
        return ref
    return StepResult(step=ref.step.rpartition("@")[0] or ref.step, field=ref.field)

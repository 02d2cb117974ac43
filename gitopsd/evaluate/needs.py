"""What each instruction needs (architecture, section 5, *Order*): ids of earlier instructions, each once, in order.

An instruction needs

* the producers of its references: the step of a result, the life of a service whose address it holds;
* the makers of the artifacts that it uses;
* the life of the service that it acts on, and the last step on that life: steps on one service keep their order;
* earlier services whose name stands as a word in its texts, in the known texts of its artifacts (templates and their
  data, uploaded text files), or in a port's url, and the last start or stop of each;
* for ``start``, ``stop`` and ``remove_service``, and for an artifact that is made again: everything that used it so
  far. A new life needs the removal of the last one.

Texts that only show something (``print``) or name sources make no need.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from gitopsd.evaluate.sources import words_of
from gitopsd.model.ops import (
    AddService,
    Exec,
    Kind,
    Op,
    RemoveService,
    RenderTemplates,
    Request,
    RunPython,
    RunSh,
    StartService,
    StopService,
    UploadFiles,
    Wait,
    artifacts_made_by,
    artifacts_used_by,
    kind_of,
    life_of,
    service_of,
)
from gitopsd.model.plan import Instruction
from gitopsd.model.values import Address, StepResult, refs_in


def with_needs(
    instructions: tuple[Instruction, ...], words_by_id: Mapping[str, frozenset[str]]
) -> tuple[Instruction, ...]:
    """The instructions with their ``needs``; ``words_by_id`` holds the words of uploaded texts. Pure."""
    tracker = _Tracker(words_by_id)
    return tuple(replace(item, needs=tracker.next(item)) for item in instructions)


class _Tracker:
    """What the instructions so far left behind."""

    def __init__(self, words_by_id: Mapping[str, frozenset[str]]) -> None:
        self._words_by_id = dict(words_by_id)
        self._life_by_service: dict[str, str] = {}
        self._last_on_life: dict[str, str] = {}
        self._ended_by: dict[str, str] = {}
        self._switched_by: dict[str, str] = {}
        self._maker_by_artifact: dict[str, str] = {}
        self._users: dict[str, list[str]] = defaultdict(list)

    def next(self, item: Instruction) -> tuple[str, ...]:
        """The needs of the next instruction."""
        needs = tuple(dict.fromkeys(need for need in self._needs(item) if need != item.id))
        for need in needs:
            self._users[need].append(item.id)
        self._note(item)
        return needs

    def _needs(self, item: Instruction) -> Iterator[str]:
        op = item.op
        for ref in refs_in(op):
            if isinstance(ref, StepResult):
                yield ref.step
            elif isinstance(ref, Address):
                yield from self._service(ref.service)
        makers = [self._maker_by_artifact[name] for name in artifacts_used_by(op) if name in self._maker_by_artifact]
        yield from makers
        yield from self._acted_on(op)
        yield from self._spoken_of(item, makers)
        for name in artifacts_made_by(op):
            if earlier := self._maker_by_artifact.get(name):
                yield from (earlier, *self._users[earlier])

    def _service(self, name: str) -> Iterator[str]:
        if life := self._life_by_service.get(name):
            yield life
            if switched := self._switched_by.get(life):
                yield switched

    def _acted_on(self, op: Op) -> Iterator[str]:
        if isinstance(op, AddService):
            yield from filter(None, (self._ended_by.get(op.name),))
            return
        life = life_of(op) or self._life_by_service.get(service_of(op) or "")
        if life is None:
            return
        if life in self._life_by_service.values():
            yield life
        if life in self._last_on_life:
            yield self._last_on_life[life]
        if isinstance(op, (StartService, StopService, RemoveService)):
            yield from self._users[life]

    def _spoken_of(self, item: Instruction, makers: list[str]) -> Iterator[str]:
        own = words_of_op(item.op)
        if isinstance(item.op, RenderTemplates):
            self._words_by_id[item.id] = own
        if kind_of(item.op) is Kind.PURE:
            return
        if not isinstance(item.op, UploadFiles):
            words = own.union(*(self._words_by_id.get(maker, frozenset()) for maker in makers))
            for service in self._life_by_service:
                if service in words and service != service_of(item.op):
                    yield from self._service(service)

    def _note(self, item: Instruction) -> None:
        op = item.op
        if isinstance(op, AddService):
            self._life_by_service[op.name] = item.id
        life = life_of(op)
        if life and kind_of(op) is not Kind.PURE:
            self._last_on_life[life] = item.id
        if life and isinstance(op, (StartService, StopService)):
            self._switched_by[life] = item.id
        if isinstance(op, RemoveService):
            self._ended_by[op.name] = item.id
            self._life_by_service.pop(op.name, None)
        self._maker_by_artifact.update(dict.fromkeys(artifacts_made_by(op), item.id))


def words_of_op(op: Op) -> frozenset[str]:
    """The words of the texts in which an op may name a service."""
    return words_of("\n".join(_texts(_spoken(op))).encode("utf-8", "replace"))


def _spoken(op: Op) -> tuple[object, ...]:
    match op:
        case AddService(spec=spec):
            ports = (*spec.ports.values(), *spec.public_ports.values())
            return (spec.entrypoint, spec.cmd, spec.env, spec.ready, tuple(port.url for port in ports))
        case Exec(recipe=recipe) | Request(recipe=recipe):
            return (recipe,)
        case Wait(probe=probe):
            return (probe.recipe,)
        case RunSh(run=run, env=env):
            return (run, env)
        case RunPython(run=run, args=args):
            return (run, args)
        case RenderTemplates(files=files):
            return (files,)
        case _:
            return ()


def _texts(value: object) -> Iterator[str]:
    """Every plain string inside values and parts, keys of mappings included; what a reference names is left out."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            stack += item.keys()
            stack += item.values()
        elif isinstance(item, tuple):
            stack += item
        elif hasattr(item, "__dataclass_fields__") and not isinstance(item, (StepResult, Address)):
            stack += [getattr(item, name) for name in item.__dataclass_fields__]

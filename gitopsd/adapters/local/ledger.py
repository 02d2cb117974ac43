"""What the text of a record says, scheme 2: each line holds what changed since the line before, the first one all.

A line is an object with any of these keys::

    scheme                 in the first line alone
    generation, writer     somebody claimed the record
    texts                  [text, ...]: long texts, which stand in other entries as {"$":"long","n":number}
    instructions           [<Instruction>, ...]
    goods                  [<LastGood>, ...]; instructions of their plans are numbers
    made                   [<Step>, ...]; their instruction is a number
    head                   {"scheme":n, "is":<Head>, "good":number or null, "earlier":[number, ...]}
    gone, steps            ids that are no longer current; number of a step by its id, in order
    past                   {"front":[number, ...], "gone":[number, ...]}, or all of it: [number, ...]
    intents                <Intent> by id; null for one that was cleared

The first four tables count from 0 over the whole file, so each value is written once. ``<...>`` is the form of
``gitopsd.model.codec``; an entry in which a long text stands is {"long": entry}.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from typing import Any, Generic, TypeVar

from gitopsd.model import codec
from gitopsd.model.head import SCHEME, Head, LastGood
from gitopsd.model.ops import Print
from gitopsd.model.plan import Instruction
from gitopsd.model.record import Kept, Recorded, Step
from gitopsd.model.values import Frozen

_T = TypeVar("_T")
LONG = 4000
"""Characters of a text from which on it is kept once."""
_NONE = Instruction(id="", op=Print(message=""))


class _Table(Generic[_T]):
    """Values by number, found by a key and ``alike``. What was read becomes a value when somebody asks for it."""

    def __init__(
        self, decode: Callable[[Any], _T], key: Callable[[_T], object], alike: Callable[[_T, _T], bool]
    ) -> None:
        self._decode = decode
        self._key = key
        self._alike = alike
        self._raw: list[Any] = []
        self._made: list[_T | None] = []
        self._numbers: dict[object, list[int]] | None = None
        self.fresh: list[str] = []

    def extend(self, raw: list[Any]) -> None:
        self._raw += raw
        self._made += [None] * len(raw)

    def get(self, number: int) -> _T:
        found = self._made[number]
        if found is None:
            found = self._made[number] = self._decode(self._raw[number])
            self._raw[number] = None
            if self._numbers is not None:
                self._numbers.setdefault(self._key(found), []).append(number)
        return found

    def find(self, value: _T) -> int | None:
        """The number of the value, or of one that is alike, the newest first."""
        numbers = self._index().get(self._key(value), ())
        known = [(number, self.get(number)) for number in reversed(numbers)]
        same = [number for number, item in known if item is value]
        return same[0] if same else next((number for number, item in known if self._alike(item, value)), None)

    def add(self, value: _T, text: str) -> int:
        number = len(self._made)
        self._index().setdefault(self._key(value), []).append(number)
        self._raw.append(None)
        self._made.append(value)
        self.fresh.append(text)
        return number

    def _index(self) -> dict[object, list[int]]:
        """Numbers of values by key, made when somebody writes."""
        if self._numbers is None:
            self._numbers = {}
            for number, value in enumerate(self._made):
                if value is not None:
                    self._numbers.setdefault(self._key(value), []).append(number)
        return self._numbers


class Ledger:
    """A record as its text says it, with the numbers that values have there."""

    def __init__(self) -> None:
        self.generation = 0
        self.writer = ""
        self._texts: _Table[str] = _Table(str, hash, str.__eq__)
        self._instructions: _Table[Instruction] = _Table(self._instruction_of, lambda item: item.id, _alike)
        self._goods: _Table[LastGood] = _Table(self._good_of, lambda item: item.digest, _alike_goods)
        self._made: _Table[Step] = _Table(self._step_of, lambda item: (item.id, item.serial), _alike_steps)
        self._head: dict[str, Any] = {}
        self._steps: dict[str, int] = {}
        self._past: list[int] = []
        self._intents: dict[str, Any] = {}
        self._recorded: Recorded | None = None

    # --- reading --------------------------------------------------------------------------------------------

    def follow(self, lines: Iterable[dict[str, Any]]) -> None:
        """Takes in lines that were read. Raises what a line without sense makes Python raise."""
        for line in lines:
            self._tables(line)
            self._fold(line)
            self._recorded = None

    def _tables(self, line: dict[str, Any]) -> None:
        for name, table in self._named():
            if name in line:
                table.extend(line[name])

    def _named(self) -> Iterator[tuple[str, _Table[Any]]]:
        yield "texts", self._texts
        yield "instructions", self._instructions
        yield "goods", self._goods
        yield "made", self._made

    def _fold(self, line: dict[str, Any]) -> None:
        self.generation = line.get("generation", self.generation)
        self.writer = line.get("writer", self.writer)
        self._head = line.get("head", self._head)
        for item in line.get("gone", ()):
            del self._steps[item]
        self._steps.update(line.get("steps", {}))
        past = line.get("past", {})
        if isinstance(past, list):
            self._past = past
        elif past:
            gone = frozenset(past["gone"])
            self._past = [*past["front"], *(number for number in self._past if number not in gone)]
        for item, raw in line.get("intents", {}).items():
            self._intents.pop(item, None)
            if raw is not None:
                self._intents[item] = raw

    @property
    def kept(self) -> Kept:
        """The record. Raises what text without sense makes Python raise."""
        if self._recorded is None:
            self._recorded = Recorded(
                head=self._head_of(self._head),
                steps=Frozen({item: self._made.get(number) for item, number in self._steps.items()}),
                past=tuple(self._made.get(number) for number in self._past),
                intents=Frozen({item: codec.decode(raw) for item, raw in self._intents.items()}),
            )
        return Kept(generation=self.generation, recorded=self._recorded)

    def _head_of(self, raw: dict[str, Any]) -> Head:
        if not raw:
            return Head()
        good = None if raw["good"] is None else self._goods.get(raw["good"])
        earlier = tuple(self._goods.get(number) for number in raw["earlier"])
        head: Head = replace(codec.decode(raw["is"]), good=good, earlier=earlier, scheme=raw["scheme"])
        return head

    def _instruction_of(self, raw: Any) -> Instruction:
        found: Instruction = codec.decode(self._grown(raw))
        return found

    def _good_of(self, raw: Any) -> LastGood:
        raw = self._grown(raw)
        plan = raw["plan"]
        plan["instructions"] = list(map(self._instructions.get, plan["instructions"]))
        found: LastGood = codec.decode(raw)
        return found

    def _step_of(self, raw: Any) -> Step:
        raw = self._grown(raw)
        raw["instruction"] = self._instructions.get(raw["instruction"])
        found: Step = codec.decode(raw)
        return found

    def _grown(self, raw: Any) -> Any:
        return self._with_texts(raw["long"]) if "long" in raw else raw

    def _with_texts(self, raw: Any) -> Any:
        if isinstance(raw, dict):
            if raw.get("$") == "long":
                return self._texts.get(raw["n"])
            return {key: self._with_texts(item) for key, item in raw.items()}
        return [self._with_texts(item) for item in raw] if isinstance(raw, list) else raw

    # --- writing --------------------------------------------------------------------------------------------

    def claimed(self, generation: int, writer: str) -> str:
        """The line that tells of a claim."""
        line = {"generation": generation, "writer": writer}
        self._fold(line)
        return _text(line)

    def snapshot(self, kept: Kept, writer: str) -> str:
        """The first line of an empty ledger, which holds all."""
        line = {"scheme": SCHEME, "generation": kept.generation, "writer": writer}
        return self._changed(kept.recorded, line)

    def change(self, after: Recorded) -> str:
        """The line that makes the record ``after``; empty when it says that already."""
        return self._changed(after, {})

    def _changed(self, after: Recorded, line: dict[str, Any]) -> str:
        before = self.kept.recorded
        known = dict(zip(map(id, before.past), self._past, strict=True))
        known |= {id(step): self._steps[item] for item, step in before.steps.items()}
        line |= self._head_change(before.head, after.head)
        line |= self._steps_change(before, after, known)
        past = [known[id(step)] if id(step) in known else self._number(step) for step in after.past]
        line |= self._past_change(past)
        intents = {
            item: codec.encode(intent)
            for item, intent in after.intents.items()
            if before.intents.get(item) is not intent
        }
        intents |= {item: None for item in before.intents if item not in after.intents}
        line |= {"intents": intents} if intents else {}
        self._fold(line)
        self._recorded = after
        tables = [f'"{name}":[{",".join(table.fresh)}]' for name, table in self._named() if table.fresh]
        for _, table in self._named():
            table.fresh = []
        return "{" + ",".join([*tables, _text(line)[1:-1]]).rstrip(",") + "}" if line or tables else ""

    def _head_change(self, before: Head, after: Head) -> dict[str, Any]:
        if after is before and self._head:
            return {}
        raw = {
            "scheme": after.scheme,
            "is": codec.encode(replace(after, good=None, earlier=(), scheme=SCHEME)),
            "good": None if after.good is None else self._number_of_good(after.good),
            "earlier": [self._number_of_good(good) for good in after.earlier],
        }
        return {} if raw == self._head else {"head": raw}

    def _steps_change(self, before: Recorded, after: Recorded, known: dict[int, int]) -> dict[str, Any]:
        gone = [item for item in before.steps if item not in after.steps]
        new = {
            item: known[id(step)] if id(step) in known else self._number(step)
            for item, step in after.steps.items()
            if before.steps.get(item) is not step
        }
        order = [item for item in self._steps if item in after.steps]
        order += [item for item in new if item not in self._steps]
        if order != list(after.steps):
            gone, new = list(self._steps), {item: new.get(item, self._steps.get(item, 0)) for item in after.steps}
        return ({"gone": gone} if gone else {}) | ({"steps": new} if new else {})

    def _past_change(self, past: list[int]) -> dict[str, Any]:
        if past == self._past:
            return {}
        had, have = frozenset(self._past), frozenset(past)
        front = [number for number in past if number not in had]
        if [*front, *(number for number in self._past if number in have)] != past:
            return {"past": past}
        return {"past": {"front": front, "gone": [number for number in self._past if number not in have]}}

    def _number(self, step: Step) -> int:
        found = self._made.find(step)
        if found is not None:
            return found
        raw = codec.encode(replace(step, instruction=_NONE))
        raw["instruction"] = self._number_of_instruction(step.instruction)
        return self._made.add(step, self._entry(raw))

    def _number_of_instruction(self, instruction: Instruction) -> int:
        found = self._instructions.find(instruction)
        return self._instructions.add(instruction, self._entry(codec.encode(instruction))) if found is None else found

    def _number_of_good(self, good: LastGood) -> int:
        found = self._goods.find(good)
        if found is not None:
            return found
        raw = codec.encode(replace(good, plan=replace(good.plan, instructions=())))
        raw["plan"]["instructions"] = [self._number_of_instruction(item) for item in good.plan.instructions]
        return self._goods.add(good, self._entry(raw))

    def _entry(self, raw: Any) -> str:
        text = _text(raw)
        if len(text) <= LONG:
            return text
        without = self._without_texts(raw)
        return text if without == raw else _text({"long": without})

    def _without_texts(self, raw: Any) -> Any:
        if isinstance(raw, str) and len(raw) > LONG:
            found = self._texts.find(raw)
            return {"$": "long", "n": self._texts.add(raw, _text(raw)) if found is None else found}
        if isinstance(raw, dict):
            return {key: self._without_texts(item) for key, item in raw.items()}
        return [self._without_texts(item) for item in raw] if isinstance(raw, list) else raw


def _alike(one: Instruction, other: Instruction) -> bool:
    """Whether two instructions have the same text, also where it makes no difference to ``compare``."""
    if one is other:
        return True
    return codec.same(one, other) and all(
        getattr(one.op, item.name) == getattr(other.op, item.name) for item in fields(one.op) if not item.compare
    )


def _alike_steps(one: Step, other: Step) -> bool:
    return codec.same(one, other) and _alike(one.instruction, other.instruction)


def _alike_goods(one: LastGood, other: LastGood) -> bool:
    return codec.same(one, other) and all(map(_alike, one.plan.instructions, other.plan.instructions))


def _text(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

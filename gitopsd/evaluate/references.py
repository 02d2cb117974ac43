"""Placeholders: how values that only exist after apply travel through a package as ordinary strings.

A token is ``gitopsdref`` and 32 hexadecimal digits: plain letters and digits, so that it needs no escaping in JSON,
YAML, TOML, a shell or a Go template, is not cut by ``split`` at any separator, and is no number. The digits are a
digest of what the reference names, of nothing else: the same reference has the same token at every commit, so what a
package sorts or indexes by it stays where it was. Only a token that the recorder itself gave out in this evaluation
is known; text that merely looks like one stays text. No token ever enters a plan.

Superset of ``future-references.md`` section 3: tokens are understood in every argument, not only in some.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from gitopsd.evaluate.engine import HostError, StarlarkValue, StructValue
from gitopsd.evaluate.printing import shown, type_name
from gitopsd.model.codec import digest
from gitopsd.model.values import (
    Address,
    Frozen,
    Json,
    Ref,
    Secret,
    StepResult,
    Text,
    Value,
    describe_ref,
    describe_text,
    join_parts,
)

_TAG = "gitopsdref"
_TOKEN = re.compile(_TAG + r"[0-9a-f]{32}")
_REMAINS = re.compile(_TAG + r"[0-9a-f]*|[0-9a-f]{0,32}" + _TAG, re.IGNORECASE)
_DEEPEST = 200
_LONGEST_INTEGER_BITS = 4096


class References:
    """The tokens of one evaluation, both ways. ``remarks`` collects what looks wrong: texts in which a token was cut
    or changed, and keys that hold one."""

    def __init__(self) -> None:
        self._ref_by_token: dict[str, Ref] = {}
        self.remarks: list[str] = []

    def token(self, ref: Ref) -> str:
        """The placeholder of a reference; equal references have equal placeholders."""
        token = _TAG + digest(ref)[:32]
        self._ref_by_token[token] = ref
        return token

    def text(self, text: str) -> str | Ref | Text:
        """A string of the package: itself, the reference that it is, or a text with references inside."""
        if self.is_plain(text):
            return text
        parts: list[str | Ref] = []
        end = 0
        for match in _TOKEN.finditer(text):
            ref = self._ref_by_token.get(match[0])
            if ref is not None:
                parts += [text[end : match.start()], ref] if match.start() > end else [ref]
                end = match.end()
        if end < len(text):
            parts.append(text[end:])
        self._note_remains(parts)
        return parts[0] if len(parts) == 1 else join_parts(parts)

    def take_remarks(self) -> tuple[str, ...]:
        """The remarks since the last time, each once."""
        found = tuple(dict.fromkeys(self.remarks))
        self.remarks.clear()
        return found

    def untext(self, value: Value) -> str:
        """A text with placeholders in the place of its references, for the script."""
        if isinstance(value, Text):
            return "".join(part if isinstance(part, str) else self.token(part) for part in value.parts)
        return self.token(value) if isinstance(value, (StepResult, Address, Secret)) else str(value)

    def readable(self, text: str) -> str:
        """A text for people: placeholders become what they stand for, such as ``<web ip_address>``."""
        return describe_text(self.text(text))

    def _note_remains(self, parts: list[str | Ref]) -> None:
        if self._ref_by_token and any(isinstance(part, str) and _REMAINS.search(part) for part in parts):
            text = describe_text(join_parts(parts))
            self.remarks.append(
                f"{shown(text)} holds a part of a placeholder: a value that is known only when the plan is applied was "
                "cut or changed in case, and stays as it is; do this in a command or a template instead"
            )

    def is_plain(self, text: str) -> bool:
        """Whether nothing in a string may be a placeholder."""
        return _TAG not in text.lower()

    def plain(self, text: str, what: str) -> str:
        """A string that must be known now. A host name is the plain name of its service, so it is fine; HostError for
        any other reference."""
        if self.is_plain(text):
            return text
        plain, known = _with_names(self.text(text))
        if not known:
            raise HostError(
                f"{what} holds {plain}, which is known only when the plan is applied; expected a text "
                "that is known now (pass it through a command, an environment variable or a template instead)"
            )
        return plain

    def opaque(self, text: str, what: str) -> str:
        """A string in which nothing is resolved: a reference stays as a text that tells of it, with a remark, as
        upstream takes its placeholder there for the text that it is. HostError for a secret."""
        if self.is_plain(text):
            return text
        value = self.text(text)
        plain, known = _with_names(value)
        if known:
            return plain
        if any(isinstance(part, Secret) for part in (value.parts if isinstance(value, Text) else (value,))):
            return self.plain(text, what)
        self.remarks.append(f"{what} holds {plain}, which is not resolved there: it stays as text")
        return describe_text(value)

    def value(self, value: StarlarkValue, what: str) -> Value:
        """Any JSON-able Starlark value as a value of the model; ``what`` names it in messages.

        Structs become mappings. Raises HostError for functions, bytes, Kurtosis types, keys that are no strings,
        numbers that are not finite, and for more than 200 levels.
        """
        try:
            return self._value(value, 0)
        except _UnfitError as unfit:
            raise HostError(f"{what}{unfit.place} {unfit.told}") from None

    def _value(self, value: StarlarkValue, depth: int) -> Value:
        if depth > _DEEPEST:
            raise _UnfitError(f"is nested more than {_DEEPEST} levels deep")
        match value:
            case str():
                return self.text(value)
            case None | bool():
                return value
            case int():
                return _checked_integer(value)
            case float() if math.isfinite(value):
                return value
            case list() | tuple() | range():
                return tuple(self._item(item, index, depth) for index, item in enumerate(value))
            case dict():
                return self._mapping(value, depth)
            case StructValue(type_name="struct", fields=fields):
                return self._mapping(fields, depth)
        raise _UnfitError(f"is {shown(value)} ({type_name(value)}), which has no JSON form; expected plain data")

    def _mapping(self, items: Mapping[StarlarkValue, StarlarkValue], depth: int) -> Frozen[Value]:
        found: dict[str, Value] = {}
        for key, item in items.items():
            if not isinstance(key, str):
                raise _UnfitError(f"has the key {shown(key)} ({type_name(key)}); expected keys that are strings")
            found[self.key(key)] = self._item(item, key, depth)
        return Frozen(found)

    def _item(self, value: StarlarkValue, key: str | int, depth: int) -> Value:
        try:
            return self._value(value, depth + 1)
        except _UnfitError as unfit:
            unfit.place = f"[{shown(key)}]{unfit.place}"
            raise

    def key(self, key: str) -> str:
        """A key of a mapping. A host name is the plain name of its service; other references in it are not resolved:
        texts that tell of them stay in their places, with a warning."""
        if self.is_plain(key):
            return key
        text, known = _with_names(self.text(key))
        if not known:
            told = self.readable(key)
            self.remarks.append(f"the key {shown(told)} holds a reference, which is not resolved in keys")
            return told
        return text

    def output(self, value: StarlarkValue, text: str) -> Value:
        """What ``run`` returned, as JSON, or as a text of JSON when references in keys have to be resolved; what has no
        JSON form is its printed ``text``."""
        try:
            encodable = _encodable(value)
            found = self.value(encodable, "the result of run")
            return self.text(json.dumps(encodable, ensure_ascii=False)) if self._in_keys(encodable) else found
        except (HostError, RecursionError):
            return self.text(text)

    def _in_keys(self, value: StarlarkValue) -> bool:
        """Whether a key holds a reference that is not the plain name of a service."""
        if isinstance(value, dict):
            unknown = (key for key in value if not self.is_plain(key) and not _with_names(self.text(key))[1])
            return any(unknown) or any(self._in_keys(item) for item in value.values())
        return isinstance(value, list) and any(self._in_keys(item) for item in value)

    def arguments(self, values: Mapping[str, Json]) -> dict[str, StarlarkValue]:
        """Decoded arguments for the package: ``{"secret": NAME}`` becomes the token of that secret."""
        return {key: self._argument(item) for key, item in values.items()}

    def _argument(self, value: Json) -> StarlarkValue:
        if isinstance(value, Frozen):
            if len(value) == 1 and isinstance(name := value.get("secret"), str):
                return self.token(Secret(name=name))
            return {key: self._argument(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return [self._argument(item) for item in value]
        return value


def _with_names(value: str | Ref | Text) -> tuple[str, bool]:
    """A text with the plain names of services for their host names, and whether that was all; else what was left."""
    parts = value.parts if isinstance(value, Text) else (value,)
    named = [part.service if isinstance(part, Address) and part.field == "hostname" else part for part in parts]
    unknown = next((part for part in named if not isinstance(part, str)), None)
    return (describe_ref(unknown), False) if unknown is not None else ("".join(map(str, named)), True)


def _encodable(value: StarlarkValue) -> StarlarkValue:
    """A value as the language's own JSON encoder sees it: keys sorted, everything with attributes an object."""
    match value:
        case StructValue(fields=fields):
            return _encodable(dict(fields))
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _encodable(value[key]) for key in sorted(value)}
        case list() | tuple():
            return [_encodable(item) for item in value]
    return value


class _UnfitError(Exception):
    """A part of a value that the model has no place for: where in the value, and what is wrong there."""

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.place = ""
        self.told = told


def _checked_integer(value: int) -> int:
    """The same integer, unless it is so long that no receiver could take it."""
    if value.bit_length() > _LONGEST_INTEGER_BITS:
        raise _UnfitError(f"is an integer of {value.bit_length()} bits; expected at most {_LONGEST_INTEGER_BITS}")
    return value

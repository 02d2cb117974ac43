"""YAML (and JSON) texts as plain data with positions, read the way Go's ``ghodss/yaml`` over ``yaml.v2`` reads them.

One document of mappings, lists and scalars. Plain scalars follow YAML 1.1 as yaml.v2 resolves it: ``yes``, ``no``,
``on``, ``off`` are booleans, ``010`` and ``0x8`` integers, ``1e3`` a number, dates are texts, ``1:30`` is a text.
Keys become strings. Aliases and ``<<`` are resolved within a budget, so that a small text cannot become a huge one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml
from yaml._yaml import CParser
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gitopsd.errors import Reason, UserError

_MOST_VALUES = 200_000
_DEEPEST = 200
_PLAIN = "plain"
_STANDARD = "tag:yaml.org,2002:"
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_INTEGER = re.compile(r"[-+]?(0b[01]+|0x[0-9a-fA-F]+|0o?[0-7]*|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST_NUMBER = 4000
_TABS = "YAML is indented with blanks, never with tabs"


class _Loader(CParser):
    """Composes nodes; a scalar that is plain and untagged gets the tag ``plain``, to be resolved here."""

    def resolve(self, kind: type, _value: Any, implicit: Any) -> str:
        """The tag of a node that bears none."""
        return _PLAIN if kind is not ScalarNode or implicit[0] else f"{_STANDARD}str"

    def descend_resolver(self, _parent: Any, _index: Any) -> None:
        """Asked by the parser on its way down; tags do not depend on places here."""

    def ascend_resolver(self) -> None:
        """Asked by the parser on its way up."""


def load(text: bytes, origin: str) -> dict[str, Any]:
    """``data``, ``marks`` (path to line and column, both from 1; keys under ``<path>#key``) and ``duplicates``.

    Raises UserError CONFIG_INVALID with the position for what is no YAML of this kind, EVALUATION_LIMIT for a text
    whose aliases make it too big.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{origin}:{mark.line + 1}:{mark.column + 1}" if mark else origin
        problem = " ".join(part for part in (error.context, error.problem) if part)
        hint = _TABS if mark and _is_tab(text, mark.line, mark.column) else ""
        raise UserError(Reason.CONFIG_INVALID, f"not valid YAML: {problem}", position=where, hint=hint) from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(Reason.CONFIG_INVALID, f"not valid YAML: {error}", position=origin) from None
    finally:
        if loader is not None:
            loader.dispose()
    reading = _Reading(origin)
    data = reading.value(node, "") if node is not None else None
    return {"data": data, "marks": reading.marks, "duplicates": reading.duplicates}


def _is_tab(text: bytes, line: int, column: int) -> bool:
    lines = text.split(b"\n")
    return line < len(lines) and lines[line][column : column + 1] == b"\t"


class _Reading:
    """Turns nodes into data, within a budget of values."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._left = _MOST_VALUES
        self._open: list[int] = []
        self.marks: dict[str, tuple[int, int]] = {}
        self.duplicates: list[str] = []

    def value(self, node: Node, path: str) -> Any:
        """The data of a node; ``path`` is where it stands."""
        self._spend(node)
        self.marks[path] = _mark(node)
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if node.tag not in (_PLAIN, f"{_STANDARD}seq", f"{_STANDARD}map"):
            self._refuse(node, f"the tag {node.tag!r} is not supported, expected plain data")
        self._open.append(id(node))
        if isinstance(node, SequenceNode):
            found: Any = [self.value(item, _join(path, str(index))) for index, item in enumerate(node.value)]
        elif isinstance(node, MappingNode):
            found = self._mapping(node, path)
        self._open.pop()
        return found

    def _spend(self, node: Node) -> None:
        self._left -= 1
        if self._left < 0:
            message = f"the text holds more than {_MOST_VALUES} values when its aliases are resolved"
            raise UserError(Reason.EVALUATION_LIMIT, message, position=self._where(node), hint="use fewer aliases")
        if id(node) in self._open:
            self._refuse(node, "an alias names a value that holds it, expected a value without circles")
        if len(self._open) >= _DEEPEST:
            self._refuse(node, f"nested more than {_DEEPEST} levels deep")

    def _mapping(self, node: MappingNode, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and isinstance(key_node, ScalarNode) and key_node.value == "<<":
                merged.append(value_node)
                continue
            key = self._key(key_node)
            inner = _join(path, key)
            if key in found:
                self.duplicates.append(inner)
            self.marks[f"{inner}#key"] = _mark(key_node)
            found[key] = self.value(value_node, inner)
        for source in merged:
            for mapping in self._merged(source):
                for key, value in self._mapping_of(mapping, path, found):
                    found.setdefault(key, value)
        return found

    def _mapping_of(self, node: MappingNode, path: str, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The entries of a merged mapping that are not there already."""
        kept_marks, kept_duplicates = dict(self.marks), list(self.duplicates)
        self._spend(node)
        self._open.append(id(node))
        entries = self._mapping(node, path)
        self._open.pop()
        self.marks |= kept_marks
        self.duplicates[:] = kept_duplicates
        yield from ((key, value) for key, value in entries.items() if key not in found)

    def _merged(self, node: Node) -> list[MappingNode]:
        items = node.value if isinstance(node, SequenceNode) else [node]
        for item in items:
            if not isinstance(item, MappingNode):
                self._refuse(item, "'<<' takes in something that is no mapping, expected a mapping or a list of them")
        return list(items)

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            self._refuse(node, "a key is a list or a mapping, expected a text")
        value = self._scalar(node)
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value]
        return str(value)

    def _scalar(self, node: ScalarNode) -> Any:
        kind = node.tag.removeprefix(_STANDARD)
        if kind == "str":
            return node.value
        if kind not in (_PLAIN, "int", "float", "bool", "null"):
            self._refuse(node, f"the tag {node.tag!r} is not supported, expected plain data")
        if _NOT_A_NUMBER.fullmatch(node.value) or (len(node.value) > _LONGEST_NUMBER and _FLOAT.fullmatch(node.value)):
            self._refuse(node, f"{node.value[:40]} is no number that JSON can hold, expected a finite number")
        return plain_scalar(node.value)

    def _where(self, node: Node) -> str:
        line, column = _mark(node)
        return f"{self._origin}:{line}:{column}"

    def _refuse(self, node: Node, message: str) -> NoReturn:
        raise UserError(Reason.CONFIG_INVALID, message, position=self._where(node))


def plain_scalar(text: str) -> Any:
    """A plain, untagged scalar as yaml.v2 resolves it."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789":
        return text
    digits = text.replace("_", "")
    if _INTEGER.fullmatch(digits):
        return _integer(digits, text)
    if not _FLOAT.fullmatch(digits) or abs(found := float(digits)) == float("inf"):
        return text
    return found


def _integer(digits: str, text: str) -> int | str:
    """An integer; one in another base than ten that does not fit into 64 bits is the text that stands there, as in
    yaml.v2. So an address or a key, which people write as ``0x...`` without quotes, stays what it is."""
    sign, body = (-1 if digits[0] == "-" else 1), digits.lstrip("+-")
    octal = len(body) > 1 and body[0] == "0" and body[1] in "01234567"
    found = sign * (int(body, 8) if octal else int(body, 0))
    return found if body[0] != "0" or -(2**63) <= found < 2**64 else text


def _mark(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key

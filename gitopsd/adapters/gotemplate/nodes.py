"""The syntax tree of a template, and the source text that Go prints for a node in messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from .constants import Constant
from .strconv import quote_str


class Node:
    """A part of a template; ``pos`` is its character offset in the template's text."""

    __slots__ = ("pos",)

    def __init__(self, pos: int) -> None:
        self.pos = pos


class Text(Node):
    """Literal output."""

    __slots__ = ("value",)

    def __init__(self, pos: int, value: str) -> None:
        super().__init__(pos)
        self.value = value.encode()


class Dot(Node):
    """``.``"""

    __slots__ = ()


class Nil(Node):
    """``nil``"""

    __slots__ = ()


class Literal(Node):
    """A boolean, number or string; ``source`` as written, ``value`` what it evaluates to."""

    __slots__ = ("source", "value")

    def __init__(self, pos: int, source: str, value: bytes | bool | Constant) -> None:
        super().__init__(pos)
        self.source = source
        self.value = value


class Identifier(Node):
    """The name of a function."""

    __slots__ = ("name",)

    def __init__(self, pos: int, name: str) -> None:
        super().__init__(pos)
        self.name = name


class Field(Node):
    """``.a.b``: fields of dot."""

    __slots__ = ("names",)

    def __init__(self, pos: int, names: Sequence[str]) -> None:
        super().__init__(pos)
        self.names = tuple(names)


class Variable(Node):
    """``$x.a.b``: a variable (``name`` with its dollar) and fields of it."""

    __slots__ = ("name", "names")

    def __init__(self, pos: int, name: str, names: Sequence[str] = ()) -> None:
        super().__init__(pos)
        self.name = name
        self.names = tuple(names)


class Chain(Node):
    """``(pipeline).a.b``: fields of the value of a pipeline or function."""

    __slots__ = ("names", "operand")

    def __init__(self, pos: int, operand: Node, names: Sequence[str]) -> None:
        super().__init__(pos)
        self.operand = operand
        self.names = tuple(names)


class Command(Node):
    """Operands side by side: a function or field with its arguments, or a single value."""

    __slots__ = ("args",)

    def __init__(self, pos: int) -> None:
        super().__init__(pos)
        self.args: list[Node] = []


class Pipe(Node):
    """Commands joined by ``|``, with the variables that take the value of the last."""

    __slots__ = ("assigns", "commands", "variables")

    def __init__(self, pos: int) -> None:
        super().__init__(pos)
        self.assigns = False
        self.variables: list[Variable] = []
        self.commands: list[Command] = []


class Action(Node):
    """``{{pipeline}}``: evaluates, and prints unless it sets variables."""

    __slots__ = ("pipe",)

    def __init__(self, pos: int, pipe: Pipe) -> None:
        super().__init__(pos)
        self.pipe = pipe


class Branch(Node):
    """``if``, ``with`` or ``range`` (``word``) with its two bodies."""

    __slots__ = ("body", "otherwise", "pipe", "word")

    def __init__(self, pos: int, word: str, pipe: Pipe) -> None:
        super().__init__(pos)
        self.word = word
        self.pipe = pipe
        self.body: list[Node] = []
        self.otherwise: list[Node] = []


class Invoke(Node):
    """``{{template "name" pipeline}}``"""

    __slots__ = ("name", "pipe")

    def __init__(self, pos: int, name: bytes, pipe: Pipe | None) -> None:
        super().__init__(pos)
        self.name = name
        self.pipe = pipe


class Jump(Node):
    """``break`` or ``continue`` (``word``)."""

    __slots__ = ("word",)

    def __init__(self, pos: int, word: str) -> None:
        super().__init__(pos)
        self.word = word


class Terminator(Node):
    """``end`` or ``else`` (``word``): ends a body and never stays in the tree."""

    __slots__ = ("word",)

    def __init__(self, pos: int, word: str) -> None:
        super().__init__(pos)
        self.word = word


class Trees(NamedTuple):
    """A parsed template text: the body of each defined name, and the text that positions refer to."""

    text: str
    bodies: dict[bytes, list[Node]]


Pieces = Sequence[str | Node]
_FIXED: Final[dict[type, str]] = {Dot: ".", Nil: "nil"}


def source(node: Node) -> str:
    """Return the text that Go prints for ``node``: canonical, not as it was written."""
    written: list[str] = []
    waiting: list[str | Node] = [node]
    while waiting:
        piece = waiting.pop()
        if isinstance(piece, str):
            written.append(piece)
        else:
            waiting.extend(reversed(_pieces(piece)))
    return "".join(written)


def _pieces(node: Node) -> Pieces:
    match node:
        case Literal():
            return (node.source,)
        case Identifier():
            return (node.name,)
        case Field():
            return [f".{name}" for name in node.names]
        case Variable():
            return (node.name, *(f".{name}" for name in node.names))
        case Chain():
            return (*_grouped(node.operand), *(f".{name}" for name in node.names))
        case Command():
            return [piece for arg in node.args for piece in (" ", *_grouped(arg))][1:]
        case Pipe():
            return _pipe_pieces(node)
        case Action():
            return ("{{", node.pipe, "}}")
        case Invoke():
            name = quote_str(node.name.decode("utf-8", "replace"))
            return (f"{{{{template {name}", *((" ", node.pipe) if node.pipe else ()), "}}")
    return (_FIXED.get(type(node), ""),)


def _grouped(node: Node) -> Pieces:
    return ("(", node, ")") if isinstance(node, Pipe) else (node,)


def _pipe_pieces(pipe: Pipe) -> Pieces:
    pieces: list[str | Node] = []
    for variable in pipe.variables:
        pieces += [", ", variable] if pieces else [variable]
    if pieces:
        pieces.append(" = " if pipe.assigns else " := ")
    for index, command in enumerate(pipe.commands):
        pieces += [" | ", command] if index else [command]
    return pieces

"""What the lowering knows about one open bracket, parameter list or statement."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CALL", "DEF", "DICT", "GROUP", "INDEX", "LAMBDA", "LIST", "STATEMENT", "Frame", "Pending", "Target", "Wrap"]

STATEMENT, GROUP, CALL, INDEX, LIST, DICT, DEF, LAMBDA = range(8)


class Pending(NamedTuple):
    """An operator, token `at`, whose right operand is not complete; its whole expression begins at `start`."""

    precedence: int
    start: int
    lowered: bool
    at: int


class Target(NamedTuple):
    """An operand that may turn out to be assigned to: a name, an attribute or an index, by its tokens."""

    kind: str
    start: int
    first: int
    last: int


class Wrap(NamedTuple):
    """A check around an expression that begins at token `start`; put when the expression is complete."""

    start: int
    prefix: str
    suffix: str
    origin: int


class Frame:
    """One level of nesting. `current` is the first token of the complete operand before the next token, or -1.

    A careful lowering also knows whether an operand is only tested (`test`: in a condition, `negated`: after `not`)
    and where the current argument of a call begins, with its place and the names of those before.
    """

    __slots__ = (
        "argument", "body", "comma", "compared", "composed", "current", "default", "first", "keyword", "keywords",
        "kind", "loop", "multiple", "negated", "opener", "parts", "pending", "place", "seen", "signature", "stars",
        "start", "targets", "test", "wrap",
    )  # fmt: skip

    def __init__(self, kind: int, opener: int, start: int) -> None:
        self.kind = kind
        self.opener = opener
        self.start = start
        self.seen: list[Target] = []
        self.pending: list[Pending] = []
        self.current = -1
        self.targets: list[Target] = []
        self.comma = False
        self.multiple = False
        self.default = False
        self.composed = False
        self.keyword = False
        self.loop = -1
        self.parts = 0
        self.wrap: Wrap | None = None
        self.stars = ""
        self.body = -1
        self.first = ""
        self.signature: list[str] = []
        self.test = False
        self.negated = False
        self.argument = -1
        self.place = 0
        self.compared = ""
        self.keywords: list[str] = []

    def renew(self) -> None:
        """Forget the finished statement."""
        self.seen, self.targets, self.current = [], [], -1
        self.comma = self.multiple = self.keyword = self.composed = self.test = self.negated = False
        self.loop, self.wrap = -1, None

"""Lower expressions: attributes, operators, indexes and iteration become calls of the prelude's helpers.

One pass over the tokens with a stack of brackets; in each, operators wait by precedence for their right operand.
Keywords such as `and` or `if` only end what waits. Lines stay; the author's columns are found again by `Edits`.
What the pass does not understand, or would make legal although the engine refuses it, raises `Unlowerable`: the
engine itself then says what is wrong with the original.
"""

from __future__ import annotations

from gitopsd.adapters.starlark import frames
from gitopsd.adapters.starlark.arguments import Arguments
from gitopsd.adapters.starlark.frames import Frame, Pending, Target, Wrap
from gitopsd.adapters.starlark.lowered import MARK, Lowered, Unlowerable
from gitopsd.adapters.starlark.scanner import KEYWORDS, NEWLINES, RESERVED, is_name, is_number

__all__ = ["AUGMENTED", "BINARY", "CONSTANTS", "Expressions"]

_COMPARISON = 1
_UNARY = 8
BINARY: dict[str, tuple[int, str]] = {
    "==": (1, ""), "!=": (1, ""), "<": (1, "lt"), ">": (1, "gt"), "<=": (1, "le"), ">=": (1, "ge"), "in": (1, "in"),
    "|": (2, "or"), "^": (3, "xor"), "&": (4, "and"), "<<": (5, "shl"), ">>": (5, "shr"),
    "+": (6, "add"), "-": (6, "sub"), "*": (7, "mul"), "/": (7, "div"), "//": (7, "fdiv"), "%": (7, "mod"),
}  # fmt: skip
CONSTANTS = ("None", "True", "False")
_PREFIX = {"+": "pos", "-": "neg", "~": "inv"}
AUGMENTED = {f"{op}=": name for op, (level, name) in BINARY.items() if level > _COMPARISON}
_CHECKED_METHODS = frozenset(["extend", "format", "join", "update"])
_CAREFUL_METHODS = _CHECKED_METHODS | {"endswith", "startswith"}
LOCAL_BUILTINS = {"import_module": "importer", "read_file": "reader"}
_CLOSERS = {")": (frames.GROUP, frames.CALL, frames.DEF), "]": (frames.INDEX, frames.LIST), "}": (frames.DICT,)}


class Expressions(Arguments):
    """What one pass does inside of expressions. `lowering.py` has the statements."""

    def result(self) -> Lowered:
        """Apply the edits that depend on what the whole file binds, and render."""
        for at, name in self.local_uses.items():
            if name not in self.bound:
                self.edits.out[at] = f"{MARK}{LOCAL_BUILTINS[name]}({self.path})"
        for name, wrap, last in self.checked_calls:
            if name not in self.bound:
                self.edits.open(wrap.start, wrap.prefix, wrap.origin)
                self.edits.close(last, wrap.suffix)
        return Lowered(
            text=self.edits.text(),
            names=tuple(sorted(self.names)),
            exports=tuple(self.exports),
            imports=tuple(self.imports),
            signatures={name: tuple(parameters) for name, parameters in self.signatures.items()},
        )

    # operands

    def operand(self, at: int) -> None:
        """A literal, or what begins like one."""
        frame = self.frame
        if frame.current >= 0:
            raise Unlowerable("two operands")
        frame.current = at
        frame.seen = []
        frame.multiple = False

    def name(self, at: int) -> None:
        """An identifier that is not a keyword."""
        token = self.tokens[at]
        if token in RESERVED or token.startswith(MARK):
            raise Unlowerable(token)
        self.operand(at)
        self.names.add(token)
        frame = self.frame
        if frame.kind >= frames.DEF and not frame.default:
            self.bound.add(token)
            frame.signature.append(token)
            return
        frame.seen = [Target("name", at, at, at)]
        if token not in CONSTANTS:
            self.placed = at
        if token in LOCAL_BUILTINS:
            self.local_uses[at] = token

    def dot(self, at: int) -> None:
        """Read an attribute."""
        frame, named = self.frame, self.following(at)
        name = self.tokens[named]
        if frame.current < 0 or not is_name(name) or name in KEYWORDS or name in RESERVED:
            raise Unlowerable("attribute")
        edits, start = self.edits, frame.current
        edits.out[at] = ","
        if name in self.plan_methods:
            edits.open(start, f"{MARK}pattr(", at)
            edits.out[named] = f'"{name}",{self.path},{edits.line_of(at)})'
        else:
            checked = name in (_CAREFUL_METHODS if self.careful else _CHECKED_METHODS)
            edits.open(start, f"{MARK}method(" if checked else f"{MARK}attr(", at)
            edits.out[named] = f'"{name}")'
        self.placed = at
        frame.seen = [Target("attribute", start, at, named)]
        frame.multiple = False
        self.index = named

    # brackets

    def push(self, kind: int, at: int, start: int) -> None:
        """Enter a bracket."""
        self.frame = Frame(kind, at, start)
        self.stack.append(self.frame)

    def parenthesis(self, at: int) -> None:
        """A call or a group."""
        start = self.frame.current
        if start < 0:
            self.push(frames.GROUP, at, at)
            return
        self.push(frames.CALL, at, start)
        self.frame.argument = self.following(at)
        if self.careful:
            self.edits.open(start, f"{MARK}callee(", at)
            self.edits.close(self.previous, ")")
        callee = self.tokens[start]
        if start == self.previous and (callee in ("max", "min", "sorted", "import_module")):
            self.frame.first = callee
            self.note_import(callee, at)

    def note_import(self, callee: str, at: int) -> None:
        """Remember `import_module("literal")`."""
        literal = self.following(at)
        if callee == "import_module" and self.tokens[literal][:1] in "\"'":
            text = self.tokens[literal]
            if self.tokens[self.following(literal)] == ")" and "\\" not in text and len(text) > 2:
                self.imports[text.strip(text[0])] = None

    def square(self, at: int) -> None:
        """An index, a slice or a list."""
        start = self.frame.current
        self.push(frames.LIST if start < 0 else frames.INDEX, at, max(start, at) if start < 0 else start)

    def brace(self, at: int) -> None:
        """A dict."""
        if self.frame.current >= 0:
            raise Unlowerable("brace")
        self.push(frames.DICT, at, at)

    def closing(self, at: int) -> None:
        """Leave a bracket: the whole becomes the operand of the frame around it."""
        frame = self.frame
        if len(self.stack) < 2 or frame.kind not in _CLOSERS[self.tokens[at]] or frame.loop >= 0:
            raise Unlowerable("bracket")
        self.flush()
        self.finish_argument()
        if frame.compared:
            self.check_compared()
        if frame.kind == frames.DICT and frame.place:
            self.placed = frame.place
        if frame.kind == frames.INDEX:
            self.finish_index(frame, at)
        if frame.kind == frames.CALL or (frame.kind == frames.INDEX and not frame.parts):
            self.placed = frame.opener
        self.stack.pop()
        outer = self.frame = self.stack[-1]
        if frame.kind == frames.DEF:
            outer.current = -1
            return
        outer.current = frame.start
        outer.seen, outer.multiple = [], False
        if frame.kind in (frames.GROUP, frames.LIST):
            outer.seen = frame.targets + frame.seen
            outer.multiple = frame.comma or frame.multiple or frame.kind == frames.LIST
        elif frame.kind == frames.INDEX and not frame.parts:
            outer.seen = [Target("index", frame.start, frame.opener, at)]

    def finish_index(self, frame: Frame, at: int) -> None:
        """Turn `x[i]` or `x[a:b:c]` into a call."""
        out, empty = self.edits.out, frame.current < 0
        if frame.parts == 0:
            if empty:
                raise Unlowerable("empty index")
            self.edits.open(frame.start, f"{MARK}index(", frame.opener)
            out[at] = "))" if frame.comma else ")"
        else:
            # The engine gives a slice no place of its own: it has that of what its operands evaluated last.
            self.edits.open(frame.start, f"{MARK}slice(", self.placed if self.placed >= frame.start else frame.opener)
            self.edits.sliced.setdefault(frame.start, frame.opener)
            out[at] = ("None" if empty else "") + (",None)" if frame.parts == 1 else ")")
        out[frame.opener] = ",(" if frame.comma else ","

    # operators

    def reduce(self, level: int) -> None:
        """Complete the operators that bind at least as tightly as `level`."""
        frame = self.frame
        pending = frame.pending
        if pending and frame.current < 0:
            raise Unlowerable("operand missing")
        while pending and pending[-1].precedence >= level:
            done = pending.pop()
            if done.lowered:
                self.edits.close(self.previous, ")")
            self.placed = done.at
            frame.current = done.start
            frame.seen = []
            frame.multiple = False

    def flush(self) -> None:
        """Complete every operator that waits."""
        frame = self.frame
        if frame.pending:
            self.reduce(0)
        if frame.test or frame.negated:
            self.note_truth()

    def binary(self, at: int) -> None:
        """An operator; without an operand before it a sign or the star of an argument."""
        token, frame = self.tokens[at], self.frame
        if frame.current < 0:
            self.prefix(at)
            return
        level, helper = BINARY[token]
        if self.careful:
            helper = helper or {"==": "eq", "!=": "ne"}[token]
        self.reduce(level + (level == _COMPARISON))
        if level == _COMPARISON and frame.pending and frame.pending[-1].precedence == _COMPARISON:
            raise Unlowerable("chained comparison")
        if token == "+" and self.are_bytes(frame.current, at):
            helper = ""  # the compiler joins literals; at run time bytes cannot be added
        if helper:
            self.edits.open(frame.current, f"{MARK}{helper}(", at)
            self.edits.out[at] = ","
        frame.pending.append(Pending(level, frame.current, bool(helper), at))
        frame.current = -1

    def are_bytes(self, left: int, at: int) -> bool:
        """Tell whether both sides of an operator are bytes literals."""
        sides = (self.tokens[left], self.tokens[self.following(at)])
        return all(side[:1] in ("b", "r") and side[-1] in "\"'" and "b" in side[:2] for side in sides)

    def prefix(self, at: int) -> None:
        """A sign before its operand, or `*` and `**` before an argument or a parameter."""
        token, frame = self.tokens[at], self.frame
        if token in _PREFIX and frame.current < 0:
            lowered = not is_number(self.tokens[at + 1])
            if lowered:
                self.edits.part(at)
                self.edits.out[at] = f"{MARK}{_PREFIX[token]}("
            frame.pending.append(Pending(_UNARY, at, lowered, at))
        elif token in ("*", "**") and frame.current < 0 and not frame.pending:
            self.star(at)
        else:
            raise Unlowerable(token)

    def star(self, at: int) -> None:
        """Unpacked arguments are checked; the star of a parameter stays."""
        frame = self.frame
        if frame.kind == frames.CALL and frame.wrap is None:
            frame.stars = self.tokens[at]
            helper = "star(" if frame.stars == "*" else "stars("
            suffix = ")"
            is_named = all(token in NEWLINES for token in self.tokens[frame.start + 1 : frame.opener])
            if self.careful and helper == "stars(" and frame.keywords and is_named:
                helper, suffix = f"stars_of({self.tokens[frame.start]},", f",{frame.keywords})"
            frame.wrap = Wrap(self.following(at), f"{MARK}{helper}", suffix, frame.opener)
        elif frame.kind >= frames.DEF and not frame.default:
            frame.signature.append(self.tokens[at])
        else:
            raise Unlowerable("star")

    def negation(self, at: int) -> None:
        """`not x`, or the `not` of `not in`."""
        frame, after = self.frame, self.following(at)
        if frame.current < 0:
            if frame.pending:
                raise Unlowerable("not after an operator")
            frame.composed = frame.negated = True
            return
        if self.tokens[after] != "in":
            raise Unlowerable("not")
        self.reduce(_COMPARISON + 1)
        if frame.pending:
            raise Unlowerable("chained comparison")
        self.edits.open(frame.current, f"{MARK}nin(", at)
        self.edits.out[at], self.edits.out[after] = ",", ""
        frame.pending.append(Pending(_COMPARISON, frame.current, True, at))
        frame.current = -1
        self.index = after

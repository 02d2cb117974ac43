"""Lower a module: its statements, and the table that says what each token does."""

from __future__ import annotations

from collections.abc import Callable

from gitopsd.adapters.starlark import frames
from gitopsd.adapters.starlark.expressions import AUGMENTED, BINARY, CONSTANTS, Expressions
from gitopsd.adapters.starlark.frames import Target, Wrap
from gitopsd.adapters.starlark.lowered import MARK, Lowered, Unlowerable
from gitopsd.adapters.starlark.prelude import ORIGINALS
from gitopsd.adapters.starlark.scanner import NEWLINES, is_name, is_number, is_string

__all__ = ["lower", "origins"]


def lower(source: str, *, path: str, plan_methods: frozenset[str], careful: bool = False) -> Lowered:
    """Lower one file; `path` is baked into plan calls, imports and file reads. Raises Unlowerable.

    `careful` checks the callee of every call too: that only makes the text of one error better.
    """
    work = Lowering(source, path, plan_methods)
    work.careful = careful
    work.walk()
    return work.result()


def origins(
    source: str, *, path: str, plan_methods: frozenset[str], careful: bool = False
) -> dict[tuple[int, int], int]:
    """Lower again and map (line, column) of each helper's parenthesis to the author's line. Raises Unlowerable."""
    work = Lowering(source, path, plan_methods)
    work.careful = careful
    work.walk()
    work.result()
    return work.edits.origins(frozenset([*ORIGINALS, *CONSTANTS]) - work.bound)


class Lowering(Expressions):
    """One pass over a file."""

    def walk(self) -> None:
        """Visit every token once. Raises Unlowerable."""
        tokens, rules, count = self.tokens, _RULES, len(self.tokens)
        while self.index < count:
            at = self.index
            token = tokens[at]
            if token in NEWLINES or token == "":
                self.newline(token)
                self.index += 1
                continue
            if self.fresh:
                self.top_level, self.fresh = self.edits.gaps[at][:1] in ("", "\\"), False
            rule = rules.get(token)
            if rule is not None:
                rule(self, at)
            elif is_name(token):
                self.name(at)
            elif is_string(token) or is_number(token):
                self.operand(at)
            else:
                raise Unlowerable(token)
            self.previous = self.index
            self.index += 1

    def newline(self, token: str) -> None:
        """End a statement, unless a bracket is open."""
        if len(self.stack) == 1:
            self.end_statement()
            self.fresh = True
        elif token == "":
            raise Unlowerable("unclosed bracket")

    def end_statement(self) -> None:
        """Complete what waits and forget the statement."""
        if self.frame.loop >= 0:
            raise Unlowerable("for without in")
        self.flush()
        self.finish_argument()
        self.frame.renew()

    def semicolon(self, at: int) -> None:
        """End a statement inside of a line."""
        if len(self.stack) > 1:
            raise Unlowerable("semicolon")
        self.end_statement()

    # separators

    def separator(self, at: int) -> None:
        """`and`, `or`, `else`, `return`: what comes before is complete."""
        frame, token = self.frame, self.tokens[at]
        if token in ("and", "or"):
            frame.negated = True
        self.flush()
        if token not in ("and", "or"):
            frame.test = token == "elif"
        frame.current, frame.composed = -1, True

    def comma(self, at: int) -> None:
        """Separate arguments, elements, parameters or targets."""
        frame = self.frame
        self.flush()
        if frame.parts or (frame.wrap and frame.kind in (frames.LIST, frames.DICT)):
            raise Unlowerable("comma in a slice or after an iterable")
        if frame.kind == frames.CALL:
            self.finish_argument()
            frame.keyword, frame.argument = False, self.following(at)
        frame.targets.extend(frame.seen)
        frame.seen, frame.comma, frame.current, frame.default = [], True, -1, False

    def colon(self, at: int) -> None:
        """End a header or a lambda's parameters, or separate a key or the parts of a slice."""
        frame = self.frame
        empty = frame.current < 0
        if frame.kind == frames.LAMBDA:
            self.flush()
            self.stack.pop()
            outer = self.frame = self.stack[-1]
            if outer.keywords[-1:] == ["key"] and outer.argument == frame.opener:
                outer.body = self.following(at)
            return
        self.flush()
        frame.test = False
        if frame.kind == frames.INDEX:
            frame.parts += 1
            if frame.comma:
                raise Unlowerable("slice")
            self.edits.out[at] = "None," if empty else ","
            if frame.parts > 2:
                raise Unlowerable("slice")
        elif frame.kind == frames.STATEMENT:
            self.end_statement()
            self.top_level = False
        elif frame.kind == frames.DICT:
            frame.place = at
        else:
            raise Unlowerable("colon")
        frame.current = -1

    def condition(self, at: int) -> None:
        """`if` begins a condition; in a comprehension it ends the iterable."""
        self.flush()
        if self.frame.kind in (frames.LIST, frames.DICT):
            self.finish_argument()
        self.frame.current, self.frame.test = -1, True

    # binding

    def assign(self, at: int) -> None:
        """Targets, a keyword argument or a default."""
        frame = self.frame
        self.flush()
        if frame.kind == frames.STATEMENT and frame.wrap is None and frame.current >= 0 and not frame.composed:
            several = frame.comma or frame.multiple
            self.bind(frame.targets + frame.seen)
            if several:
                frame.wrap = Wrap(self.following(at), f"{MARK}sequence((", "))", at)
        elif frame.kind == frames.CALL and frame.wrap is None and self.is_plain_name():
            self.local_uses.pop(self.previous, None)
            frame.keyword, frame.argument = True, self.following(at)
            frame.keywords.append(self.tokens[self.previous])
        elif frame.kind >= frames.DEF and not frame.default and frame.signature and frame.current >= 0:
            frame.default = True
            frame.signature[-1:] = [frame.signature[-1] + "="]
        else:
            raise Unlowerable("=")
        frame.seen, frame.current = [], -1

    def is_plain_name(self) -> bool:
        """Tell whether the operand before is one name and nothing else."""
        frame = self.frame
        named = len(frame.seen) == 1 and frame.seen[0].kind == "name" and frame.seen[0].first == self.previous
        return named and frame.current == self.previous

    def bind(self, targets: list[Target]) -> None:
        """Make targets assignable again and note the names that they bind."""
        edits = self.edits
        for target in targets:
            if target.kind == "name":
                name = self.tokens[target.first]
                self.bound.add(name)
                if self.top_level and len(self.stack) == 1:
                    self.exports[name] = None
            elif target.kind == "index":
                edits.reopen(target.start, f"{MARK}items(", target.first)
                opener, closer = (f")[{MARK}key(", ")]") if self.careful else (")[", "]")
                edits.out[target.first] = edits.out[target.first].replace(",", opener, 1)
                edits.out[target.last] = edits.out[target.last][:-1] + closer
            else:
                name = self.tokens[target.last]
                edits.reopen(target.start, f"{MARK}fields(", target.first)
                edits.out[target.first], edits.out[target.last] = f',"{name}").', name

    def augment(self, at: int) -> None:
        """`x += e` and its like."""
        frame, edits = self.frame, self.edits
        self.flush()
        one = len(frame.seen) == 1 and not (frame.comma or frame.multiple or frame.composed)
        if frame.kind != frames.STATEMENT or frame.wrap or not one:
            raise Unlowerable("augmented assignment")
        target, operator = frame.seen[0], AUGMENTED[self.tokens[at]]
        edits.stored[at] = target.first
        edits.out[at] = f')("{operator}",('
        if target.kind == "name":
            name = self.tokens[target.first]
            self.bind([target])
            edits.out[at] = f"= {MARK}i{operator}({name},("
        elif target.kind == "index":
            edits.reopen(target.start, f"{MARK}iitem(", target.first)
            edits.out[target.last] = edits.out[target.last][:-1]
        else:
            edits.reopen(target.start, f"{MARK}ifield(", target.first)
            edits.out[target.last] = f'"{self.tokens[target.last]}"'
        frame.wrap = Wrap(self.following(at), "", "))", at)
        frame.seen, frame.current = [], -1

    def loop(self, at: int) -> None:
        """`for` begins the variables of a loop or a comprehension."""
        frame = self.frame
        self.flush()
        if frame.kind not in (frames.STATEMENT, frames.LIST, frames.DICT) or frame.loop >= 0:
            raise Unlowerable("for")
        if frame.kind != frames.STATEMENT:
            self.finish_argument()
        frame.loop, frame.current, frame.test = at, -1, False
        frame.targets, frame.seen, frame.comma = [], [], False

    def contained(self, at: int) -> None:
        """`in` ends the variables of a loop, or is an operator."""
        frame = self.frame
        if frame.loop < 0:
            self.binary(at)
            return
        if frame.pending or frame.current < 0:
            raise Unlowerable("loop variables")
        self.bind(frame.targets + frame.seen)
        frame.wrap = Wrap(self.following(at), f"{MARK}iterable((", "))", frame.loop)
        frame.loop, frame.current = -1, -1
        frame.targets, frame.seen, frame.comma = [], [], False

    def define(self, at: int) -> None:
        """`def name(`."""
        named = self.following(at)
        name, opener = self.tokens[named], self.following(named)
        if not is_name(name) or self.tokens[opener] != "(" or len(self.stack) > 1 or name.startswith(MARK):
            raise Unlowerable("def")
        self.names.add(name)
        self.bound.add(name)
        self.push(frames.DEF, opener, opener)
        if self.top_level:
            self.exports[name] = None
            self.signatures[name] = self.frame.signature
        self.index = opener

    def function(self, at: int) -> None:
        """`lambda` and its parameters."""
        frame = self.frame
        if frame.pending or frame.current >= 0:
            raise Unlowerable("lambda")
        self.push(frames.LAMBDA, at, at)
        if self.top_level and len(self.stack) == 2 and self.tokens[self.previous] == "=" and self.exports:
            self.signatures.setdefault(next(reversed(self.exports)), self.frame.signature)

    def ignore(self, at: int) -> None:
        """`pass`, `break` and `continue` have nothing to lower."""
        if self.frame.current >= 0 or self.frame.pending:
            raise Unlowerable("statement")

    def load(self, at: int) -> None:
        """`load(...)` keeps its literals."""
        self.operand(at)


Rule = Callable[[Lowering, int], None]
_RULES: dict[str, Rule] = {
    **dict.fromkeys(BINARY, Lowering.binary),
    **dict.fromkeys(AUGMENTED, Lowering.augment),
    **dict.fromkeys(("and", "or", "else", "return", "elif", "while"), Lowering.separator),
    **dict.fromkeys(("pass", "break", "continue"), Lowering.ignore),
    "in": Lowering.contained,
    "**": Lowering.prefix,
    "~": Lowering.prefix,
    "not": Lowering.negation,
    ".": Lowering.dot,
    "(": Lowering.parenthesis,
    "[": Lowering.square,
    "{": Lowering.brace,
    ")": Lowering.closing,
    "]": Lowering.closing,
    "}": Lowering.closing,
    ",": Lowering.comma,
    ":": Lowering.colon,
    ";": Lowering.semicolon,
    "=": Lowering.assign,
    "if": Lowering.condition,
    "for": Lowering.loop,
    "lambda": Lowering.function,
    "def": Lowering.define,
    "load": Lowering.load,
}

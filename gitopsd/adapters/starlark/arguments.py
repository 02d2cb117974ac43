"""What the lowering of expressions remembers, and the checks that it puts around arguments and conditions."""

from __future__ import annotations

from gitopsd.adapters.starlark import frames
from gitopsd.adapters.starlark.edits import Edits
from gitopsd.adapters.starlark.frames import Frame, Wrap
from gitopsd.adapters.starlark.lowered import MARK, Unlowerable
from gitopsd.adapters.starlark.scanner import NEWLINES, scan

__all__ = ["Arguments"]

_CHECKED_CALLS = frozenset(["max", "min", "sorted"])


class Arguments:
    """The state of one pass, and what it does when an argument, an iterable or a condition is complete."""

    def __init__(self, source: str, path: str, plan_methods: frozenset[str]) -> None:
        gaps, self.tokens = scan(source)
        self.edits = Edits(gaps, self.tokens)
        self.path = '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
        self.plan_methods = plan_methods
        self.careful = False
        self.stack = [Frame(frames.STATEMENT, 0, 0)]
        self.frame = self.stack[0]
        self.index = 0
        self.previous = -1
        self.placed = -1
        self.top_level = True
        self.fresh = True
        self.names: set[str] = set()
        self.exports: dict[str, None] = {}
        self.imports: dict[str, None] = {}
        self.bound: set[str] = set()
        self.signatures: dict[str, list[str]] = {}
        self.local_uses: dict[int, str] = {}
        self.checked_calls: list[tuple[str, Wrap, int]] = []

    def following(self, at: int) -> int:
        """The next token that counts; at the end of the file the empty one."""
        at = min(at + 1, len(self.tokens) - 1)
        while len(self.stack) > 1 and self.tokens[at] in NEWLINES:
            at += 1
        return at

    def finish_argument(self) -> None:
        """Put the checks around a complete argument, iterable or right side."""
        frame, stars = self.frame, ""
        if frame.body >= 0:
            self.check_key()
        if frame.wrap is not None:
            if frame.current < 0:
                raise Unlowerable("nothing to check")
            self.edits.open(frame.wrap.start, frame.wrap.prefix, frame.wrap.origin)
            self.edits.close(self.previous, frame.wrap.suffix)
            frame.argument, stars = frame.wrap.start, frame.stars
            frame.wrap, frame.compared = None, ""
        elif frame.first in _CHECKED_CALLS and not frame.keyword and frame.current >= 0:
            self.check_first()
        frame.first = ""
        if self.careful and frame.kind == frames.CALL and frame.current >= 0:
            self.note_argument(stars)

    def note_argument(self, stars: str) -> None:
        """Let a careful evaluation see the types of arguments, for what the engine may say of them."""
        frame = self.frame
        call = f"{self.path},{frame.opener}".replace('",', ":") + '"'
        self.edits.open(frame.argument, f'{MARK}arg({call},{frame.place},"{stars}",', frame.argument)
        self.edits.close(self.previous, ")")
        frame.place += 1

    def note_truth(self) -> None:
        """Let a careful evaluation decide by the engine's rules whether an operand is true."""
        frame = self.frame
        if self.careful and frame.current >= 0:
            self.edits.open(frame.current, f"{MARK}truth(", frame.current)
            self.edits.close(self.previous, ")")
        frame.negated = False

    def check_first(self) -> None:
        """Check what `sorted`, `max` and `min` order: one iterable, or the arguments themselves."""
        frame, tokens = self.frame, self.tokens
        second = self.following(self.index)
        by_key = tokens[self.following(second)] == "="
        alone = tokens[self.index] == ")" or tokens[second] == ")"
        if frame.first == "sorted" or alone or by_key or tokens[second] in ("*", "**"):
            helper = "order" if alone else "first"
            wrap = Wrap(self.following(frame.opener), f'{MARK}{helper}("{frame.first}",', ")", frame.opener)
            self.checked_calls.append((frame.first, wrap, self.previous))
        else:
            frame.compared = frame.first

    def check_key(self) -> None:
        """Check what the lambda gives that `sorted`, `max` or `min` orders by."""
        frame = self.frame
        name = self.tokens[frame.start]
        if name in _CHECKED_CALLS and frame.current >= 0:
            wrap = Wrap(frame.body, f"{MARK}ordering(", ")", frame.opener)
            self.checked_calls.append((name, wrap, self.previous))
        frame.body = -1

    def check_compared(self) -> None:
        """Check the arguments of `max(a, b, ...)`; a key or stars make it something else."""
        frame = self.frame
        if not frame.keywords:
            start = self.following(frame.opener)
            wrap = Wrap(start, f'*{MARK}elements("{frame.compared}",(', "))", frame.opener)
            self.checked_calls.append((frame.compared, wrap, self.previous))

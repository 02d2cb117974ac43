"""The engine's errors in the author's terms: no helper in the stack, the author's lines, the engine's own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from gitopsd.adapters.starlark import binding as starlark_go
from gitopsd.adapters.starlark.cache import LoweredSources
from gitopsd.adapters.starlark.crossing import TOKEN
from gitopsd.adapters.starlark.lowered import MARK, Unlowerable
from gitopsd.adapters.starlark.lowering import origins
from gitopsd.adapters.starlark.prelude import FILE
from gitopsd.adapters.starlark.printing import render
from gitopsd.adapters.starlark.spelling import nearest
from gitopsd.evaluate.engine import ProblemKind, SourcePosition, StackFrame, StarlarkProblem

__all__ = ["Translator"]

_FRAME = re.compile(r"^  (?:(?P<file>.*):(?P<line>\d+):(?P<column>\d+)|<builtin>): in (?P<function>.*)$")
_MISSING = re.compile(r"getattr: (?P<type>\S+) has no \.(?P<name>.*) field or method\Z", re.DOTALL)
_SPECIAL = f"(<built-in function {MARK}>"
_EXAMPLES = {"string": '""', "list": "[]", "dict": "{}", "bytes": 'b""'}
_REWORDED = {
    "unhashable: bytes.elems": "unhashable: module",
    "unhashable: string.codepoints": "unhashable: an object of a Kurtosis type",
    "load not implemented by this application": 'load is not available: expected import_module("path/to/file.star")',
}
_TYPE = re.compile(r"\b(?:tuple|function)\b(?!:| index| of)")
_NAMING = re.compile(
    r"(?:too many|not enough) values to unpack \(got|got \w+ in sequence assignment|got \w+, want int\Z"
)
_NOTING = frozenset(["_percent", "slice"])
_FUNCTION = re.compile(f"<function {MARK}[^>]*>")


class Translator:
    """Makes problems out of errors. `sources` holds the text of every file that was executed, by path."""

    def __init__(
        self,
        sources: Mapping[str, str],
        *,
        lowered: LoweredSources,
        attributes: Callable[[str], list[str]],
        operands: Callable[[], list[tuple[str, str]]],
    ) -> None:
        self._sources = sources
        self._lowered = lowered
        self._attributes = attributes
        self._operands = operands
        self._origins: dict[str, dict[tuple[int, int], int]] = {}

    def problem(
        self, error: Exception, path: str, *, message: str | None = None, kind: ProblemKind = "eval"
    ) -> StarlarkProblem:
        """Translate an error of the execution of `path`; `message` replaces the engine's own."""
        match error:
            case starlark_go.SyntaxError():
                position = SourcePosition(file=path, line=error.line)
                return StarlarkProblem(error.msg, kind="syntax", position=position)
            case starlark_go.ResolveError():
                return _unresolved(error, path)
            case starlark_go.EvalError():
                return self._at_run_time(error, path, message, kind)
            case _:
                position = SourcePosition(file=path, line=0)
                return StarlarkProblem(message or str(error), kind=kind, position=position)

    def _at_run_time(
        self, error: starlark_go.EvalError, path: str, message: str | None, kind: ProblemKind
    ) -> StarlarkProblem:
        frames = [found for line in error.backtrace.splitlines() if (found := _FRAME.match(line))]
        frames = [frame for frame in frames if frame["file"] is not None]
        is_stored = bool(frames) and frames[-1]["function"] == f"{MARK}_stored"
        stack = tuple(
            StackFrame(
                file=frame["file"],
                line=self._line(frame, is_stored=is_stored and frame is frames[-2]),
                function=frame["function"],
            )
            for frame in frames
            if frame["file"] != FILE
        )
        last = stack[-1] if stack else StackFrame(file=path, line=0, function="")
        is_native = "\nError in " in error.backtrace
        text = self._words(str(error.args[0]), frames, is_native=is_native) if message is None else message
        position = SourcePosition(file=last.file, line=last.line)
        return StarlarkProblem(text, kind=kind, position=position, stack=stack)

    def _words(self, message: str, frames: list[re.Match[str]], *, is_native: bool) -> str:
        """Undo what a helper added to the engine's words."""
        helper = frames[-1]["function"].removeprefix(MARK) if frames and frames[-1]["file"] == FILE else ""
        refused = helper != "fail" and bool(helper) and message.startswith("fail: ")
        if refused:
            message = message.removeprefix("fail: ")
        if helper == "attr" and (missing := _MISSING.match(message)):
            names = self._attributes(_EXAMPLES.get(missing["type"], "None"))
            message = message.removeprefix("getattr: ") + nearest(missing["name"], names)
        elif self._lowered.careful and not refused and (helper in _NOTING or is_native or _NAMING.match(message)):
            message = _renamed(message, self._operands())
        for own, others in _REWORDED.items():
            message = message.replace(own, others) if message.endswith(own) else message
        if _SPECIAL in message:
            message = _rendered(message)
        message = _FUNCTION.sub(lambda match: render(match[0]), message)
        return message.replace(f"function {MARK}_", "function ").replace(f"function {MARK}", "function ")

    def _line(self, frame: re.Match[str], *, is_stored: bool) -> int:
        """Find the author's line of a frame; `is_stored` when an augmented assignment failed to store its result."""
        path, line, column = frame["file"], int(frame["line"]), int(frame["column"])
        if path not in self._origins:
            try:
                self._origins[path] = origins(
                    self._sources[path],
                    path=path,
                    plan_methods=self._lowered.plan_methods,
                    careful=self._lowered.careful,
                )
            except (KeyError, Unlowerable):
                self._origins[path] = {}
        return self._origins[path].get((line, -column if is_stored else column), line)


def _unresolved(error: starlark_go.ResolveError, path: str) -> StarlarkProblem:
    """The first thing that was refused before a file ran, with the others; a name of our own counts if it is alone."""
    items = [item for item in error.errors if MARK not in item.msg] or error.errors[:1]
    first, *others = (
        StarlarkProblem(item.msg, kind="resolve", position=SourcePosition(file=path, line=item.line)) for item in items
    )
    first.others = tuple(others)
    return first


def _rendered(message: str) -> str:
    """Print a struct that the engine's message shows as the tuple that it is."""
    start = message.index(_SPECIAL)
    depth = 0
    for token in TOKEN.finditer(message, start):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0:
            return message[:start] + render(message[start : token.end()]) + message[token.end() :]
    return message


def _renamed(message: str, operands: list[tuple[str, str]]) -> str:
    """Name the author's types where the engine named its own, in the order of the operands."""
    if message.startswith("fail: "):
        return message
    if "sequence assignment" in message or " to unpack (" in message:
        return _unpacked(message, operands)
    left = _meant(message, operands)

    def name(match: re.Match[str]) -> str:
        for index, (own, author) in enumerate(left):
            if own == match[0]:
                del left[index]
                return author
        return match[0]

    return _TYPE.sub(name, message)


def _unpacked(message: str, operands: list[tuple[str, str]]) -> str:
    """Name what cannot be unpacked: what is a tuple to the engine alone has no number of values."""
    size = re.search(r"got (\d+)", message)
    own = f":{size[1]}" if size else "function"
    found = next((operand for operand in operands if operand[0].endswith(own)), ("", ""))
    return f"got {found[1]} in sequence assignment" if found[0].partition(":")[0] != found[1] else message


def _meant(message: str, operands: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Choose the operands that a message may speak of: an argument by its place or name, or what is in an argument."""
    if ("", "") not in operands:
        return list(operands)
    border = operands.index(("", ""))
    heads, elements = operands[:border], operands[border + 1 :]
    if any(words in message for words in (" for element ", " in list, ", " at index ")):
        return elements
    if place := re.search(r"for parameter (\d+):", message):
        return heads[int(place[1]) - 1 :]
    if "for parameter " in message:
        return [(own, author) for own, author in heads if own != author] + heads
    return heads["invalid start index" in message :][2 * ("invalid end index" in message) :] + elements

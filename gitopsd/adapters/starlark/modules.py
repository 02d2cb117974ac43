"""Modules: each file is executed once, on its own names, and published to those that import it.

The binding has one dictionary of globals for everybody, looked up by name when a function runs, and adds a file's
globals to it after the file was executed. So names that a later file uses but does not define are taken out before
it runs, and builtins that a file overwrote get their meaning back. Modules cannot be executed from within a call:
literal imports are loaded ahead, and any other import ends the execution with `Needed` and lets it start again.
"""

from __future__ import annotations

import contextlib
from typing import Any

from gitopsd.adapters.starlark import binding as starlark_go
from gitopsd.adapters.starlark.cache import LoweredSources
from gitopsd.adapters.starlark.errors import Translator
from gitopsd.adapters.starlark.lowered import MARK, Lowered, Unlowerable
from gitopsd.adapters.starlark.prelude import FILE, restoring
from gitopsd.evaluate.engine import (
    Host,
    HostError,
    MissingSource,
    ProblemKind,
    SourceFile,
    SourcePosition,
    StackFrame,
    StarlarkProblem,
)

__all__ = ["Modules", "Needed"]


class Needed(Exception):
    """An import met a module that is not loaded yet."""

    def __init__(self, source: SourceFile) -> None:
        super().__init__(source.path)
        self.source = source


class _Deferred(Exception):
    """A module that is loaded ahead imports one whose execution has not begun: try again when it is asked for."""


class Modules:
    """All modules of one evaluation."""

    def __init__(
        self, star: Any, host: Host, *, lowered: LoweredSources, builtins: tuple[str, ...], callbacks: Any
    ) -> None:
        self._star = star
        self._host = host
        self._lowered = lowered
        self._callbacks = callbacks
        self._builtins = frozenset(builtins)
        self._files: dict[tuple[str, str], SourceFile] = {}
        self._leaked: set[str] = set()
        self._active: list[str] = []
        self._suspended: set[str] = set()
        self._tabled: set[str] = set()
        self.sources: dict[str, str] = {}
        self.units: dict[str, Lowered] = {}
        self._ahead: dict[str, Lowered] = {}
        self.numbers: dict[str, int] = {}
        self.failed: dict[str, StarlarkProblem] = {}
        self.translator = Translator(
            self.sources, lowered=lowered, attributes=self._attribute_names, operands=lambda: callbacks.operands
        )

    def _attribute_names(self, example: str) -> list[str]:
        return list(self._star.eval(f"{MARK}_dir({example})"))

    def source(self, locator: str, calling_file: str) -> SourceFile:
        """Read a file once per locator and caller. Raises HostError."""
        key = (locator, calling_file)
        if key not in self._files:
            self._files[key] = self._host.source(locator, calling_file)
        return self._files[key]

    def imported(self, locator: str, calling_file: str) -> str:
        """Give the path under which an import finds its module. Raises HostError, StarlarkProblem, Needed."""
        source = self.source(locator, calling_file)
        if source.path in self.failed:
            raise self.failed[source.path]
        if source.path not in self._tabled:
            raise Needed(source)
        return source.path

    def look_ahead(self, source: SourceFile) -> None:
        """Lower a file and all that literal imports name from there; run nothing, and tell of no mistake."""
        waiting, met = [source], set[str]()
        while waiting:
            source = waiting.pop()
            if source.path in met:
                continue
            met.add(source.path)
            with contextlib.suppress(Unlowerable, UnicodeDecodeError):
                text = source.content.decode("utf-8")
                self._ahead[source.path] = self._lowered.lowered(source.path, text)
                for locator in self._ahead[source.path].imports:
                    with contextlib.suppress(HostError):
                        waiting.append(self.source(locator, source.path))

    def load(self, source: SourceFile, *, asked: bool) -> None:
        """Execute a file with what it imports. A problem is kept in `failed`; loading ahead may leave it undone."""
        path = source.path
        if path in self.numbers or path in self.failed:
            return
        self._active.append(path)
        try:
            unit = self._unit(source)
            self._load_ahead(path, unit)
            self._execute(path, unit, asked=asked)
        except StarlarkProblem as problem:
            self.failed[path] = problem
        except (_Deferred, MissingSource):
            if asked:
                raise
        finally:
            self._active.pop()

    def satisfy(self, needed: Needed) -> None:
        """Load what a running function asked for."""
        self.load(needed.source, asked=True)
        self.tabulate()

    def tabulate(self) -> None:
        """Let imports find every loaded module."""
        if self._tabled != self.numbers.keys():
            entries = ", ".join(f"{_literal(path)}: {MARK}M{number}" for path, number in self.numbers.items())
            self._star.exec(f"{MARK}_loaded = {{{entries}}}", filename=FILE)
            self._tabled = set(self.numbers)

    def _unit(self, source: SourceFile) -> Lowered:
        """Lower a file; what cannot be lowered is refused by the engine itself. Raises StarlarkProblem."""
        path = source.path
        try:
            text = source.content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = source.content[: error.start].count(b"\n") + 1
            raise _refused("the file is not UTF-8 text", path, line) from None
        if "\0" in text:
            raise _refused("the file holds a NUL character", path, text[: text.index("\0")].count("\n") + 1)
        self.sources[path] = text
        try:
            self.units[path] = self._ahead.get(path) or self._lowered.lowered(path, text)
        except Unlowerable:
            self._refuse(path, text)
        return self.units[path]

    def _refuse(self, path: str, text: str) -> None:
        """Let the engine say what is wrong with the original: an undefined name at its end keeps it from running."""
        self._forget(set(self._leaked))
        stop = f"{MARK}stop"
        try:
            self._star.exec(f"{text}\n{stop}\n", filename=path)
        except starlark_go.SyntaxError as error:
            # What is open at the end of the file runs into the name: without it the engine says where it ends.
            raise self._plain_problem(path, text) or self.translator.problem(error, path) from None
        except starlark_go.StarlarkError as error:
            problem = self.translator.problem(error, path)
            if stop not in problem.message:
                raise problem from None
            if text.endswith("\\"):  # which makes the name a part of the last line
                raise self._plain_problem(path, text) or problem from None
        raise _refused("this file cannot be evaluated: it nests or spells something in an unknown way", path, 0)

    def _plain_problem(self, path: str, text: str) -> StarlarkProblem | None:
        try:
            self._star.exec(text, filename=path)
        except starlark_go.StarlarkError as error:
            return self.translator.problem(error, path)
        return None

    def _load_ahead(self, path: str, unit: Lowered) -> None:
        for locator in unit.imports:
            try:
                source = self.source(locator, path)
            except HostError:
                continue
            if source.path not in self._active:
                self.load(source, asked=False)

    def _execute(self, path: str, unit: Lowered, *, asked: bool) -> None:
        """Run a file to its end, loading what its imports ask for, and publish it. Raises StarlarkProblem."""
        exports = ", ".join(f'"{name}": {name}' for name in unit.exports)
        while path not in self.numbers:
            number = len(self.numbers)
            self._prepare(path, unit)
            footer = f"{MARK}M{number} = {MARK}_module({_literal(path)}, {{{exports}}})"
            try:
                self._star.exec(f"{unit.text}\n\n{footer}\n", filename=path)
                self.numbers[path] = number
            except (starlark_go.SyntaxError, starlark_go.ResolveError):
                self._refuse(path, self.sources[path])
            except starlark_go.StarlarkError as error:
                self._after_error(error, path, asked=asked)
        self._leaked |= set(unit.exports) - self._builtins
        if overwritten := self._builtins.intersection(unit.exports):
            self._star.exec(restoring(overwritten), filename=FILE)

    def _prepare(self, path: str, unit: Lowered) -> None:
        self._forget(self._leaked.intersection(unit.names) - set(unit.exports))
        entries = []
        for locator in unit.imports:
            found = self._files.get((locator, path))
            if found is not None and found.path in self.numbers:
                key = _literal(path, locator)
                entries.append(f"{key}: {MARK}M{self.numbers[found.path]}")
        if entries:
            self._star.exec(f"{MARK}_literal = {{{', '.join(entries)}}}", filename=FILE)

    def _forget(self, names: set[str]) -> None:
        if names:
            self._star.set(**dict.fromkeys(names))
            for name in names:
                self._star.pop(name)
            self._leaked -= names

    def _after_error(self, error: Exception, path: str, *, asked: bool) -> None:
        """Load what was needed, so that the file can be executed again, or raise what went wrong."""
        cause = self._callbacks.take()
        if not isinstance(cause, Needed):
            raise self.explain(error, cause, path)
        needed = cause.source.path
        if needed in self._suspended and asked:
            raise self.translator.problem(error, path, message=f"import cycle: {needed} is being imported", kind="host")
        if needed in self._active and needed != path:
            raise _Deferred
        if needed == path:
            raise self.translator.problem(error, path, message=f"import cycle: {path} imports itself", kind="host")
        self._suspended.add(path)
        try:
            self.load(cause.source, asked=asked)
        finally:
            self._suspended.discard(path)
        if needed not in self.numbers and needed not in self.failed:
            raise _Deferred  # only who asks can tell where a cycle of imports is closed
        self.tabulate()

    def parameters(self, path: str, function: str) -> tuple[str, ...] | None:
        """The parameters of a function of a loaded module, also of one that has another name where it is defined
        (``run = other.run``); None when the name stands for something else."""
        unit = self.units[path]
        if function in unit.signatures or function not in unit.exports:
            return unit.signatures.get(function)
        places = [(item, name) for item in self.numbers for name in self.units[item].signatures]
        fields = [f'{MARK}M{self.numbers[item]}[3]("{name}", None)' for item, name in places]
        own = f'{MARK}M{self.numbers[path]}[3]("{function}", 0)'
        same = self._star.eval(f"[x == {own} for x in [{', '.join(fields)}]]")
        found = (place for place, is_same in zip(places, same, strict=True) if is_same)
        return next((self.units[item].signatures[name] for item, name in found), None)

    def explain(self, error: Exception, cause: Exception | None, path: str) -> Exception:
        """Make the problem of an execution that failed because of `cause`, or by itself."""
        if cause is None:
            return self.translator.problem(error, path)
        if isinstance(cause, StarlarkProblem):
            outer = self.translator.problem(error, path, message=cause.message)
            stack: tuple[StackFrame, ...] = outer.stack + cause.stack
            inner = StarlarkProblem(cause.message, kind=cause.kind, position=cause.position, stack=stack)
            inner.others = cause.others
            return inner
        if isinstance(cause, MissingSource):
            cause.place = cause.place or self.translator.problem(error, path, message=str(cause), kind="host")
            return cause
        if isinstance(cause, HostError):
            kind: ProblemKind = "eval" if getattr(cause, "spoken", False) else "host"
            return self.translator.problem(error, path, message=str(cause), kind=kind)
        if isinstance(cause, RecursionError):
            return self.translator.problem(error, path, message="a value is nested too deeply")
        return cause


def _refused(message: str, path: str, line: int) -> StarlarkProblem:
    return StarlarkProblem(message, kind="syntax", position=SourcePosition(file=path, line=line))


def _literal(*lines: str) -> str:
    """Write a Starlark string literal of some lines."""
    return '"' + "\\n".join(_escaped(line) for line in lines) + '"'


def _escaped(text: str) -> str:
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in text)

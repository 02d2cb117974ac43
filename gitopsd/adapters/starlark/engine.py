"""The interpreter: one evaluation with PyPI's starlark-go, used once, in a fresh process, in one thread.

Never execute or evaluate from a callback, give the binding a callable that nobody else holds, or use it from two
threads: each of these ends the process, or stops it for good. Only `set` may be called from a callback, and only while
the binding evaluates (`eval`): an execution keeps the lock that it wants.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from gitopsd.adapters.starlark import binding as starlark_go
from gitopsd.adapters.starlark.cache import LoweredSources
from gitopsd.adapters.starlark.callbacks import Callbacks
from gitopsd.adapters.starlark.hints import hint
from gitopsd.adapters.starlark.lowered import MARK
from gitopsd.adapters.starlark.modules import Modules, Needed
from gitopsd.adapters.starlark.prelude import FILE, ORIGINALS, builtin_names, prelude, published, restoring
from gitopsd.evaluate.engine import EntryPoint, Host, SourcePosition, StarlarkProblem, StarlarkValue, StructValue

__all__ = ["StarlarkEngine"]

_FRAMES = 10_000
"""Of Python, enough to walk the deepest values that json takes."""
_UNSURE = re.compile(
    r"\btuple\b|\bfunction\b(?! \w+ (?:accepts|got an|missing|called))"
    r"|to unpack \(got|for element 0$|has length \d+, want 2$"
)
"""Words of the interpreter for values that may be something else to the author."""


class StarlarkEngine:
    """Evaluates one package. `cache` is a directory for lowered sources (made with mode 0700)."""

    def __init__(self, host: Host, *, cache: str = "") -> None:
        self._host = host
        self._cache = cache

    def run(self, entry: EntryPoint, arguments: Mapping[str, StarlarkValue] | None) -> StarlarkValue:
        """Run the entry function with decoded JSON arguments and give its result.

        Raises StarlarkProblem for every fault of the package, MissingSource when a repository must be fetched first.
        """
        try:
            return self._run(entry, arguments)
        except StarlarkProblem as problem:
            unit = self._callbacks.modules.units.get(problem.file) if self._callbacks.modules else None
            for told in (problem, *problem.others):
                told.hint = hint(told.message, unit, (*ORIGINALS, *builtin_names(self._host.type_names)))
            raise

    def _run(self, entry: EntryPoint, arguments: Mapping[str, StarlarkValue] | None) -> StarlarkValue:
        """Evaluate, and once more with care where the first time may have missed something."""
        first = None
        try:
            result = self._evaluate(entry, arguments, careful=False)
            if not self._callbacks.odd:
                return result
        except StarlarkProblem as problem:
            if not self._callbacks.odd and not _UNSURE.search(problem.message):
                raise
            first = problem
        self._host.reset()
        try:
            return self._evaluate(entry, arguments, careful=True)
        except StarlarkProblem as problem:
            if first is not None and not self._callbacks.odd and problem.stack != first.stack:
                raise first from None
            raise

    def _evaluate(
        self, entry: EntryPoint, arguments: Mapping[str, StarlarkValue] | None, *, careful: bool
    ) -> StarlarkValue:
        """Evaluate once, from the beginning.

        `careful` takes the long way at every call, condition and equality: it knows the types that a message of the
        interpreter must name, and the truth of a duration of nothing.
        """
        self._callbacks = Callbacks(self._host)
        star = self._start(entry.file.path, careful=careful)
        methods = frozenset(self._host.plan_methods)
        modules = Modules(
            star,
            self._host,
            lowered=LoweredSources(self._cache, plan_methods=methods, careful=careful),
            builtins=builtin_names(self._host.type_names),
            callbacks=self._callbacks,
        )
        self._callbacks.modules = modules
        modules.look_ahead(entry.file)
        self._host.looked_ahead()
        modules.load(entry.file, asked=True)
        if entry.file.path in modules.failed:
            raise modules.failed[entry.file.path]
        call = self._call(entry, dict(arguments or {}), modules)
        while True:
            modules.tabulate()
            try:
                star.eval(call, filename=FILE)
            except starlark_go.StarlarkError as error:
                cause = self._callbacks.take()
                if not isinstance(cause, Needed):
                    raise modules.explain(error, cause, entry.file.path) from None
                modules.satisfy(cause)
                self._host.reset()
                self._callbacks.reset()
                continue
            return self._callbacks.result

    def _start(self, main: str, *, careful: bool) -> Any:
        """Run the prelude in a new engine."""
        host = self._host
        sys.set_int_max_str_digits(0)
        sys.setrecursionlimit(_FRAMES)
        star = self._callbacks.star = starlark_go.Starlark(globals=self._callbacks.functions)
        star.exec(
            f"{MARK}_literal = {{}}\n{MARK}_loaded = {{}}\n{MARK}_modules = {{}}\n",
            filename=FILE,
        )
        text = prelude(plan_methods=host.plan_methods, text_methods=host.text_methods, careful=careful)
        star.exec(text, filename=FILE)
        star.exec(
            published(plan_methods=host.plan_methods, type_names=host.type_names, constants=host.constants, main=main),
            filename=FILE,
        )
        star.exec(restoring(builtin_names(host.type_names)), filename=FILE)
        return star

    def _call(self, entry: EntryPoint, arguments: dict[str, StarlarkValue], modules: Modules) -> str:
        """Write the call of the entry function by Kurtosis' rules for its parameters. Raises StarlarkProblem."""
        path, function = entry.file.path, entry.function
        parameters = modules.parameters(path, function)
        names = [name.rstrip("=") for name in parameters or () if name not in ("*", "**")]
        if parameters is None and function not in modules.units[path].exports:
            raise _no_entry(f"no function '{function}' in {path}", path)
        parser = arguments.get("_kurtosis_parser", "dict")
        if parser not in ("dict", "struct"):
            raise _no_entry(f'_kurtosis_parser is {parser!r}: expected "dict" or "struct"', path)
        if function == "run" and names and names[0] != "plan":
            message = f"the first parameter of run must be plan, not {names[0]}"
            raise _no_entry(message, path, _line_of(function, modules.sources[path]))
        whole = function == "run" and len(names) == 2 and names[1] == "args"
        if parser == "struct" and not whole:
            line = _line_of(function, modules.sources[path])
            raise _no_entry('_kurtosis_parser "struct" needs `def run(plan, args)`', path, line)
        self._callbacks.given = _as_struct(arguments) if parser == "struct" else arguments
        plan = f"{MARK}_plan" if parameters is None or names[:1] == ["plan"] else ""
        given = f"{MARK}_arguments()" if whole else f"**{MARK}_arguments()"
        if parameters is not None and not names:
            plan = given = ""
        start = f'{MARK}_start({MARK}M{modules.numbers[path]}[3], "{function}")'
        self._callbacks.no_entry = _no_entry(f"'{function}' in {path} is not a function", path)
        return f"{MARK}_finish({start}({', '.join(filter(None, [plan, given]))}))"


def _no_entry(message: str, path: str, line: int = 0) -> StarlarkProblem:
    return StarlarkProblem(message, kind="entry", position=SourcePosition(file=path, line=line))


def _line_of(function: str, text: str) -> int:
    """The line that defines a function, or gives it its name; 0 when an import does."""
    found = re.search(rf"^(?:def\s+)?{re.escape(function)}\s*[(=]", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 0


def _as_struct(value: StarlarkValue) -> StarlarkValue:
    """Turn a dict, and dicts directly inside of dicts, into structs."""
    if not isinstance(value, dict):
        return value
    return StructValue(type_name="struct", fields={name: _as_struct(value[name]) for name in sorted(value)})

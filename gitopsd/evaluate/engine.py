"""The interpreter that `evaluate` needs, and the values that cross between it and the stage.

Nothing here knows which interpreter it is: `adapters/starlark` implements `Engine`, the evaluate stage implements
`Host`. Standard library only, so that a worker process starts quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

__all__ = [
    "Engine",
    "EntryPoint",
    "Host",
    "HostError",
    "MissingSource",
    "OpaqueValue",
    "ProblemKind",
    "SourceFile",
    "SourcePosition",
    "SourcesAhead",
    "StackFrame",
    "StarlarkProblem",
    "StarlarkValue",
    "StructValue",
]

ProblemKind = Literal["syntax", "resolve", "eval", "entry", "host"]
"""Where an evaluation failed: refused before it ran (syntax, resolve), at run time, no usable entry, or by the host."""

StarlarkValue = Any
"""None, bool, int, float, str, bytes, list, tuple, dict, range, StructValue or OpaqueValue.

A str whose bytes are not UTF-8 holds them as surrogate escapes. Written as Any because the union is recursive and
callers narrow it by `isinstance` anyway.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePosition:
    """A line (from 1; 0 when it is not known) of a file, named by its canonical locator."""

    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of a package: its canonical absolute locator and its bytes."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StructValue:
    """A `struct` (fields sorted by name) or an object of a Kurtosis type (set fields in declared order).

    `serial` tells apart objects of Kurtosis types, which are equal only to themselves; the engine gives it.
    """

    type_name: str
    fields: Mapping[str, StarlarkValue]
    serial: int = 0

    def __hash__(self) -> int:
        """Hash by shape, as values may be unhashable."""
        return hash((self.type_name, self.serial, tuple(self.fields)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaqueValue:
    """A value that cannot leave the interpreter: a function, a module, a time. `text` is its printed form."""

    type_name: str
    text: str
    payload: tuple[int | str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFrame:
    """One call on the Starlark stack, by the author's own lines. `function` is `<toplevel>` for a file's own code."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPoint:
    """What to run: the main file's canonical locator and the function in it."""

    file: SourceFile
    function: str = "run"


class HostError(Exception):
    """The host refuses a call: the message says what was wrong; the engine adds the author's file and line."""


class MissingSource(HostError):
    """The repository of a locator is not on this machine yet: fetch it and evaluate again. `place` says where it was
    asked for, as far as the engine knows."""

    def __init__(self, message: str, *, locator: str) -> None:
        super().__init__(message)
        self.locator = locator
        self.place: StarlarkProblem | None = None


class SourcesAhead(Exception):
    """Nothing ran yet, and sources that may be asked for are not on this machine: fetch them and evaluate again."""


class StarlarkProblem(Exception):
    """An evaluation failed. `file` and `line` are the innermost author's frame; `stack` is outermost first; `hint` says
    what may have been meant; `others` are what else was found in the same file before it ran."""

    def __init__(
        self, message: str, *, kind: ProblemKind, position: SourcePosition, stack: tuple[StackFrame, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind: ProblemKind = kind
        self.position = position
        self.stack = stack
        self.hint = ""
        self.others: tuple[StarlarkProblem, ...] = ()

    @property
    def file(self) -> str:
        """The canonical locator of the file where it happened."""
        return self.position.file

    @property
    def line(self) -> int:
        """The line where it happened, from 1; 0 when it is not known."""
        return self.position.line


class Host(Protocol):
    """What a package can reach outside of the language. Every method may raise HostError."""

    @property
    def plan_methods(self) -> tuple[str, ...]:
        """The names that can be called on `plan`."""

    @property
    def text_methods(self) -> tuple[str, ...]:
        """Those plan methods that get every argument in printed form (`print`)."""

    @property
    def type_names(self) -> tuple[str, ...]:
        """The type constructors (`ServiceConfig`, ...)."""

    @property
    def constants(self) -> Mapping[str, str]:
        """The members of the module `kurtosis`."""

    def call(
        self,
        method: str,
        args: tuple[StarlarkValue, ...],
        kwargs: dict[str, StarlarkValue],
        where: SourcePosition,
    ) -> StarlarkValue:
        """Call `plan.<method>`; the result is a fresh value, mutable for the package unless it is `Frozen`."""

    def construct(
        self, type_name: str, args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]
    ) -> Mapping[str, StarlarkValue]:
        """Give the fields that are set, checked, in declared order."""

    def source(self, locator: str, calling_file: str) -> SourceFile:
        """Read what `import_module` or `read_file` in `calling_file` asks for; may raise MissingSource."""

    def looked_ahead(self) -> None:
        """Every file that literal imports name was read, and nothing ran yet; may raise SourcesAhead."""

    def reset(self) -> None:
        """Forget all calls: the evaluation starts again (a module was met for the first time in a function)."""


class Engine(Protocol):
    """One evaluation. It is used once, in a process of its own, in one thread."""

    def run(self, entry: EntryPoint, arguments: Mapping[str, StarlarkValue] | None) -> StarlarkValue:
        """Run the entry function with decoded JSON arguments and give its result.

        Raises StarlarkProblem for every fault of the package, MissingSource when a repository must be fetched first.
        """

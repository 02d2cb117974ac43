"""What the prelude calls in Python. Exceptions wait here: the binding would carry only a mangled text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gitopsd.adapters.starlark import json_decoder, jsons, times
from gitopsd.adapters.starlark.crossing import NESTED, arguments, built, copied, incoming, parse, refuse_opaque, type_of
from gitopsd.adapters.starlark.lowered import MARK
from gitopsd.adapters.starlark.printing import render
from gitopsd.adapters.starlark.spelling import nearest
from gitopsd.evaluate.engine import Host, HostError, SourcePosition, StarlarkProblem, StarlarkValue
from gitopsd.model.values import Frozen

if TYPE_CHECKING:
    from gitopsd.adapters.starlark.modules import Modules

__all__ = ["Callbacks"]

_JSON = {"encode": jsons.encode, "decode": json_decoder.decode, "indent": jsons.indent}

_FROZEN = f"{MARK}_frozen"
"""The global that holds the frozen value that was made last."""


class _Spoken(HostError):
    """A refusal in the engine's own words, by a builtin that is written in Python."""

    spoken = True


class Callbacks:
    """The functions given to an engine; they live as long as this object does."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._error: Exception | None = None
        self._serial = 0
        self.star: Any = None
        self.modules: Modules | None = None
        self.given: StarlarkValue = None
        self.result: StarlarkValue = None
        self.odd = False
        self.operands: list[tuple[str, str]] = []
        self._arguments: dict[str, list[tuple[str, str]]] = {}
        self.no_entry: StarlarkProblem | None = None
        table: dict[str, Callable[..., Any]] = {
            "": lambda: None, "_call": self._call, "_construct": self._construct, "_render": render,
            "_json": self._json, "_time": self._time, "_time_read": self._time_read,
            "_time_method": self._time_method, "_time_operate": self._time_operate, "_time_names": times.names,
            "_import": self._import, "_read": self._read, "_nearest": nearest, "_given": self._given,
            "_result": self._finish, "_no_entry": self._no_entry, "_note": self._note,
            "_note_argument": self._note_argument,
        }  # fmt: skip
        self.functions: dict[str, Callable[..., Any] | None] = {
            f"{MARK}{name}": self._guarded(f"{MARK}{name}", function) for name, function in table.items()
        }
        self.functions[_FROZEN] = None

    def take(self) -> Exception | None:
        """Give the exception that ended the execution, once."""
        error, self._error = self._error, None
        return error

    def reset(self) -> None:
        """Start counting again: an evaluation that starts again gives the same values."""
        self._serial = 0

    def _guarded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def callback(*args: Any) -> Any:
            try:
                return function(*args)
            except Exception as error:
                self._error = error
                raise HostError(MARK) from None

        callback.__name__ = name
        return callback

    def _call(self, method: str, file: str, line: int, text: str) -> tuple[int, Any]:
        args, kwargs = arguments(text, method)
        answer = self._host.call(method, args, kwargs, SourcePosition(file=file, line=line))
        return self._frozen(dict(answer)) if isinstance(answer, Frozen) else incoming(answer)

    def _frozen(self, value: dict[str, StarlarkValue]) -> tuple[int, Any]:
        """Leave a value as a global, which freezes it, for the prelude to fetch.

        One with a text that the binding cannot carry is built by the prelude, and stays mutable.
        """
        kind, data = incoming(value)
        if kind == 0:
            self.star.set(**{_FROZEN: data})
            return 2, None
        return kind, data

    def _construct(self, type_name: str, text: str) -> str | tuple[str, Any]:
        """Check the fields of an object, and say how it is made of copies of what was given: by its serial number and
        the set fields in declared order, and by a program for the last to the first of those that nest containers."""
        fields = self._host.construct(type_name, *arguments(text, type_name))
        self._serial += 1
        copies = {name: copied(value) for name, value in fields.items()}
        answer = "\n".join([str(self._serial), *(copy + name for name, copy in copies.items())])
        nested = [name for name, copy in reversed(copies.items()) if copy == NESTED]
        for name in nested:
            refuse_opaque(fields[name], f"{type_name}: argument {name!r}")
        deep = [fields[name] for name in nested]
        return (answer, built(deep)) if deep else answer

    def _json(self, name: str, text: str) -> tuple[int, Any]:
        try:
            return incoming(_spoken(_JSON[name], *parse(text)))
        except jsons.UnknownMembersError as unknown:
            return 2, unknown.path

    def _time(self, name: str, text: str) -> times.Result:
        args, kwargs = parse(text)
        function = times.FUNCTIONS[name]
        return self._timed(function(args, kwargs) if name == "now" else _spoken(function, args, kwargs))

    def _time_read(self, text: str, name: str) -> times.Result:
        found: times.Result = _spoken(times.attribute, parse(text), name)
        return found

    def _time_method(self, name: str, text: str) -> times.Result:
        value, args, kwargs = parse(text)
        return self._timed(_spoken(times.method, value, name, args, kwargs))

    def _time_operate(self, operator: str, text: str) -> StarlarkValue:
        found = _spoken(times.operate, operator, *parse(text))
        return self._timed(found) if isinstance(found, tuple) else found

    def _timed(self, result: times.Result) -> times.Result:
        self.odd = self.odd or times.is_odd(result)
        return result

    def _import(self, file: str, text: str) -> str:
        locator = _only_text(text, "import_module", "module_file")
        if self.modules is None:
            raise HostError("import_module: not available yet")
        return self.modules.imported(locator, file)

    def _read(self, file: str, text: str) -> tuple[int, Any]:
        locator = _only_text(text, "read_file", "src")
        if self.modules is None:
            raise HostError("read_file: not available yet")
        content = self.modules.source(locator, file).content
        return incoming(content.decode("utf-8", "surrogateescape"))

    def _note(self, kinds: list[tuple[str, str]]) -> None:
        """Keep the types, the interpreter's and the author's, of what may be refused next."""
        self.operands = kinds

    def _note_argument(self, call: str, place: int, kinds: list[tuple[str, str]]) -> None:
        """Keep the types of the arguments of a call, and behind an empty pair those of what is in them."""
        if place == 0:
            self._arguments[call] = [("", "")]
        self.operands = self._arguments.setdefault(call, [("", "")])
        self.operands.insert(self.operands.index(("", "")), kinds[0])
        self.operands.extend(kinds[1:])

    def _given(self) -> tuple[int, Any]:
        return incoming(self.given)

    def _finish(self, text: str) -> None:
        self.result = parse(text)

    def _no_entry(self) -> None:
        raise self.no_entry or HostError("no entry")


def _spoken(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except HostError as error:
        raise _Spoken(str(error)) from None


def _only_text(text: str, function: str, parameter: str) -> str:
    """Read the one argument of `import_module` and `read_file`. Raises HostError."""
    args, kwargs = parse(text)
    if len(args) > 1:
        raise HostError(f"{function}: got {len(args)} arguments, want at most 1")
    unknown = [name for name in kwargs if name not in (parameter, "description")]
    if unknown:
        raise HostError(f'{function}: unexpected keyword argument "{unknown[0]}"')
    if args and parameter in kwargs:
        raise HostError(f'{function}: got multiple values for keyword argument "{parameter}"')
    given = {parameter: args[0], **kwargs} if args else kwargs
    if parameter not in given:
        raise HostError(f"{function}: missing argument for {parameter}")
    for name, value in given.items():
        if not isinstance(value, str):
            raise HostError(f"{function}: for parameter {name}: got {type_of(value)}, want string")
        if not value:
            raise HostError(
                f"{function}: {name} is empty: expected " + ("a locator" if name == parameter else "a text")
            )
    locator: str = given[parameter]
    return locator

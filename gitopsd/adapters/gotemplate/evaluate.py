"""Evaluate pipelines: commands, fields, variables and calls, with Go's wording of what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from .constants import Overflow
from .errors import CallError, LimitError, TemplateError
from .functions import FUNCTIONS, Want, call_name
from .methods import METHODS
from .nodes import Chain, Command, Dot, Field, Identifier, Literal, Nil, Node, Pipe, Variable, source
from .strconv import quote_str, readable
from .tasks import Task
from .values import INVALID, Boxed, Number, is_true, type_name, unboxed

# What a step pays for, so that steps bound time and, with the texts that they make, memory.
_MADE_BYTES_PER_STEP: Final = 8
_READ_BYTES_PER_STEP: Final = 64
_VARIABLES_PER_STEP: Final = 16


class Limits(NamedTuple):
    """What one rendering may use: bytes of output (and of any one text), and steps."""

    output: int
    steps: int


class Scope:
    """One invocation of a template: its name, variables, depth, and the node evaluated last."""

    __slots__ = ("depth", "name", "node", "variables")

    def __init__(self, name: bytes, dot: Any, *, depth: int) -> None:
        self.name = name
        self.variables: list[tuple[str, Any]] = [("$", dot)]
        self.depth = depth
        self.node: Node | None = None


class Evaluator:
    """Evaluates the pipelines of one rendering and keeps its budget of steps."""

    def __init__(self, text: str, name: str, limits: Limits) -> None:
        self.limits = limits
        self._text = text
        self._name = name
        self._steps = limits.steps

    def fail(self, scope: Scope, message: str) -> NoReturn:
        """Raise TemplateError at the node that was evaluated last."""
        node = scope.node
        assert node is not None  # set before the first statement is executed
        before = self._text[: node.pos]
        line = before.count("\n") + 1
        column = len(before[before.rfind("\n") + 1 :].encode("utf-8", "replace"))
        context = source(node)
        executing = quote_str(readable(scope.name))
        raise TemplateError(
            f"template: {self._name}:{line}:{column}: executing {executing} at <{context}>: {message}",
            phase="exec",
            line=line,
            column=column,
            context=context,
        )

    def charge(self, scope: Scope, steps: int) -> None:
        """Take ``steps`` from the budget and fail when it is used up."""
        self._steps -= steps
        if self._steps < 0:
            self.fail(scope, f"execution takes more than {self.limits.steps} steps")

    def limited(self, scope: Scope, make: Callable[[], bytes]) -> bytes:
        """Return the text that ``make`` makes, at the price of its length."""
        try:
            text = make()
        except LimitError as error:
            self.fail(scope, str(error))
        self.charge(scope, len(text) // _MADE_BYTES_PER_STEP)
        return text

    def assign(self, scope: Scope, name: str, value: Any) -> None:
        """Set the innermost variable of that name."""
        scope.variables[self._place(scope, name)] = (name, value)

    def _place(self, scope: Scope, name: str) -> int:
        variables = scope.variables
        place = next((at for at in range(len(variables) - 1, -1, -1) if variables[at][0] == name), -1)
        if place < 0:
            self.fail(scope, f"undefined variable: {name}")
        self.charge(scope, (len(variables) - place) // _VARIABLES_PER_STEP)
        return place

    def pipeline(self, scope: Scope, dot: Any, pipe: Pipe) -> Task:
        """Task: return the value of ``pipe`` after setting its variables."""
        scope.node = pipe
        value: Any = None
        final: list[Any] = []
        for command in pipe.commands:
            value = unboxed((yield from self._command(scope, dot, (command, final))))
            final = [value]
        for variable in pipe.variables:
            if pipe.assigns:
                self.assign(scope, variable.name, value)
            else:
                scope.variables.append((variable.name, value))
        return value

    def _command(self, scope: Scope, dot: Any, stage: tuple[Command, list[Any]]) -> Task:
        """Task: return the value of a command; ``final`` holds the value piped into it, if any."""
        command, final = stage
        self.charge(scope, len(command.args))
        first = command.args[0]
        given = len(command.args) - 1
        if isinstance(first, Identifier):
            return (yield from self._call(scope, dot, _Call(first, command, command.args[1:], final)))
        if isinstance(first, Field | Variable | Chain):
            receiver = yield from self._receiver(scope, dot, first)
            if isinstance(first, Variable) and not first.names:
                self._refuse_arguments(scope, command, final)
            return self._fields(scope, receiver, (first, given, len(final)))
        if not isinstance(first, Pipe):
            scope.node = first
        self._refuse_arguments(scope, command, final)
        if isinstance(first, Pipe):
            return (yield self.pipeline(scope, dot, first))
        if isinstance(first, Nil):
            self.fail(scope, "nil is not a command")
        return self._plain(scope, dot, first)

    def _refuse_arguments(self, scope: Scope, command: Command, final: list[Any]) -> None:
        if len(command.args) > 1 or final:
            self.fail(scope, f"can't give argument to non-function {source(command.args[0])}")

    def _plain(self, scope: Scope, dot: Any, node: Node) -> Any:
        """Return the value of dot or of a literal."""
        if isinstance(node, Dot):
            return dot
        assert isinstance(node, Literal)  # the parser makes no other operand
        if isinstance(node.value, Overflow):
            self.fail(scope, f"{node.source} overflows int")
        return node.value

    def _receiver(self, scope: Scope, dot: Any, node: Field | Variable | Chain) -> Task:
        """Task: return the value whose fields ``node`` takes."""
        scope.node = node
        if isinstance(node, Field):
            return dot
        if isinstance(node, Variable):
            return scope.variables[self._place(scope, node.name)][1]
        if isinstance(node.operand, Nil):
            self.fail(scope, f"indirection through explicit nil in {source(node)}")
        return (yield from self._argument(scope, dot, node.operand))

    def _fields(self, scope: Scope, receiver: Any, call: tuple[Field | Variable | Chain, int, int]) -> Any:
        """Return the field at the end of the node's names; a method there gets the arguments."""
        node, given, piped = call
        last = len(node.names) - 1
        self.charge(scope, last)
        for place, name in enumerate(node.names):
            count = given + piped if place == last else 0
            receiver = self._field(scope, receiver, (node, name, count))
        return receiver

    def _field(self, scope: Scope, receiver: Any, access: tuple[Node, str, int]) -> Any:
        node, name, count = access
        if receiver is INVALID:
            return INVALID
        value = unboxed(receiver)
        if value is INVALID:
            self.fail(scope, f"nil pointer evaluating interface {{}}.{name}")
        if isinstance(value, Number) and name in METHODS:
            if count:
                self.fail(scope, f"wrong number of args for {name}: want 0 got {count}")
            try:
                return METHODS[name](value)
            except CallError as error:
                scope.node = node
                self.fail(scope, f"error calling {name}: {error}")
        if not isinstance(value, dict):
            self.fail(scope, f"can't evaluate field {name} in type {type_name(receiver)}")
        if count:
            self.fail(scope, f"{name} is not a method but has arguments")
        key = name.encode()
        return Boxed(value[key]) if key in value else INVALID

    def _argument(self, scope: Scope, dot: Any, node: Node) -> Task:
        """Task: return the value of an operand that is not nil."""
        scope.node = node
        if isinstance(node, Pipe):
            return (yield self.pipeline(scope, dot, node))
        if isinstance(node, Identifier):
            return (yield from self._call(scope, dot, _Call(node, node, (), [])))
        if isinstance(node, Field | Variable | Chain):
            receiver = yield self._receiver(scope, dot, node)
            return self._fields(scope, receiver, (node, 0, 0))
        return self._plain(scope, dot, node)

    def _call(self, scope: Scope, dot: Any, call: _Call) -> Task:
        scope.node = call.identifier
        name = call.identifier.name
        self._check_count(scope, call)
        if name in ("and", "or"):
            return (yield from self._short_circuit(scope, dot, call))
        function = FUNCTIONS[name]
        values: list[Any] = []
        for place, arg in enumerate(call.args):
            values.append((yield from self._typed_argument(scope, dot, (arg, call.wanted(place)))))
        for value in call.final:
            values.append(self._fitted(scope, value, call.wanted(len(values))))
        if name == "call":
            values.insert(0, source(call.args[0]).encode() if call.args else call_name(values[0]))
        read = sum(len(value) for value in values if isinstance(value, bytes))
        self.charge(scope, read // _READ_BYTES_PER_STEP)
        try:
            result = function.call(values, self.limits.output)
        except CallError as error:
            scope.node = call.node
            self.fail(scope, f"error calling {name}: {error}")
        except LimitError as error:
            scope.node = call.node
            self.fail(scope, str(error))
        if isinstance(result, bytes):
            self.charge(scope, len(result) // _MADE_BYTES_PER_STEP)
        return result

    def _check_count(self, scope: Scope, call: _Call) -> None:
        name = call.identifier.name
        function = FUNCTIONS[name]
        given, wanted = len(call.args) + len(call.final), len(function.fixed)
        if function.rest is not None and given < wanted:
            self.fail(scope, f"wrong number of args for {name}: want at least {wanted} got {len(call.args)}")
        if function.rest is None and given != wanted:
            self.fail(scope, f"wrong number of args for {name}: want {wanted} got {given}")

    def _short_circuit(self, scope: Scope, dot: Any, call: _Call) -> Task:
        """Task: ``and`` and ``or`` evaluate until one argument decides, and return that argument."""
        decides = call.identifier.name == "or"
        value: Any = INVALID
        for arg in call.args:
            value = yield from self._typed_argument(scope, dot, (arg, Want.ANY))
            if is_true(value) is decides:
                return value
        return call.final[0] if call.final else value

    def _typed_argument(self, scope: Scope, dot: Any, typed: tuple[Node, Want]) -> Task:
        node, want = typed
        if isinstance(node, Nil):
            scope.node = node
            if want is Want.STRING:
                self.fail(scope, "cannot assign nil to string")
            return INVALID if want is Want.ANY else None
        if isinstance(node, Literal) and want is Want.STRING and type(node.value) is not bytes:
            scope.node = node
            self.fail(scope, f"expected string; found {node.source}")
        value = yield from self._argument(scope, dot, node)
        return self._fitted(scope, value, want)

    def _fitted(self, scope: Scope, value: Any, want: Want) -> Any:
        """Return ``value`` as an argument of that type, or fail as Go's reflection does."""
        if want is Want.ANY:
            return value
        plain = unboxed(value)
        if want is Want.INTERFACE:
            return None if plain is INVALID else plain
        if value is INVALID:
            self.fail(scope, "invalid value; expected string")
        if type(plain) is not bytes:
            shown = type_name(value if plain is INVALID else plain)
            self.fail(scope, f"wrong type for value; expected string; got {shown}")
        return plain


class _Call(NamedTuple):
    """A call to make: ``node`` is named when the function fails, ``final`` holds a piped value, if any."""

    identifier: Identifier
    node: Node
    args: Sequence[Node]
    final: list[Any]

    def wanted(self, place: int) -> Want:
        function = FUNCTIONS[self.identifier.name]
        if place < len(function.fixed):
            return function.fixed[place]
        assert function.rest is not None  # the number of arguments was checked
        return function.rest

"""Execute parsed templates over data: the walk over statements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from .evaluate import Evaluator, Limits, Scope
from .fmt import sprint
from .nodes import Action, Branch, Invoke, Jump, Node, Text, Trees
from .strconv import quote_str, readable
from .tasks import Task, run
from .values import INVALID, Boxed, Slice, is_integer, is_true

_MAX_TEMPLATE_DEPTH: Final = 100000
_NO_VALUE: Final = b"<no value>"


def execute(trees: Trees, data: Any, *, name: str, limits: Limits) -> bytes:
    """Return the output of the template ``name`` over ``data``. Raises TemplateError, phase ``exec``."""
    return _Executor(trees, name, limits).output(data)


class _Executor:
    def __init__(self, trees: Trees, name: str, limits: Limits) -> None:
        self._bodies = trees.bodies
        self._name = name.encode()
        self._evaluator = Evaluator(trees.text, name, limits)
        self._room = limits.output
        self._written: list[bytes] = []

    def output(self, data: Any) -> bytes:
        dot = INVALID if data is None else data
        scope = Scope(self._name, dot, depth=0)
        run(self._walk(scope, dot, self._bodies[self._name]))
        return b"".join(self._written)

    def _write(self, scope: Scope, text: bytes) -> None:
        self._room -= len(text)
        if self._room < 0:
            self._evaluator.fail(scope, f"output is longer than {self._evaluator.limits.output} bytes")
        self._written.append(text)

    def _walk(self, scope: Scope, dot: Any, body: list[Node]) -> Task:
        """Task: execute ``body`` and return ``break`` or ``continue`` where one ended it, else an empty word."""
        evaluator = self._evaluator
        for node in body:
            scope.node = node
            evaluator.charge(scope, 1)
            if isinstance(node, Text):
                self._write(scope, node.value)
            elif isinstance(node, Action):
                value = yield evaluator.pipeline(scope, dot, node.pipe)
                if not node.pipe.variables:
                    self._print(scope, node, value)
            elif isinstance(node, Jump):
                return node.word
            elif isinstance(node, Invoke):
                yield self._invoke(scope, dot, node)
            elif isinstance(node, Branch):
                mark = len(scope.variables)
                jump = yield self._branch(scope, dot, node)
                del scope.variables[mark:]
                if jump:
                    return jump
        return ""

    def _print(self, scope: Scope, node: Action, value: Any) -> None:
        scope.node = node
        if isinstance(value, bytes):
            self._write(scope, value)
        elif value is INVALID:
            self._write(scope, _NO_VALUE)
        else:
            text = self._evaluator.limited(scope, lambda: sprint([value], self._room))
            self._write(scope, text)

    def _branch(self, scope: Scope, dot: Any, node: Branch) -> Task:
        value = yield self._evaluator.pipeline(scope, dot, node.pipe)
        if node.word == "range":
            return (yield self._range(scope, dot, (node, value)))
        if is_true(value):
            return (yield self._walk(scope, value if node.word == "with" else dot, node.body))
        return (yield self._walk(scope, dot, node.otherwise))

    def _range(self, scope: Scope, dot: Any, ranged: tuple[Branch, Any]) -> Task:
        node, value = ranged
        mark = len(scope.variables)
        empty = True
        for index, element in self._elements(scope, node, value):
            empty = False
            self._set_loop_variables(scope, node, (index, element))
            self._evaluator.charge(scope, 1)
            jump = yield self._walk(scope, element, node.body)
            del scope.variables[mark:]
            if jump == "break":
                break
        jump = (yield self._walk(scope, dot, node.otherwise)) if empty else ""
        # In the body for no elements, break ends this range, and continue the iteration around it.
        return jump if empty and jump == "continue" else ""

    def _elements(self, scope: Scope, node: Branch, value: Any) -> Iterable[tuple[Any, Any]]:
        if value is INVALID:
            return ()
        if isinstance(value, Slice):
            return ((index, Boxed(value.at(index))) for index in range(len(value)))
        if isinstance(value, dict):
            self._evaluator.charge(scope, len(value))
            return ((key, Boxed(value[key])) for key in sorted(value))
        if not is_integer(value):
            self._evaluator.fail(scope, f"range can't iterate over {self._shown(scope, value)}")
        if len(node.pipe.variables) > 1:
            shown = self._shown(scope, value)
            self._evaluator.fail(scope, f"can't use {shown} to iterate over more than one variable")
        kind = type(value)
        return ((kind(index), kind(index)) for index in range(value))

    def _shown(self, scope: Scope, value: Any) -> str:
        return readable(self._evaluator.limited(scope, lambda: sprint([value], self._room)))

    def _set_loop_variables(self, scope: Scope, node: Branch, pair: tuple[Any, Any]) -> None:
        """Give the loop's variables their values: the element, or the index first where there are two."""
        variables = node.pipe.variables
        values = pair if len(variables) > 1 else pair[1:]
        for place, (variable, value) in enumerate(zip(variables, values, strict=False)):
            if node.pipe.assigns:
                self._evaluator.assign(scope, variable.name, value)
            else:
                scope.variables[place - len(variables)] = (variable.name, value)

    def _invoke(self, scope: Scope, dot: Any, node: Invoke) -> Task:
        body = self._bodies.get(node.name)
        shown = quote_str(readable(node.name))
        if body is None:
            self._evaluator.fail(scope, f"template {shown} not defined")
        if scope.depth == _MAX_TEMPLATE_DEPTH:
            self._evaluator.fail(scope, f"exceeded maximum template depth ({_MAX_TEMPLATE_DEPTH})")
        value = INVALID
        if node.pipe is not None:
            value = yield self._evaluator.pipeline(scope, dot, node.pipe)
        yield self._walk(Scope(node.name, value, depth=scope.depth + 1), value, body)

"""The parser's view of the tokens, and the parse of pipelines: everything but blocks."""

from __future__ import annotations

from collections import Counter
from typing import Final, NoReturn

from .constants import character, complex_number, number
from .errors import LiteralError, TemplateError
from .lexer import Kind, Token
from .nodes import Chain, Command, Dot, Field, Identifier, Literal, Nil, Node, Pipe, Variable, source
from .strconv import quote_str, unquote
from .tasks import Task

_MAX_PAREN_DEPTH: Final = 10000
_OPERANDS: Final = frozenset(
    {
        *(Kind.BOOL, Kind.CHARACTER, Kind.COMPLEX, Kind.DOT, Kind.FIELD, Kind.IDENTIFIER, Kind.NUMBER),
        *(Kind.NIL, Kind.RAW_STRING, Kind.STRING, Kind.VARIABLE, Kind.OPEN),
    }
)
_LITERAL_READERS: Final = {
    Kind.CHARACTER: character,
    Kind.COMPLEX: complex_number,
    Kind.NUMBER: number,
    Kind.STRING: unquote,
    Kind.RAW_STRING: unquote,
}


class Stream:
    """All tokens of one text and the position in them; shared by the definitions in that text."""

    __slots__ = ("at", "name", "tokens")

    def __init__(self, tokens: list[Token], name: str) -> None:
        self.tokens = tokens
        self.at = 0
        self.name = name


class Reader:
    """Reads the pipelines of one template; a ``define`` or ``block`` inside has a reader of its own.

    ``functions`` are the names that may be called. Errors name the line of the last token that this
    reader looked at, as Go's do.
    """

    def __init__(self, stream: Stream, functions: frozenset[str]) -> None:
        self.stream = stream
        self.functions = functions
        self._variables: list[str] = ["$"]
        self._visible = Counter(self._variables)
        self.action_line = 0
        self._seen_line = 0
        self._seen = -1
        self._parens = 0

    def next(self) -> Token:
        """Take the next token, which may be a space; at the end EOF again and again."""
        token = self.peek()
        self.stream.at += 1
        return token

    def peek(self) -> Token:
        """Look at the next token."""
        stream = self.stream
        token = stream.tokens[min(stream.at, len(stream.tokens) - 1)]
        if stream.at > self._seen:
            self._seen = stream.at
            self._seen_line = token.line
        return token

    def peek_word(self) -> Token:
        """Skip spaces and look at the next token."""
        while (token := self.peek()).kind is Kind.SPACE:
            self.stream.at += 1
        return token

    def next_word(self) -> Token:
        """Skip spaces and take the next token."""
        token = self.peek_word()
        self.stream.at += 1
        return token

    def back(self) -> None:
        """Give back the last token taken."""
        self.stream.at -= 1

    def fail(self, message: str) -> NoReturn:
        """Raise TemplateError at the line of the last token seen."""
        name, line = self.stream.name, self._seen_line
        raise TemplateError(f"template: {name}:{line}: {message}", phase="parse", line=line)

    def unexpected(self, token: Token, where: str) -> NoReturn:
        """Raise TemplateError for a token that does not belong into ``where``."""
        if token.kind is not Kind.ERROR:
            self.fail(f"unexpected {token} in {where}")
        started = ""
        if self.action_line not in (0, token.line):
            started = f" in action started at {self.stream.name}:{self.action_line}"
            if token.text.endswith(" action"):
                started = started.removeprefix(" in action")
        self.fail(f"{token.text}{started}")

    def expect(self, where: str, *kinds: Kind) -> Token:
        """Take the next token but spaces, which has to be of one of ``kinds``."""
        token = self.next_word()
        if token.kind not in kinds:
            self.unexpected(token, where)
        return token

    def string(self, token: Token) -> bytes:
        """Return the value of a string token."""
        try:
            return unquote(token.text)
        except LiteralError as error:
            self.fail(str(error))

    def pipeline(self, where: str, closer: Kind = Kind.RIGHT) -> Task:
        """Task: read a pipeline up to and with ``closer`` and return its Pipe."""
        pipe = Pipe(self.peek_word().pos)
        self._declarations(pipe, where)
        while (token := self.next_word()).kind is not closer:
            if token.kind not in _OPERANDS:
                self.unexpected(token, where)
            self.back()
            pipe.commands.append((yield self._command()))
        self._check(pipe, where)
        return pipe

    def _declarations(self, pipe: Pipe, where: str) -> None:
        while (token := self.peek_word()).kind is Kind.VARIABLE:
            start = self.stream.at
            self.next()
            follower = self.peek_word()
            if follower.kind in (Kind.ASSIGN, Kind.DECLARE):
                pipe.assigns = follower.kind is Kind.ASSIGN
                self._declare(pipe, token)
                return
            if follower.kind is not Kind.CHAR or follower.text != ",":
                self.stream.at = start
                return
            self._declare(pipe, token)
            if where != "range" or len(pipe.variables) > 1:
                self.fail(f"too many declarations in {where}")
            if self.peek_word().kind not in (Kind.VARIABLE, Kind.RIGHT, Kind.CLOSE):
                self.fail("range can only initialize variables")

    def declared(self) -> int:
        """Return how many variables are declared: the mark for ``forget``."""
        return len(self._variables)

    def forget(self, mark: int) -> None:
        """Drop the variables that were declared after ``mark``, at the end of their block."""
        self._visible.subtract(self._variables[mark:])
        del self._variables[mark:]

    def _declare(self, pipe: Pipe, token: Token) -> None:
        self.next_word()
        pipe.variables.append(Variable(token.pos, token.text))
        self._variables.append(token.text)
        self._visible[token.text] += 1

    def _check(self, pipe: Pipe, where: str) -> None:
        if not pipe.commands:
            self.fail(f"missing value for {where}")
        for stage, command in enumerate(pipe.commands[1:], 2):
            if isinstance(command.args[0], Literal | Dot | Nil):
                self.fail(f"non executable command in pipeline stage {stage}")

    def _command(self) -> Task:
        command = Command(self.peek_word().pos)
        while True:
            self.peek_word()
            operand = yield self._operand()
            if operand is not None:
                command.args.append(operand)
            token = self.next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in (Kind.RIGHT, Kind.CLOSE):
                self.back()
            elif token.kind is not Kind.PIPE:
                self.unexpected(token, "operand")
            break
        if not command.args:
            self.fail("empty command")
        return command

    def _operand(self) -> Task:
        if self.peek_word().kind is Kind.OPEN:
            self.next()
            if self._parens >= _MAX_PAREN_DEPTH:
                self.fail("max expression depth exceeded")
            self._parens += 1
            node: Node | None = yield self.pipeline("parenthesized pipeline", Kind.CLOSE)
            self._parens -= 1
        else:
            node = self._term()
        if node is None or self.peek().kind is not Kind.FIELD:
            return node
        pos = self.peek().pos
        names: list[str] = []
        while self.peek().kind is Kind.FIELD:
            names.append(self.next().text[1:])
        match node:
            case Field():
                return Field(pos, (*node.names, *names))
            case Variable():
                return Variable(pos, node.name, (*node.names, *names))
            case Literal() | Nil() | Dot():
                self.fail(f"unexpected . after term {quote_str(source(node))}")
        return Chain(pos, node, names)

    def _term(self) -> Node | None:
        token = self.next_word()
        match token.kind:
            case Kind.IDENTIFIER:
                if token.text not in self.functions:
                    self.fail(f"function {quote_str(token.text)} not defined")
                return Identifier(token.pos, token.text)
            case Kind.DOT:
                return Dot(token.pos)
            case Kind.NIL:
                return Nil(token.pos)
            case Kind.VARIABLE:
                if not self._visible[token.text]:
                    self.fail(f"undefined variable {quote_str(token.text)}")
                return Variable(token.pos, token.text)
            case Kind.FIELD:
                return Field(token.pos, (token.text[1:],))
            case Kind.BOOL:
                return Literal(token.pos, token.text, token.text == "true")
        if token.kind in _LITERAL_READERS:
            return self._literal(token)
        self.back()
        return None

    def _literal(self, token: Token) -> Literal:
        try:
            return Literal(token.pos, token.text, _LITERAL_READERS[token.kind](token.text))
        except LiteralError as error:
            self.fail(str(error))

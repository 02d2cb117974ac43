"""Parse a template's text into trees: the blocks, definitions and actions around the pipelines."""

from __future__ import annotations

from typing import Final

from .lexer import Kind, tokens
from .nodes import Action, Branch, Invoke, Jump, Node, Pipe, Terminator, Text, Trees
from .reader import Reader, Stream
from .strconv import quote_str
from .tasks import Task, run

_BRANCHES: Final = {Kind.IF: "if", Kind.WITH: "with", Kind.RANGE: "range"}
_CHAINED: Final = {"if": Kind.IF, "with": Kind.WITH}


def parse(text: str, name: str, functions: frozenset[str]) -> Trees:
    """Return the trees of ``text``: its own under ``name``, and one per ``define`` and ``block``.

    ``functions`` are the names that may be called. Raises TemplateError with phase ``parse``.
    """
    definitions = _Definitions()
    parser = _Parser(Reader(Stream(tokens(text), name), functions), definitions)
    run(parser.document(name.encode()))
    return Trees(text, definitions.bodies)


class _Definitions:
    """The bodies by name; a name may be defined again while its body, or the new one, is empty."""

    def __init__(self) -> None:
        self.bodies: dict[bytes, list[Node]] = {}
        self._filled: set[bytes] = set()

    def add(self, name: bytes, body: list[Node]) -> bool:
        """Keep ``body``, or say False when both it and the known one hold something."""
        filled = not _is_empty(body)
        if name in self._filled:
            return not filled
        if filled:
            self._filled.add(name)
        self.bodies[name] = body
        return True


def _is_empty(body: list[Node]) -> bool:
    return all(isinstance(node, Text) and not node.value.decode().strip() for node in body)


def _show(node: Terminator) -> str:
    return f"{{{{{node.word}}}}}"


class _Parser:
    """Parses one body and what it nests; each definition has its own, sharing tokens and trees."""

    def __init__(self, reader: Reader, definitions: _Definitions) -> None:
        self._reader = reader
        self._definitions = definitions
        self._ranges = 0

    def _nested(self) -> _Parser:
        return _Parser(Reader(self._reader.stream, self._reader.functions), self._definitions)

    def document(self, name: bytes) -> Task:
        """Task: read the whole text."""
        reader = self._reader
        body: list[Node] = []
        while (token := reader.peek()).kind is not Kind.EOF:
            if token.kind is Kind.LEFT:
                start = reader.stream.at
                reader.next()
                if reader.next_word().kind is Kind.DEFINE:
                    yield self._nested()._definition()
                    continue
                reader.stream.at = start
            node = yield self._statement()
            if isinstance(node, Terminator):
                reader.fail(f"unexpected {_show(node)}")
            body.append(node)
        self._keep(name, body)

    def _keep(self, name: bytes, body: list[Node]) -> None:
        if not self._definitions.add(name, body):
            shown = quote_str(name.decode("utf-8", "replace"))
            self._reader.fail(f"template: multiple definition of template {shown}")

    def _definition(self) -> Task:
        reader, where = self._reader, "define clause"
        name = reader.string(reader.expect(where, Kind.STRING, Kind.RAW_STRING))
        reader.expect(where, Kind.RIGHT)
        yield self._named_body(name, where, teller=reader)

    def _named_body(self, name: bytes, where: str, *, teller: Reader) -> Task:
        """Task: read and keep a body; ``teller`` says, at the line that it came to, which wrong word ended it."""
        body, end = yield self._body()
        if end.word != "end":
            teller.fail(f"unexpected {_show(end)} in {where}")
        self._keep(name, body)

    def _body(self) -> Task:
        """Task: read up to ``end`` or ``else`` and return the nodes and that terminator."""
        body: list[Node] = []
        while self._reader.peek_word().kind is not Kind.EOF:
            node = yield self._statement()
            if isinstance(node, Terminator):
                return body, node
            body.append(node)
        self._reader.fail("unexpected EOF")

    def _statement(self) -> Task:
        reader = self._reader
        token = reader.next_word()
        if token.kind is Kind.TEXT:
            return Text(token.pos, token.text)
        if token.kind is not Kind.LEFT:
            reader.unexpected(token, "input")
        reader.action_line = token.line
        node = yield self._action()
        reader.action_line = 0
        return node

    def _action(self) -> Task:
        reader = self._reader
        token = reader.next_word()
        match token.kind:
            case Kind.IF | Kind.WITH | Kind.RANGE:
                return (yield self._branch(_BRANCHES[token.kind]))
            case Kind.ELSE:
                return self._else()
            case Kind.END:
                return Terminator(reader.expect("end", Kind.RIGHT).pos, "end")
            case Kind.BREAK | Kind.CONTINUE:
                return self._jump(token.pos, token.text)
            case Kind.TEMPLATE:
                return (yield self._invoke())
            case Kind.BLOCK:
                return (yield self._block())
        reader.back()
        pipe: Pipe = yield reader.pipeline("command")
        return Action(token.pos, pipe)

    def _else(self) -> Terminator:
        token = self._reader.peek_word()
        if token.kind not in (Kind.IF, Kind.WITH):
            token = self._reader.expect("else", Kind.RIGHT)
        return Terminator(token.pos, "else")

    def _jump(self, pos: int, word: str) -> Jump:
        token = self._reader.next_word()
        if token.kind is not Kind.RIGHT:
            self._reader.unexpected(token, f"{{{{{word}}}}}")
        if not self._ranges:
            self._reader.fail(f"{{{{{word}}}}} outside {{{{range}}}}")
        return Jump(pos, word)

    def _branch(self, word: str) -> Task:
        """Task: read what follows ``if``, ``with`` or ``range``, up to the end of its last body."""
        reader = self._reader
        mark = reader.declared()
        pipe: Pipe = yield reader.pipeline(word)
        node = Branch(pipe.pos, word, pipe)
        self._ranges += word == "range"
        node.body, end = yield self._body()
        self._ranges -= word == "range"
        if end.word == "else":
            if word in _CHAINED and reader.peek().kind is _CHAINED[word]:
                reader.next()
                node.otherwise = [(yield self._branch(word))]
            else:
                node.otherwise, end = yield self._body()
                if end.word != "end":
                    reader.fail(f"expected end; found {_show(end)}")
        reader.forget(mark)
        return node

    def _name(self, where: str) -> tuple[int, bytes]:
        token = self._reader.expect(where, Kind.STRING, Kind.RAW_STRING)
        return token.pos, self._reader.string(token)

    def _invoke(self) -> Task:
        reader, where = self._reader, "template clause"
        pos, name = self._name(where)
        if reader.next_word().kind is Kind.RIGHT:
            return Invoke(pos, name, None)
        reader.back()
        return Invoke(pos, name, (yield reader.pipeline(where)))

    def _block(self) -> Task:
        where = "block clause"
        pos, name = self._name(where)
        pipe = yield self._reader.pipeline(where)
        yield self._nested()._named_body(name, where, teller=self._reader)
        return Invoke(pos, name, pipe)

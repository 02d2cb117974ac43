"""Cut a template's text into tokens: literal text, and the words inside ``{{`` and ``}}``."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NamedTuple

from .strconv import quote_str


class Kind(Enum):
    """What a token is; a keyword has its own spelling as value."""

    ERROR = "error"
    EOF = "EOF"
    TEXT = "text"
    LEFT = "{{"
    RIGHT = "}}"
    SPACE = "space"
    BOOL = "bool"
    CHARACTER = "character constant"
    NUMBER = "number"
    COMPLEX = "complex number"
    STRING = "string"
    RAW_STRING = "raw string"
    IDENTIFIER = "identifier"
    FIELD = "field"
    VARIABLE = "variable"
    PIPE = "|"
    OPEN = "("
    CLOSE = ")"
    ASSIGN = "="
    DECLARE = ":="
    CHAR = "other character"
    DOT = "."
    NIL = "nil"
    BLOCK = "block"
    BREAK = "break"
    CONTINUE = "continue"
    DEFINE = "define"
    ELSE = "else"
    END = "end"
    IF = "if"
    RANGE = "range"
    TEMPLATE = "template"
    WITH = "with"


class Token(NamedTuple):
    """One token; ``pos`` is a character offset, ``line`` the 1-based line where it starts."""

    kind: Kind
    pos: int
    text: str
    line: int

    def __str__(self) -> str:
        """Return the token as Go's messages show it."""
        if self.kind is Kind.EOF:
            return "EOF"
        if self.kind is Kind.ERROR:
            return self.text
        if self.kind in _KEYWORDS:
            return f"<{self.text}>"
        if len(self.text.encode()) > 10:
            return quote_str(self.text[:10]) + "..."
        return quote_str(self.text)


_WORDS: Final = {
    kind.value: kind
    for kind in (
        *(Kind.BLOCK, Kind.BREAK, Kind.CONTINUE, Kind.DEFINE, Kind.ELSE, Kind.END, Kind.IF),
        *(Kind.RANGE, Kind.NIL, Kind.TEMPLATE, Kind.WITH),
    )
}
_KEYWORDS: Final = frozenset({*_WORDS.values(), Kind.DOT})
_SINGLE: Final = {"|": Kind.PIPE, "=": Kind.ASSIGN}

_SPACES: Final = " \t\r\n"
_SPACE_RUN: Final = re.compile(r"[ \t\r\n]*")
_NUMBER: Final = re.compile(
    r"[+-]?(?:"
    r"0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?"
    r"|0[oO][0-7_]*(?:\.[0-7_]*)?"
    r"|0[bB][01_]*(?:\.[01_]*)?"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?"
    r")i?"
)
_QUOTED: Final = {
    '"': (Kind.STRING, re.compile(r'"(?:[^"\\\n]|\\[^\n])*"'), "unterminated quoted string"),
    "'": (Kind.CHARACTER, re.compile(r"'(?:[^'\\\n]|\\[^\n])*'"), "unterminated character constant"),
    "`": (Kind.RAW_STRING, re.compile(r"`[^`]*`"), "unterminated raw quoted string"),
}


class _LexicalError(Exception):
    def __init__(self, pos: int, message: str) -> None:
        super().__init__(message)
        self.pos = pos
        self.message = message


def tokens(text: str) -> list[Token]:
    """Return the tokens of ``text``; the last is EOF, preceded by ERROR where the text is malformed."""
    lexer = _Lexer(text)
    try:
        lexer.scan()
        end = len(text)
    except _LexicalError as error:
        end = error.pos
        lexer.emit(Kind.ERROR, end, error.message)
    lexer.emit(Kind.EOF, end, "EOF")
    return lexer.found


def _is_word_char(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdecimal()


def _show(char: str) -> str:
    return f"U+{ord(char):04X}" + (f" '{char}'" if char.isprintable() else "")


class _Lexer:
    def __init__(self, text: str) -> None:
        self.found: list[Token] = []
        self._text = text
        self._line = 1
        self._counted = 0
        self._depth = 0

    def emit(self, kind: Kind, pos: int, text: str) -> None:
        """Add a token; tokens come in the order of their positions."""
        self._line += self._text.count("\n", self._counted, pos)
        self._counted = pos
        self.found.append(Token(kind, pos, text, self._line))

    def scan(self) -> None:
        """Read the whole text."""
        text, at = self._text, 0
        while True:
            opening = text.find("{{", at)
            if opening < 0:
                if at < len(text):
                    self.emit(Kind.TEXT, at, text[at:])
                return
            inside = opening + 2
            literal = text[at:opening]
            if text.startswith("-", inside) and text[inside + 1 : inside + 2] in tuple(_SPACES):
                literal = literal.rstrip(_SPACES)
                inside += 2
            if literal:
                self.emit(Kind.TEXT, at, literal)
            if text.startswith("/*", inside):
                at = self._comment(inside)
            else:
                self.emit(Kind.LEFT, opening, "{{")
                at = self._action(inside)

    def _closing(self, at: int) -> int:
        """Return the length of a right delimiter at ``at`` with its trim marker, 0 without one."""
        if self._text.startswith("}}", at):
            return 2
        trims = self._text[at : at + 1] in tuple(_SPACES) and self._text.startswith("-}}", at + 1)
        return 4 if trims else 0

    def _after(self, at: int, length: int) -> int:
        return self._skip_spaces(at + length) if length == 4 else at + length

    def _skip_spaces(self, at: int) -> int:
        match = _SPACE_RUN.match(self._text, at)
        assert match is not None  # the pattern matches the empty string
        return match.end()

    def _comment(self, start: int) -> int:
        end = self._text.find("*/", start + 2)
        if end < 0:
            raise _LexicalError(start, "unclosed comment")
        length = self._closing(end + 2)
        if not length:
            raise _LexicalError(start, "comment ends before closing delimiter")
        return self._after(end + 2, length)

    def _action(self, at: int) -> int:
        """Read the tokens of one action and return where the text goes on after it."""
        self._depth = 0
        while True:
            length = self._closing(at)
            if length:
                if self._depth:
                    raise _LexicalError(at, "unclosed left paren")
                self.emit(Kind.RIGHT, at + length - 2, "}}")
                return self._after(at, length)
            if at >= len(self._text):
                raise _LexicalError(at, "unclosed action")
            at = self._token(at)

    def _token(self, at: int) -> int:
        text = self._text
        char = text[at]
        if char in _SPACES:
            end = self._skip_spaces(at)
            if text.startswith("-}}", end):
                end -= 1  # that space belongs to the delimiter
            return self._emit_until(Kind.SPACE, at, end)
        if char in _QUOTED:
            return self._quoted(at)
        if char == "$":
            return self._name(Kind.VARIABLE, at)
        if char == "." and not "0" <= text[at + 1 : at + 2] <= "9" and at + 1 < len(text):
            return self._name(Kind.FIELD, at)
        if char in "+-." or "0" <= char <= "9":
            return self._number(at)
        if _is_word_char(char):
            return self._word(at)
        return self._punctuation(at)

    def _emit_until(self, kind: Kind, start: int, end: int) -> int:
        self.emit(kind, start, self._text[start:end])
        return end

    def _punctuation(self, at: int) -> int:
        char = self._text[at]
        if char in _SINGLE:
            return self._emit_until(_SINGLE[char], at, at + 1)
        if char == ":":
            if not self._text.startswith("=", at + 1):
                raise _LexicalError(at, "expected :=")
            return self._emit_until(Kind.DECLARE, at, at + 2)
        if char == "(":
            self._depth += 1
            return self._emit_until(Kind.OPEN, at, at + 1)
        if char == ")":
            self._depth -= 1
            if self._depth < 0:
                raise _LexicalError(at, "unexpected right paren")
            return self._emit_until(Kind.CLOSE, at, at + 1)
        if " " < char <= "~":
            return self._emit_until(Kind.CHAR, at, at + 1)
        raise _LexicalError(at, f"unrecognized character in action: {_show(char)}")

    def _quoted(self, at: int) -> int:
        kind, pattern, fault = _QUOTED[self._text[at]]
        match = pattern.match(self._text, at)
        if match is None:
            raise _LexicalError(at, fault)
        return self._emit_until(kind, at, match.end())

    def _word_end(self, start: int, at: int) -> int:
        """Return the end of a run of letters and digits; what follows it has to be a terminator."""
        text = self._text
        while at < len(text) and _is_word_char(text[at]):
            at += 1
        if at < len(text) and text[at] not in " \t\r\n.,|:)(" and not text.startswith("}}", at):
            raise _LexicalError(start, f"bad character {_show(text[at])}")
        return at

    def _name(self, kind: Kind, at: int) -> int:
        end = self._word_end(at, at + 1)
        if end == at + 1 and kind is Kind.FIELD:
            kind = Kind.DOT
        return self._emit_until(kind, at, end)

    def _word(self, at: int) -> int:
        end = self._word_end(at, at)
        word = self._text[at:end]
        kind = Kind.BOOL if word in ("true", "false") else _WORDS.get(word, Kind.IDENTIFIER)
        return self._emit_until(kind, at, end)

    def _number_end(self, start: int, at: int) -> int:
        match = _NUMBER.match(self._text, at)
        assert match is not None  # the pattern matches the empty string
        end = match.end()
        if end < len(self._text) and _is_word_char(self._text[end]):
            self._bad_number(start, end + 1)
        return end

    def _bad_number(self, start: int, end: int) -> None:
        raise _LexicalError(start, f"bad number syntax: {quote_str(self._text[start:end])}")

    def _number(self, at: int) -> int:
        end = self._number_end(at, at)
        if self._text[end : end + 1] not in ("+", "-"):
            return self._emit_until(Kind.NUMBER, at, end)
        end = self._number_end(at, end)
        if self._text[end - 1] != "i":
            self._bad_number(at, end)
        return self._emit_until(Kind.COMPLEX, at, end)

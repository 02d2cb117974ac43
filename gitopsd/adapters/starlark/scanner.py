"""Tokens of Starlark source, by the rules of go.starlark.net/syntax/scan.go.

Joining all gaps and tokens gives the source back, whatever it holds.
"""

from __future__ import annotations

import re

__all__ = ["KEYWORDS", "NEWLINES", "RESERVED", "is_name", "is_number", "is_string", "scan"]

KEYWORDS = frozenset(
    "and break continue def elif else for if in lambda load not or pass return while".split()  # noqa: SIM905
)
RESERVED = frozenset(
    "as class del except finally from global import is nonlocal raise try with yield".split()  # noqa: SIM905
)
NEWLINES = ("\n", "\r\n", "\r")

_GAP = r"(?:[ \t]+|\\(?:\r\n|\r|\n)|\#[^\r\n]*)*"
_STRING = r"""
    (?:rb|r|b)?(?:
        \"{3}[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*\"{3}
      | '{3}[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'{3}
      | "(?!"")[^"\\\r\n]*(?:\\(?:\r\n|.)[^"\\\r\n]*)*"
      | '(?!'')[^'\\\r\n]*(?:\\(?:\r\n|.)[^'\\\r\n]*)*'
    )
"""
_NUMBER = r"0[xXoObB]\w* | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d*)?"
_OPERATOR = r"//=|<<=|>>=|==|!=|<=|>=|\+=|-=|\*=|/=|%=|&=|\|=|\^=|\*\*|//|<<|>>|[-+*/%&|^~<>=.,:;(){}\[\]]"
_TOKEN = re.compile(rf"({_GAP})((?s:{_STRING})|[^\W\d]\w*|{_NUMBER}|\r\n|\r|\n|{_OPERATOR}|.|\Z)", re.VERBOSE)


def scan(source: str) -> tuple[list[str], list[str]]:
    """Split into gaps (blanks, continuations, comments) and the tokens that follow each; the last token is empty."""
    pairs = _TOKEN.findall(source)
    while len(pairs) > 1 and pairs[-2][1] == "":
        pairs.pop()
    return [gap for gap, _ in pairs], [token for _, token in pairs]


def is_name(token: str) -> bool:
    """Tell identifiers and keywords from everything else."""
    return token[:1].isidentifier() and token[-1:] not in "\"'"


def is_number(token: str) -> bool:
    """Tell number literals."""
    return token[:1].isdigit() or (token[:1] == "." and len(token) > 1)


def is_string(token: str) -> bool:
    """Tell whole string and bytes literals."""
    return len(token) > 1 and token[-1] in "\"'"

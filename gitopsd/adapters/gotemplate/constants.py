"""Number and character literals of a template, with the rules of Go's constants."""

from __future__ import annotations

import re
from typing import Final

from .errors import LiteralError
from .strconv import quote_str, unquote_char

_INT_MIN: Final = -(1 << 63)
_INT_MAX: Final = (1 << 63) - 1
_UINT_MAX: Final = (1 << 64) - 1

_INTEGER_BY_BASE: Final = (
    (16, re.compile(r"[+-]?0[xX](?:_?[0-9a-fA-F])+")),
    (2, re.compile(r"[+-]?0[bB](?:_?[01])+")),
    (8, re.compile(r"[+-]?0[oO]?(?:_?[0-7])+")),
    (10, re.compile(r"[+-]?(?:0|[1-9](?:_?[0-9])*)")),
)
_DIGITS = r"[0-9](?:_?[0-9])*"
_HEX_DIGITS = r"[0-9a-fA-F](?:_?[0-9a-fA-F])*"
_FLOAT: Final = re.compile(rf"[+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_HEX_FLOAT: Final = re.compile(
    rf"[+-]?0[xX](?:_?{_HEX_DIGITS}(?:\.(?:{_HEX_DIGITS})?)?|\.{_HEX_DIGITS})[pP][+-]?{_DIGITS}"
)
_COMPLEX: Final = re.compile(
    r"([+-]?0[xX][0-9a-fA-F_.]*(?:[pP][+-]?[0-9_]*)?|.*[^eEpP])([+-].+)i",
    re.DOTALL,
)
_OTHER_BASE: Final = re.compile(r"[+-]*0[bBoO]")


class Overflow:
    """An integer literal between the largest int64 and the largest uint64: parsed, never evaluated."""

    __slots__ = ()


Constant = int | float | complex | Overflow


def character(literal: str) -> int:
    """Return the code point of a character literal with its quotes. Raises LiteralError."""
    value, end = unquote_char(literal, 1, "'")
    if literal[end:] != "'":
        raise LiteralError(f"malformed character constant: {literal}")
    return value[0] if isinstance(value, bytes) else value


def number(literal: str) -> Constant:
    """Return the value of a number literal: an int, or a float where it has a point or an exponent.

    Raises LiteralError when Go's ``ParseInt``, ``ParseUint`` and ``ParseFloat`` all refuse the text.
    """
    if literal.endswith("i"):
        imaginary = _float(literal[:-1])
        if imaginary is not None:
            return complex(0.0, imaginary)
        raise LiteralError(f"illegal number syntax: {quote_str(literal)}")
    whole = _integer(literal)
    if whole is not None:
        return _as_go_types(literal, whole)
    value = _float(literal)
    if value is None:
        raise LiteralError(f"illegal number syntax: {quote_str(literal)}")
    if not any(mark in literal for mark in ".eEpP"):
        raise LiteralError(f"integer overflow: {quote_str(literal)}")
    return value


def complex_number(literal: str) -> complex:
    """Return the value of ``real+imaginary i``. Raises LiteralError."""
    match = _COMPLEX.fullmatch(literal)
    based = match is not None and any(_OTHER_BASE.match(text) for text in match.groups())
    if match is None or based or match.group(1).endswith("i"):
        raise LiteralError("syntax error scanning complex number")
    parts = []
    for text in match.groups():
        value = _float(text)
        if value is None:
            in_range = _FLOAT.fullmatch(text) is None and _HEX_FLOAT.fullmatch(text) is None
            fault = "invalid syntax" if in_range else "value out of range"
            raise LiteralError(f"strconv.ParseFloat: parsing {quote_str(text)}: {fault}")
        parts.append(value)
    return complex(parts[0], parts[1])


def _integer(literal: str) -> int | None:
    for base, pattern in _INTEGER_BY_BASE:
        if pattern.fullmatch(literal):
            digits = literal.replace("_", "")
            if base == 10 and len(digits) > 21:
                return None
            value = int(digits.lower().replace("0o", "0"), base) if base == 8 else int(digits, base)
            fits = _INT_MIN <= value <= _INT_MAX or (literal[0] not in "+-" and value <= _UINT_MAX)
            return value if fits else None
    return None


def _as_go_types(literal: str, value: int) -> Constant:
    hexadecimal = literal[:2] in ("0x", "0X")
    if not hexadecimal and any(mark in literal for mark in ".eEpP"):
        return float(value)  # only a signed hex literal with the digit e: Go looks at the letters alone
    return value if value <= _INT_MAX else Overflow()


def _float(text: str) -> float | None:
    plain = text.replace("_", "")
    if _FLOAT.fullmatch(text):
        value = float(plain)
    elif _HEX_FLOAT.fullmatch(text):
        try:
            value = float.fromhex(plain)
        except OverflowError:
            return None
    else:
        return None
    return None if value in (float("inf"), float("-inf")) else value

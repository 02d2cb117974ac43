"""Go's text forms of numbers and strings: quoting, unquoting, and the shortest and exact float formats."""

from __future__ import annotations

import math
import re
from typing import Final

from .errors import LiteralError

ESCAPED: Final = "surrogateescape"  # each byte that is not UTF-8 becomes one character, as in Go's loops
_SHORT_ESCAPES: Final = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}
_ESCAPE_VALUES: Final = {
    **{escape[1]: char for char, escape in _SHORT_ESCAPES.items()},
    "'": "'",
    '"': '"',
}
# The shortest %g turns to an exponent as if six digits had been asked for; C has no shortest form.
_SHORTEST_G_LIMIT: Final = 6
_ESCAPE: Final = re.compile(
    r"""\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([abfnrtv\\'"]))"""
)


def runes(text: bytes) -> str:
    """Return one character per rune; an invalid byte is a character from U+DC80 to U+DCFF."""
    return text.decode("utf-8", ESCAPED)


def is_invalid(char: str) -> bool:
    """Say whether a character of ``runes`` stands for a byte that is not UTF-8."""
    return "\udc80" <= char <= "\udcff"


def readable(text: bytes) -> str:
    """Return ``text`` for a message: a byte that is not UTF-8 becomes U+FFFD."""
    return "".join("\ufffd" if is_invalid(char) else char for char in runes(text))


def _escape(char: str, delimiter: str, *, ascii_only: bool) -> str:
    code = ord(char)
    if char in (delimiter, "\\"):
        return "\\" + char
    if is_invalid(char):
        return f"\\x{code - 0xDC00:02x}"
    if char.isprintable() and (code < 0x7F or not ascii_only):
        return char
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quote(text: bytes, *, ascii_only: bool = False) -> bytes:
    """Return ``text`` as a Go string literal in double quotes (strconv.Quote, QuoteToASCII)."""
    body = "".join(_escape(char, '"', ascii_only=ascii_only) for char in runes(text))
    return f'"{body}"'.encode()


def quote_str(text: str) -> str:
    """Return ``quote`` of a text, for messages."""
    return quote(text.encode("utf-8", "replace")).decode()


def quote_rune(char: str, *, ascii_only: bool = False) -> bytes:
    """Return a Go character literal (strconv.QuoteRune)."""
    return f"'{_escape(char, chr(39), ascii_only=ascii_only)}'".encode()


def can_backquote(text: bytes) -> bool:
    """Say whether ``text`` can stand unchanged in a raw Go literal (strconv.CanBackquote)."""
    return not any(is_invalid(char) or char in "`\ufeff\x7f" or (char < " " and char != "\t") for char in runes(text))


def unquote_char(text: str, start: int, delimiter: str) -> tuple[bytes | int, int]:
    """Read one character of a literal: a code point, or one raw byte for an octal or hex escape.

    Raises LiteralError for an unknown escape, a bare delimiter or a value that is no character.
    """
    if text[start] != "\\":
        if text[start] == delimiter:
            raise LiteralError("invalid syntax")
        return ord(text[start]), start + 1
    match = _ESCAPE.match(text, start)
    if match is None:
        raise LiteralError("invalid syntax")
    two, four, eight, octal, letter = match.groups()
    if letter is not None:
        if letter in "'\"" and letter != delimiter:
            raise LiteralError("invalid syntax")
        return ord(_ESCAPE_VALUES[letter]), match.end()
    code = int(octal, 8) if octal else int(two or four or eight, 16)
    if two or octal:
        if code > 255:
            raise LiteralError("invalid syntax")
        return bytes([code]), match.end()
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise LiteralError("invalid syntax")
    return code, match.end()


def unquote(literal: str) -> bytes:
    """Return the value of a string literal, raw or interpreted. Raises LiteralError."""
    body = literal[1:-1]
    if literal[0] == "`":
        return body.replace("\r", "").encode()
    if "\\" not in body:
        return body.encode()
    parts: list[bytes] = []
    at = 0
    while at < len(body):
        value, at = unquote_char(body, at, '"')
        parts.append(value if isinstance(value, bytes) else chr(value).encode())
    return b"".join(parts)


def shortest_digits(value: float) -> tuple[str, int]:
    """Return the fewest digits that identify a finite ``abs(value)``, and where the point stands."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + ("" if fraction == "0" else fraction)
    point = len(whole) + int(exponent or 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    stripped = stripped.rstrip("0")
    return (stripped, point) if stripped else ("0", 1)


def _positional(digits: str, point: int) -> str:
    if point <= 0:
        return "0." + "0" * -point + digits
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return digits[:point] + "." + digits[point:]


def _scientific(digits: str, point: int, letter: str) -> str:
    fraction = "." + digits[1:] if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}{letter}{point - 1:+03d}"


def json_float(value: float) -> bytes:
    """Return a finite float64 as encoding/json writes it: exponent form below 1e-6 and from 1e21."""
    digits, point = shortest_digits(value)
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if value and not 1e-6 <= abs(value) < 1e21:
        text = _scientific(digits, point, "e").replace("e-0", "e-")
    else:
        text = _positional(digits, point)
    return (sign + text).encode()


def format_float(value: float, verb: str, precision: int) -> str:
    """Return strconv.FormatFloat for the verbs b e E f g G x X; precision -1 asks for the shortest."""
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else (sign or "+") + "Inf"
    size = abs(value)
    if verb == "b":
        return sign + _binary_float(size)
    if verb in "xX":
        text = sign + _hex_float(size, precision)
        return text.upper() if verb == "X" else text
    if precision >= 0:
        return sign + f"%.{precision}{verb}" % size
    digits, point = shortest_digits(size)
    if verb == "f":
        return sign + _positional(digits, point)
    letter = "E" if verb in "EG" else "e"
    if verb in "eE" or not -4 <= point - 1 < _SHORTEST_G_LIMIT:
        return sign + _scientific(digits, point, letter)
    return sign + _positional(digits, point)


def _binary_float(size: float) -> str:
    mantissa, exponent = math.frexp(size)
    if not size:
        return "0p-1074"
    shift = max(exponent - 53, -1074)
    return f"{int(math.ldexp(mantissa, exponent - shift))}p{shift:+d}"


def _hex_float(size: float, precision: int) -> str:
    if not size:
        return "0x0" + ("." + "0" * precision if precision > 0 else "") + "p+00"
    fraction, exponent = math.frexp(size)
    mantissa = int(math.ldexp(fraction, 53))  # 1 <= mantissa / 2**52 < 2
    exponent -= 1
    width = 13
    if 0 <= precision < 13:
        drop = 4 * (13 - precision)
        kept, rest = mantissa >> drop, mantissa & ((1 << drop) - 1)
        half = 1 << (drop - 1)
        kept += rest > half or (rest == half and kept & 1)
        if kept >> (4 * precision + 1):
            kept >>= 1
            exponent += 1
        mantissa, width = kept, precision
    digits = f"{mantissa & ((1 << (4 * width)) - 1):0{width}x}" if width else ""
    digits = digits.rstrip("0") if precision < 0 else digits.ljust(precision, "0")
    return f"0x1{'.' + digits if digits else ''}p{exponent:+03d}"

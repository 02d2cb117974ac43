"""One scalar under one verb of Go's fmt, with its flags, width and precision."""

from __future__ import annotations

from typing import Any, Final

from .strconv import can_backquote, format_float, quote, quote_rune, runes
from .values import Uint8

_WRAP: Final = 1 << 64
_MAX_RUNE: Final = 0x10FFFF
_REPLACEMENT: Final = "\ufffd"
_BASES: Final = {"v": 10, "d": 10, "b": 2, "o": 8, "O": 8, "x": 16, "X": 16}
_BASE_FORMATS: Final = {2: "b", 8: "o", 10: "d", 16: "x"}
_PREFIXES: Final = {2: "0b", 16: "0x"}


class Flags:
    """The flags of one directive; ``width`` and ``precision`` are None where absent."""

    __slots__ = ("go_syntax", "minus", "plus", "precision", "sharp", "space", "width", "zero")

    def __init__(self) -> None:
        self.minus = self.plus = self.sharp = self.space = self.zero = False
        self.go_syntax = False
        self.width: int | None = None
        self.precision: int | None = None

    def for_value(self) -> None:
        """Turn ``#`` and ``+`` into their meaning for the verb v."""
        self.go_syntax, self.sharp, self.plus = self.sharp, False, False


def pad(text: bytes, flags: Flags, *, zeros: bool = True) -> bytes:
    """Return ``text`` filled up to the width, counted in runes."""
    missing = (flags.width or 0) - (len(runes(text)) if flags.width else 0)
    if missing <= 0:
        return text
    if flags.minus:
        return text + b" " * missing
    return (b"0" if flags.zero and zeros else b" ") * missing + text


def format_scalar(value: Any, verb: str, flags: Flags) -> bytes | None:
    """Return a string, boolean or number under ``verb``; None where the verb is not for that kind."""
    if isinstance(value, bytes):
        return _string(value, verb, flags)
    if isinstance(value, bool):
        return pad(b"true" if value else b"false", flags) if verb in "tv" else None
    if isinstance(value, int):
        return _integer(value, verb, flags)
    if isinstance(value, float):
        return _float(value, verb, flags)
    return _complex(value, verb, flags)


def _truncated(text: bytes, flags: Flags) -> bytes:
    if flags.precision is None or flags.precision >= len(text):
        return text
    return runes(text)[: flags.precision].encode("utf-8", "surrogateescape")


def _string(text: bytes, verb: str, flags: Flags) -> bytes | None:
    if verb == "s" or (verb == "v" and not flags.go_syntax):
        return pad(_truncated(text, flags), flags)
    if verb in "qv":
        text = _truncated(text, flags)
        if flags.sharp and can_backquote(text):
            return pad(b"`" + text + b"`", flags)
        return pad(quote(text, ascii_only=flags.plus), flags)
    return _hex_string(text, verb, flags) if verb in "xX" else None


def _hex_string(text: bytes, verb: str, flags: Flags) -> bytes:
    if flags.precision is not None:
        text = text[: flags.precision]
    digits = text.hex(" ") if flags.space else text.hex()
    if flags.sharp and text:
        digits = "0x" + digits.replace(" ", " 0x")
    if verb == "X":
        digits = digits.upper()
    return pad(digits.encode(), flags)


def _integer(value: int, verb: str, flags: Flags) -> bytes | None:
    if verb in "cqU":
        code = value % _WRAP
        if verb == "U":
            return _unicode(code, flags)
        valid = code <= _MAX_RUNE and not 0xD800 <= code <= 0xDFFF
        char = chr(code) if valid else _REPLACEMENT
        return pad(char.encode() if verb == "c" else quote_rune(char, ascii_only=flags.plus), flags)
    if verb not in _BASES:
        return None
    if verb == "v" and flags.go_syntax and isinstance(value, Uint8):
        return _based(value, 16, verb, flags, sharp=True)
    return _based(value, _BASES[verb], verb, flags, sharp=flags.sharp)


def _based(value: int, base: int, verb: str, flags: Flags, *, sharp: bool) -> bytes:
    signed = value < 0 or flags.plus or flags.space
    digits = format(abs(value), _BASE_FORMATS[base])
    if flags.precision is not None:
        if not flags.precision and not value:
            return b" " * (flags.width or 0)
        digits = digits.zfill(flags.precision)
    elif flags.zero and not flags.minus and flags.width is not None:
        digits = digits.zfill(flags.width - signed)
    if sharp and base == 8 and not digits.startswith("0"):
        digits = "0" + digits
    if sharp:
        digits = _PREFIXES.get(base, "") + digits
    if verb == "O":
        digits = "0o" + digits
    if signed:
        digits = ("-" if value < 0 else "+" if flags.plus else " ") + digits
    if verb == "X":
        digits = digits.upper()
    return pad(digits.encode(), flags, zeros=False)


def _unicode(code: int, flags: Flags) -> bytes:
    text = "U+" + format(code, "X").zfill(max(4, flags.precision or 0))
    if flags.sharp and code <= _MAX_RUNE and chr(code).isprintable():
        text += f" '{chr(code)}'"
    return pad(text.encode(), flags, zeros=False)


def _float(value: float, verb: str, flags: Flags) -> bytes | None:
    if verb not in "vbgGxXfFeE":
        return None
    precision = 6 if verb in "fFeE" else -1
    if flags.precision is not None:
        precision = flags.precision
    letter = {"v": "g", "F": "f"}.get(verb, verb)
    text = format_float(value, letter, precision)
    sign = text[0] if text[0] in "+-" else "+"
    text = text.lstrip("+-")
    if sign == "+" and flags.space and not flags.plus:
        sign = " "
    if text in ("Inf", "NaN"):
        shown = sign if flags.plus or sign != "+" else ""
        if text == "Inf" and not shown:
            shown = "+"
        return pad((shown + text).encode(), flags, zeros=False)
    if flags.sharp and verb != "b":
        text = _with_point(text, verb, precision)
    if not flags.plus and sign == "+":
        return pad(text.encode(), flags)
    if flags.zero and not flags.minus and flags.width is not None:
        text = text.zfill(flags.width - 1)
    return pad((sign + text).encode(), flags)


def _with_point(text: str, verb: str, precision: int) -> str:
    """Return ``text`` with a decimal point, and for %g with the digits that ``precision`` asks for."""
    missing = (6 if precision == -1 else precision) if verb in "vgGx" else 0
    marks = "pP" if verb in "xX" else "eE"
    cut = next((at for at, char in enumerate(text) if char in marks), len(text))
    head, tail = text[:cut], text[cut:]
    significant = head.replace(".", "").lstrip("0")
    missing -= len(significant)
    if "." not in head:
        missing -= head == "0"
        head += "."
    return head + "0" * missing + tail


def _complex(value: complex, verb: str, flags: Flags) -> bytes | None:
    real = _float(value.real, verb, flags)
    if real is None:
        return None
    plus, flags.plus = flags.plus, True
    imaginary = _float(value.imag, verb, flags) or b""
    flags.plus = plus
    return b"(" + real + imaginary + b"i)"

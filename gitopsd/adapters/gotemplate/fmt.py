"""Go's fmt: Sprint, Sprintln and Sprintf over template values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .errors import LimitError
from .strconv import runes
from .values import Slice, type_name
from .verbs import Flags, format_scalar, pad

_NIL: Final = b"<nil>"
_STRING_VERBS: Final = frozenset("vsxXq")
_MAX_NUMBER: Final = 1_000_000  # the widest width, precision and index that fmt reads
_DIGITS: Final = frozenset(b"0123456789")
_FLAG_NAMES: Final = {b"#": "sharp", b"0": "zero", b"+": "plus", b"-": "minus", b" ": "space"}
# Where a list or map would lie in memory; Go prints the real address, which differs from run to run.
_ADDRESS: Final = 0xC000010000


def sprint(values: Sequence[Any], limit: int) -> bytes:
    """Return the values as ``print`` shows them: a space between two when neither is a string.

    Raises LimitError when the result would be longer than ``limit`` bytes.
    """
    printer = _Printer(limit)
    after_string = True
    for value in values:
        is_string = isinstance(value, bytes)
        if not is_string and not after_string:
            printer.write(b" ")
        printer.print_value(value, "v", Flags())
        after_string = is_string
    return printer.result()


def sprintln(values: Sequence[Any], limit: int) -> bytes:
    """Return the values as ``println`` shows them: always spaces, and a line end."""
    printer = _Printer(limit)
    for index, value in enumerate(values):
        if index:
            printer.write(b" ")
        printer.print_value(value, "v", Flags())
    printer.write(b"\n")
    return printer.result()


def sprintf(template: bytes, values: Sequence[Any], limit: int) -> bytes:
    """Return the values formatted by ``template``; every mistake shows in the text, as in Go."""
    printer = _Printer(limit)
    _Directives(template, values, printer).expand()
    return printer.result()


class _Markup(bytes):
    """Brackets and separators of a list or map, already in their final form."""

    __slots__ = ()


class _Printer:
    """Collects output; nesting of lists and maps is walked with a list, never by recursion."""

    def __init__(self, limit: int) -> None:
        self._parts: list[bytes] = []
        self._room = limit
        self._limit = limit

    def result(self) -> bytes:
        return b"".join(self._parts)

    def write(self, text: bytes) -> None:
        self._room -= len(text)
        if self._room < 0:
            raise LimitError(f"text is longer than {self._limit} bytes")
        self._parts.append(text)

    def print_value(self, value: Any, verb: str, flags: Flags) -> None:
        """Write one operand of a print function."""
        if value is None:
            self.write(pad(_NIL, flags) if verb in "Tv" else self._bad_verb_text(None, verb, flags))
        elif verb == "T":
            self.write(_scalar(type_name(value).encode(), "s", flags))
        elif verb == "p":
            self._pointer(value, flags)
        elif verb == "w" and isinstance(value, Slice | dict):
            self.write(b"%!w(" + type_name(value).encode() + b"=")
            self._print_nested(value, "v", flags)
            self.write(b")")
        else:
            self._print_nested(value, verb, flags)

    def _pointer(self, value: Any, flags: Flags) -> None:
        if not isinstance(value, Slice | dict):
            self.write(self._bad_verb_text(value, "p", flags))
            return
        sharp, flags.sharp = flags.sharp, not flags.sharp
        self.write(_scalar(_ADDRESS, "x", flags))
        flags.sharp = sharp

    def _print_nested(self, value: Any, verb: str, flags: Flags) -> None:
        waiting: list[Any] = [value]
        while waiting:
            item = waiting.pop()
            if isinstance(item, _Markup):
                self.write(item)
            elif isinstance(item, Slice):
                waiting.extend(reversed(_list_items(item, flags)))
            elif isinstance(item, dict):
                waiting.extend(reversed(_map_items(item, flags)))
            elif item is None:
                self.write(b"interface {}(nil)" if flags.go_syntax else _NIL)
            else:
                text = format_scalar(item, verb, flags)
                self.write(self._bad_verb_text(item, verb, flags) if text is None else text)

    def _bad_verb_text(self, value: Any, verb: str, flags: Flags) -> bytes:
        shown = _NIL
        if value is not None:
            shown = type_name(value).encode() + b"=" + _scalar(value, "v", flags)
        return b"%!" + verb.encode("utf-8", "replace") + b"(" + shown + b")"


def _scalar(value: Any, verb: str, flags: Flags) -> bytes:
    text = format_scalar(value, verb, flags)
    assert text is not None  # only verbs that suit the value come here
    return text


def _list_items(value: Slice, flags: Flags) -> list[Any]:
    opener, separator, closer = _brackets(value, b"[", b"]", flags)
    items: list[Any] = [opener]
    for item in value.values():
        items += [separator, item]
    if len(value):
        del items[1]
    items.append(closer)
    return items


def _map_items(value: dict[bytes, Any], flags: Flags) -> list[Any]:
    opener, separator, closer = _brackets(value, b"map[", b"]", flags)
    colon = _Markup(b":")
    items: list[Any] = [opener]
    for key in sorted(value):
        items += [separator, key, colon, value[key]]
    if value:
        del items[1]
    items.append(closer)
    return items


def _brackets(value: Any, opener: bytes, closer: bytes, flags: Flags) -> tuple[_Markup, _Markup, _Markup]:
    if flags.go_syntax:
        return _Markup(type_name(value).encode() + b"{"), _Markup(b", "), _Markup(b"}")
    return _Markup(opener), _Markup(b" "), _Markup(closer)


class _Directives:
    """One pass over a format string."""

    def __init__(self, template: bytes, values: Sequence[Any], printer: _Printer) -> None:
        self._template = template
        self._values = values
        self._printer = printer
        self._at = 0
        self._next = 0
        self._indexed = False  # an index such as [2] was used anywhere
        self._good_index = True
        self._after_index = False

    def expand(self) -> None:
        template, write = self._template, self._printer.write
        while self._at < len(template):
            percent = template.find(b"%", self._at)
            end = len(template) if percent < 0 else percent
            if end > self._at:
                write(template[self._at : end])
            self._at = end + 1
            if percent >= 0 and not self._directive():
                write(b"%!(NOVERB)")
        if not self._indexed and self._next < len(self._values):
            self._extra()

    def _directive(self) -> bool:
        """Expand the directive after a percent sign; False when the format ends before its verb."""
        flags = Flags()
        self._good_index = True
        self._after_index = False
        while (name := _FLAG_NAMES.get(self._char())) is not None:
            setattr(flags, name, True)
            self._at += 1
        self._index()
        self._width(flags)
        self._precision(flags)
        if not self._after_index:
            self._index()
        if self._at >= len(self._template):
            return False
        self._verb(flags)
        return True

    def _char(self) -> bytes:
        return self._template[self._at : self._at + 1]

    def _verb(self, flags: Flags) -> None:
        verb = runes(self._template[self._at : self._at + 4])[0]
        self._at += len(verb.encode("utf-8", "surrogateescape"))
        if verb == "%":
            self._printer.write(b"%")
        elif not self._good_index:
            self._printer.write(b"%!" + verb.encode("utf-8", "replace") + b"(BADINDEX)")
        elif self._next >= len(self._values):
            self._printer.write(b"%!" + verb.encode("utf-8", "replace") + b"(MISSING)")
        else:
            if verb in "vw":
                flags.for_value()
            self._printer.print_value(self._values[self._next], verb, flags)
            self._next += 1

    def _extra(self) -> None:
        write = self._printer.write
        write(b"%!(EXTRA ")
        for index, value in enumerate(self._values[self._next :]):
            if index:
                write(b", ")
            if value is None:
                write(_NIL)
            else:
                write(type_name(value).encode() + b"=")
                self._printer.print_value(value, "v", Flags())
        write(b")")

    def _number(self, end: int) -> int | None:
        """Read digits before ``end``; a number that is too large reads everything and counts as none."""
        start, value = self._at, 0
        while self._at < end and self._template[self._at] in _DIGITS:
            if value > _MAX_NUMBER:
                self._at = end
                return None
            value = value * 10 + self._template[self._at] - 0x30
            self._at += 1
        return value if self._at > start else None

    def _index(self) -> None:
        """Read an argument index such as ``[2]`` where there is one."""
        self._after_index = False
        if self._char() != b"[":
            return
        self._indexed = True
        start = self._at
        close = self._template.find(b"]", start + 1)
        if close < 0:
            self._good_index = False
            self._at = start + 1
            return
        self._at = start + 1
        number = self._number(close)
        well_formed = number is not None and self._at == close
        self._at = close + 1
        self._after_index = well_formed
        if number is not None and well_formed and 0 < number <= len(self._values):
            self._next = number - 1
        else:
            self._good_index = False

    def _star(self) -> int | None:
        """Take an operand as width or precision; None when it is no integer or too large."""
        self._at += 1
        self._after_index = False
        if self._next >= len(self._values):
            return None
        value = self._values[self._next]
        self._next += 1
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MAX_NUMBER:
            return None
        return value

    def _width(self, flags: Flags) -> None:
        if self._char() != b"*":
            flags.width = self._number(len(self._template))
            if self._after_index and flags.width is not None:
                self._good_index = False
            return
        flags.width = self._star()
        if flags.width is None:
            self._printer.write(b"%!(BADWIDTH)")
        elif flags.width < 0:
            flags.width = -flags.width
            flags.minus, flags.zero = True, False

    def _precision(self, flags: Flags) -> None:
        if self._char() != b"." or self._at + 1 == len(self._template):
            return
        self._at += 1
        if self._after_index:
            self._good_index = False
        self._index()
        if self._char() != b"*":
            flags.precision = self._number(len(self._template)) or 0
            return
        flags.precision = self._star()
        if flags.precision is None or flags.precision < 0:
            flags.precision = None
            self._printer.write(b"%!(BADPREC)")

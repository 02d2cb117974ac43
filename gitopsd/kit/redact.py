"""Keeps secrets out of texts that people and files get to see."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 4
"""Values shorter than this many characters are not masked: they would blank out ordinary words."""

SHORTEST_LINE = 12
"""Lines of a value (of a key, say) that are masked by themselves have at least this many characters."""

SHORTEST_CUT = 6
"""Characters of the beginning of a value that are masked where the rest was cut off."""

_CUT = re.compile(r"\.\.\.|…|\Z")
_USER_INFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@'\"]*@", re.IGNORECASE)
_QUERY = re.compile(r"(?P<address>\b[a-z][a-z0-9+.-]*://[^\s?#'\"]*)\?[^\s'\"]*", re.IGNORECASE)


def redact_urls(text: str) -> str:
    """Addresses in the text without user, password and query string, which often carry a token."""
    return _QUERY.sub(rf"\g<address>?{MASK}", _USER_INFO.sub(rf"\g<scheme>{MASK}@", text))


class Redactor:
    """Masks known secret values, in the spellings that they take in URLs and JSON, and credentials in URLs.

    Longer values first, so that a secret inside another one leaves no rest.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values for form in spellings(value)}
        ordered = sorted(forms, key=len, reverse=True)
        self._values = re.compile("|".join(re.escape(item) for item in ordered)) if ordered else None

    def text(self, text: str) -> str:
        """The text with every known value masked."""
        masked = redact_urls(text)
        return self._values.sub(MASK, masked) if self._values else masked

    def data(self, value: object) -> object:
        """JSON-like data with every text in it masked, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.data(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(item) for item in value]
        return value


def mask_cut(text: str, forms: Iterable[str], mask: str) -> str:
    """The text without the beginnings of forms that somebody else cut off: those before ``...`` or ``…``, and one at
    the text's end. Beginnings shorter than :data:`SHORTEST_CUT` stay."""
    ends = [found.start() for found in _CUT.finditer(text)]
    for end in reversed(ends):
        for form in forms:
            longest = min(len(form), end)
            cut = next((size for size in range(longest, SHORTEST_CUT - 1, -1) if text.endswith(form[:size], 0, end)), 0)
            if cut:
                text = text[: end - cut] + mask + text[end:]
                break
    return text


def spellings(value: str) -> set[str]:
    """The forms that a value takes in URLs, JSON, messages and Base64, and each of its lines that is long enough to
    be no word; forms shorter than :data:`SHORTEST` are left out."""
    plain = value.strip()
    quoted = {form(text) for text in (value, plain) for form in (_quoted, _quoted_form, _escaped, _encoded)}
    forms = {value, plain, " ".join(plain.split()), repr(value)[1:-1], *quoted}
    forms |= {line.strip() for line in value.splitlines() if len(line.strip()) >= SHORTEST_LINE}
    return {form for form in forms if len(form) >= SHORTEST}


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


def _quoted_form(text: str) -> str:
    return quote_plus(text, errors="surrogatepass")


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")

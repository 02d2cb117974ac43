"""Keeps secrets out of texts that people and files get to see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 4
"""Values shorter than this many characters are not masked: they would blank out ordinary words."""

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
        spellings = {spelling for value in values for spelling in _spellings(value)}
        ordered = sorted(spellings, key=len, reverse=True)
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


def _spellings(value: str) -> set[str]:
    forms = {value, value.strip(), quote(value, safe=""), quote_plus(value), repr(value)[1:-1]}
    forms |= {line for line in value.splitlines() if len(line) >= 16}
    return {form for form in forms if len(form) >= SHORTEST}

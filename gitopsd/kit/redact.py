"""Keeps secrets out of texts that people and files get to see."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
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

    Longer values first, so that a secret inside another one leaves no rest. Without ``addresses``, URLs stay whole.
    """

    def __init__(self, values: Iterable[str] = (), *, addresses: bool = True) -> None:
        self._addresses = addresses
        forms = {form for value in values for form in spellings(value)}
        ordered = sorted(forms, key=len, reverse=True)
        self._values = re.compile("|".join(re.escape(item) for item in ordered)) if ordered else None

    def text(self, text: str) -> str:
        """The text with every known value masked."""
        masked = redact_urls(text) if self._addresses else text
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


def spellings(value: str) -> dict[str, str]:
    """The spellings of a value in URLs, JSON, messages and Base64, and each of its lines that is long enough to be no
    word, with the form that :func:`spelled` knows each by. Those shorter than :data:`SHORTEST` are left out."""
    forms = {value: ""}
    for form, spell in _FORMS.items():
        forms.setdefault(spell(value), form)
        forms.setdefault(spell(value.strip()), f"strip {form}")
    for number, line in enumerate(value.splitlines()):
        if len(line) >= SHORTEST_LINE:
            forms.setdefault(line, f"line {number}")
    return {spelling: form for spelling, form in forms.items() if len(spelling) >= SHORTEST}


def spelled(value: str, form: str) -> str:
    """A value in one of the forms of :func:`spellings`. KeyError or IndexError for a form that it does not have."""
    kind, _, rest = form.partition(" ")
    if kind == "line":
        return value.splitlines()[int(rest)]
    return _FORMS[rest](value.strip()) if kind == "strip" else _FORMS[form](value)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


_FORMS: dict[str, Callable[[str], str]] = {
    "": lambda text: text,
    "json": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "ascii": lambda text: json.dumps(text)[1:-1],
    "repr": lambda text: repr(text)[1:-1],
    "url": lambda text: quote(text, safe="", errors="surrogatepass"),
    "form": lambda text: quote_plus(text, errors="surrogatepass"),
    "base64": _encoded,
    "words": lambda text: " ".join(text.split()),
    "lines": lambda text: " | ".join(line for line in text.splitlines() if line.strip()),
}


def masked(text: str, secrets: Mapping[str, str]) -> str:
    """A text with the names of secrets in place of their values, however they are spelled, and of the beginnings of
    them that others cut off."""
    forms = [(form, name) for name, value in secrets.items() for form in spellings(value)]
    for form, name in sorted(forms, key=lambda item: -len(item[0])):
        text = text.replace(form, f"<secret {name}>")
    for name, value in secrets.items():
        text = mask_cut(text, (value, *value.splitlines()), f"<secret {name}>")
    return text

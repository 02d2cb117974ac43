"""jq programs over JSON texts, with what gojq does where the two differ and packages can tell.

gojq, which packages are written for, keeps objects sorted by their keys and integers exact. So the document and all
that ``fromjson`` reads is sorted, texts of objects are written sorted, and results leave jq as JSON texts, in which
numbers keep their digits. A result that comes before an error counts, as in Kurtosis.
"""

from __future__ import annotations

import re
from typing import Any, Final

import jq

from gitopsd.errors import Reason, StepError
from gitopsd.kit import jsontext

_IMPORTS: Final = re.compile(r"(?:^|[\r\n])\s*(?:import|include|module)\b(?!\s*:)")
"""A directive of jq that reads another file; it can only stand at the beginning of a program, after comments."""

_SORTED: Final = (
    'def _sorted: if type == "object" then . as $all | reduce keys[] as $key ({}; .[$key] = ($all[$key] | _sorted))'
    ' elif type == "array" then [.[] | _sorted] else . end;'
    "def _read: fromjson; def fromjson: _read | _sorted;"
    "def _write: tojson;"
    'def tojson: if type == "number" then _write | ascii_downcase else _sorted | _write end;'
    'def tostring: if type == "string" then . else tojson end;'
    "def to_entries: [keys[] as $key | {key: $key, value: .[$key]}];"
    "def with_entries(f): to_entries | map(f) | from_entries; "
)
_RESULT: Final = "\n\n| _write"
"""What is put after a program: two line ends, for a comment may go on over one."""


def refuse_imports(program: str) -> None:
    """Raises StepError EXTRACT_FAILED for a program that imports or includes a file."""
    if _IMPORTS.search(program):
        message = f"the jq program {program[:200]!r} imports a module; a program here has nothing but its input"
        raise StepError(Reason.EXTRACT_FAILED, message, hint="write out what the module would define")


def check(program: str) -> None:
    """Compiles a program and runs nothing. Raises ValueError with what jq says of it."""
    jq.compile(program)


def results(program: str, document: str) -> list[Any]:
    """The results of a program over a JSON text with sorted keys. Raises StepError EXTRACT_FAILED for a program that
    is none, or that fails before it gives any result but null."""
    found: list[Any] = []
    try:
        check(program)
        whole = jq.compile(_SORTED + program + _RESULT)
        for text in whole.input_text(document):
            found.append(jsontext.loads(text))  # noqa: PERF401 - what comes before an error is kept
    except ValueError as error:
        if all(item is None for item in found):
            message = f"the jq program {program[:200]!r} failed: {str(error)[:500]}"
            raise StepError(Reason.EXTRACT_FAILED, message) from None
    return found

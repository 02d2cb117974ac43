"""Go's text/template in pure Python, as ``render_templates`` of Kurtosis uses it.

Built-in functions only, default delimiters, a missing key is "no value". The data is JSON text; its numbers
pass through float64 and are kept as text (``json.Number``). Output, errors and their positions follow Go's
text/template, whose documentation (https://pkg.go.dev/text/template) is the specification. Standard library
only; nothing recurses, so no input can exhaust the interpreter's stack; output and steps are limited.
"""

from __future__ import annotations

from typing import Final

from .data import decode, utf8
from .errors import TemplateError
from .evaluate import Limits
from .execute import execute
from .functions import NAMES
from .parser import parse

MAX_OUTPUT: Final = 64 * 1024 * 1024
MAX_STEPS: Final = 5_000_000

__all__ = ["MAX_OUTPUT", "MAX_STEPS", "TemplateError", "check", "render", "render_bytes"]


def render_bytes(
    template: str,
    data_json: str,
    *,
    name: str = "template",
    max_output: int = MAX_OUTPUT,
    max_steps: int = MAX_STEPS,
) -> bytes:
    """Return the output of ``template`` over the JSON text ``data_json``.

    The output is UTF-8 unless the template cuts a string inside a character or writes raw bytes.
    ``max_output`` is in bytes and bounds every intermediate text too; a step is about a microsecond.
    Raises TemplateError: the template is parsed first, then the data, then executed.
    """
    text, name = utf8(template).decode(), utf8(name).decode()
    trees = parse(text, name, NAMES)
    return execute(trees, decode(data_json), name=name, limits=Limits(max_output, max_steps))


def check(template: str, *, name: str = "template") -> None:
    """Parses a template and runs nothing. Raises TemplateError."""
    parse(utf8(template).decode(), utf8(name).decode(), NAMES)


def render(
    template: str,
    data_json: str,
    *,
    name: str = "template",
    max_output: int = MAX_OUTPUT,
    max_steps: int = MAX_STEPS,
) -> str:
    """Return ``render_bytes`` as text; bytes that are not UTF-8 become U+FFFD."""
    output = render_bytes(template, data_json, name=name, max_output=max_output, max_steps=max_steps)
    return output.decode("utf-8", "replace")

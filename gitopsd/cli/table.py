"""Tables for people: by rich on a terminal, plain columns elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gitopsd.cli.output import say
from gitopsd.kit.text import one_line


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Writes a table; cells are one line each and plain text."""
    clean = [tuple(one_line(cell) for cell in row) for row in rows]
    if not sys.stdout.isatty():
        widths = [max(len(row[column]) for row in (head, *clean)) for column in range(len(head))]
        for row in (head, *clean):
            say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(*head, box=None, pad_edge=False, header_style="bold")
    for row in clean:
        shown.add_row(*(Text(cell) for cell in row))
    Console().print(shown)

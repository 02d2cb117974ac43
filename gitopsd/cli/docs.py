"""``gitopsd docs``: the manual, which is installed with the program."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

import typer

from gitopsd.cli.options import Output, OutputOption
from gitopsd.cli.output import say, say_json
from gitopsd.errors import Reason, UserError
from gitopsd.kit.text import suggestion


def verb(
    page: Annotated[str, typer.Argument(metavar="[PAGE]", help="The page to print.")] = "",
    output: OutputOption = Output.TEXT,
) -> None:
    """List the pages of the manual, or print one."""
    pages = text_by_page()
    if not page:
        if output is Output.JSON:
            say_json({"pages": [{"name": name, "title": title_of(text)} for name, text in pages.items()]})
        else:
            for name, text in pages.items():
                say(f"{name:<32} {title_of(text)}")
        return
    name = page.removesuffix(".md")
    if name not in pages:
        hint = suggestion(name, pages) or "gitopsd docs lists the pages"
        raise UserError(Reason.UNSUPPORTED, f"the manual has no page {page!r}", hint=hint)
    if output is Output.JSON:
        say_json({"name": name, "text": pages[name]})
    else:
        say(pages[name])


def text_by_page() -> dict[str, str]:
    """Every page of the manual, by its name."""
    top = files("gitopsd") / "docs"
    found = {}
    folders = [("", top)]
    while folders:
        prefix, folder = folders.pop()
        for item in folder.iterdir():
            if item.is_dir():
                folders.append((f"{prefix}{item.name}/", item))
            elif item.name.endswith(".md"):
                found[prefix + item.name.removesuffix(".md")] = item.read_text("utf-8")
    return dict(sorted(found.items()))


def title_of(text: str) -> str:
    """The heading of a page."""
    return next((line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")), "")

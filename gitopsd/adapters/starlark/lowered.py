"""What lowering gives."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["MARK", "VERSION", "Lowered", "Unlowerable"]

MARK = "ƶ"
"""First letter of every name that belongs to the prelude; a package that uses it in a name is refused."""
VERSION = 9
"""Part of the key of cached lowered sources: raise it with every change of what comes out."""


class Unlowerable(Exception):
    """The source cannot be lowered; the engine must look at the original."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A lowered module and what the loader must know about it without reading it again."""

    text: str
    """The source, of the same lines, for the prelude's helpers."""
    names: tuple[str, ...]
    """Every name that the source mentions, attributes left out."""
    exports: tuple[str, ...]
    """Names bound at the top level, in order."""
    imports: tuple[str, ...]
    """Locators of `import_module` calls with one literal argument."""
    signatures: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Parameters of each top-level `def`, with their stars."""

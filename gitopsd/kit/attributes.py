"""Many attributes of an object at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any


def reader(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Gives the values of these attributes of an object, in their order."""
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda _: ()
    read = attrgetter(names[0])
    return lambda item: (read(item),)

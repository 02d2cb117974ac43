"""What a plan method is: a signature, and a function that records a checked call and gives the script its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gitopsd.evaluate.arguments import Signature
from gitopsd.evaluate.engine import StarlarkValue
from gitopsd.evaluate.reading import Fields
from gitopsd.evaluate.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Method:
    """One plan method."""

    signature: Signature
    record: Callable[[Recorder, Fields], StarlarkValue]

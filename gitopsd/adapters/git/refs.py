"""Which of a repository's refs a name means."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

_COMMIT = re.compile(r"[0-9a-f]{40}")
EVERYTHING = "refs/gitopsd/all/"
"""Where a mirror keeps the refs of a host that had to be asked for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A ref as people write it. Of a branch and a tag with one name a watched ref means the branch, a locator
    (``tags_first``) the tag, as upstream has it."""

    ref: str
    tags_first: bool = False

    @property
    def is_commit(self) -> bool:
        """Whether it is a whole commit id."""
        return _COMMIT.fullmatch(self.ref) is not None


def watched_names(ref: str, *, tags_first: bool = False) -> tuple[str, ...]:
    """The full names that a ref may stand for, the first one that exists being meant."""
    if ref == "HEAD" or ref.startswith("refs/"):
        return (ref,)
    names = (f"refs/heads/{ref}", f"refs/tags/{ref}")
    return names[::-1] if tags_first else names


def choose(refs: Mapping[str, str], wanted: Wanted) -> str | None:
    """The full name of the wanted ref among those that a host has, None when there is none.

    A host whose HEAD names no branch yet has its ``main`` or ``master`` taken for it.
    """
    for name in watched_names(wanted.ref, tags_first=wanted.tags_first):
        if name in refs:
            return name
    if wanted.ref == "HEAD":
        return next((name for name in ("refs/heads/main", "refs/heads/master") if name in refs), None)
    return None


def local_name(name: str) -> str:
    """Where a mirror keeps a host's ref: under a digest, so that a branch ``a`` which gave way to ``a/b`` is no
    obstacle."""
    return f"refs/gitopsd/ref/{hashlib.sha256(name.encode()).hexdigest()[:40]}"

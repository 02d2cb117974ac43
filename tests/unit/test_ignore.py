"""What a .kurtosisignore leaves out of an upload."""

from __future__ import annotations

import pytest

from gitopsd.kit.ignore import IGNORE_FILE, uploaded
from gitopsd.model.package import TreeFile

PATHS = ("a.txt", "a.log", "b/a.log", "b/c/d.txt", "build/x", "b/build/y", "keep.log")


def kept(*rules: str) -> list[str]:
    files = [TreeFile(path=path, mode=0o644, content=b"") for path in PATHS]
    ignore = TreeFile(path=IGNORE_FILE, mode=0o644, content="\n".join(rules).encode())
    return [item.path for item in uploaded([ignore, *files]) if item.path != IGNORE_FILE]


@pytest.mark.parametrize(
    ("rules", "left_out"),
    [
        ((), ()),
        (("# a.txt", ""), ()),
        (("*.log",), ("a.log", "b/a.log", "keep.log")),
        (("*.log", "!keep.log"), ("a.log", "b/a.log")),
        (("/a.log",), ("a.log",)),
        (("build/",), ("build/x", "b/build/y")),
        (("/build",), ("build/x",)),
        (("a.txt/",), ()),
        (("b/**/d.txt",), ("b/c/d.txt",)),
        (("**/a.log",), ("a.log", "b/a.log")),
        (("?.[lt]*",), ("a.txt", "a.log", "b/a.log", "b/c/d.txt")),
        (("[!a].txt",), ("b/c/d.txt",)),
        (("b/*",), ("b/a.log", "b/c/d.txt", "b/build/y")),
    ],
)
def test_rules_leave_out_what_git_would_ignore(rules: tuple[str, ...], left_out: tuple[str, ...]) -> None:
    assert kept(*rules) == [path for path in PATHS if path not in left_out]


def test_without_the_file_everything_is_uploaded() -> None:
    files = (TreeFile(path="b/.kurtosisignore", mode=0o644, content=b"*"), TreeFile(path="x", mode=0o644, content=b""))
    assert uploaded(files) == files

"""Packages for real evaluators: the files of one in a folder, in a bare repository, and the request to evaluate it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pygit2

from gitopsd.model.package import Arguments, EvaluationRequest, Package
from gitopsd.model.values import Frozen, freeze
from tests.stage.repository import Repository
from tests.stage.scripted import LOCATOR, URL

AUTHOR = pygit2.Signature("Test", "test@example.org", 1_700_000_000, 0)


def mirror(folder: Path, files: Mapping[str, bytes]) -> str:
    """Makes a bare repository with one commit that holds ``files``, and gives the commit's id: always the same."""
    return Repository(folder).commit(files, author=AUTHOR, message="Add a package")


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder of this machine, by its path there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def request(folder: Path, files: Mapping[str, bytes | str], args: Mapping[str, Any] | None = None) -> EvaluationRequest:
    """An evaluation of a package that is made of ``files``, in a bare repository that is made in ``folder``."""
    encoded = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    commit = mirror(folder, encoded)
    return EvaluationRequest(
        package=Package(locator=LOCATOR, url=URL, commit=commit),
        arguments=Arguments(values=freeze(args or {})),
        cluster_type="docker",
        mirrors=Frozen({URL: str(folder)}),
    )

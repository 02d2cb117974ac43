"""Packages followed over processes of this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitopsd.adapters.local.backend import LocalBackend
from gitopsd.adapters.local.settings import LocalSettings
from gitopsd.model.environment import Commit
from gitopsd.model.run import Run
from tests.stage import records
from tests.stage.repository import Repository
from tests.stage.world import Site

QUICK = LocalSettings(grace=1.0)


class LocalSite(Site):
    """The environment ``dev`` of a package at the top of its repository."""

    def __init__(self, folder: Path, settings: LocalSettings = QUICK) -> None:
        state = folder / "state"
        self.settings = settings
        self.enclaves = state / "local"
        backend = LocalBackend(self.enclaves, settings)
        super().__init__(state, Repository(folder / "envs.git"), backend, records.in_files(self.enclaves))

    def push(self, package: Mapping[str, bytes | str], args: Mapping[str, Any] | None = None) -> Commit:
        """Commits a package and its arguments."""
        environments = {"environments": {"dev": {"package": ".", "args": dict(args or {})}}}
        files = {"gitopsd.yaml": json.dumps(environments), **package}
        self.repository.commit({path: text.encode() if isinstance(text, str) else text for path, text in files.items()})
        return self.head()

    def apply(self, package: Mapping[str, bytes | str], args: Mapping[str, Any] | None = None) -> Run:
        """Commits a package and follows the commit."""
        return self.follow(self.push(package, args))

    def artifact(self, name: str) -> dict[str, bytes]:
        """The files of an artifact by name."""
        step = next(step for step in self.recorded.steps.values() if name in step.output.artifacts)
        files = self.backend.get_artifact("dev", step.output.artifacts[name])
        return {file.path: file.content for file in files}

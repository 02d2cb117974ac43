"""The worker that evaluates, and a native program over the same engine that evaluates the same package.

The program is ``native/``, built with Go from go.starlark.net at the commit that the Python binding embeds. It checks
nothing and keeps its instructions as text; both have to record the same number of them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gitopsd.adapters.downloads import HttpDownloads
from gitopsd.adapters.folder import FolderGit
from gitopsd.adapters.git.mirrors import GitMirrors, GitRules
from gitopsd.adapters.worker.evaluator import WorkerEvaluator, WorkerSettings
from gitopsd.daemon.offline import read_args_file
from gitopsd.model.environment import Commit, Environment, Source
from gitopsd.model.package import Arguments, EvaluationRequest
from gitopsd.model.plan import Evaluation
from gitopsd.resolve import resolve
from gitopsd.resolve.closure import close
from tests.compat.places import check_out

_SOURCE = Path(__file__).parent / "native"


class _Remembering(WorkerEvaluator):
    """Keeps the last request, which is the one that nothing is missing from."""

    request: EvaluationRequest

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        self.request = request
        return super().evaluate(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rivals:
    """Two calls that evaluate one package with the same arguments, each in a fresh process; ``worker`` reads lowered
    sources from the cache."""

    worker: Callable[[], object]
    native: Callable[[], object]


def rivals(package: Path, packages: Path, work: Path, arguments: Path | None) -> Rivals:
    """Prepares both. Raises RuntimeError when they do not agree on the number of instructions."""
    cache = work / "cache" / "gitopsd"
    evaluator = _Remembering(WorkerSettings(cache=str(cache / "lowered")))
    rules = GitRules(rewrites={"https://github.com/": f"file://{packages}/"})
    git = FolderGit(package, lambda: GitMirrors(cache / "git", rules))
    environment = Environment(
        name="package", source=Source(name="folder", url=git.url), package=".", enclave="offline"
    )  # fmt: skip
    resolved = resolve(environment, Commit(url=git.url, ref="", id=""), git, evaluator)
    given = read_args_file(arguments, evaluator) if arguments else Arguments()
    asked = EvaluationRequest(package=resolved, arguments=given, cluster_type="docker")
    plan = close(asked, environment, git, HttpDownloads(cache / "downloads"), evaluator).plan
    if plan is None:
        raise RuntimeError("the package does not plan")
    request = evaluator.request
    others = [pin.root.removeprefix("github.com/") for pin in request.package.pins]
    command = _native(package, resolved.name, packages, work, others) + (
        ["--args", str(arguments)] if arguments else []
    )
    recorded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if int(recorded) != len(plan.instructions):
        raise RuntimeError(f"the native program records {recorded} instructions, the worker {len(plan.instructions)}")
    return Rivals(
        worker=lambda: evaluator.evaluate(request),
        native=lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True),
    )


def _native(package: Path, name: str, packages: Path, work: Path, others: list[str]) -> list[str]:
    """The command of the native program, which is built with Go, over work trees of all repositories."""
    program, repositories = work / "native", work / "repositories"
    if not program.exists():
        subprocess.run(["go", "build", "-trimpath", "-o", str(program), "."], cwd=_SOURCE, check=True)
    for repository in others:
        if not (repositories / repository).exists():
            check_out(packages, repository, repositories / repository)
    return [str(program), "--name", name, "--root", str(package), "--repositories", str(repositories)]

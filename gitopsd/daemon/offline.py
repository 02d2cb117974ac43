"""Plans and checks a folder without a daemon: no state, no credentials, nothing applied.

The same stages as the daemon's, over the folder as it is on the disk. What a package imports is fetched anonymously,
within rewrites, into a cache of the user. Libraries that a plain package does not need are not imported.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gitopsd.adapters.folder import FolderGit
from gitopsd.adapters.worker.evaluator import WorkerEvaluator, WorkerSettings
from gitopsd.adapters.worker.process import ForkServer
from gitopsd.daemon.hints import Hints
from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.model.environment import Commit, Environment, Source
from gitopsd.model.package import Arguments, Download, EvaluationRequest, TreeFile
from gitopsd.model.plan import Evaluation, Problem
from gitopsd.model.values import Frozen, Json, freeze
from gitopsd.ports import Evaluator, Git
from gitopsd.resolve import resolve
from gitopsd.resolve.closure import close, warned, with_likely

if TYPE_CHECKING:
    from gitopsd.model.ops import Task
    from gitopsd.model.parts import ServiceSpec

ENVIRONMENTS_FILE = "gitopsd.yaml"
LARGEST_ARGUMENTS = 4 * 1024 * 1024


def cache_folder() -> Path:
    """Where mirrors and lowered sources are kept, as the XDG base directory specification says."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "gitopsd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """A folder that holds a package or an environment repository. ``rewrites`` replace prefixes of addresses,
    ``cluster_type`` is what ``plan.get_cluster_type()`` answers; the package begins with ``main_function`` of
    ``main_file``. ``server`` may have been started already; ``imports`` names modules that the caller will need, which
    are imported while the package is evaluated."""

    folder: Path
    rewrites: Mapping[str, str] = field(default_factory=dict)
    cluster_type: str = "docker"
    main_file: str = "main.star"
    main_function: str = "run"
    cache: Path = field(default_factory=cache_folder)
    server: ForkServer = field(default_factory=ForkServer)
    imports: tuple[str, ...] = ()

    def plan(self, args_file: Path | None = None) -> Evaluation:
        """What the package in the folder asks for; nothing beside the folder is read. Raises UserError for what is no
        package, and what fetching a dependency raises."""
        return self._planned(args_file, self._evaluator())

    def _planned(self, args_file: Path | None, evaluator: WorkerEvaluator) -> Evaluation:
        git = self._git()
        environment = Environment(
            name=self.folder.resolve().name or "package", source=Source(name="folder", url=git.url), package=".",
            enclave="offline", main_file=self.main_file, main_function=self.main_function,
        )  # fmt: skip
        evaluator.prepare()
        _import_aside("gitopsd.adapters.git.mirrors")  # most packages need it, and the server gets ready meanwhile

        arguments = read_args_file(args_file, evaluator) if args_file is not None else Arguments()
        return self._evaluated(environment, arguments, git, evaluator)

    def examine(self, args_file: Path | None = None) -> tuple[Problem, ...]:
        """Every problem of the package with a file of arguments: of its evaluation, of what it will not be given, and
        of its templates and jq programs, which are parsed and not run."""
        evaluator = self._evaluator()
        try:
            problems = self._examined(self._planned(args_file, evaluator), evaluator)
        except GitopsdError as error:
            problems = (self._of_no_package(Problem.of(error, "package")),)
        return tuple(_with(problem, str(args_file or "")) for problem in problems)

    def _of_no_package(self, problem: Problem) -> Problem:
        """What a folder without any of the two files would need; other problems as they are."""
        if (self.folder / "kurtosis.yml").exists() or self.is_environment_repository:
            return problem
        hint = f"{problem.hint}; an environment repository has {ENVIRONMENTS_FILE} at its root"
        return replace(problem, hint=hint)

    def _examined(self, evaluation: Evaluation, evaluator: WorkerEvaluator) -> tuple[Problem, ...]:
        from gitopsd.daemon.texts import text_problems

        if evaluation.plan is None:
            return evaluation.problems
        warnings = tuple(
            Problem(
                stage="evaluate", reason=Reason.UNSUPPORTED, message=item.message, severity="warning",
                position=str(item.position),
            )
            for item in evaluation.plan.warnings
        )  # fmt: skip
        return (*evaluation.problems, *text_problems(evaluation.plan, evaluator), *warnings)

    def check(self) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
        """The environments of the folder's ``gitopsd.yaml``, and every problem: those of the file, and those of each
        environment's package with its arguments."""
        from gitopsd.fetch import read_environments

        evaluator, git = self._evaluator(), self._git()
        source = Source(name="folder", url=git.url)
        commit = git.head(source)
        fetched = read_environments(source, commit, git, evaluator)
        problems = [*fetched.problems, *(item for items in fetched.broken.values() for item in items)]
        found: dict[Problem, list[str]] = {}
        for environment in fetched.environments:
            for problem in self._problems(environment, commit, git, evaluator):
                found.setdefault(problem, []).append(environment.name)
        problems += [_with(problem, ", ".join(names)) for problem, names in found.items()]
        names = (*(environment.name for environment in fetched.environments), *fetched.broken)
        return names, tuple(problems)

    def _problems(
        self, environment: Environment, commit: Commit, git: FolderGit, evaluator: WorkerEvaluator
    ) -> tuple[Problem, ...]:
        from gitopsd.fetch import read_arguments

        try:
            arguments = read_arguments(environment, commit, git, evaluator)
            return self._examined(self._evaluated(environment, arguments, git, evaluator), evaluator)
        except GitopsdError as error:
            return (Problem.of(error, environment.name),)

    def _evaluated(
        self, environment: Environment, arguments: Arguments, git: FolderGit, evaluator: Evaluator
    ) -> Evaluation:
        commit = Commit(url=git.url, ref=environment.source.ref, id="")
        package = resolve(environment, commit, git, evaluator)
        downloads = _Downloads(self.cache / "downloads")
        hints = Hints(self.cache / "hints", f"{git.url}\n{package.locator}\n{package.path}")
        package = with_likely(package, hints.read(), environment, git, downloads)
        request = EvaluationRequest(package=package, arguments=arguments, cluster_type=self.cluster_type)
        for name in self.imports:
            _import_aside(name)
        evaluation = close(request, environment, git, downloads, evaluator)
        if evaluation.plan is not None:
            hints.keep(evaluation.lock)
        return warned(evaluation, _ignored, by="the local backend")

    @property
    def is_environment_repository(self) -> bool:
        """Whether the folder has an environments file at its root."""
        return (self.folder / ENVIRONMENTS_FILE).is_file()

    def _git(self) -> FolderGit:
        return FolderGit(self.folder, self._mirrors)

    def _mirrors(self) -> Git:
        from gitopsd.adapters.git.mirrors import GitMirrors, GitRules

        try:
            return GitMirrors(self.cache / "git", GitRules(rewrites=self.rewrites))
        except OSError as error:
            raise TransientError(
                Reason.SOURCE_UNREACHABLE,
                f"nothing can be kept in {self.cache}: {error.strerror}",
                hint="set XDG_CACHE_HOME to a folder that can be written",
            ) from None

    def _evaluator(self) -> WorkerEvaluator:
        lowered = self.cache / "lowered"
        try:
            lowered.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            return WorkerEvaluator(server=self.server)  # without a place to write to it is only slower
        return WorkerEvaluator(WorkerSettings(cache=str(lowered)), self.server)


def _import_aside(name: str) -> None:
    """Imports a module in a thread; who needs it waits for it, and is told what is wrong with it."""

    def act() -> None:
        with contextlib.suppress(Exception):
            import_module(name)

    threading.Thread(target=act).start()


def _ignored(spec: ServiceSpec | Task) -> tuple[str, ...]:
    """What the one backend that there is would do without, whatever the images may stand for there."""
    from gitopsd.adapters.local.ignored import ignored_fields
    from gitopsd.adapters.local.settings import LocalSettings

    return ignored_fields(spec, LocalSettings(images=Frozen({"*": (spec.image.name,)})))


class _Downloads:
    """The port ``Downloads``, opened when a package names a web address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, url: str) -> Download:
        return cast("Download", self._opened().fetch(url))

    def files(self, download: Download) -> tuple[TreeFile, ...]:
        return tuple(self._opened().files(download))

    def _opened(self) -> Any:
        from gitopsd.adapters.downloads import HttpDownloads

        return HttpDownloads(self._folder)


def _with(problem: Problem, given: str) -> Problem:
    """A problem that says with which argument file, or in which environments, it came, unless its position does."""
    told = not given or problem.position.startswith((given, ENVIRONMENTS_FILE))
    return problem if told else replace(problem, message=f"with {given}: {problem.message}")


def read_args_file(file: Path, evaluator: Evaluator) -> Arguments:
    """The argument object of a YAML or JSON file. UserError ARGUMENTS_INVALID when it holds none."""
    try:
        with file.open("rb") as stream:
            text = stream.read(LARGEST_ARGUMENTS + 1)
    except OSError as error:
        raise UserError(
            Reason.ARGUMENTS_INVALID,
            f"cannot be read: {error.strerror}",
            position=str(file),
            hint="--args takes the path of a file of YAML or JSON",
        ) from None
    if len(text) > LARGEST_ARGUMENTS:
        raise UserError(Reason.LIMIT_EXCEEDED, f"is longer than {LARGEST_ARGUMENTS} bytes", position=str(file))
    data = _read_json(text)
    if isinstance(data, Frozen):
        return Arguments(values=data, origin=str(file))
    from gitopsd.fetch import parsed_arguments

    return parsed_arguments(text, str(file), evaluator)


def _read_json(text: bytes) -> Json:
    """The value of a JSON text; None for anything else, which may be YAML. An object alone is told from YAML safely;
    a key that is given twice is left to the reader that reports it."""
    if not text.lstrip().startswith(b"{"):
        return None
    try:
        return freeze(json.loads(text, object_pairs_hook=_unique))
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found

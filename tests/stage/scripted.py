"""The evaluate stage over an interpreter whose package is a Python function, and trees that are a dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gitopsd.errors import Reason, UserError
from gitopsd.evaluate import evaluate
from gitopsd.evaluate.engine import EntryPoint, Host, HostError, SourcePosition, StarlarkProblem, StructValue
from gitopsd.model.package import Arguments, EvaluationRequest, Package, TreeFile
from gitopsd.model.plan import Evaluation
from gitopsd.model.values import Frozen, freeze

URL = "https://127.0.0.1/example/net.git"
LOCATOR = "github.com/example/net"


class MemoryTrees:
    """Trees that are a dict; every commit holds the same files."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = {path: text.encode() for path, text in files.items()}

    def read(self, url: str, commit: str, path: str) -> bytes:
        if path not in self._files:
            raise UserError(Reason.PATH_REFUSED, f"{path!r} is no file or folder inside the repository")
        return self._files[path]

    def files(self, url: str, commit: str, path: str) -> tuple[TreeFile, ...]:
        found = [
            (name, data) for name, data in self._files.items() if f"{name}/".startswith(f"{path}/" if path else "")
        ]
        names = [(name[len(path) :].lstrip("/") or name.rpartition("/")[2], data) for name, data in found]
        if not names:
            raise UserError(Reason.PATH_REFUSED, f"{path!r} is no file or folder inside the repository")
        return tuple(TreeFile(path=name, mode=0o644, content=data) for name, data in sorted(names))


class ScriptedPlan:
    """The ``plan`` of a scripted package: every call gets the next line."""

    def __init__(self, host: Host, file: str) -> None:
        self._host = host
        self._file = file
        self._line = 0

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._line += 1
            answer = self._host.call(method, args, kwargs, SourcePosition(file=self._file, line=self._line))
            return dict(answer) if isinstance(answer, Frozen) else answer

        return call

    def make(self, type_name: str, *args: Any, **kwargs: Any) -> StructValue:
        """An object of a Kurtosis type."""
        return StructValue(type_name=type_name, fields=dict(self._host.construct(type_name, args, kwargs)))

    @staticmethod
    def struct(**fields: Any) -> StructValue:
        return StructValue(type_name="struct", fields=dict(sorted(fields.items())))

    @property
    def line(self) -> int:
        return self._line


Script = Callable[[ScriptedPlan, dict[str, Any]], Any]


class ScriptedEngine:
    """An interpreter whose package is a Python function; refusals of the host are problems at the call's line."""

    def __init__(self, host: Host, script: Script) -> None:
        self._host = host
        self._script = script

    def run(self, entry: EntryPoint, arguments: Mapping[str, Any] | None) -> Any:
        plan = ScriptedPlan(self._host, entry.file.path)
        try:
            return self._script(plan, dict(arguments or {}))
        except HostError as error:
            if type(error) is not HostError:
                raise
            position = SourcePosition(file=entry.file.path, line=plan.line)
            raise StarlarkProblem(str(error), kind="host", position=position) from error


def evaluate_script(script: Script, files: Mapping[str, str] | None = None, args: Any = None) -> Evaluation:
    """The evaluation of a scripted package."""
    trees = MemoryTrees({"main.star": "", **(files or {})})
    asked = EvaluationRequest(
        package=Package(locator=LOCATOR, url=URL, commit="c" * 40),
        arguments=Arguments(values=freeze(args or {})),
        cluster_type="docker",
    )
    return evaluate(asked, lambda host: ScriptedEngine(host, script), trees)

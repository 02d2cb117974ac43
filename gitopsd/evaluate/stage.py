"""The function of the stage; see the package's docstring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gitopsd.errors import Reason
from gitopsd.evaluate.checks import check
from gitopsd.evaluate.engine import (
    Engine,
    EntryPoint,
    Host,
    HostError,
    MissingSource,
    SourcesAhead,
    StarlarkProblem,
    StarlarkValue,
)
from gitopsd.evaluate.host import PlanHost
from gitopsd.evaluate.needs import with_needs
from gitopsd.evaluate.printing import printed
from gitopsd.evaluate.references import References
from gitopsd.evaluate.sources import Sources, Trees
from gitopsd.kit.locators import name_mismatch
from gitopsd.model.package import EvaluationRequest, Lock, Missing, Package
from gitopsd.model.plan import Evaluation, Plan, Position, Problem, Warned


def evaluate(request: EvaluationRequest, engine: Callable[[Host], Engine], trees: Trees) -> Evaluation:
    """The plan that a package asks for with its arguments, or its problems, or the source that is missing, or those
    that literal imports name and nobody tried to fetch yet."""
    references = References()
    sources = Sources(request.package, trees, request.tried)
    host = PlanHost(references, sources, request.cluster_type, request.constants)
    arguments = references.arguments(request.arguments.values)
    try:
        entry = EntryPoint(file=sources.main_file(), function=request.package.main_function)
        result = engine(host).run(entry, arguments)
    except MissingSource as missing:
        needed = _placed(sources.missing.pop(missing.locator), missing.place, sources)
        return Evaluation(missing=(needed,), likely=sources.untried)
    except SourcesAhead:
        return Evaluation(likely=sources.untried)
    except StarlarkProblem as problem:
        told = (problem, *problem.others)
        return Evaluation(problems=tuple(_problem(item, sources, references) for item in told))
    except HostError as error:
        hint = f"a package is a folder with kurtosis.yml and {request.package.main_file}"
        invalid = Problem(stage="evaluate", reason=Reason.PACKAGE_INVALID, message=str(error), hint=hint)
        return Evaluation(problems=(invalid,))
    lock = sources.lock()
    return _concluded(replace(request, package=request.package.locked(lock)), host, result)


def _concluded(request: EvaluationRequest, host: PlanHost, result: StarlarkValue) -> Evaluation:
    recorder = host.recorder
    instructions = tuple(recorder.instructions)
    if problems := check(instructions):
        return Evaluation(problems=problems)
    output = recorder.references.output(result, printed(result))
    return Evaluation(
        lock=Lock(pins=request.package.pins, downloads=request.package.downloads),
        plan=Plan(
            package_digest=request.package.digest,
            args_digest=request.arguments.digest,
            instructions=with_needs(instructions, recorder.words_by_id),
            output=output,
            warnings=tuple(dict.fromkeys((*_misnamed(request.package), *recorder.warnings))),
        ),
    )


def _misnamed(package: Package) -> tuple[Warned, ...]:
    message = name_mismatch(package.name, package) if package.located else ""
    position = Position(file=f"{package.path}/kurtosis.yml".lstrip("/"))
    return (Warned(message=message, position=position),) if message else ()


def _placed(needed: Missing, place: StarlarkProblem | None, sources: Sources) -> Missing:
    if place is None:
        return needed
    return replace(needed, position=_position(place, sources), stack=_stack(place, sources))


def _problem(problem: StarlarkProblem, sources: Sources, references: References) -> Problem:
    return Problem(
        stage="evaluate",
        reason=Reason.EVALUATION_FAILED,
        message=references.readable(problem.message),
        hint=problem.hint,
        position=_position(problem, sources),
        stack=_stack(problem, sources),
    )


def _position(problem: StarlarkProblem, sources: Sources) -> str:
    file = sources.display(problem.file)
    return f"{file}:{problem.line}" if file and problem.line else file


def _stack(problem: StarlarkProblem, sources: Sources) -> tuple[tuple[str, int, str], ...]:
    return tuple((sources.display(frame.file), frame.line, frame.function) for frame in problem.stack)

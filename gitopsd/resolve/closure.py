"""Evaluates a package until nothing is missing: imports are found by running it, each round with more pinned."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from gitopsd.errors import Reason, StepError, TransientError, UserError
from gitopsd.model.codec import digest
from gitopsd.model.environment import Environment
from gitopsd.model.package import EvaluationRequest, Lock, Missing, Package
from gitopsd.model.plan import Evaluation, Instruction, Warned
from gitopsd.model.values import Frozen
from gitopsd.ports import Backend, Downloads, Evaluator, Git, Store
from gitopsd.resolve.package import complete, own_pin

if TYPE_CHECKING:  # a short command imports them while its package is evaluated
    from gitopsd.model.ops import Task
    from gitopsd.model.parts import ServiceSpec

ROUNDS = 32
"""Evaluations of one package in a row, each with more of what it asked for; more is a package that never ends."""

ARGUMENTS = {
    "env": "env_vars", "host_pid": "host_pid_namespace", "own_address": "private_ip_address_placeholder",
    "ready": "ready_conditions", "size": "Directory.size", "tini": "tini_enabled", "tty": "tty_enabled",
}  # fmt: skip
"""Fields of services and tasks whose arguments have another name."""
_NAMED = 4
"""Instructions that one warning names."""
_FORM = "locked"
"""Part of every key of a kept plan; another one where kept plans mean something else."""


class Sources(Protocol):
    """The ports that an evaluation is closed with."""

    @property
    def git(self) -> Git: ...
    @property
    def downloads(self) -> Downloads: ...
    @property
    def evaluator(self) -> Evaluator: ...
    @property
    def store(self) -> Store: ...


def desired(request: EvaluationRequest, environment: Environment, backend: Backend, sources: Sources) -> Evaluation:
    """The plan of a package whose sources are all there, with a warning for each field that the backend cannot honour;
    from the cache when nothing that it is a function of has changed. Raises as :func:`close`."""
    kept = sources.store.cached_plan(_key(request, environment))
    if kept is not None:
        return kept
    evaluation = close(request, environment, sources.git, sources.downloads, sources.evaluator)
    if evaluation.plan is None:
        return evaluation
    own = Lock(pins=own_pin(environment, request.package))
    evaluation = replace(warned(evaluation, backend.ignored_fields, by="this backend"), lock=evaluation.lock.with_(own))
    closed = replace(request, package=request.package.locked(evaluation.lock))
    sources.store.keep_plan(_key(closed, environment), evaluation)
    return evaluation


def _key(request: EvaluationRequest, environment: Environment) -> str:
    """Under which a plan is kept: of everything that it is a function of, all dependencies at their commits. So a
    package whose lock lacks one is never found, and one without dependencies always is."""
    parts = (request.package.digest, request.arguments.digest, environment.backend, request.cluster_type)
    return digest((_FORM, *parts, request.constants))


def close(
    request: EvaluationRequest, environment: Environment, git: Git, downloads: Downloads, evaluator: Evaluator
) -> Evaluation:
    """The evaluation of a package whose sources are all there. Raises UserError EVALUATION_LIMIT after too many
    rounds, and what fetching a source raises."""
    package = request.package
    tried: dict[Missing, None] = {}
    for _ in range(ROUNDS):
        urls = dict.fromkeys((package.url, *(pin.url for pin in package.pins)))
        mirrors = Frozen({url: git.mirror(url) for url in urls})
        asked = replace(request, package=package, mirrors=mirrors, tried=tuple(tried))
        evaluation = evaluator.evaluate(asked)
        if not evaluation.missing and not evaluation.likely:
            return evaluation
        package = complete(package, evaluation.missing, environment, git, downloads)
        likely = tuple(item for item in evaluation.likely if item not in tried)
        tried.update(dict.fromkeys(likely))
        package = with_likely(package, likely, environment, git, downloads)
    raise UserError(Reason.EVALUATION_LIMIT, f"the package asks for more sources after {ROUNDS} rounds")


def with_likely(
    package: Package, likely: tuple[Missing, ...], environment: Environment, git: Git, downloads: Downloads
) -> Package:
    """The package with those sources that can be had of what it may ask for: each saves a round. What cannot be had
    fails when it is asked for, and code that never runs may name what it likes; for a host that does not answer is
    waited once."""
    with contextlib.suppress(TransientError):
        for item in likely:
            with contextlib.suppress(UserError, StepError):
                package = complete(package, (item,), environment, git, downloads)
    return package


def warned(evaluation: Evaluation, ignored: Callable[[ServiceSpec | Task], tuple[str, ...]], *, by: str) -> Evaluation:
    """The evaluation with a warning for each field that is ``ignored``, ``by`` what: nothing is ignored silently."""
    from gitopsd.model.ops import AddService, RunPython, RunSh
    from gitopsd.model.parts import ServiceSpec

    if evaluation.plan is None:
        return evaluation
    found: dict[str, list[Instruction]] = {}
    for item in evaluation.plan.instructions:
        asked = item.op.spec if isinstance(item.op, AddService) else item.op
        if isinstance(asked, (ServiceSpec, RunSh, RunPython)):
            for name in ignored(asked):
                found.setdefault(ARGUMENTS.get(name, name), []).append(item)
    added = tuple(
        Warned(message=f"{by} does not honour `{name}` of {_listed(items)}", position=items[0].position)
        for name, items in found.items()
    )
    return replace(evaluation, plan=replace(evaluation.plan, warnings=(*evaluation.plan.warnings, *added)))


def _listed(items: list[Instruction]) -> str:
    names = [item.id for item in items]
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")

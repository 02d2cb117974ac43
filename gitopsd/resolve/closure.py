"""Evaluates a package until nothing is missing: imports are found by running it, each round with more pinned."""

from __future__ import annotations

from dataclasses import replace

from gitopsd.errors import Reason, UserError
from gitopsd.model.environment import Environment
from gitopsd.model.plan import Evaluation
from gitopsd.model.values import Frozen
from gitopsd.ports import Downloads, EvaluationRequest, Evaluator, Git
from gitopsd.resolve import complete

ROUNDS = 32
"""Evaluations of one package in a row, each with more of what it asked for; more is a package that never ends."""


def close(
    request: EvaluationRequest, environment: Environment, git: Git, downloads: Downloads, evaluator: Evaluator
) -> Evaluation:
    """The evaluation of a package whose sources are all there. Raises UserError EVALUATION_LIMIT after too many
    rounds, and what fetching a source raises."""
    package = request.package
    for _ in range(ROUNDS):
        urls = dict.fromkeys((package.url, *(pin.url for pin in package.pins)))
        mirrors = Frozen({url: git.mirror(url) for url in urls})
        evaluation = evaluator.evaluate(replace(request, package=package, mirrors=mirrors))
        if not evaluation.missing:
            return evaluation
        package = complete(package, evaluation.missing, environment, git, downloads)
    raise UserError(Reason.EVALUATION_LIMIT, f"the package asks for more sources after {ROUNDS} rounds")

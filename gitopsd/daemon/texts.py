"""The templates and jq programs of a plan, parsed and compiled without being run: what is wrong in them would only be
found when their step comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from gitopsd.errors import GitopsdError, Reason
from gitopsd.model.ops import AddService, Exec, Op, RenderTemplates, Request, Wait
from gitopsd.model.plan import Instruction, Plan, Problem


class Parser(Protocol):
    """Parses what a package author wrote, in a worker."""

    def parse(self, templates: Mapping[str, str], programs: Mapping[str, str]) -> Mapping[str, str]:
        """What is wrong with each template and jq program, by the key that it was given under; none of what is
        right."""
        ...


def text_problems(plan: Plan, parser: Parser) -> tuple[Problem, ...]:
    """Every template and jq program of a plan that cannot be parsed, with the line of the call that holds it."""
    told: dict[str, tuple[Instruction, Reason]] = {}
    templates: dict[str, str] = {}
    programs: dict[str, str] = {}
    for item in plan.instructions:
        for name, text in _templates(item.op):
            key = f"{item.id} {name}"
            told[key], templates[key] = (item, Reason.TEMPLATE_FAILED), text
        for name, text in _programs(item.op):
            key = f"{item.id} extract {name}"
            told[key], programs[key] = (item, Reason.EXTRACT_FAILED), text
    if not told:
        return ()
    try:
        wrong = parser.parse(templates, programs)
    except GitopsdError as error:
        return (Problem.of(error, "evaluate"),)
    return tuple(
        Problem(
            stage="evaluate", reason=reason, message=f"{key}: {wrong[key]}", position=str(item.position)
        )
        for key, (item, reason) in told.items()
        if key in wrong
    )  # fmt: skip


def _templates(op: Op) -> Iterator[tuple[str, str]]:
    """Texts that hold no value of a step are known before anything runs."""
    if isinstance(op, RenderTemplates):
        for path, template in op.files.items():
            if isinstance(template.text, str):
                yield path, template.text


def _programs(op: Op) -> Iterator[tuple[str, str]]:
    match op:
        case Exec(recipe=recipe) | Request(recipe=recipe):
            yield from recipe.extract.items()
        case Wait(probe=probe):
            yield from probe.recipe.extract.items()
        case AddService(spec=spec) if spec.ready is not None:
            yield from spec.ready.recipe.extract.items()

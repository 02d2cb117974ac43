"""Diff, Plan and Run -> text for a terminal, read like Terraform's, and data for ``--output json``. Pure.

Every change begins with a sign: ``+`` added, ``~`` changed in place, ``-/+`` replaced, ``>`` run, ``?`` known after
apply, ``-`` removed; ``@`` tells of a dependency at another commit. The text is plain and free of control characters,
so a terminal may colour lines by their sign.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from gitopsd.kit.text import count_text, duration_text, one_line, shorten, strip_controls
from gitopsd.model.diff import Action, Change, Diff, FieldChange, Why
from gitopsd.model.ops import kind_of, method_of
from gitopsd.model.package import Move
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.run import Applied, Done, Outcome, Run
from gitopsd.report import tally
from gitopsd.report.render import render
from gitopsd.report.values import arguments, flat, readable, shown

SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.REPLACE: "-/+",
    Action.RUN: ">",
    Action.RECHECK: "?",
    Action.DELETE: "-",
    Action.KEEP: " ",
}
"""The sign of each action; a KEEP is not shown."""

LINES = 12
"""Lines shown of the difference of a long text, or of the fields of a new thing."""


# --- diff -------------------------------------------------------------------------------------------------


def diff_text(diff: Diff) -> str:
    """What a diff will do and why, field by field, and a last line that counts."""
    lines: list[str] = []
    for change in diff.changes:
        if change.action is not Action.KEEP and tally.counts(change):
            lines.extend((*_change(change), ""))
    for drift in diff.drift:
        end = "will be mended" if drift.healed else "is left as it is"
        detail = one_line(drift.detail, limit=200) or tally.why_text(drift.why)
        lines.append(f"  ! {one_line(drift.service)}: {detail}; {end}")
    lines.extend(f"  @ {move_text(move)}" for move in diff.moved)
    lines.extend(_warnings(diff.plan))
    if diff.drift or diff.moved or diff.plan.warnings:
        lines.append("")
    if diff.empty:
        kept = tally.planned(diff).get("unchanged", 0)
        lines.append(f"No changes: {one_line(diff.enclave)} is what the package asks for ({kept} unchanged).")
    else:
        lines.append(f"{one_line(diff.enclave)}: {tally.sentence(tally.planned(diff))}")
    return "\n".join(lines) + "\n"


def _change(change: Change) -> Iterator[str]:
    instruction = change.instruction
    why = _reason(change)
    where = f"  [{one_line(str(instruction.position))}]" if change.after and str(instruction.position) else ""
    yield f"{SIGNS[change.action]:>3} {one_line(change.id)}{'  ' + why if why else ''}{where}"
    if instruction.description and change.after:
        yield f"      # {one_line(instruction.description, limit=100)}"
    if change.action is Action.DELETE:
        return
    if change.fields:
        for field in change.fields:
            yield from _field(field)
    elif change.action in (Action.CREATE, Action.RUN) and change.why in (Why.NEW, Why.NONE):
        yield from _new(instruction)


def _reason(change: Change) -> str:
    why = tally.why_text(change.why)
    if change.action is Action.RECHECK:
        return "known after apply" + (f": {why}" if why else "")
    if change.action is Action.REPLACE:
        return ", ".join(filter(None, (why, "must be started anew")))
    return "" if change.why is Why.NEW else why


def _new(instruction: Instruction) -> Iterator[str]:
    items = list(flat(instruction.op))
    for path, value in items[:LINES]:
        yield f"      {path}: {shown(value)}"
    if len(items) > LINES:
        yield f"      … and {count_text(len(items) - LINES, 'more field')}"


def _field(field: FieldChange) -> Iterator[str]:
    path = one_line(field.path) or "value"
    if (told := _input(field)) is not None:
        yield f"      ~ {told}"
    elif not field.known:
        before = f"{shown(field.before)} → " if field.before is not None else ""
        yield f"      ~ {path}: {before}(known after apply)"
    elif _long(field.before) and _long(field.after):
        yield f"      ~ {path}:"
        yield from _text_difference(str(field.before), str(field.after))
    else:
        sign = "+" if field.before is None else "-" if field.after is None else "~"
        yield f"      {sign} {path}: {shown(field.before)} → {shown(field.after)}"


def _input(field: FieldChange) -> str | None:
    """What changed upstream, in words, where the value itself is only a mark of its identity."""
    kind, _, name = field.path.partition(":")
    if kind == "ran" and name:
        return f"{one_line(name)} runs again"
    if kind == "secret" and name:
        return f"secret {one_line(name)} has another value"
    if field.path == "incarnation":
        return "its container starts empty"
    if field.path.startswith("artifact/"):
        after = _digest(field.after) if field.known else "(known after apply)"
        return f"{one_line(field.path)}: content {_digest(field.before)} → {after}"
    return None


def _digest(value: object) -> str:
    return shorten(strip_controls(str(value)), 12) if value else "(none)"


def _long(value: object) -> bool:
    return isinstance(value, str) and "\n" in value


def _text_difference(before: str, after: str) -> Iterator[str]:
    found = difflib.unified_diff(before.splitlines()[:2000], after.splitlines()[:2000], lineterm="", n=1)
    lines = [line for line in found if not line.startswith(("---", "+++"))]
    for line in lines[:LINES]:
        yield f"          {shorten(strip_controls(line), 140)}"
    if len(lines) > LINES:
        yield f"          … and {count_text(len(lines) - LINES, 'more line')}"


def move_text(move: Move) -> str:
    """A dependency that moved, on one line; commits are shortened as Git does."""
    return one_line(f"{move.source} moved: {move.before[:7]} → {move.after[:7]}", limit=400)


def diff_data(diff: Diff) -> dict[str, Any]:
    """A diff as JSON data: ``changes`` (kept ones too), ``drift``, ``counts``, ``empty`` and the plan's digest."""
    return {
        "enclave": diff.enclave,
        "empty": diff.empty,
        "plan_digest": diff.plan_digest,
        "counts": tally.planned(diff),
        "changes": [_change_data(change) for change in diff.changes],
        "drift": [
            {"service": item.service, "why": item.why.value, "detail": item.detail, "healed": item.healed}
            for item in diff.drift
        ],
        "moved": [{"source": item.source, "before": item.before, "after": item.after} for item in diff.moved],
        "warnings": _warnings_data(diff.plan),
    }


def _change_data(change: Change) -> dict[str, Any]:
    instruction = change.instruction
    return {
        "id": change.id,
        "action": change.action.value,
        "why": change.why.value,
        "method": method_of(instruction.op),
        "class": kind_of(instruction.op).value,
        "position": str(change.after.position) if change.after else "",
        "description": instruction.description,
        "fields": [_field_data(field) for field in change.fields],
        "needs": list(change.needs),
    }


def _field_data(field: FieldChange) -> dict[str, Any]:
    after = readable(field.after) if field.known else None
    return {"path": field.path, "before": readable(field.before), "after": after, "known": field.known}


# --- plan -------------------------------------------------------------------------------------------------


def plan_text(plan: Plan) -> str:
    """What a package asks for: every instruction in order with its fields, the warnings, the output, a count."""
    lines: list[str] = []
    for number, item in enumerate(plan.instructions, 1):
        where = f"  [{one_line(str(item.position))}]" if str(item.position) else ""
        lines.append(f"{number:>4}. {method_of(item.op)} {one_line(item.id)}{where}")
        if item.description:
            lines.append(f"        # {one_line(item.description, limit=100)}")
        lines.extend(f"        {path}: {shown(value)}" for path, value in flat(item.op))
    lines.extend(_warnings(plan))
    if plan.output is not None:
        lines.append(f"  output: {shown(plan.output, limit=2000)}")
    lines.append(f"{count_text(len(plan.instructions), 'instruction')}, {count_text(len(plan.warnings), 'warning')}")
    return "\n".join(lines) + "\n"


def _warnings(plan: Plan) -> Iterator[str]:
    for warning in plan.warnings:
        where = f"{warning.position}: " if str(warning.position) else ""
        yield f"  warning: {one_line(where + warning.message)}"


def _warnings_data(plan: Plan) -> list[dict[str, str]]:
    return [{"message": item.message, "position": str(item.position)} for item in plan.warnings]


def plan_data(plan: Plan) -> dict[str, Any]:
    """A plan as JSON data: ``instructions`` in order, ``output``, ``warnings`` and the digests."""
    return {
        "digest": plan.digest,
        "package_digest": plan.package_digest,
        "args_digest": plan.args_digest,
        "instructions": [_instruction_data(item) for item in plan.instructions],
        "output": readable(plan.output),
        "warnings": _warnings_data(plan),
    }


def _instruction_data(item: Instruction) -> dict[str, Any]:
    return {
        "id": item.id,
        "method": method_of(item.op),
        "class": kind_of(item.op).value,
        "args": arguments(item.op),
        "needs": list(item.needs),
        "position": str(item.position),
        "description": item.description,
    }


# --- run --------------------------------------------------------------------------------------------------


def run_text(run: Run) -> str:
    """How a run went: its line, each step that did something with its time, what was printed, what went wrong."""
    report = render(run)
    verdict = run.verdict.value.replace("-", " ")
    told = report.line if report.line.startswith(verdict) else f"{verdict}: {report.line}"
    lines = [f"{run.environment} {run.commit.short} {told}"]
    for title, applied in (("", run.applied), ("the way back:", run.rollback)):
        if applied is not None:
            lines.extend([f"  {title}"] if title else [])
            lines.extend(f"    @ {move_text(move)}" for move in applied.diff.moved)
            lines.extend(_steps(applied))
    if run.applied is not None and run.applied.output is not None:
        lines.append(f"  output: {shown(run.applied.output, limit=2000)}")
    lines.extend(f"  problem: {one_line(str(problem), limit=1000)}" for problem in run.problems)
    return "\n".join(strip_controls(line) for line in lines) + "\n"


def _steps(applied: Applied) -> Iterator[str]:
    for outcome in applied.outcomes:
        if outcome.text:
            yield from (f"      | {line}" for line in strip_controls(outcome.text).splitlines()[:LINES])
        elif outcome.done is not Done.KEPT:
            yield f"{_step_sign(outcome):>5} {one_line(outcome.id)}{_step_end(outcome)}"


def _step_sign(outcome: Outcome) -> str:
    return SIGNS[outcome.action] if outcome.done is Done.APPLIED else "x" if outcome.done is Done.FAILED else "."


def _step_end(outcome: Outcome) -> str:
    if outcome.done is Done.FAILED:
        return f"  failed: {one_line(str(outcome.problem or 'no reason was given'), limit=400)}"
    if outcome.done is Done.SKIPPED:
        return f"  skipped, as it needs {one_line(', '.join(outcome.held_by))}" if outcome.held_by else "  skipped"
    if outcome.done is Done.HELD:
        return "  held"
    if outcome.started_at is None or outcome.ended_at is None:
        return ""
    return f"  {duration_text((outcome.ended_at - outcome.started_at).total_seconds())}"


def run_data(run: Run) -> dict[str, Any]:
    """A run as JSON data: verdict, line, counts, outcomes and problems."""
    return {
        "id": run.id,
        "environment": run.environment,
        "commit": run.commit.id,
        "trigger": run.trigger.value,
        "verdict": run.verdict.value,
        "line": render(run).line,
        "restored": run.restored,
        "superseded_by": run.superseded_by,
        "started_at": run.started_at.isoformat() if run.started_at else None,
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "counts": tally.done(run.applied) if run.applied else {},
        "moved": diff_data(run.applied.diff)["moved"] if run.applied else [],
        "outcomes": [_outcome_data(item) for item in run.applied.outcomes] if run.applied else [],
        "output": readable(run.applied.output) if run.applied else None,
        "rollback": [_outcome_data(item) for item in run.rollback.outcomes] if run.rollback else [],
        "problems": [
            {"reason": item.reason.value, "message": item.message, "position": item.position, "hint": item.hint}
            for item in run.problems
        ],
    }


def _outcome_data(outcome: Outcome) -> dict[str, Any]:
    problem = None if outcome.problem is None else str(outcome.problem)
    return {
        "id": outcome.id,
        "done": outcome.done.value,
        "action": outcome.action.value,
        "why": outcome.why.value,
        "text": outcome.text,
        "problem": problem,
        "held_by": list(outcome.held_by),
    }

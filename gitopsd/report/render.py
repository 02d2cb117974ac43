"""Run -> Report: what people are told, in a line and a few more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitopsd.errors import PASSING, Reason
from gitopsd.kit.text import count_text, duration_text, one_line
from gitopsd.model.diff import Action, Change, Drift, Why
from gitopsd.model.environment import Commit
from gitopsd.model.ops import RunPython, RunSh, artifacts_made_by, service_of
from gitopsd.model.plan import Problem
from gitopsd.model.run import Applied, Done, Outcome, Report, ReportState, Run, Start, Trigger, Verdict
from gitopsd.report import tally

LINE = 400
"""Characters of a line at most; a forge cuts shorter by itself."""

DETAILS = 40
"""Lines of details at most."""

_STATES = {
    Verdict.NOOP: ReportState.SUCCESS,
    Verdict.SUCCEEDED: ReportState.SUCCESS,
    Verdict.FAILED: ReportState.FAILURE,
    Verdict.ROLLED_BACK: ReportState.FAILURE,
    Verdict.HELD: ReportState.FAILURE,
    Verdict.INVALID: ReportState.FAILURE,
    Verdict.ROLLBACK_FAILED: ReportState.ERROR,
    Verdict.SUPERSEDED: ReportState.SUPERSEDED,
}
_SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.REPLACE: "-/+", Action.RUN: ">", Action.DELETE: "-"}


def render_start(start: Start) -> Report:
    """The ``pending`` report of a run that begins."""
    line = "evaluating" if start.diff is None else f"applying: {tally.sentence(tally.planned(start.diff))}"
    return Report(
        key=report_key(start.environment, start.commit, ReportState.PENDING),
        environment=start.environment,
        commit=start.commit,
        state=ReportState.PENDING,
        line=line,
        run_id=start.run_id,
        silent=start.diff is None or start.diff.empty,
    )


def render(run: Run) -> Report:
    """What people are told about a run that ended. ``pending`` when it will be tried again by itself."""
    state = _state(run)
    return Report(
        key=report_key(run.environment, run.commit, state),
        environment=run.environment,
        commit=run.commit,
        state=state,
        line=one_line(_line(run), limit=LINE),
        details=tuple(_details(run))[:DETAILS],
        run_id=run.id,
        silent=run.verdict is Verdict.SUPERSEDED or (run.verdict is Verdict.NOOP and not _left(run)),
    )


def report_key(environment: str, commit: Commit, state: ReportState) -> str:
    """What makes a report unique: environment, commit and state."""
    return f"{environment}/{commit.id}/{state.value}"


def will_retry(run: Run) -> bool:
    """Whether a run failed for a reason that may pass by itself: it is tried again, and nothing is final."""
    return run.verdict is Verdict.FAILED and any(problem.reason in PASSING for problem in run.problems)


def _state(run: Run) -> ReportState:
    if will_retry(run):
        return ReportState.PENDING
    cause = _cause(run)
    if cause is not None and cause.reason is Reason.BUG and run.verdict is not Verdict.SUPERSEDED:
        return ReportState.ERROR
    if run.verdict is Verdict.NOOP and run.trigger is Trigger.DRIFT and run.problems:
        return ReportState.FAILURE
    return _STATES[run.verdict]


def _line(run: Run) -> str:
    match run.verdict:
        case Verdict.SUCCEEDED | Verdict.NOOP:
            return _good_line(run)
        case Verdict.ROLLED_BACK:
            return f"rolled back{_by_hand(run)}{_to(run.restored)}: {_back_text(run)}"
        case Verdict.ROLLBACK_FAILED:
            because = "" if _by_hand(run) else f"; it was because {cause_text(run)}"
            return f"rollback{_by_hand(run)}{_to(run.restored)} failed: {_rollback_cause(run)}{because}"
        case Verdict.SUPERSEDED:
            return f"superseded by {run.superseded_by[:7]}" if run.superseded_by else "superseded by a newer commit"
        case Verdict.INVALID:
            return f"invalid: {cause_text(run)}"
        case Verdict.HELD:
            return f"held: {cause_text(run)}"
        case Verdict.FAILED:
            if will_retry(run):
                return f"waiting: {cause_text(run)}; {_again(run)}"
            return f"failed: {cause_text(run)}{' (left as it is)' if run.applied is not None else ''}"


def _good_line(run: Run) -> str:
    if run.applied is None:
        return f"no changes{_took(run)}"
    counted = tally.sentence(tally.done(run.applied)) + _took(run)
    healed, left = _healed(run), _left(run)
    if left and run.verdict is Verdict.NOOP:
        return left
    line = f"healed {healed}: {counted}" if healed else counted
    return f"{line}; {left}" if left else line


def _back_text(run: Run) -> str:
    """Why a run went back; what the way back did, when a person or an earlier run had the reason."""
    if run.problems or run.applied is not None or run.rollback is None:
        return cause_text(run)
    return tally.sentence(tally.done(run.rollback)) + _took(run)


def _by_hand(run: Run) -> str:
    return " by hand" if run.trigger is Trigger.ROLLBACK else ""


def _healed(run: Run) -> str:
    if run.applied is None or run.trigger is not Trigger.DRIFT:
        return ""
    return _named(item for item in run.applied.diff.drift if item.healed and item.why is not Why.REMOVED)


def _left(run: Run) -> str:
    left = run.applied.left if run.applied is not None else ()
    crashed = _named(item for item in left if item.why is Why.UNHEALTHY)
    drifted = _named(item for item in left if item.why is not Why.UNHEALTHY)
    parts = (f"crashed: {crashed}" if crashed else "", f"drift, not healed: {drifted}" if drifted else "")
    return "; ".join(filter(None, parts))


def _named(found: Iterable[Drift]) -> str:
    return ", ".join(
        f"{item.service} ({one_line(item.detail, limit=80) or tally.why_text(item.why)})" for item in found
    )


def _to(commit: str) -> str:
    return f" to {commit[:7]}" if commit else ""


def _took(run: Run) -> str:
    if run.started_at is None or run.ended_at is None:
        return ""
    seconds = (run.ended_at - run.started_at).total_seconds()
    return f" in {duration_text(seconds)}" if seconds >= 0.05 else ""


def _again(run: Run) -> str:
    waits = [item.retry_after for item in run.problems if item.retry_after is not None]
    return f"tries again in {duration_text(max(waits))}" if waits else "tries again by itself"


# --- what went wrong --------------------------------------------------------------------------------------


def cause_text(run: Run) -> str:
    """Why a run did not end well, in a few words: ``web never became ready``."""
    failed = run.applied.failed if run.applied is not None else ()
    more = max(len(failed), len(run.problems), 1) - 1
    rest = f" (and {count_text(more, 'more problem')})" if more else ""
    if failed and run.applied is not None:
        return _failure_text(failed[0], run.applied) + rest
    if run.problems:
        return _problem_text(run.problems[0]) + rest
    return "no reason was given"


def _cause(run: Run) -> Problem | None:
    failed = run.applied.failed if run.applied is not None else ()
    if failed and failed[0].problem is not None:
        return failed[0].problem
    return run.problems[0] if run.problems else None


def _rollback_cause(run: Run) -> str:
    if run.rollback is not None and run.rollback.failed:
        return _failure_text(run.rollback.failed[0], run.rollback)
    found = [problem for problem in run.problems if problem.reason is Reason.ROLLBACK_FAILED]
    return _problem_text(found[0]) if found else "no reason was given"


def _problem_text(problem: Problem) -> str:
    where = f"{problem.position}: " if problem.position else ""
    return one_line(where + problem.message, limit=200)


def _failure_text(outcome: Outcome, applied: Applied) -> str:
    subject = _subject(outcome.id, applied)
    problem = outcome.problem
    if problem is None:
        return f"{subject} failed"
    if problem.reason is Reason.SERVICE_NOT_READY:
        return f"{subject} never became ready"
    message = one_line(problem.message, limit=200)
    kind, _, name = subject.rpartition(" ")
    if kind and message.startswith(f"{name} "):
        return f"{kind} {message}"
    return message if subject in message else f"{subject}: {message}"


def _subject(change_id: str, applied: Applied) -> str:
    """The thing that a change is about, as people call it: a service by its name, a task as ``task seed``."""
    change = next((item for item in applied.diff.changes if item.id == change_id), None)
    if change is None:
        return change_id
    op = change.instruction.op
    if isinstance(op, (RunSh, RunPython)):
        return f"task {op.name}" if op.name else change_id
    made = artifacts_made_by(op)
    return service_of(op) or (made[0] if made else change_id)


# --- details ----------------------------------------------------------------------------------------------


def _details(run: Run) -> Iterator[str]:
    if run.applied is not None:
        yield from _failures(run.applied)
        yield from _done_lines(run.applied)
    if run.rollback is not None:
        yield f"the way back: {tally.sentence(tally.done(run.rollback))}"
        yield from _failures(run.rollback)
    known = {outcome.problem for part in (run.applied, run.rollback) if part for outcome in part.failed}
    for problem in run.problems:
        if problem not in known:
            yield _detail(str(problem))
            yield from (f"  at {file}:{line} in {name}" for file, line, name in problem.stack[-8:])


def _failures(applied: Applied) -> Iterator[str]:
    for outcome in applied.failed:
        yield _detail(f"failed: {outcome.id}: {outcome.problem or 'no reason was given'}")
    skipped = [outcome for outcome in applied.outcomes if outcome.done is Done.SKIPPED]
    if skipped:
        names = ", ".join(outcome.id for outcome in skipped)
        yield _detail(f"skipped, as they need what failed: {names}")


def _done_lines(applied: Applied) -> Iterator[str]:
    changes = {change.id: change for change in applied.diff.changes}
    for outcome in applied.outcomes:
        change = changes.get(outcome.id)
        if outcome.done is Done.APPLIED and change is not None and tally.counts(change):
            yield _detail(f"{_SIGNS.get(outcome.action, '>')} {outcome.id}{_fields(change, outcome)}")


def _fields(change: Change, outcome: Outcome) -> str:
    if outcome.action is Action.UPDATE and change.fields:
        return f" ({', '.join(field.path for field in change.fields)})"
    why = tally.why_text(outcome.why or change.why)
    return f" ({why})" if why and outcome.action is not Action.CREATE else ""


def _detail(text: str) -> str:
    return one_line(text, limit=LINE)

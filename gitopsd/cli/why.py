"""``gitopsd why``: what an environment is doing, what it waits for, and what went wrong last."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gitopsd.cli.options import ConfigOption, EnvironmentArgument, Output, OutputOption, StateOption
from gitopsd.cli.output import problem_data, problems_text, say, say_json
from gitopsd.cli.reach import Where, ask
from gitopsd.cli.status import state_of
from gitopsd.kit.text import duration_text
from gitopsd.web.commands import WhyAnswer, WhyRequest


def verb(
    environment: EnvironmentArgument,
    output: OutputOption = Output.TEXT,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Say what an environment is doing or waiting for, since when, and its last problem."""
    answer = ask(Where(config, state_dir), WhyRequest(environment=environment), WhyAnswer)
    if output is Output.JSON:
        say_json(_data(answer))
        return
    condition = answer.status.condition
    message = f": {condition.message}" if condition and condition.message else ""
    say(f"{environment} is {state_of(answer.status)}{_ago(answer.since)}{message}")
    if answer.status.doing:
        say(f"  now: {answer.status.doing}, commit {answer.status.commit[:7]} {answer.status.subject}")
    for step in answer.doing:
        say(f"  {step.instruction}: {step.text}{_ago(step.since)}")
    if answer.waiting:
        when = f" (at {answer.next_at:%H:%M:%S} UTC)" if answer.next_at else ""
        say(f"  waiting for {answer.waiting}{when}")
    if answer.last_problem is not None:
        say(problems_text([answer.last_problem]))


def _ago(since: datetime | None) -> str:
    return f" for {duration_text((datetime.now(UTC) - since).total_seconds())}" if since else ""


def _data(answer: WhyAnswer) -> dict[str, Any]:
    return {
        "environment": answer.status.name,
        "state": state_of(answer.status),
        "doing": [
            {
                "instruction": step.instruction,
                "text": step.text,
                "since": step.since.isoformat() if step.since else None,
            }
            for step in answer.doing
        ],
        "waiting": answer.waiting,
        "since": answer.since.isoformat() if answer.since else None,
        "next_at": answer.next_at.isoformat() if answer.next_at else None,
        "last_problem": problem_data(answer.last_problem) if answer.last_problem else None,
    }

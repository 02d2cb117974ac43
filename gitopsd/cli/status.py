"""``gitopsd status``: where environments stand."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gitopsd.cli.options import ConfigOption, Output, OutputOption, StateOption
from gitopsd.cli.output import problem_data, problems_text, say, say_json
from gitopsd.cli.reach import Where, ask
from gitopsd.cli.table import table
from gitopsd.web.commands import EnvironmentStatus, RepositoryStatus, StatusAnswer, StatusRequest


def verb(
    environment: Annotated[str, typer.Argument(metavar="[ENV]", help="Show one environment with its services.")] = "",
    output: OutputOption = Output.TEXT,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Show where all environments stand, or one of them with its live services."""
    request = StatusRequest(environment=environment, live=bool(environment))
    answer = ask(Where(config, state_dir), request, StatusAnswer)
    if output is Output.JSON:
        say_json(_data(answer))
    elif environment:
        _one(answer.environments[0])
    else:
        _all(answer)


def state_of(status: EnvironmentStatus) -> str:
    """One word for where an environment stands."""
    if status.vanished:
        return "vanished"
    if status.problems and status.condition is None:
        return "invalid"
    if status.suspended:
        return "suspended"
    return status.condition.state.value if status.condition else "unknown"


def _all(answer: StatusAnswer) -> None:
    if not answer.daemon:
        say("(no daemon runs: this is what was known when one did)")
    if answer.environments:
        table(("ENVIRONMENT", "STATE", "COMMIT", "NOW", ""), [_row(item) for item in answer.environments])
    else:
        say("no environments yet")
    problems = [problem for item in answer.environments for problem in item.problems]
    for repository in answer.repositories:
        if repository.failures:
            say(f"{repository.name} ({repository.url} {repository.ref}) did not answer {repository.failures} times")
        problems += repository.problems
    if problems:
        say(problems_text(problems))


def _row(status: EnvironmentStatus) -> tuple[str, ...]:
    message = status.condition.message if status.condition else ""
    return (status.name, state_of(status), status.commit[:7], status.doing, message)


def _one(status: EnvironmentStatus) -> None:
    condition = status.condition
    since = f" since {condition.since:%Y-%m-%d %H:%M:%S}" if condition and condition.since else ""
    say(
        f"{status.name}: {state_of(status)}{since}"
        + (f": {condition.message}" if condition and condition.message else "")
    )
    facts = {
        "package": status.package, "repository": f"{status.repository} {status.ref}",
        "commit": f"{status.commit[:7]} {status.subject}", "enclave": f"{status.enclave} on {status.backend}",
        "now": status.doing, "last run": f"{status.last_run} {status.last_verdict or ''}",
    }  # fmt: skip
    for name, value in facts.items():
        if value.strip():
            say(f"  {name:<11} {value}")
    if status.problems:
        say(problems_text(status.problems))
    if status.services:
        rows = [
            (item.name, item.state.value, "ready" if item.ready else "not ready", item.address, str(item.restarts))
            for item in status.services
        ]
        table(("SERVICE", "STATE", "PORTS", "ADDRESS", "RESTARTS"), rows)


def _data(answer: StatusAnswer) -> dict[str, Any]:
    return {
        "daemon": answer.daemon,
        "environments": [_environment(item) for item in answer.environments],
        "repositories": [_repository(item) for item in answer.repositories],
    }


def _environment(status: EnvironmentStatus) -> dict[str, Any]:
    condition = status.condition
    return {
        "name": status.name,
        "state": state_of(status),
        "message": condition.message if condition else "",
        "since": condition.since.isoformat() if condition and condition.since else None,
        "package": status.package,
        "repository": status.repository,
        "ref": status.ref,
        "backend": status.backend,
        "enclave": status.enclave,
        "commit": status.commit,
        "subject": status.subject,
        "doing": status.doing,
        "suspended": status.suspended,
        "vanished": status.vanished,
        "problems": [problem_data(problem) for problem in status.problems],
        "last_run": status.last_run,
        "last_verdict": status.last_verdict.value if status.last_verdict else None,
        "services": [
            {
                "name": item.name,
                "state": item.state.value,
                "ready": item.ready,
                "address": item.address,
                "restarts": item.restarts,
                "crashes": item.crashes,
                "exit_code": item.exit_code,
                "incarnation": item.incarnation,
            }
            for item in status.services
        ],
    }


def _repository(status: RepositoryStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "url": status.url,
        "ref": status.ref,
        "commit": status.commit,
        "checked_at": status.checked_at.isoformat() if status.checked_at else None,
        "failures": status.failures,
        "problems": [problem_data(problem) for problem in status.problems],
    }

"""What people were told, as the forge and the chat of the demo received it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from gitopsd.cli.demo_servers import Message, Status
from gitopsd.cli.demo_stage import LARGE, SMALL, Stage
from gitopsd.cli.demo_watch import require, until

FINAL = ("success", "failure", "error")
SENT = 20.0
"""Seconds within which everything must have been sent."""


def told(stage: Stage) -> tuple[str, ...]:
    statuses = until(lambda: _statuses(stage), "each commit has one final status per environment", seconds=SENT)
    messages = until(lambda: _messages(stage), "each run that did something has one message", seconds=SENT)
    kept_secret(stage)
    return (*statuses, *messages, "neither token stands in a log, a file of the daemon or a message")


# --- the forge --------------------------------------------------------------------------------------------


def _statuses(stage: Stage) -> tuple[str, ...]:
    by_thing: dict[tuple[str, str], list[Status]] = {}
    for item in tuple(stage.forge.statuses):
        by_thing.setdefault((item.commit, item.context), []).append(item)
    for (commit, context), items in by_thing.items():
        require(commit in stage.made.values(), "statuses are of commits that were made", commit, context)
        states = [item.state for item in items]
        whole = states[-1] in FINAL and set(states[:-1]) == {"pending"}
        require(whole, f"{context} at {commit[:7]}: pending, then exactly one final state", *states)
    expected = {(commit, f"gitopsd/{name}") for commit in stage.followed for name in (SMALL, LARGE)}
    require(expected <= by_thing.keys(), "every commit has its status", *sorted(expected - by_thing.keys()))
    ends = Counter(items[-1].state for items in by_thing.values())
    lines = [
        f"forge: {commit[:7]} {context} {items[-1].state}: {items[-1].description}"
        for (commit, context), items in by_thing.items()
        if context.endswith(SMALL)
    ]
    counted = ", ".join(f"{count} {state}" for state, count in sorted(ends.items()))
    return (f"forge: {len(by_thing)} commit statuses, each pending and then final once ({counted}); {SMALL}:", *lines)


# --- the chat ---------------------------------------------------------------------------------------------


def _messages(stage: Stage) -> tuple[str, ...]:
    messages = tuple(stage.chat.messages)
    roots = [item for item in messages if not item.thread]
    for environment in (SMALL, LARGE):
        mine = [item for item in roots if f"*{environment}*" in item.text]
        acted = [run for run in stage.history(environment) if run.applied is not None and not run.applied.diff.empty]
        require(len(mine) == len(acted), f"{environment}: one message per run that did something", *map(_line, mine))
        require(not any("hourglass" in item.text for item in mine), "no message is left pending", *map(_line, mine))
    edited = sum(1 for item in roots if item.edits)
    threads = len({item.thread for item in messages if item.thread})
    require(edited > 0, "messages are edited in place", *map(_line, roots))
    head = f"chat: {len(roots)} messages, {edited} of them edited in place, {threads} with details in their thread:"
    return (head, *(f"chat: {_line(item)}" for item in roots))


def _line(message: Message) -> str:
    return " / ".join(message.text.splitlines())


# --- secrets ----------------------------------------------------------------------------------------------


def kept_secret(stage: Stage) -> None:
    """Neither token stands in the daemon's log, its state or a message."""
    values = tuple(value.encode() for value in stage.daemon.tokens.values())
    files = [stage.daemon.log, *(path for path in stage.daemon.state.rglob("*") if path.is_file())]
    found = [path for path in files if any(value in _content(path) for value in values)]
    require(not found, "tokens are written nowhere", *found)
    texts = [item.text for item in stage.chat.messages] + [item.description for item in stage.forge.statuses]
    require(not any(value.decode() in text for value in values for text in texts), "tokens are in no message")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it went away meanwhile
        return b""

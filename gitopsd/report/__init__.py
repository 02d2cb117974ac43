"""The last stage: people are told how a run went.

Input: a Run (or a Start). Output: commit statuses and chat messages. Two halves:

* pure: :func:`render` (Run -> Report), :mod:`text` (Diff, Plan and Run -> text and JSON data);
* effects: :func:`announce` and :func:`report` put reports into the store's outbox and never raise, so a failed send
  neither fails nor delays a run; :func:`deliver`, called by the daemon's scheduler, sends what is due.

Invariants: ``pending`` first, then exactly one final status for an environment and a commit; a skipped commit ends as
superseded; one chat message per environment and run, edited in place; nothing is told twice, over restarts as well.
(A daemon killed between the answer of a chat and the note of it may post that one message again: the Web API of Slack
has no key to prevent it. A status sent twice is the same status.)
"""

from gitopsd.report.render import render, render_start, report_key, will_retry
from gitopsd.report.send import Channels, QueuedReports, announce, deliver, report
from gitopsd.report.text import diff_data, diff_text, plan_data, plan_text, run_data, run_text

__all__ = [
    "Channels",
    "QueuedReports",
    "announce",
    "deliver",
    "diff_data",
    "diff_text",
    "plan_data",
    "plan_text",
    "render",
    "render_start",
    "report",
    "report_key",
    "run_data",
    "run_text",
    "will_retry",
]

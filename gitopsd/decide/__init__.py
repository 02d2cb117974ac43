"""What a run decides, from what is recorded, what was asked and what came of it. Pure: no port, no clock, no I/O.

Input: the head of the record, what was asked, a diff or what its apply gave. Output: a value that says what to do
next, or how the run ends. The page (``pipeline.py``) asks these questions in order and does what they answer.
"""

from gitopsd.decide.after import adopted, judge, judge_check
from gitopsd.decide.back import checked_plan, completed, pending_return, policy_back, recall
from gitopsd.decide.before import Apply, GoBack, decide, held, lock_of

__all__ = [
    "Apply",
    "GoBack",
    "adopted",
    "checked_plan",
    "completed",
    "decide",
    "held",
    "judge",
    "judge_check",
    "lock_of",
    "pending_return",
    "policy_back",
    "recall",
]

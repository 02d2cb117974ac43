"""Stage: a package and its arguments become a plan.

Input: an :class:`~gitopsd.model.package.EvaluationRequest`, an interpreter, and trees to read sources from. Output: an
:class:`~gitopsd.model.plan.Evaluation` with a plan, or problems in the author's terms, or the source that has to be
fetched before the evaluation starts again. Pure but for the reads; it runs inside a limited worker process.

Invariants: equal requests give equal plans; nothing that an earlier run left behind takes part; needs name earlier
instructions only; a placeholder's text, a line number or a random name never enters an op; a plan that is returned
passed every static check.
"""

from gitopsd.evaluate.stage import evaluate

__all__ = ["evaluate"]

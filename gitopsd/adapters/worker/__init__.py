"""Limited processes for whatever a package author wrote: the port ``Evaluator``, over a fork server."""

from gitopsd.adapters.worker.evaluator import WorkerEvaluator, WorkerLimits, WorkerSettings

__all__ = ["WorkerEvaluator", "WorkerLimits", "WorkerSettings"]

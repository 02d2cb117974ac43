"""Who can fix it decides: reasons and the three exceptions.

A stage never lets another exception out on purpose; what is none of the three is a bug and reported as one.
Every member of :class:`Reason` has a row in ``gitopsd/docs/reasons.md``; a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something failed, as machines and documents name it."""

    CONFIG_INVALID = "ConfigInvalid"
    ENVIRONMENT_INVALID = "EnvironmentInvalid"
    ENVIRONMENT_UNKNOWN = "EnvironmentUnknown"
    SOURCE_UNREACHABLE = "SourceUnreachable"
    SOURCE_REFUSED = "SourceRefused"
    REF_MISSING = "RefMissing"
    SOURCE_EMPTY = "SourceEmpty"
    HISTORY_REWRITTEN = "HistoryRewritten"
    PATH_REFUSED = "PathRefused"
    LIMIT_EXCEEDED = "LimitExceeded"
    PACKAGE_INVALID = "PackageInvalid"
    ARGUMENTS_INVALID = "ArgumentsInvalid"
    EVALUATION_FAILED = "EvaluationFailed"
    EVALUATION_LIMIT = "EvaluationLimit"
    PLAN_INVALID = "PlanInvalid"
    SECRET_MISSING = "SecretMissing"
    SERVICE_NOT_READY = "ServiceNotReady"
    SERVICE_CRASHED = "ServiceCrashed"
    SERVICE_INVALID = "ServiceInvalid"
    COMMAND_FAILED = "CommandFailed"
    REQUEST_FAILED = "RequestFailed"
    CHECK_FAILED = "CheckFailed"
    TIMED_OUT = "TimedOut"
    EXTRACT_FAILED = "ExtractFailed"
    TEMPLATE_FAILED = "TemplateFailed"
    ARTIFACT_MISSING = "ArtifactMissing"
    RESULT_LOST = "ResultLost"
    INTERRUPTED = "Interrupted"
    PREEMPTED = "Preempted"
    BAD_PLAN = "BadPlan"
    ROLLBACK_FAILED = "RollbackFailed"
    RECORD_NEWER = "RecordNewer"
    RECORD_FENCED = "RecordFenced"
    BACKEND_UNAVAILABLE = "BackendUnavailable"
    UNSUPPORTED = "Unsupported"
    LOCKED = "Locked"
    REPORT_FAILED = "ReportFailed"
    SUSPENDED = "Suspended"
    BUG = "Bug"


PASSING = frozenset({Reason.BACKEND_UNAVAILABLE, Reason.SOURCE_UNREACHABLE})
"""Reasons that may pass by themselves: a run that failed for one is tried again, and does not go back."""


class GitopsdError(Exception):
    """An error that says where it comes from and what to do.

    ``position`` is text such as ``main.star:3`` or ``gitopsd.yaml:7:5``; ``hint`` tells what to do next;
    ``stack`` holds the author's Starlark frames as ``(file, line, function)``, outermost first.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        position: str = "",
        hint: str = "",
        stack: tuple[tuple[str, int, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.position = position
        self.hint = hint
        self.stack = stack

    def __str__(self) -> str:
        where = f"{self.position}: " if self.position else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.message}{hint}"


class UserError(GitopsdError):
    """Only a new commit or another configuration can fix it: no retry until the input changes."""


class TransientError(GitopsdError):
    """It may pass by itself: tried again with backoff, within its budget.

    ``retry_after`` is in seconds, when the other side named a time.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        retry_after: float | None = None,
        position: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(reason, message, position=position, hint=hint)
        self.retry_after = retry_after


class StepError(GitopsdError):
    """A step of a run failed on the enclave: the run rolls back as its policy says."""

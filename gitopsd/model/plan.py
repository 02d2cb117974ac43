"""Plans: the ordered instructions that a package asks for. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.model.codec import digest
from gitopsd.model.package import Lock, Missing
from gitopsd.model.values import Value

if TYPE_CHECKING:  # of a short command they are imported while its package is evaluated
    from gitopsd.model.ops import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the author wrote it: a file of the package and a line (1-based; 0 when unknown)."""

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One call of a plan method.

    ``id`` names the thing: ``service/web``, ``service/web#2`` (its second life), ``artifact/genesis``,
    ``task/seed``; a nameless one is ``exec/web@0`` (method, subject, ordinal), which ``compare`` pairs with what
    was recorded. ``needs`` are ids of earlier instructions that must have succeeded before it starts.
    """

    id: str
    op: Op
    needs: tuple[str, ...] = ()
    position: Position = Position()
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something that the package asks for and that will not be honoured, or that looks wrong."""

    message: str
    position: Position = Position()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a package asks for. ``digest`` covers the instructions' ids and ops, so a description, a position or a
    commit that changes nothing keeps it."""

    package_digest: str
    args_digest: str
    instructions: tuple[Instruction, ...] = ()
    output: Value = None
    warnings: tuple[Warned, ...] = ()

    @property
    def asked(self) -> tuple[tuple[str, Op], ...]:
        """What is compared of a plan: the specs of its instructions by id."""
        from gitopsd.model.ops import spec_of

        return tuple((item.id, spec_of(item.op)) for item in self.instructions)

    @property
    def digest(self) -> str:
        return digest(self.asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong, for people: where, what, expected, what to do. ``severity``: error or warning."""

    stage: str
    reason: Reason
    message: str
    severity: str = "error"
    position: str = ""
    hint: str = ""
    retry_after: float | None = None
    stack: tuple[tuple[str, int, str], ...] = ()

    @classmethod
    def of(cls, error: GitopsdError, stage: str, position: str = "") -> Problem:
        """An error as a problem that people read; ``position`` is told when the error has none of its own."""
        return cls(
            stage=stage,
            reason=error.reason,
            message=error.message,
            position=error.position or position,
            hint=error.hint,
            retry_after=error.retry_after if isinstance(error, TransientError) else None,
            stack=error.stack,
        )

    def error(self) -> UserError:
        """The problem as an error for who asks for what it stands in the way of."""
        return UserError(self.reason, self.message, position=self.position, hint=self.hint)

    def __str__(self) -> str:
        where = f"{self.position}: " if self.position else ""
        return f"{where}{self.message}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an evaluation gave: a plan, or problems, or the sources it still needs (``missing``) or may need
    (``likely``). ``lock`` holds the dependencies that the plan was made with, and none that it did not read."""

    plan: Plan | None = None
    problems: tuple[Problem, ...] = ()
    missing: tuple[Missing, ...] = ()
    likely: tuple[Missing, ...] = ()
    lock: Lock = Lock()

"""What the tests of records share: steps and plans, and processes that are killed while they write."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from gitopsd.model.head import LastGood
from gitopsd.model.ops import AddService, Exec, Op
from gitopsd.model.parts import ExecRecipe, Image, ServiceSpec
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.record import Recorded, Step, StepOutput, finished
from gitopsd.model.values import Frozen, Secret, StepResult, Text
from gitopsd.ports import Records
from gitopsd.session import Session, Sessions

ENCLAVE = "net"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def make_exec(word: str = "one") -> Op:
    command = ("echo", Text(parts=("x=", StepResult(step="task/a", field="output"))), Secret(name="token"), word)
    return Exec(service="web", life="service/web", recipe=ExecRecipe(command=command))


def make_service() -> Op:
    return AddService(name="web", spec=ServiceSpec(image=Image(name="busybox")))


def make_step(name: str, op: Op | None = None, *, serial: str = "s1", output: str = "done\n") -> Step:
    return Step(
        instruction=Instruction(id=name, op=op or make_exec()),
        inputs=Frozen({"value": 1.5, "$odd": ("a", None, True), "large": 10**40}),
        output=StepOutput(values=Frozen({"output": output, "code": 0}), artifacts=Frozen({"genesis": "ab" * 32})),
        incarnation="first",
        serial=serial,
        when=NOON,
    )


def make_good(*steps: Step, commit: str = "c1") -> LastGood:
    plan = Plan(package_digest="p", args_digest=commit, instructions=tuple(step.instruction for step in steps))
    serials = Frozen({step.id: step.serial for step in steps})
    return LastGood(commit=commit, plan=plan, digest=f"digest of {commit}", serials=serials, when=NOON)


def session(records: Records, writer: str = "test") -> Session:
    return Sessions(records, writer=writer).open(ENCLAVE)


def finish(opened: Session, *steps: Step) -> Recorded:
    for step in steps:
        opened.change(partial(finished, step=step))
    return opened.recorded


def headed_by(recorded: Recorded, **changes: Any) -> Recorded:
    return replace(recorded, head=replace(recorded.head, **changes))


def recorded_in(records: Records) -> Recorded:
    """What is there; a record must be."""
    found = records.read(ENCLAVE)
    assert found is not None
    return found.recorded


WRITING = (
    "pwrite", "fsync", "fdatasync", "ftruncate", "rename", "replace", "unlink", "rmdir", "mkdir",
)  # fmt: skip


def killed_at(number: int, act: Callable[[Callable[[], None]], None]) -> tuple[bool, int]:
    """Runs ``act`` in a process that is killed at its ``number``-th call of the system that writes, half of a text
    being written then. Gives whether it came to its end before, and how often it called what it was given."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            _count_down(number)
            act(lambda: os.write(writing, b".") and None)
            os._exit(0)
        except BaseException:
            os._exit(2)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        done = len(told.read())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 9), "it raised an error"
    return code == 0, done


def _count_down(number: int) -> None:
    left = [number]

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                if name == "pwrite":
                    real(args[0], args[1][: len(args[1]) // 2], args[2])
                os._exit(9)
            return real(*args, **kwargs)

        return call

    for name in WRITING:
        setattr(os, name, counted(name, getattr(os, name)))

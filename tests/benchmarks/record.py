"""How long a record of 300 steps takes: written a step at a time on `local`, and loaded."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from gitopsd.adapters.local.record import FileRecords
from gitopsd.adapters.worker.evaluator import WorkerEvaluator
from gitopsd.model.head import LastGood, achieved
from gitopsd.model.ops import AddService, kind_of
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.record import Recorded, Step, StepOutput, finished, headed
from gitopsd.model.values import Frozen, describe_ref, refs_in
from gitopsd.session import Session, Sessions
from tests.benchmarks.measuring import Figure, wall
from tests.benchmarks.packages import package_of_300
from tests.stage.packages import request

ENCLAVE = "net"
FINISH, COLD, AGAIN = 0.005, 0.01, 0.0002
GOODS = 5
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def measure(folder: Path) -> Iterator[Figure]:
    """Finishes the steps of the package in a record, then loads it."""
    plan = _plan(folder)
    state = folder / "state"
    opened = Sessions(FileRecords(state), writer="benchmark").open(ENCLAVE)
    samples = tuple(_finish(opened, item) for item in plan.instructions)
    yield Figure(
        benchmark="record",
        what="a step of 300 finished on `local`",
        unit="ms",
        samples=samples,
        target=FINISH,
        note="one synced append each",
    )
    yield Figure(
        benchmark="record",
        what="the last 50 of them against the first 50",
        unit="times",
        samples=(sum(sorted(samples[-50:])[:40]) / sum(sorted(samples[:50])[:40]),),
        target=2.0,
        note="1: it does not matter how many there are; the slowest ten of each left out",
    )
    for number in range(GOODS):
        opened.change(partial(headed, change=partial(achieved, good=_good(opened.recorded, plan, number))))
    yield from _loads(state, opened.recorded)


def _plan(folder: Path) -> Plan:
    workers = WorkerEvaluator()
    plan = workers.evaluate(request(folder / "package.git", package_of_300())).plan
    if plan is None or len(plan.instructions) != 300:
        raise RuntimeError("the plan has not 300 instructions")
    return plan


def _finish(opened: Session, instruction: Instruction) -> float:
    step = _step(instruction)
    start = time.perf_counter()
    opened.change(partial(finished, step=step))
    return time.perf_counter() - start


def _step(instruction: Instruction) -> Step:
    """A step as an apply records it: what its references resolved to, and a digest of a service's configuration."""
    unique = hashlib.sha256(instruction.id.encode()).hexdigest()
    service = isinstance(instruction.op, AddService)
    return Step(
        instruction=instruction,
        inputs=Frozen({describe_ref(ref): "127.16.0.1" for ref in refs_in(instruction.op)}),
        output=StepOutput(values=Frozen({"output": f"{kind_of(instruction.op).value}\n", "code": 0})),
        incarnation=unique[:16] if service else "",
        serial=unique[:32],
        config_digest=unique if service else "",
        when=NOON,
    )


def _good(recorded: Recorded, plan: Plan, number: int) -> LastGood:
    """A good plan of its own, all but one of whose instructions the others have as well."""
    instructions = tuple(
        replace(item, description=str(number)) if index == number else item
        for index, item in enumerate(plan.instructions)
    )
    plan = replace(plan, args_digest=str(number), instructions=instructions)
    return LastGood(commit=str(number) * 40, plan=plan, digest=str(number) * 64, serials=recorded.serials, when=NOON)


def _loads(state: Path, expected: Recorded) -> Iterator[Figure]:
    read = FileRecords(state)
    found = read.read(ENCLAVE)
    if found is None or found.recorded != expected:
        raise RuntimeError("the record is not what was written")
    yield Figure(
        benchmark="record",
        what=f"a record of 300 steps and {GOODS} good plans loaded for the first time",
        unit="ms",
        samples=wall(lambda: FileRecords(state).read(ENCLAVE), times=25),
        target=COLD,
    )
    yield Figure(
        benchmark="record",
        what="the same again, unchanged",
        unit="ms",
        samples=wall(lambda: read.read(ENCLAVE), times=200),
        target=AGAIN,
    )

"""Services: converged, waited for, stopped, removed."""

from __future__ import annotations

import uuid
from functools import partial
from typing import cast

from gitopsd.apply.patience import Patience
from gitopsd.apply.recipes import until
from gitopsd.apply.resolving import Known
from gitopsd.compare import incarnation_of_volumes
from gitopsd.errors import Reason, StepError
from gitopsd.kit.text import one_line
from gitopsd.model.calls import Workload
from gitopsd.model.diff import Action, Change, Why
from gitopsd.model.environment import PrunePolicy
from gitopsd.model.ops import AddService, RemoveService, StartService, StopService
from gitopsd.model.parts import Persistent
from gitopsd.model.plan import Plan
from gitopsd.model.record import Intent, LiveService, State, Step, StepOutput, finished, forgotten, intended
from gitopsd.model.values import Frozen, Value

POLL = 0.1
"""Seconds between two looks at a port that has to open; Kurtosis looks twice a second, so this is never later."""
CRASHES = 3
"""Restarts during the wait for readiness after which a service counts as failed."""


def converge(change: Change, known: Known, inputs: Frozen[Value], patience: Patience) -> Step:
    """Starts or updates the service of a change and waits until it is ready; the finished step.

    A service that is new is recorded as begun before anything exists, so that the record is a superset of what does;
    for one that is changed an intent says so, since what it is left as half-way is nobody's drift.
    Raises StepError SERVICE_NOT_READY, SERVICE_CRASHED or TIMED_OUT.
    """
    item = change.instruction
    site, op = known.site, cast("AddService", known.op_of(item))
    if change.before is None:
        site.change(partial(finished, step=Step(instruction=item)))
    elif change.before.serial:
        site.change(partial(intended, intent=Intent(id=change.id, key="", when=site.world.clock.now())))
    address = site.backend.reserve(site.enclave, op.name)
    incarnation = _incarnation(change, known, op)
    restart = change.action in (Action.CREATE, Action.REPLACE) or change.why is Why.UNHEALTHY
    workload = Workload(
        name=op.name,
        spec=op.spec,
        artifacts=known.artifacts(item),
        incarnation=incarnation,
        restart=restart,
    )
    live = site.backend.converge(site.enclave, workload)
    await_ready(known, op, patience, live)
    live = site.backend.inspect(site.enclave, op.name) or live
    output = StepOutput(values=Frozen({"ip_address": address, "hostname": op.name}))
    return Step(
        instruction=item,
        inputs=inputs,
        output=output,
        incarnation=incarnation,
        serial=uuid.uuid4().hex,
        config_digest=live.config_digest,
        when=site.world.clock.now(),
    )


def _incarnation(change: Change, known: Known, op: AddService) -> str:
    site = known.site
    sizes = {m.key: m.size for m in op.spec.files.values() if isinstance(m, Persistent)}
    if keys := op.spec.persistent_keys():
        volumes = Frozen({key: site.backend.volume(site.enclave, key, sizes[key]) for key in keys})
        return incarnation_of_volumes(keys, volumes)
    if change.action is Action.UPDATE and change.before is not None:
        return change.before.incarnation
    return uuid.uuid4().hex


def await_ready(known: Known, op: AddService, patience: Patience, started: LiveService) -> None:
    """Waits for the ports and then for the ready condition of a service."""
    for name, port in op.spec.ports.items():
        end = known.site.world.clock.monotonic() + (port.wait or 0.0)
        while port.wait is not None and not known.site.backend.open_port(known.site.enclave, op.name, port):
            _check_alive(known, op.name, name, started)
            if known.site.world.clock.monotonic() >= end:
                late = f"port {name!r} ({port.number}) did not open within {port.wait:g} s"
                message = f"{op.name} never became ready: {late}{last_lines(known, op.name)}"
                raise StepError(Reason.SERVICE_NOT_READY, message)
            patience.sleep(POLL)
    if op.spec.ready is not None:
        try:
            until(known.site, op.name, op.spec.ready, op.spec.ports, patience)
        except StepError as error:
            message = f"{op.name} never became ready: {error.message}{last_lines(known, op.name)}"
            raise StepError(Reason.SERVICE_NOT_READY, message) from None


def _check_alive(known: Known, service: str, port: str, started: LiveService) -> None:
    """Raises StepError SERVICE_CRASHED for a service that ended, or ends again and again, before a port opened."""
    live = known.site.backend.inspect(known.site.enclave, service)
    if live is None or live.state is State.CRASHED or live.restarts >= started.restarts + CRASHES:
        code = f" with code {live.exit_code}" if live and live.exit_code is not None else ""
        message = f"{service} never became ready: it exited{code} before port {port!r} opened"
        raise StepError(Reason.SERVICE_CRASHED, message + last_lines(known, service))


def last_lines(known: Known, service: str, count: int = 5) -> str:
    """The service's last log lines as the end of a message; nothing when there are none."""
    site = known.site
    text = site.masked("\n".join(site.backend.logs(site.enclave, service, tail=count)))
    lines = [one_line(line, limit=200) for line in text.splitlines()]
    return "; its last lines: " + " | ".join(lines) if lines else ""


def move(change: Change, known: Known, inputs: Frozen[Value], patience: Patience) -> Step:
    """``start_service``, ``stop_service`` and ``remove_service`` of a life."""
    site, item = known.site, change.instruction
    op = item.op
    match op:
        case RemoveService(name=name):
            site.backend.remove(site.enclave, name)
        case StopService(life=life):
            _set_running(known, life, running=False)
        case StartService(life=life):
            live = _set_running(known, life, running=True)
            target = known.steps[life].instruction
            await_ready(known, cast("AddService", known.op_of(target)), patience, live)
    return Step(instruction=item, inputs=inputs, serial=uuid.uuid4().hex, when=site.world.clock.now())


def _set_running(known: Known, life: str, *, running: bool) -> LiveService:
    site, step = known.site, known.steps[life]
    op = cast("AddService", known.op_of(step.instruction))
    before = site.backend.inspect(site.enclave, op.name)
    workload = Workload(
        name=op.name,
        spec=op.spec,
        artifacts=known.artifacts(step.instruction),
        incarnation=step.incarnation,
        restart=running and before is not None and before.state is State.FINISHED,
        running=running,
    )
    return site.backend.converge(site.enclave, workload)


def delete(change: Change, known: Known, plan: Plan) -> None:
    """Ends what left the package: a service whose name nobody else uses, and its data when the policy says so; the
    record forgets the step."""
    site, op = known.site, change.instruction.op
    if isinstance(op, AddService):
        services = [item.op for item in plan.instructions if isinstance(item.op, AddService)]
        if all(other.name != op.name for other in services):
            site.backend.remove(site.enclave, op.name)
        if site.environment.policy.prune is PrunePolicy.DATA and not site.back_to:
            wanted = {key for other in services for key in other.spec.persistent_keys()}
            for key in op.spec.persistent_keys():
                if key not in wanted:
                    site.backend.remove_volume(site.enclave, key)
    site.change(partial(forgotten, ids=(change.id,)))

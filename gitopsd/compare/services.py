"""Services of one pass: their spec and inputs, their lives and ends, and what another hand did to them."""

from __future__ import annotations

from dataclasses import replace

from gitopsd.compare.fields import input_fields, needs_restart, op_fields
from gitopsd.compare.judge import Sight, Verdict, judge, judge_inputs
from gitopsd.compare.lives import End, Life
from gitopsd.compare.seeing import NEW_PROCESS, Seen, incarnation_of_volumes
from gitopsd.model.codec import same
from gitopsd.model.diff import Action, Change, Drift, FieldChange, Why
from gitopsd.model.environment import DriftPolicy
from gitopsd.model.ops import AddService
from gitopsd.model.plan import Instruction
from gitopsd.model.record import LiveService, State, Step

TOUCHED = (Action.CREATE, Action.UPDATE, Action.REPLACE)


def service(seen: Seen, item: Instruction, life: Life) -> Change:
    """What happens to one life of a service."""
    sight = seen.sight(item)
    step = _former(seen, item, life, sight)
    if step is None or not step.serial:
        return Change(id=item.id, action=Action.CREATE, why=Why.NEW, before=step, after=item)
    change = _spec(item, step, sight)
    if life.end is not End.ABSENT and _displaced(seen, life):
        return _with(change, Action.CREATE)
    if life.end is End.RUNNING:
        return _drifted(seen, change, life)
    change = _ended(seen, change, life)
    if change.action is Action.KEEP and step is not seen.recorded.steps.get(item.id):
        return _with(change, Action.KEEP, Why.RECALLED)
    return change


def _former(seen: Seen, item: Instruction, life: Life, sight: Sight) -> Step | None:
    """The step to compare with: the current one. A life that is over is a result, so on the way back to
    the last good plan the one of then, with the results on it, is as good and comes first."""
    current = seen.recorded.steps.get(item.id)
    good = seen.recorded.head.good
    if life.end is not End.ABSENT or life.id in (seen.up | seen.recent) or good is None:
        return current
    serial = good.serials.get(item.id)
    past = next((past for past in seen.recorded.past if past.id == item.id and past.serial == serial), None)
    if past is None or not same(seen.plan.asked, good.plan.asked):
        return current
    first, last = (past, current) if isinstance(item.op, AddService) else (current, past)
    found = [step for step in (first, last) if step]
    verdicts = [judge(step, item, Sight(inputs=sight.inputs, incarnation=step.incarnation)) for step in found]
    best = next((wanted for wanted in (Verdict.HOLDS, Verdict.OPEN) if wanted in verdicts), None)
    return found[verdicts.index(best)] if best else current or past


def _displaced(seen: Seen, life: Life) -> bool:
    """Whether an earlier life of the same name is brought up or removed in this pass: then nothing that is live is
    this life's any more."""
    if not life.last:
        return False
    earlier = (other for other in seen.lives.values() if other.name == life.name and other.id != life.id)
    return any(seen.changes[step].action is not Action.KEEP for other in earlier for step in (other.id, *other.moves))


def _spec(item: Instruction, step: Step, sight: Sight) -> Change:
    before, after = step.instruction.op, item.op
    assert isinstance(before, AddService) and isinstance(after, AddService)
    fields = op_fields(before, after)
    if fields:
        action = Action.REPLACE if needs_restart(before, after) else Action.UPDATE
        verdict = judge_inputs(step, Sight(inputs=sight.inputs, incarnation=step.incarnation))
        if verdict is not Verdict.HOLDS:
            action = Action.REPLACE  # what it reads is different as well, or may be
        fields += input_fields(step.inputs, sight.known(), frozenset())
        return Change(id=item.id, action=action, why=Why.CHANGED, before=step, after=item, fields=fields)
    # a service's own incarnation is no input of it
    verdict = judge(step, item, Sight(inputs=sight.inputs, incarnation=step.incarnation))
    if verdict is Verdict.HOLDS:
        return Change(id=item.id, action=Action.KEEP, before=step, after=item)
    fields = input_fields(step.inputs, {**step.inputs, **sight.known()}, sight.unknown())
    if verdict is Verdict.OPEN:
        return Change(id=item.id, action=Action.RECHECK, why=Why.UPSTREAM, before=step, after=item, fields=fields)
    forced = after.force_update and not same(step.inputs.get("commit"), sight.inputs.get("commit"))
    why = Why.FORCED if forced else Why.UPSTREAM
    return Change(id=item.id, action=Action.REPLACE, why=why, before=step, after=item, fields=fields)


def _ended(seen: Seen, change: Change, life: Life) -> Change:
    """A life that ends absent or stopped: brought up only when one of its steps has to run."""
    live = seen.live.services.get(life.name) if life.last else None
    if life.id not in seen.up:
        heal = seen.policy.drift is DriftPolicy.HEAL or _moves_changed(seen, life)
        if life.end is End.STOPPED and life.last and live is None and heal:
            return _with(change, Action.CREATE, Why.MISSING)
        return change if change.action is Action.KEEP or not life.steps else _with(change, Action.CREATE)
    assert change.before is not None
    if live is None or live.incarnation != change.before.incarnation:
        return _with(change, Action.CREATE)
    if change.action in TOUCHED or not _difference(seen, change.before, live):
        return change
    if change.action is Action.RECHECK:
        return _with(change, Action.RECHECK, Why.DRIFTED)
    return _with(change, Action.UPDATE)


def _drifted(seen: Seen, change: Change, life: Life) -> Change:
    """Desired against live as well: what is missing, stopped or changed by another hand.

    What this program left half-way itself, or was asked to end otherwise, is no drift: no policy leaves it alone.
    """
    assert change.before is not None
    live = seen.live.services.get(life.name) if life.last else None
    touched = change.action in TOUCHED
    ours = change.id in seen.recorded.intents or _moves_changed(seen, life)
    crashes = live.crashes if live is not None and not ours else 0
    found = _difference(seen, change.before, live, left=crashes > 0)
    if found is None:
        if live is not None and crashes and not touched and seen.policy.drift is not DriftPolicy.IGNORE:
            seen.drift.append(Drift(service=live.name, why=Why.UNHEALTHY, detail=_crashing(live), healed=False))
        return change
    why, detail, fields = found
    heal = seen.policy.drift is DriftPolicy.HEAL or touched or ours
    if not ours and (seen.policy.drift is not DriftPolicy.IGNORE or touched):
        name = change.id.removeprefix("service/")
        seen.drift.append(Drift(service=name, why=why, detail=detail, healed=heal))
    if not heal:
        return change
    return _healed(change, live, why, fields)


def _healed(change: Change, live: LiveService | None, why: Why, fields: tuple[FieldChange, ...]) -> Change:
    """The change that mends a difference as well: another process is another incarnation."""
    assert change.before is not None
    anew = why is Why.MISSING or (live is not None and live.incarnation != change.before.incarnation)
    if anew:
        action = Action.CREATE if live is None else Action.REPLACE
        return _with(change, action, change.why if change.action in TOUCHED else why, fields)
    if change.action in TOUCHED:
        return change
    action = Action.RECHECK if change.action is Action.RECHECK else Action.UPDATE
    return _with(change, action, why, (*change.fields, *fields))


def _moves_changed(seen: Seen, life: Life) -> bool:
    """Whether the record holds starts, stops or removals of this life that are not those of the plan."""
    return any(step not in life.moves for step in seen.recorded_moves.get(life.id, ()))


def _crashing(live: LiveService) -> str:
    times = f", {live.crashes} times so far," if live.crashes > 1 else ""
    return f"it ended with code {live.exit_code}{times} and is started again"


def _difference(
    seen: Seen, step: Step, live: LiveService | None, *, left: bool = False
) -> tuple[Why, str, tuple[FieldChange, ...]] | None:
    """What another hand did to a service, or its end; an end is ``left`` to a platform that starts it again."""
    if live is None:
        return Why.MISSING, "it is not there", ()
    if (gone := _directories_gone(seen, step)) is not None:
        return Why.MISSING, gone, (FieldChange(path="persistent directories", known=False),)
    if live.state is State.STOPPED:
        return Why.DRIFTED, "it is stopped", (FieldChange(path="state", before="running", after="stopped"),)
    if live.state is State.CRASHED and not left:
        detail = f"it exited with code {live.exit_code}" if live.exit_code is not None else "it crashed"
        return Why.UNHEALTHY, detail, (FieldChange(path="state", before="running", after="crashed"),)
    address = step.output.values.get("ip_address")
    if live.address and not same(address, live.address):
        return Why.DRIFTED, "its address changed", (FieldChange(path="address", before=address, after=live.address),)
    if live.incarnation != step.incarnation or (step.config_digest and live.config_digest != step.config_digest):
        return Why.DRIFTED, "it was changed by another hand", (FieldChange(path="live configuration", known=False),)
    return None


def _directories_gone(seen: Seen, step: Step) -> str | None:
    op = step.instruction.op
    keys = op.spec.persistent_keys() if isinstance(op, AddService) else ()
    if not keys or incarnation_of_volumes(keys, seen.live.volumes) == step.incarnation:
        return None
    return f"a persistent directory of it ({', '.join(keys)}) was deleted or made anew"


def move(seen: Seen, item: Instruction, life: Life) -> Change:
    """``start``, ``stop`` and ``remove``: done when the life was brought up, or when its end is not what is live."""
    sight = seen.sight(item)
    step = _former(seen, item, life, sight)
    if step is None:
        return Change(id=item.id, action=Action.RUN, why=Why.NEW, after=item)
    verdict = judge_inputs(step, sight)
    if verdict is Verdict.DIFFERS or seen.changes[life.id].action in (*NEW_PROCESS, Action.UPDATE):
        return Change(id=item.id, action=Action.RUN, why=Why.UPSTREAM, before=step, after=item)
    if item.id == life.moves[-1] and _not_at_end(seen, life):
        return Change(id=item.id, action=Action.RUN, why=Why.DRIFTED, before=step, after=item)
    if verdict is Verdict.OPEN:
        return Change(id=item.id, action=Action.RECHECK, why=Why.UPSTREAM, before=step, after=item)
    why = Why.NONE if step is seen.recorded.steps.get(item.id) else Why.RECALLED
    return Change(id=item.id, action=Action.KEEP, why=why, before=step, after=item)


def _not_at_end(seen: Seen, life: Life) -> bool:
    live = seen.live.services.get(life.name) if life.last else None
    ours = life.id in seen.recorded.intents or _moves_changed(seen, life)
    if live is None or not (seen.policy.drift is DriftPolicy.HEAL or ours):
        return False
    return life.end is End.ABSENT or (life.end is End.STOPPED) == (live.state is not State.STOPPED)


def _with(
    change: Change, action: Action, why: Why | None = None, fields: tuple[FieldChange, ...] | None = None
) -> Change:
    found = why if why is not None else (change.why if change.why is not Why.NONE else Why.UPSTREAM)
    return replace(change, action=action, why=found, fields=change.fields if fields is None else fields)

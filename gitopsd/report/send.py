"""The stage's effects: reports are put into the outbox at once, and sent from there by :func:`deliver`.

Keys make each of them happen once: a commit status by environment, commit and ``pending`` or ``final``, so there is one
final status whatever happens later; a chat message by environment and run. A report is queued when something changed
since the last one; a commit's ``pending`` always precedes its end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import quote

from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.kit.backoff import Backoff
from gitopsd.model.plan import Problem
from gitopsd.model.run import Outgoing, Report, ReportState, Run, Start, Trigger, Verdict
from gitopsd.ports import Chat, Clock, Forge, Journal, Store
from gitopsd.report.render import render, render_start

FORGE = "forge"
CHAT = "chat"
THREAD = "thread"

RETRY = Backoff(first=2, factor=2, limit=900, spread=0)
"""Waits after a failure that may pass by itself."""

REFUSED = Backoff(first=60, factor=2, limit=3600, spread=0)
"""Waits after a refusal: an operator may mend a token or a scope."""

LONGEST_WAIT = 3600.0
"""Seconds that a ``Retry-After`` may ask for; more is cut to this."""

BATCH = 1000
"""Entries of the outbox that one pass looks at."""

GIVE_UP = timedelta(hours=24)
"""Age at which a report that cannot be sent is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """Where reports go. ``link`` is the address of a page about an environment with ``{environment}`` in it."""

    forges: tuple[Forge, ...] = ()
    chat: Chat | None = None
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedReports:
    """The port ``Reports``: what runs tell is put into the outbox of the store; ``wake`` is called to have it sent."""

    store: Store
    clock: Clock
    journal: Journal
    wake: Callable[[], None]

    def began(self, start: Start) -> None:
        """See :func:`announce`."""
        announce(start, self.store, clock=self.clock, journal=self.journal)
        self.wake()

    def ended(self, run: Run) -> None:
        """See :func:`report`."""
        report(run, self.store, clock=self.clock, journal=self.journal)
        self.wake()


def announce(start: Start, store: Store, *, clock: Clock, journal: Journal) -> None:
    """Queues what is told when a run begins: ``pending`` for the forge, and, once ``start.diff`` says that there is
    something to do, a chat message. Never raises: what cannot be kept goes to the journal."""
    pending = render_start(start)
    items = [_forge_item(pending, final=False)]
    if not pending.silent and start.trigger is not Trigger.DRIFT:
        items.append(_chat_item(pending, CHAT, "pending"))
    _queue(items, store, clock=clock, journal=journal)


def report(run: Run, store: Store, *, clock: Clock, journal: Journal) -> None:
    """Queues what is told about a run that ended: its final commit status unless the commit has one, and the end of
    its chat message. Never raises: what cannot be kept goes to the journal."""
    rendered = render(run)
    try:
        told = store.sent(_told_key(run)) or ""
    except GitopsdError as error:
        journal.problem(run.environment, _problem(error))
        return
    trouble = _trouble(run)
    if run.trigger is Trigger.DRIFT and rendered.silent and not told.startswith(run.commit.id):
        return  # the trouble of another commit is not over because nothing drifted
    if run.trigger is Trigger.DRIFT and run.verdict is Verdict.NOOP and trouble and trouble == told:
        return  # nothing was done, and what is wrong was told
    final = rendered.state is not ReportState.PENDING
    items = [_forge_item(_pending_of(rendered), final=False)]
    if final:
        items.append(_forge_item(rendered, final=True))
    # A silent one still ends the message of its run, when there is one.
    heard = replace(rendered, silent=not _is_news(run, rendered, told))
    items.append(_chat_item(heard, CHAT, "final" if final else "waiting"))
    if final and rendered.details and not heard.silent:
        items.append(_chat_item(heard, THREAD, "details"))
    _queue(items, store, clock=clock, journal=journal)
    if run.verdict is not Verdict.SUPERSEDED and trouble != told and (trouble or not _stands(run, told)):
        _remember(run, store, journal=journal)


def _pending_of(rendered: Report) -> Report:
    if rendered.state is ReportState.PENDING:
        return rendered
    return replace(rendered, state=ReportState.PENDING, line="evaluating", details=())


def _forge_item(rendered: Report, *, final: bool) -> Outgoing:
    stream = f"{FORGE}/{rendered.environment}/{rendered.commit.id}"
    key = f"{stream}/{'final' if final else 'pending'}"
    return Outgoing(key=key, channel=FORGE, stream=stream, report=rendered)


def _chat_item(rendered: Report, channel: str, end: str) -> Outgoing:
    stream = f"{CHAT}/{rendered.environment}/{rendered.run_id}"
    return Outgoing(key=f"{stream}/{end}", channel=channel, stream=stream, report=rendered)


def _told_key(run: Run) -> str:
    return f"told/{run.environment}"


def _trouble(run: Run) -> str:
    """What is wrong, so that the same trouble is told once, how often it came left out; empty when nothing is."""
    if run.verdict in (Verdict.SUCCEEDED, Verdict.NOOP):
        left = [f"{item.service}:{item.why.value}" for item in run.applied.left] if run.applied is not None else []
        return " ".join((run.commit.id, *left))[:1000] if left else ""
    failed = run.applied.failed if run.applied is not None else ()
    parts = [run.commit.id, run.verdict.value]
    parts += [f"{item.id}:{item.problem.reason.value if item.problem else ''}" for item in failed]
    parts += [item.reason.value for item in run.problems]
    return " ".join(parts)[:1000]


def _is_news(run: Run, rendered: Report, told: str) -> bool:
    """Whether chat has to hear of it: something was done, a person asked, or trouble came, changed or went."""
    if rendered.silent:
        return bool(told) and run.verdict is not Verdict.SUPERSEDED and not _stands(run, told)
    if run.trigger in (Trigger.SYNC, Trigger.UPDATE, Trigger.ROLLBACK, Trigger.RESUME):
        return True
    trouble = _trouble(run)
    if run.verdict is Verdict.NOOP:  # another commit that changes nothing does not make it another trouble
        return trouble.partition(" ")[2] != told.partition(" ")[2]
    return run.verdict is Verdict.SUCCEEDED or trouble != told


def _stands(run: Run, told: str) -> bool:
    """Whether what was told is still so however a drift check ends: the commit that failed is not live."""
    verdict = told.split(" ")[1] if " " in told else ""
    return run.trigger is Trigger.DRIFT and verdict in (Verdict.ROLLED_BACK, Verdict.INVALID, Verdict.HELD)


def _remember(run: Run, store: Store, *, journal: Journal) -> None:
    try:
        store.mark_sent(_told_key(run), _trouble(run))
    except GitopsdError as error:
        journal.problem(run.environment, _problem(error))


def _queue(items: list[Outgoing], store: Store, *, clock: Clock, journal: Journal) -> None:
    for item in items:
        try:
            if item.channel == FORGE and store.sent(f"{item.stream}/final") is not None:
                continue
            store.enqueue(replace(item, queued_at=clock.now()))
        except GitopsdError as error:
            journal.problem(item.report.environment, _problem(error))


def _problem(error: GitopsdError) -> Problem:
    return Problem(stage="report", reason=error.reason, message=error.message, severity="warning", hint=error.hint)


# --- delivery ---------------------------------------------------------------------------------------------


def deliver(store: Store, channels: Channels, *, clock: Clock, journal: Journal) -> datetime | None:
    """Sends what is due, in order, and returns when to come again (None: the outbox is empty).

    One caller at a time. A channel that fails or limits rests until its time has come while others go on. Raises
    TransientError only when the store does not answer; what a forge or a chat does never raises.
    """
    waiting = store.outbox(limit=BATCH)
    delivery = _Delivery(store, channels, clock, journal)
    for item in waiting:
        delivery.take(item, waiting)
    if not waiting:
        return None
    heads: dict[str, Outgoing] = {}
    for item in store.outbox(limit=BATCH):
        heads.setdefault(item.stream, item)
    return min((item.due_at or clock.now() for item in heads.values()), default=None)


class _Delivery:
    """One pass over the outbox."""

    def __init__(self, store: Store, channels: Channels, clock: Clock, journal: Journal) -> None:
        self._store = store
        self._channels = channels
        self._clock = clock
        self._journal = journal
        self._held_streams: set[str] = set()
        self._resting: dict[object, datetime] = {}

    def take(self, item: Outgoing, waiting: tuple[Outgoing, ...]) -> None:
        """Sends one entry, unless it is not its turn yet."""
        now = self._clock.now()
        target = self._target(item)
        if target is None or self._is_over(item, waiting):
            self._store.dequeue(item.key)
        elif item.stream in self._held_streams or (item.due_at is not None and item.due_at > now):
            self._held_streams.add(item.stream)
        elif self._says_nothing(item):
            self._store.dequeue(item.key)
        elif target in self._resting:
            self._held_streams.add(item.stream)
            self._store.reschedule(item.key, attempts=item.attempts, due_at=self._resting[target])
        else:
            self._try(item, target)

    def _target(self, item: Outgoing) -> object | None:
        """Index of the forge that the repository belongs to, or the chat; None when nobody is configured."""
        if item.channel != FORGE:
            return CHAT if self._channels.chat is not None else None
        url = item.report.commit.url
        return next((index for index, forge in enumerate(self._channels.forges) if forge.matches(url)), None)

    def _is_over(self, item: Outgoing, waiting: tuple[Outgoing, ...]) -> bool:
        """Whether it was sent, or is the beginning of what has ended."""
        if self._store.sent(item.key) is not None:
            return True
        if not item.key.endswith("/pending"):
            return False
        final = f"{item.stream}/final"
        if self._store.sent(final) is not None:
            return True
        return item.channel == CHAT and any(other.key == final for other in waiting)

    def _says_nothing(self, item: Outgoing) -> bool:
        """Whether it only belongs to a chat message, and there is none."""
        in_chat = item.channel == THREAD or (item.channel == CHAT and item.report.silent)
        return in_chat and self._store.sent(f"{item.stream}/message") is None

    def _try(self, item: Outgoing, target: object) -> None:
        try:
            remote_id = self._send(item, target)
        except TransientError as error:
            self._put_off(item, target, error, RETRY)
        except GitopsdError as error:
            self._put_off(item, target, error, REFUSED)
        else:
            self._store.mark_sent(item.key, remote_id)
            self._store.dequeue(item.key)

    def _send(self, item: Outgoing, target: object) -> str:
        report_ = item.report
        if isinstance(target, int):
            link = self._channels.link.replace("{environment}", quote(report_.environment, safe=""))
            context = f"gitopsd/{report_.environment}"
            self._channels.forges[target].set_status(report_, context=context, target_url=link)
            return ""
        chat = self._channels.chat
        if chat is None:
            raise UserError(Reason.REPORT_FAILED, "no chat is configured")
        message = f"{item.stream}/message"
        posted = self._store.sent(message) or ""
        if item.channel == THREAD:
            chat.reply(report_, posted)
            return posted
        remote_id = chat.post(report_, posted)
        if remote_id != posted:
            self._store.mark_sent(message, remote_id)
        return remote_id

    def _put_off(self, item: Outgoing, target: object, error: GitopsdError, backoff: Backoff) -> None:
        attempts, now = item.attempts + 1, self._clock.now()
        asked = error.retry_after if isinstance(error, TransientError) else None
        wait = backoff.wait(attempts, retry_after=min(asked or 0.0, LONGEST_WAIT))
        given_up = item.queued_at is not None and now + timedelta(seconds=wait) > item.queued_at + GIVE_UP
        if given_up:
            self._store.dequeue(item.key)
        else:
            due_at = now + timedelta(seconds=wait)
            self._store.reschedule(item.key, attempts=attempts, due_at=due_at)
            self._held_streams.add(item.stream)
            if isinstance(error, TransientError):
                self._resting[target] = due_at
        if attempts == 1 or given_up:
            end = "given up" if given_up else "tried again later"
            message = f"a report could not be sent to the {item.channel} and is {end}: {error.message}"
            self._journal.problem(
                item.report.environment,
                Problem(stage="report", reason=error.reason, message=message, severity="warning", hint=error.hint),
            )

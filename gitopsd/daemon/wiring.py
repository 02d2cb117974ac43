"""The composition root: builds every adapter that the configuration asks for, by hand.

A library that only one backend or reporter needs is imported when that one is configured.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitopsd.adapters.clock import SystemClock
from gitopsd.adapters.downloads import DownloadLimits, HttpDownloads
from gitopsd.adapters.git.mirrors import Binding, GitMirrors, GitRules
from gitopsd.adapters.git.reader import ReadLimits
from gitopsd.adapters.git.remote import Credential, TransferLimits
from gitopsd.adapters.heads import FileHeads
from gitopsd.adapters.journal import Listener, LoggedJournal
from gitopsd.adapters.secrets import BoundSecret, BoundSecrets, installation_key
from gitopsd.adapters.worker.evaluator import WorkerEvaluator, WorkerLimits, WorkerSettings
from gitopsd.daemon.config import LocalBackend, Reference, Settings
from gitopsd.daemon.configfile import reveal
from gitopsd.errors import UserError
from gitopsd.kit.redact import Redactor
from gitopsd.model.environment import Source
from gitopsd.model.values import Frozen
from gitopsd.ports import Backend, Chat, Forge
from gitopsd.report import Channels, QueuedReports
from gitopsd.session import Sessions
from gitopsd.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """The world, the channels of reports, the watched repositories, and what has to be closed at the end."""

    world: World
    channels: Channels
    sources: tuple[Source, ...]
    close: Callable[[], None]


def wire(settings: Settings, *, log: Any, listener: Listener, wake: Callable[[], None]) -> Wired:
    """Builds the world of a configuration; ``wake`` is called when there is something to send. UserError when a part of
    the configuration cannot be used."""
    from gitopsd.adapters.store import SqlStore

    state = settings.state_dir
    backends, records = _backends(settings)
    store = SqlStore(_store_url(settings), key=installation_key(state / "installation.key"))
    clock, journal = SystemClock(), LoggedJournal(log, redactor=redactor(settings), listener=listener)
    channels = Channels(forges=tuple(_forges(settings)), chat=_chat(settings))
    world = World(
        git=GitMirrors(state / "git", _git_rules(settings)),
        downloads=_downloads(settings),
        evaluator=_evaluator(settings),
        backends=backends,
        records=records,
        heads=FileHeads(state / "heads", older=state / "suspended.json"),
        store=store,
        reports=QueuedReports(store=store, clock=clock, journal=journal, wake=wake),
        forges=channels.forges,
        chat=channels.chat,
        secrets=_secrets(settings),
        clock=clock,
        journal=journal,
        constants=Frozen(settings.constants),
    )
    return Wired(world=world, channels=channels, sources=sources(settings), close=store.close)


def sources(settings: Settings) -> tuple[Source, ...]:
    """The watched repositories."""
    return tuple(
        Source(name=name, url=item.url, ref=item.ref, credential=item.credential)
        for name, item in settings.repositories.items()
    )


def references(settings: Settings) -> tuple[Reference, ...]:
    """Every place of a secret value."""
    found: list[Reference | None] = list(settings.secrets.values())
    for credential in settings.credentials.values():
        found += [credential.token, credential.ssh_key, credential.passphrase]
    found += [forge.token for forge in settings.forges.values()]
    found += [settings.slack.token if settings.slack else None, settings.store.url_from]
    return tuple(reference for reference in found if reference is not None)


def redactor(settings: Settings) -> Redactor:
    """Masks every secret value that can be read now; one that cannot be read cannot leak either."""
    values = []
    for reference in references(settings):
        try:
            values.append(reveal(reference, os.environ))
        except UserError:
            continue
    return Redactor(values)


def _reader(reference: Reference) -> Callable[[], str]:
    """Reads a value each time anew, so that a rotated one is used."""
    return lambda: reveal(reference, os.environ)


def _optional(reference: Reference | None) -> Callable[[], str] | None:
    return None if reference is None else _reader(reference)


def _git_rules(settings: Settings) -> GitRules:
    limits = settings.limits.git
    bindings = [
        Binding(url=url, credential=name, environments=item.environments)
        for name, item in settings.credentials.items()
        for url in item.urls
    ]
    bindings += [
        Binding(url=item.url, credential=item.credential) for item in settings.repositories.values() if item.credential
    ]
    hosts = [item.known_hosts for item in settings.credentials.values() if item.known_hosts is not None]
    return GitRules(
        rewrites=settings.rewrites,
        credentials=tuple(
            Credential(
                name=name,
                username=item.username,
                token=_optional(item.token),
                private_key=_optional(item.ssh_key),
                passphrase=_optional(item.passphrase),
            )
            for name, item in settings.credentials.items()
        ),
        bindings=tuple(bindings),
        known_hosts="\n".join(reveal(host, os.environ) for host in hosts),
        transfer=TransferLimits(
            connect_timeout=limits.connect_timeout,
            server_timeout=limits.timeout,
            seconds=limits.fetch_time,
            bytes=limits.transfer,
            objects=limits.objects,
        ),
        reading=ReadLimits(file_bytes=limits.file, files=limits.files, total_bytes=limits.tree),
    )


def _downloads(settings: Settings) -> HttpDownloads:
    limits = settings.limits.downloads
    rules = DownloadLimits(seconds=limits.time, server_timeout=limits.timeout, bytes=limits.size)
    return HttpDownloads(settings.state_dir / "downloads", rules, allowed_hosts=limits.private_hosts)


def _evaluator(settings: Settings) -> WorkerEvaluator:
    limits = settings.limits.evaluation
    cache = settings.state_dir / "lowered"
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    return WorkerEvaluator(
        WorkerSettings(
            evaluation=WorkerLimits(memory=limits.memory, cpu=max(round(limits.cpu), 1), wall=limits.time),
            cache=str(cache),
        )
    )


def _backends(settings: Settings) -> tuple[dict[str, Backend], dict[str, Sessions]]:
    backends: dict[str, Backend] = {}
    records: dict[str, Sessions] = {}
    for name, item in settings.backends.items():
        backends[name], records[name] = _local(settings, name, item)
    return backends, records


def _local(settings: Settings, name: str, item: LocalBackend) -> tuple[Backend, Sessions]:
    from gitopsd.adapters.local.backend import LocalBackend as Local
    from gitopsd.adapters.local.record import FileRecords
    from gitopsd.adapters.local.settings import LocalSettings

    secret_files = tuple(reference.file for reference in references(settings) if reference.file)
    local = LocalSettings(
        images=Frozen(item.images),
        cluster_type=item.cluster_type,
        namespaces=item.namespaces,
        masks=(*item.masks, str(settings.state_dir), *secret_files),
        visible=item.visible,
        uids=item.uids,
        grace=item.grace,
        memory_limits=item.memory_limits,
        open_files=item.open_files,
        pip_packages=item.pip_packages,
        env=Frozen(item.env),
    )
    state = settings.state_dir / "backends" / name
    return Local(state, local), Sessions(FileRecords(state), writer=_writer())


def _writer() -> str:
    """What names this process in records."""
    return f"{socket.gethostname()} pid {os.getpid()}"


def _store_url(settings: Settings) -> str:
    if settings.store.url_from is not None:
        return reveal(settings.store.url_from, os.environ)
    return settings.store.url or f"sqlite:///{Path(settings.state_dir).resolve() / 'history.sqlite'}"


def _forges(settings: Settings) -> list[Forge]:
    if not settings.forges:
        return []
    from gitopsd.adapters.forges import ForgeKind, ForgeSettings, open_forge

    return [
        open_forge(
            ForgeSettings(
                kind=ForgeKind.GITEA if item.type == "forgejo" else ForgeKind(item.type),
                token=_reader(item.token),
                url=item.url,
                api_url=item.api,
                repositories=Frozen(item.repositories),
            )
        )
        for item in settings.forges.values()
    ]


def _chat(settings: Settings) -> Chat | None:
    if settings.slack is None:
        return None
    from gitopsd.adapters.slack import Slack, SlackSettings

    slack = SlackSettings(token=_reader(settings.slack.token), channel=settings.slack.channel)
    return Slack(slack if not settings.slack.api else _with_api(slack, settings.slack.api))


def _with_api(slack: Any, api: str) -> Any:
    from dataclasses import replace

    return replace(slack, base_url=api.rstrip("/") + "/")


def _secrets(settings: Settings) -> BoundSecrets:
    bound = {
        name: BoundSecret(read=_reader(item), environments=item.environments) for name, item in settings.secrets.items()
    }
    return BoundSecrets(bound, key_file=settings.state_dir / "installation.key")

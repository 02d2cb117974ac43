"""What a shim gets to do: services, tasks and commands as jobs, with every value resolved."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from gitopsd.adapters.local.addresses import Addresses
from gitopsd.adapters.local.artifacts import Artifacts, give
from gitopsd.adapters.local.folders import Folders, locked, read_json, remove_tree, write_json
from gitopsd.adapters.local.owners import Owners
from gitopsd.adapters.local.processes import best_mode
from gitopsd.adapters.local.settings import LocalSettings, names_of
from gitopsd.errors import Reason, StepError
from gitopsd.kit.files import make_folder, write_file
from gitopsd.model import codec
from gitopsd.model.calls import TaskSpec, Workload
from gitopsd.model.parts import Artifacts as ArtifactMount
from gitopsd.model.parts import Persistent, ServiceSpec
from gitopsd.model.values import plain_text

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PYTHON = re.compile(r"python3?(\.\d+)?")
_MEMORY_FLOOR = 64_000_000


class Jobs:
    """Makes jobs for the shims of one state folder."""

    def __init__(self, folders: Folders, settings: LocalSettings, addresses: Addresses) -> None:
        self._folders = folders
        self._settings = settings
        self._addresses = addresses

    @property
    def mode(self) -> str:
        """``root``, ``user`` or ``plain``, see ``sandbox.py``."""
        return best_mode() if self._settings.namespaces else "plain"

    @cached_property
    def owners(self) -> Owners:
        """Whose user processes run under."""
        return Owners(self._folders.state, self._addresses, self.mode)

    def artifacts(self, enclave: str) -> Artifacts:
        """The artifacts of an enclave."""
        return Artifacts(self._folders.artifacts(enclave), limit=self._settings.artifact_bytes)

    def fingerprint(self, workload: Workload, address: str) -> str:
        """A digest of everything that a service's process is made of. Keyed, as values of secrets are among it."""
        spec = workload.spec
        parts = (
            address, spec.image, spec.files, spec.entrypoint, spec.cmd, spec.env, spec.own_address, spec.max_memory,
            spec.user, tuple(workload.artifacts.get(name, "") for name in spec.artifact_names()),
        )  # fmt: skip
        text = codec.canonical(parts).encode("utf-8", "surrogatepass")
        return hmac.new(self._key(), text, hashlib.sha256).hexdigest()

    def _key(self) -> bytes:
        path = self._folders.state / "key"
        with contextlib.suppress(FileNotFoundError):
            return path.read_bytes()
        make_folder(path.parent)
        fresh = path.with_name(f".key.{secrets.token_hex(6)}")
        write_file(fresh, secrets.token_bytes(32), durable=True)
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
        return path.read_bytes()

    def service(self, enclave: str, workload: Workload, address: str) -> dict[str, Any]:
        """The job of a service; makes its scratch folder, its volumes and fresh copies of its artifacts."""
        spec, name = workload.spec, workload.name
        home = self._folders.service(enclave, name)
        owner, group = self.owners.of(enclave, spec.user)
        scratch = home / "scratch" / _short(workload.incarnation)
        _drop_others(scratch)
        make_folder(scratch)
        mounts: list[tuple[str, Path]] = []
        remove_tree(home / "mounts")
        for number, (path, mount) in enumerate(spec.files.items()):
            if isinstance(mount, Persistent):
                self.volume(enclave, mount.key)
                mounts.append((path, self._folders.volume(enclave, mount.key) / "data"))
            elif isinstance(mount, ArtifactMount):
                digests = [_content(workload, artifact) for artifact in mount.names]
                mounts.append((path, self._mount(enclave, digests, home / "mounts" / str(number), owner)))
        place = self._place(scratch, mounts, owner)
        swap = _Swap(spec.own_address, address)
        return self._job("service", home / "run", place) | {
            "config": self.fingerprint(workload, address),
            "argv": self._argv(workload, place, swap),
            "env": self._environment(place, {key: swap.one(value) for key, value in spec.env.items()}),
            "uid": owner, "gid": group, "hostname": name,
            "view": self._view(enclave, place, owner),
            "limits": self._limits(spec.max_memory),
        }  # fmt: skip

    def task(self, enclave: str, task: TaskSpec, folder: Path) -> dict[str, Any]:
        """The job of a task, with fresh scratch and mounts below ``folder``."""
        owner = self.owners.own(enclave)
        scratch = make_folder(folder / "scratch")
        mounts = [
            (path, self._mount(enclave, digests, folder / "mounts" / str(number), owner))
            for number, (path, digests) in enumerate(task.files.items())
        ]
        place = self._place(scratch, mounts, owner, known=task.store)
        return self._job("task", folder, place) | {
            "argv": self._interpreter(task.image, place.rewrite_all(task.command)),
            "env": self._environment(place, task.env),
            "uid": owner, "gid": owner, "hostname": task.name[:64],
            "view": self._view(enclave, place, owner),
            "timeout": task.timeout,
            "store": [place.inside(path) for path in task.store],
        }  # fmt: skip

    def _place(
        self, scratch: Path, mounts: list[tuple[str, Path]], owner: int | None, *, known: tuple[str, ...] = ()
    ) -> Place:
        for path, _ in mounts:
            _check_mount(path)
        place = Place(mode=self.mode, scratch=scratch, mounts=mounts, known=known)
        if place.mode == "plain" and owner is not None:
            for folder, _, _ in os.walk(scratch / "root"):
                give(Path(folder), owner)
            for way in (scratch, *(source.parent for _, source in mounts)):
                self.owners.let_in(way)
        return place

    def inside(self, kind: str, folder: Path, facts: Mapping[str, Any], join: Mapping[str, Any]) -> dict[str, Any]:
        """A job that runs in the view of a running service. ``facts`` are what its shim keeps in memory, ``join``
        has the shim's ``pid`` and the descriptor of its ``view``."""
        return self._job(kind, folder, place_of(facts)) | {
            "env": facts["env"], "uid": facts["uid"], "gid": facts["gid"], "join": dict(join)
        }  # fmt: skip

    def _job(self, kind: str, folder: Path, place: Place) -> dict[str, Any]:
        settings = self._settings
        return {
            "kind": kind, "folder": str(folder), "mode": place.mode, "config": "", "argv": [], "env": {},
            "cwd": place.cwd, "uid": None, "gid": None, "hostname": "", "limits": self._limits(0), "timeout": None,
            "grace": settings.grace, "backoff": list(settings.backoff), "steady": settings.steady,
            "log_bytes": settings.log_bytes, "log_files": settings.log_files, "output_bytes": settings.output_bytes,
            "store": [], "artifact_bytes": settings.artifact_bytes,
        }  # fmt: skip

    def _limits(self, megabytes: int) -> dict[str, int]:
        data = max(megabytes * 1_000_000, _MEMORY_FLOOR) if megabytes and self._settings.memory_limits else 0
        processes = self._settings.max_processes if self.owners.separate else 0
        return {"files": self._settings.open_files, "data": data, "processes": processes}

    def _view(self, enclave: str, place: Place, owner: int | None) -> dict[str, Any]:
        visible = dict.fromkeys((*self._settings.visible, sys.prefix, sys.base_prefix))
        return {
            "scratch": str(place.scratch),
            "owner": owner,
            "mounts": [[path, str(source)] for path, source in sorted(place.mounts)],
            "hosts": str(self._folders.hosts(enclave)),
            "masks": [os.path.realpath(path) for path in (str(self._folders.state), *self._settings.masks)],
            "visible": list(visible),
            "python": sys.executable,
        }

    def _argv(self, workload: Workload, place: Place, swap: _Swap) -> list[str]:
        spec, name = workload.spec, workload.name
        prefix = place.rewrite_all(swap.all(spec.entrypoint)) or self._settings.prefix(spec.image.name)
        argv = [*prefix, *place.rewrite_all(swap.all(spec.cmd))]
        if not argv:
            raise StepError(
                Reason.SERVICE_INVALID,
                f"service {name!r}: nothing says what to run for the image {spec.image.name!r} on this machine",
                hint="give the service an entrypoint or a cmd, or map the image to a command in the configuration",
            )
        return self._interpreter(spec.image.name, argv)

    def advice(self, spec: ServiceSpec) -> str:
        """What to do about a command that cannot be started, when an entrypoint may be what it lacks; empty if not."""
        if spec.entrypoint or self._settings.prefix(spec.image.name):
            return ""
        return (
            f"the configuration maps the image {spec.image.name!r} to no command, so its cmd stands alone: "
            "map it under `images` of the backend, or give the service an entrypoint"
        )

    def _interpreter(self, image: str, argv: Iterable[str]) -> list[str]:
        """An image of Python runs with the daemon's own interpreter, wherever the image would have it."""
        found = list(argv)
        of_python = names_of(image)[1].startswith("python:")
        if found and of_python and _PYTHON.fullmatch(Path(found[0]).name):
            found[0] = sys.executable
        return found

    def _environment(self, place: Place, own: Mapping[str, Any]) -> dict[str, str]:
        """The whole environment of a process: nothing of the daemon's own gets in."""
        tools = str(Path(sys.executable).parent)
        return {
            "PATH": f"{tools}:{_PATH}", "LANG": "C.UTF-8",
            "HOME": place.inside("/root"), "TMPDIR": place.inside("/tmp"),
            **self._settings.env,
            **{key: place.rewrite(plain_text(value)) for key, value in own.items()},
        }  # fmt: skip

    def _mount(self, enclave: str, digests: Iterable[str], folder: Path, owner: int | None) -> Path:
        self.artifacts(enclave).copy(digests, folder, owner=owner)
        return folder

    def volume(self, enclave: str, key: str) -> str:
        """The identity of a persistent directory; a new one gets a new identity."""
        folder = make_folder(self._folders.volume(enclave, key))
        data = folder / "data"
        with locked(folder / "lock"):
            known = str(read_json(folder / "identity").get("identity", ""))
            if not known or not data.is_dir():
                known = secrets.token_hex(16)
                write_json(folder / "identity", {"key": key, "identity": known}, durable=True)
                data.mkdir(exist_ok=True)
                data.chmod(0o777)  # services of any user share it; its parents let nobody else in
                give(data, self.owners.own(enclave))
                self.owners.let_in(folder)
        return known


class Place:
    """Where a process lives: its scratch folder and mounts, seen at their own paths or, without namespaces, below
    the scratch folder, to which paths in arguments are rewritten then."""

    def __init__(self, *, mode: str, scratch: Path, mounts: list[tuple[str, Path]], known: Iterable[str] = ()) -> None:
        self.mode = mode
        self.scratch = scratch
        self.mounts = mounts
        self._paths: re.Pattern[str] | None = None
        if mode == "plain":
            self._prepare(known)

    def _prepare(self, known: Iterable[str]) -> None:
        root = make_folder(self.scratch / "root")
        for name in ("tmp", "root"):
            make_folder(root / name)
        for path, source in self.mounts:
            target = root / path.strip("/")
            make_folder(target.parent)
            if not target.is_symlink() and not target.is_dir():
                target.symlink_to(source)
        paths = {path.rstrip("/*") for path in (*known, *(path for path, _ in self.mounts))} | {"/tmp"}
        for path in known:
            make_folder((root / path.strip("/*")).parent)
            paths |= {str(parent) for parent in Path(path).parents if not parent.exists()}
        words = "|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True) if path)
        self._paths = re.compile(rf"(?<![\w./-])(?:{words})(?![\w-])")

    @property
    def cwd(self) -> str:
        return str(self.scratch / "root") if self.mode == "plain" else "/"

    def inside(self, path: str) -> str:
        """Where the process finds an absolute path."""
        return f"{self.scratch}/root{path}" if self.mode == "plain" else path

    def rewrite(self, text: str) -> str:
        """A text with the paths in it as the process finds them."""
        return self._paths.sub(lambda found: self.inside(found[0]), text) if self._paths else text

    def rewrite_all(self, texts: Iterable[str]) -> list[str]:
        """The same for each."""
        return [self.rewrite(text) for text in texts]


def place_of(facts: Mapping[str, Any]) -> Place:
    """Where a running service lives."""
    mounts = [(path, Path(source)) for path, source in facts["mounts"]]
    return Place(mode=facts["mode"], scratch=Path(facts["scratch"]), mounts=mounts)


class _Swap:
    """Puts a service's own address in the place of its placeholder."""

    def __init__(self, placeholder: str, address: str) -> None:
        self._placeholder = placeholder
        self._address = address

    def one(self, value: object) -> str:
        text = plain_text(value)
        return text.replace(self._placeholder, self._address) if self._placeholder else text

    def all(self, values: Iterable[object]) -> list[str]:
        return [self.one(value) for value in values]


def _content(workload: Workload, artifact: str) -> str:
    found = workload.artifacts.get(artifact)
    if found is None:
        raise StepError(
            Reason.ARTIFACT_MISSING, f"service {workload.name!r} mounts the artifact {artifact!r}, which is not there"
        )
    return found


def _check_mount(path: str) -> None:
    """StepError SERVICE_INVALID for a path at which nothing can be mounted."""
    parts = path.strip("/").split("/")
    if not path.startswith("/") or ".." in parts or "\0" in path or parts[0] in ("", "proc", "sys", "dev"):
        raise StepError(
            Reason.SERVICE_INVALID,
            f"nothing can be mounted at {path!r}",
            hint="give an absolute path without '..' that is not '/' and not below /proc, /sys or /dev",
        )


def _short(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _drop_others(scratch: Path) -> None:
    if scratch.parent.is_dir():
        for other in scratch.parent.iterdir():
            if other != scratch:
                remove_tree(other)

"""Where things lie below the state folder, and how files are written there.

::

    addresses.json                 addresses and user ids in use, of all enclaves
    enclaves/<enclave>/            mode 0700, files 0600
        enclave.json  hosts
        record/                    see ``record.py``
        services/<service>/        workload.json; run/ with what its shim writes; scratch/<incarnation>/
        volumes/<key>/             identity, data/
        artifacts/<digest>/        files as they are mounted
        keyed/<sha256 of key>/     executions and tasks, with their results
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gitopsd.kit.files import folder_name, make_folder, write_file

_NOTHING = (FileNotFoundError, NotADirectoryError)
_PART = 1 << 14


@dataclass(frozen=True, slots=True)
class Folders:
    """Paths below a state folder, which must be absolute and free of symbolic links."""

    state: Path

    @property
    def enclaves(self) -> Path:
        return self.state / "enclaves"

    def enclave(self, enclave: str) -> Path:
        return self.enclaves / folder_name(enclave)

    def head(self, enclave: str) -> Path:
        """The file whose presence makes an enclave exist."""
        return self.enclave(enclave) / "enclave.json"

    def hosts(self, enclave: str) -> Path:
        return self.enclave(enclave) / "hosts"

    def services(self, enclave: str) -> Path:
        return self.enclave(enclave) / "services"

    def service(self, enclave: str, service: str) -> Path:
        return self.services(enclave) / folder_name(service)

    def volumes(self, enclave: str) -> Path:
        return self.enclave(enclave) / "volumes"

    def volume(self, enclave: str, key: str) -> Path:
        return self.volumes(enclave) / folder_name(key)

    def artifacts(self, enclave: str) -> Path:
        return self.enclave(enclave) / "artifacts"

    def keyed(self, enclave: str) -> Path:
        return self.enclave(enclave) / "keyed"

    def record(self, enclave: str) -> Path:
        return self.enclave(enclave) / "record"


def write_json(path: Path, data: object, *, durable: bool = False) -> None:
    """Replaces a file with JSON, see :func:`write_file`."""
    write_file(path, json.dumps(data, indent=1, sort_keys=True).encode(), durable=durable)


# What follows is asked of every service at every look. So it takes paths that are texts as well, and asks the kernel
# itself: pathlib costs more than all these calls.


def names_in(folder: Path | str) -> list[str]:
    """What lies in a folder, sorted; empty when there is no such folder."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except _NOTHING:
        return []


def folders_in(folder: Path | str) -> list[str]:
    """The names of the folders in a folder, sorted; empty when there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted([entry.name for entry in entries if entry.is_dir()])
    except _NOTHING:
        return []


def is_folder(path: Path | str) -> bool:
    """Whether a folder is there."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116
    except _NOTHING:
        return False


def read_bytes(path: Path | str) -> bytes:
    """What a file holds, as a whole. OSError when it cannot be read."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = []
        while part := os.read(descriptor, _PART):
            parts.append(part)
    finally:
        os.close(descriptor)
    return b"".join(parts)


def read_if_there(path: Path | str) -> bytes:
    """What a file holds; nothing when there is none. OSError when it is there and cannot be read."""
    try:
        return read_bytes(path)
    except _NOTHING:
        return b""


def read_json(path: Path | str) -> Mapping[str, Any]:
    """The JSON object of a file; empty when there is none or it is torn or no object. OSError when it is there and
    cannot be read."""
    return parsed(read_if_there(path))


@functools.lru_cache(maxsize=4096)
def parsed(data: bytes) -> Mapping[str, Any]:
    """The JSON object that a file holds; empty when it is torn or no object. Remembered by what is in the file: no
    stamp of a file tells each change of it."""
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return MappingProxyType(found) if isinstance(found, dict) else {}


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock file ``path`` against every other thread and process of this machine, also when somebody deletes
    the file in the meantime."""
    descriptor = _locked(path)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def looked_at(path: Path) -> Iterator[None]:
    """Keeps those out who hold the lock file ``path`` by :func:`locked`, and makes nothing: nobody ever held a file
    that is not there."""
    descriptor = _locked(path, shared=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locked(path: Path, *, shared: bool = False) -> int | None:
    while True:
        try:
            if shared:
                descriptor = os.open(path, os.O_RDONLY)
            else:
                descriptor = os.open(make_folder(path.parent) / path.name, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            if shared:
                return None
            continue  # its folder was deleted just now
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):  # noqa: PTH116
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Deletes a file or a folder with everything below it, also folders that lack permissions (the kernel leaves
    such behind in overlays). Nothing there is fine; symbolic links are not followed."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return

    def again(function: Callable[..., Any], name: str, _error: Any) -> None:
        parent = os.path.dirname(name)  # noqa: PTH120
        for item in (parent, name):
            with contextlib.suppress(OSError):
                if stat.S_ISDIR(os.lstat(item).st_mode):
                    os.chmod(item, 0o700)  # noqa: PTH101
        if function in (os.rmdir, os.unlink):
            with contextlib.suppress(FileNotFoundError):
                function(name)
        else:
            shutil.rmtree(name, ignore_errors=True)

    if sys.version_info >= (3, 12):
        shutil.rmtree(path, onexc=again)
    else:
        shutil.rmtree(path, onerror=again)

"""The private view that a process gets: namespaces, mounts, user, limits. Runs inside the shim.

A *mode* is ``root`` (the shim is root), ``user`` (an own user namespace) or ``plain`` (the kernel allows neither).
The machine's folders appear as overlays whose changes go to the incarnation's scratch folder; home folders, ``/tmp``
and ``/run`` are private and empty; the state folder and credentials are masked. Imports the standard library alone.
Facts: mount_namespaces(7), pivot_root(2), overlayfs.rst of the kernel.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import stat
import struct
from collections.abc import Mapping
from typing import Any

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000
_RDONLY, _NOSUID, _NODEV, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_DETACH = 2
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 1, 24, 8, 38
_PR_SET_CHILD_SUBREAPER, _PR_CAP_AMBIENT, _AMBIENT_RAISE = 36, 47, 2
_NET_BIND_SERVICE = 10
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_PRIVATE_FOLDERS = {"tmp": 0o1777, "run": 0o755, "home": 0o755, "root": 0o755}
_OWN_FOLDERS = {"var": ("lib", "log", "cache", "tmp"), "usr": ("local", "local/bin")}

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *args: Any) -> int:
    result: int = getattr(_libc, name)(*args)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """unshare(2); OSError where the kernel refuses."""
    _call("unshare", flags)


def setns(path: str, kind: int) -> None:
    """Joins the namespace that a file of ``/proc`` names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _call("setns", descriptor, kind)
    finally:
        os.close(descriptor)


def name_host(name: str) -> None:
    """Sets the host name; it needs a namespace of its own."""
    text = name.encode()[:64]
    _call("sethostname", text, len(text))


def subreaper() -> None:
    """Makes orphans of this process' tree its children."""
    _call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent ends."""
    _call("prctl", _PR_SET_PDEATHSIG, 9, 0, 0, 0)


def own_user_namespace() -> None:
    """Enters a user namespace in which this user keeps its id and may mount."""
    uid, gid = os.getuid(), os.getgid()
    unshare(NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    _call("mount", os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), os.fsencode(options))


def _bind(source: str, target: str, *, read_only: bool = False) -> None:
    _mount(source, target, flags=_BIND | _REC)
    if read_only:
        attributes = struct.pack("QQQQ", _RDONLY | _NOSUID, 0, 0, 0)
        try:
            _call("syscall", _MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), _AT_RECURSIVE, attributes, 32)
        except OSError:  # before Linux 5.12; locked flags make even that fail in a user namespace
            with contextlib.suppress(OSError):
                _mount("", target, flags=_BIND | _REMOUNT | _RDONLY | _NOSUID)


def _folder(top: str, path: str, mode: int = 0o755, owner: int | None = None) -> str:
    """Makes the folder ``path`` below ``top``. The last start's processes owned what is there and may have left
    links in the place of folders: those go, or root would follow them out."""
    place = top
    for name in filter(None, path.split("/")):
        place = f"{place}/{name}"
        if os.path.lexists(place) and not stat.S_ISDIR(os.lstat(place).st_mode):
            os.unlink(place)
        if not os.path.lexists(place):
            os.mkdir(place)
    os.chmod(place, mode)
    if owner is not None:
        os.chown(place, owner, owner)
    return place


class View:
    """The root file system of one incarnation, put together in a mount namespace of its own.

    ``spec`` has ``scratch`` (folder), ``owner`` (user id or None), ``mounts`` (path, source pairs), ``hosts`` (file),
    ``masks``, ``visible`` (paths), ``python`` (the interpreter that gets its usual names).
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._spec = spec
        self._root = f"{spec['scratch']}/root"
        self._owner: int | None = spec["owner"]
        self._mount_points = [os.path.realpath(path) for path, _ in spec["mounts"]]
        with open("/proc/self/mountinfo") as file:
            self._mounted = {line.split()[4].encode().decode("unicode_escape") for line in file}

    def enter(self) -> None:
        """Puts it together and makes it the root of this process; needs a mount namespace of its own."""
        os.umask(0o022)
        _mount("", "/", flags=_REC | _PRIVATE)
        _folder(self._spec["scratch"], "root", 0o755, self._owner)
        _mount(self._root, self._root, flags=_BIND | _REC)
        tops = set(os.listdir("/"))
        for name in sorted(tops):
            self._show("/" + name, depth=0)
        for mount in self._mount_points:
            if mount.split("/")[1] not in tops:
                _folder(self._root, mount, 0o755, self._owner)
        self._system()
        self._mask()
        old = ".old-" + os.urandom(16).hex()  # a name that no package can know: it leads to the machine's files
        os.mkdir(f"{self._root}/{old}", 0o700)
        os.chdir(self._root)
        _call("pivot_root", b".", old.encode())
        os.chdir("/")
        try:
            self._reveal("/" + old)
        finally:
            _call("umount2", old.encode(), _DETACH)
            os.rmdir("/" + old)

    def _show(self, path: str, *, depth: int) -> None:
        name, target = path[1:], self._root + path
        if depth == 0 and name in ("proc", "sys", "dev"):
            return
        if os.path.islink(path):
            if not os.path.lexists(target):
                os.symlink(os.readlink(path), target)
            return
        found = os.stat(path)
        if not stat.S_ISDIR(found.st_mode):
            if stat.S_ISREG(found.st_mode) and found.st_mode & 0o004:
                self._file(path, target)
            return
        private = _PRIVATE_FOLDERS.get(name) if depth == 0 else None
        if private is not None or found.st_mode & 0o005 != 0o005:
            _folder(self._root, path, private or 0o755, self._owner)
        elif any(mount.startswith(path + "/") for mount in self._mounted):
            self._open(path, depth=depth)
        else:
            self._overlay(path)

    def _open(self, path: str, *, depth: int) -> None:
        if depth >= 2:
            _bind(path, _folder(self._root, path), read_only=True)
            return
        _folder(self._root, path, 0o755, self._owner)
        for name in sorted(os.listdir(path)):
            with contextlib.suppress(FileNotFoundError):
                self._show(f"{path}/{name}", depth=depth + 1)

    def _file(self, path: str, target: str) -> None:
        if os.path.lexists(target) and not stat.S_ISREG(os.lstat(target).st_mode):
            os.unlink(target)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        _bind(path, target, read_only=True)

    def _overlay(self, path: str) -> None:
        target, name = _folder(self._root, path), path[1:].replace("/", "%")
        layer = _folder(self._spec["scratch"], f"layers/{name}")
        _folder(layer, "upper", stat.S_IMODE(os.stat(path).st_mode), self._owner)
        for own in _OWN_FOLDERS.get(path[1:], ()):
            _folder(layer, f"upper/{own}", 0o1777 if own == "tmp" else 0o755, self._owner)
        for mount in self._mount_points:
            if mount.startswith(path + "/"):
                self._make_point(f"{layer}/upper", path, mount)
        _folder(layer, "work")
        before = os.getcwd()
        os.chdir(layer)
        lower = path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
        options = f"lowerdir={lower},upperdir=upper,workdir=work"
        try:
            extra = ",userxattr" if os.getuid() else ""
            _mount("overlay", target, "overlay", _NOSUID | _NODEV, options + extra)
        except OSError:
            _bind(path, target, read_only=True)
        finally:
            os.chdir(before)

    def _make_point(self, top: str, below: str, mount: str) -> None:
        """Makes the folder of a mount point in an upper layer, where the machine's own folders need no right."""
        if os.path.isdir(mount):
            return
        for end in range(len(below) + 1, len(mount) + 1):
            if end == len(mount) or mount[end] == "/":
                exists = os.path.isdir(mount[:end])
                mode = stat.S_IMODE(os.stat(mount[:end]).st_mode) if exists else 0o755
                _folder(top, mount[len(below) : end], mode, self._owner)

    def _system(self) -> None:
        for name in ("proc", "sys", "dev"):
            _folder(self._root, name)
        try:
            _mount("proc", f"{self._root}/proc", "proc", _NOSUID | _NODEV)
        except OSError:
            _bind("/proc", f"{self._root}/proc")
        _bind("/sys", f"{self._root}/sys", read_only=True)
        _bind("/dev", f"{self._root}/dev")
        with contextlib.suppress(OSError):
            _mount("tmpfs", f"{self._root}/dev/shm", "tmpfs", _NOSUID | _NODEV, "mode=1777")

    def _mask(self) -> None:
        for path in self._spec["masks"]:
            target = self._root + path
            if os.path.isdir(target):
                _mount("tmpfs", target, "tmpfs", _RDONLY | _NOSUID | _NODEV, "size=4k,mode=755")
            elif os.path.exists(target):
                _bind("/dev/null", target)

    def _reveal(self, old: str) -> None:
        """Mounts what the service owns and the tools. Each target is made a path without links first: one that
        the last start left, such as one into ``/proc/1/root``, would lead out of this root."""
        for path in self._spec["visible"]:
            self._reveal_tools(old, path)
        for name in ("python", "python3"):
            if self._spec["python"] and not os.path.lexists(f"/usr/local/bin/{name}"):
                with contextlib.suppress(OSError):
                    os.symlink(self._spec["python"], f"/usr/local/bin/{name}")
        for asked, source in self._spec["mounts"]:
            path = os.path.realpath(asked)
            if os.path.isdir(old + source):
                os.makedirs(path, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "a"):
                    pass
            _bind(old + source, path)
        if self._spec["hosts"]:
            path = os.path.realpath("/etc/hosts")
            with contextlib.suppress(OSError), open(path, "a"):
                pass
            _bind(old + self._spec["hosts"], path, read_only=True)

    def _reveal_tools(self, old: str, path: str) -> None:
        """Shows a folder of tools that is hidden here, or closed to the service's user: then an empty folder hides
        what closes it, and what is inside is mounted there piece by piece."""
        target = os.path.realpath(path)
        closed = _closed(target) if self._owner is not None else ""
        if closed:
            _mount("tmpfs", closed, "tmpfs", _NOSUID | _NODEV, "size=64k,mode=755")
        # An empty folder is what the last start left in the scratch folder to mount on.
        hidden = not os.path.exists(target) or (os.path.isdir(target) and not os.listdir(target))
        if not hidden or not os.path.isdir(old + path):
            return
        os.makedirs(target, exist_ok=True)
        if self._owner is None or os.stat(old + path).st_mode & 0o005 == 0o005:
            _bind(old + path, target, read_only=True)
            return
        _mount("tmpfs", target, "tmpfs", _NOSUID | _NODEV, "size=64k,mode=755")
        for name in os.listdir(old + path):
            _bind_piece(f"{old}{path}/{name}", f"{target}/{name}")


def _closed(path: str) -> str:
    """The first folder on the way to a path, or the path, that other users may not pass; "" when there is none."""
    way = ""
    for name in path.split("/")[1:]:
        way += "/" + name
        if os.path.isdir(way) and not os.stat(way).st_mode & 0o001:
            return way
    return ""


def _bind_piece(source: str, target: str) -> None:
    """Shows one entry of a folder; links are made again, since they lead where they say."""
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
    elif os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
        _bind(source, target, read_only=True)
    elif os.path.isfile(source):
        with open(target, "a"):
            pass
        _bind(source, target, read_only=True)


def restrict(job: Mapping[str, Any]) -> None:
    """Gives up every right that the process does not need: limits, user, capabilities, new privileges."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = job["limits"]["files"] if hard == resource.RLIM_INFINITY else min(hard, job["limits"]["files"])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if job["limits"]["data"]:
        resource.setrlimit(resource.RLIMIT_DATA, (job["limits"]["data"],) * 2)
    if job["limits"]["processes"]:
        resource.setrlimit(resource.RLIMIT_NPROC, (job["limits"]["processes"],) * 2)
    os.umask(0o022)
    for capability in range(64):
        if capability != _NET_BIND_SERVICE:
            with contextlib.suppress(OSError):
                _call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)
    if job["uid"] is not None and os.getuid() == 0:
        _become(job["uid"], job["gid"])
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _become(uid: int, gid: int) -> None:
    """Another user that keeps one right of root: to bind ports below 1024, as images expect."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    _call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setresuid(uid, uid, uid)
    bit = 1 << _NET_BIND_SERVICE
    header, data = struct.pack("Ii", 0x20080522, 0), struct.pack("IIIIII", bit, bit, bit, 0, 0, 0)
    _call("capset", header, data)
    with contextlib.suppress(OSError):
        _call("prctl", _PR_CAP_AMBIENT, _AMBIENT_RAISE, _NET_BIND_SERVICE, 0, 0)

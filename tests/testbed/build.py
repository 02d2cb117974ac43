"""Builds the servers from the pinned Go modules into a cache outside the tree."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.places import CACHE, MODULES, TestbedError

GO = "go1.26"  # built with 1.27, the /openapi/v2 of kube-apiserver is malformed
SIDE_BY_SIDE = 2  # builds at once: while one links, another compiles


@dataclass(frozen=True, kw_only=True)
class Module:
    """A folder of ``modules/``, and how its tools are built."""

    name: str
    cgo: bool = False
    tags: tuple[str, ...] = ()
    pin: str = ""  # the module whose version is stamped into the variables
    stamps: tuple[str, ...] = ()  # of the linker's -X: ``VARIABLE={0}``, where 0 is the version, 1 and 2 its numbers
    shares: tuple[tuple[str, str], ...] = ()  # (module, pattern) of files and folders that go into ``share``

    @property
    def source(self) -> Path:
        return MODULES / self.name

    def tools(self) -> list[str]:
        """Import paths in the ``tool`` directives of its go.mod."""
        text = (self.source / "go.mod").read_text("utf-8")
        block = re.search(r"^tool \((.*?)^\)", text, re.MULTILINE | re.DOTALL)
        return block[1].split() if block else re.findall(r"^tool (\S+)", text, re.MULTILINE)

    def version(self) -> str:
        """Version of the module ``pin`` in its go.mod, such as ``v1.2.3``."""
        file = self.source / "go.mod"
        found = re.search(rf"^\s*{re.escape(self.pin)} (v\S+)", file.read_text("utf-8"), re.MULTILINE)
        if not found:
            raise TestbedError(f"{file} pins no {self.pin}: expected a require line for it")
        return found[1]

    def patch_of_go(self) -> int:
        """The last number of the oldest Go that builds it, by its go.mod."""
        file = self.source / "go.mod"
        found = re.search(rf"^{GO.replace('go', 'go ')}(?:\.(\d+))?$", file.read_text("utf-8"), re.MULTILINE)
        if not found:
            raise TestbedError(f"{file} is for another Go: expected a line for {GO}")
        return int(found[1] or 0)

    def flags(self) -> list[str]:
        """Flags of ``go build``; without symbols, since nobody debugs the servers."""
        version = self.version() if self.pin else ""
        stamps = [f"-X {stamp.format(version, *version[1:].split('.'))}" for stamp in self.stamps]
        tags = ["-tags", ",".join(self.tags)] if self.tags else []
        return ["-trimpath", "-buildvcs=false", *tags, "-ldflags", " ".join(["-s", "-w", *stamps])]

    def folder(self) -> Path:
        """Where its binaries are once built: the name has the digest of all that decides what they are."""
        facts = hashlib.sha256(repr((go(), self.cgo, self.flags(), self.shares)).encode())
        for file in sorted(item for item in self.source.rglob("*") if item.is_file()):
            facts.update(f"{file.relative_to(self.source)}\0".encode() + file.read_bytes())
        return CACHE / "bin" / f"{self.name}-{facts.hexdigest()[:16]}"


TABLE = (
    Module(
        name="kubernetes",
        pin="k8s.io/kubernetes",
        stamps=tuple(
            f"k8s.io/{package}/version.{stamp}"
            for package in ("component-base", "client-go/pkg")
            for stamp in ("gitVersion={0}", "gitMajor={1}", "gitMinor={2}")
        ),
    ),
    Module(
        name="gitea",
        cgo=True,
        tags=("sqlite", "sqlite_unlock_notify"),
        pin="code.gitea.io/gitea",
        stamps=("main.Version={1}.{2}.{3}",),
        shares=(("code.gitea.io/gitea", "options"), ("code.gitea.io/gitea", "templates")),
    ),
    Module(name="coredns"),
    Module(
        name="csi",
        shares=(("github.com/kubernetes-csi/external-snapshotter/client/v8", "config/crd/snapshot.storage.*.yaml"),),
    ),
    Module(name="etcd"),
    Module(name="helm", pin="helm.sh/helm/v4", stamps=("helm.sh/helm/v4/internal/version.version={0}",)),
)
BY_NAME = {module.name: module for module in TABLE}


@functools.cache
def go() -> str:
    """Version of the Go that builds; raises ``TestbedError`` if it is not there or another."""
    patch, module = max((module.patch_of_go(), module.name) for module in TABLE)
    expected = f"{GO}.{patch}, which {module} needs, or a newer {GO}"
    command = shutil.which("go")
    if not command:
        raise TestbedError(f"there is no `go` in PATH: install {expected}, and put its bin folder into PATH")
    ask = [command, "env", "GOVERSION"]
    told = subprocess.run(ask, cwd=MODULES, env=_environment(), capture_output=True, text=True, check=False)
    version = told.stdout.strip()
    found = re.fullmatch(rf"{re.escape(GO)}(?:\.(\d+))?(?: .*)?", version)  # what follows a space are experiments
    if not found or int(found[1] or 0) < patch:
        given = version or told.stderr.strip()
        raise TestbedError(f"{command} is {given}: put {expected}, first in PATH")
    return version


def _environment(*, cgo: bool = False) -> dict[str, str]:
    return {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": str(int(cgo))}


def binary(module: str, name: str) -> Path:
    """A server or tool of a module, which may not be built yet: see ``missing``."""
    return BY_NAME[module].folder() / name


def share(module: str) -> Path:
    """Folder with the files that come with a module's binaries, as they lie in the module."""
    return BY_NAME[module].folder() / "share"


def missing() -> list[str]:
    """Modules whose binaries are not in the cache."""
    return [module.name for module in TABLE if not module.folder().is_dir()]


def build(say: Callable[[str], None]) -> None:
    """Build what is not in the cache; raises ``TestbedError`` with the compiler's words if one does not build."""

    def tell(name: str) -> None:
        module, began = BY_NAME[name], time.monotonic()
        say(f"building {name} with {go()}")
        _build(module)
        made = sorted(item.name for item in module.folder().iterdir() if item.is_file())
        say(f"built {name} in {time.monotonic() - began:.0f} s: {', '.join(made)}")

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(tell, missing()))


def _build(module: Module) -> None:
    target = module.folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        _go(module, "build", *module.flags(), "-o", f"{made}/", *module.tools())
        for source, pattern in module.shares:
            _share(Path(_go(module, "list", "-m", "-f", "{{.Dir}}", source).strip()), pattern, made / "share")
        made.chmod(0o755)
        made.rename(target)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _share(source: Path, pattern: str, target: Path) -> None:
    """Copy files and folders of a module, which the module cache has without the right to write."""
    for item in sorted(source.glob(pattern)):
        files = item.rglob("*") if item.is_dir() else [item]
        for file in (file for file in files if file.is_file()):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())


def _go(module: Module, *words: str) -> str:
    ran = subprocess.run(
        ["go", *words], cwd=module.source, env=_environment(cgo=module.cgo), capture_output=True, text=True, check=False
    )
    if ran.returncode:
        told = "\n".join(ran.stderr.strip().splitlines()[-15:])
        raise TestbedError(f"go {words[0]} in {module.source} ended with {ran.returncode}:\n{told}")
    return ran.stdout

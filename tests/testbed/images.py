"""Container images made on the spot, and pushed to the local registry."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.testbed.places import CACHE, REGISTRY, TestbedError

SOURCE = Path(__file__).parent / "images"  # of programs in images
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
UNUSED = ("test", "idlelib", "lib2to3", "ensurepip", "tkinter", "turtledemo", "site-", "dist-packages", "config-")
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, kw_only=True)
class Image:
    """What an image has, and its names in the registry: ``repository:tag``, without a registry's own name."""

    layers: tuple[str, ...]
    names: tuple[str, ...]
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def _web(version: str) -> Image:
    command = ("python3", "/web.py")
    names = (f"testbed/web:{version}",)
    return Image(layers=("busybox", "python", "web"), names=names, command=command, environment={"VERSION": version})


TABLE = (
    Image(layers=("pause",), names=("pause:3.10",), command=("/pause",)),
    Image(layers=("busybox",), names=("library/busybox:latest", "library/busybox:1"), command=("sh",)),
    Image(
        layers=("busybox", "python"),
        names=("library/python:latest", f"library/python:{PYTHON.removeprefix('python')}"),
        command=("python3",),
    ),
    *map(_web, ("1", "2", "3")),
)


def folder() -> Path:
    """Where the layers are once built: the name has the digest of all that decides what they are."""
    facts = hashlib.sha256(f"{sys.version} {sys.base_prefix} {shutil.which('busybox')}".encode())
    for file in (Path(__file__), *sorted(SOURCE.iterdir())):
        facts.update(file.read_bytes())
    return CACHE / f"images-{facts.hexdigest()[:16]}"


def build(say: Callable[[str], None]) -> None:
    """Make the layers that are not in the cache."""
    if folder().is_dir():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="images.", dir=CACHE))
    try:
        for name, files in {"busybox": _busybox, "pause": _pause, "python": _python, "web": _web_server}.items():
            _pack(made / f"{name}.tar", files(made))
        made.rename(folder())
    finally:
        shutil.rmtree(made, ignore_errors=True)
    say("made the layers of images")


Files = dict[str, Path | str]  # path in the image: a file of the machine, or where a link leads


def _busybox(_: Path) -> Files:
    program = shutil.which("busybox")
    if not program:
        raise TestbedError("there is no busybox: run `python -m tests.testbed build`, which installs busybox-static")
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    links: Files = {f"bin/{name}": "busybox" for name in names if name != "busybox"}
    users: Files = {f"etc/{name}": SOURCE / name for name in ("passwd", "group")}
    return {**links, **users, "bin/busybox": Path(program).resolve()}


def _pause(folder: Path) -> Files:
    subprocess.run(["gcc", "-Os", "-static", "-s", "-o", folder / "pause", SOURCE / "pause.c"], check=True)
    return {"pause": folder / "pause"}


def _web_server(_: Path) -> Files:
    return {"web.py": SOURCE / "web.py"}


def _python(_: Path) -> Files:
    """The interpreter that runs this, with its standard library and the shared libraries that both need."""
    library = Path(sysconfig.get_path("stdlib"))
    program = Path(sys.executable).resolve()
    files: Files = {f"usr/local/bin/{PYTHON}": program, "usr/local/bin/python3": PYTHON, "usr/local/bin/python": PYTHON}
    modules = [file for file in library.rglob("*") if file.is_file() and not _unused(file.relative_to(library))]
    files |= {f"usr/local/lib/{PYTHON}/{file.relative_to(library)}": file for file in modules}
    ask = ["ldd", program, *(file for file in modules if file.suffix == ".so")]
    for word in subprocess.run(ask, capture_output=True, text=True, check=True).stdout.split():
        if word.startswith("/") and not word.endswith(":"):
            files[word.lstrip("/")] = Path(word).resolve()
    return files


def _unused(path: Path) -> bool:
    return "__pycache__" in path.parts or path.name.startswith("_tkinter") or path.parts[0].startswith(UNUSED)


def _pack(archive: Path, files: Files) -> None:
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        folders = {str(parent) for path in files for parent in Path(path).parents} - {"."}
        for path in sorted({"tmp", *folders}):
            entry = tarfile.TarInfo(path)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if path == "tmp" else 0o755
            tar.addfile(entry)
        for path, what in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            if isinstance(what, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, what
                tar.addfile(entry)
            else:
                data = what.read_bytes()
                entry.size, entry.mode = len(data), 0o755 if os.access(what, os.X_OK) else 0o644
                tar.addfile(entry, io.BytesIO(data))


def push() -> None:
    """Give the registry every image under each of its names."""
    with httpx.Client(base_url=f"http://{REGISTRY}/v2", timeout=60, trust_env=False) as registry:
        layers = {file.stem: _Blob.of(file.read_bytes(), LAYER) for file in folder().glob("*.tar")}
        for image in TABLE:
            for name in image.names:
                _push(registry, name, image, [layers[layer] for layer in image.layers])


@dataclass(frozen=True, kw_only=True)
class _Blob:
    data: bytes
    digest: str
    kind: str

    @classmethod
    def of(cls, data: bytes, kind: str) -> _Blob:
        return cls(data=data, digest=f"sha256:{hashlib.sha256(data).hexdigest()}", kind=kind)

    def described(self) -> dict[str, Any]:
        return {"mediaType": self.kind, "digest": self.digest, "size": len(self.data)}


def _push(registry: httpx.Client, name: str, image: Image, layers: list[_Blob]) -> None:
    """By the distribution specification, with the manifest and the configuration of the image specification of OCI."""
    repository, _, tag = name.rpartition(":")
    path = "PATH=/usr/local/bin:/bin"
    settings = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "config": {"Env": [path, *(f"{k}={v}" for k, v in image.environment.items())], "Cmd": list(image.command)},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }
    config = _Blob.of(json.dumps(settings).encode(), CONFIG)
    for blob in (config, *layers):
        if registry.head(f"/{repository}/blobs/{blob.digest}").status_code != 200:
            begun = registry.post(f"/{repository}/blobs/uploads/").raise_for_status()
            place = httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": blob.digest})
            registry.put(place, content=blob.data).raise_for_status()
    described = [layer.described() for layer in layers]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config.described(), "layers": described}
    headers = {"Content-Type": MANIFEST}
    registry.put(f"/{repository}/manifests/{tag}", content=json.dumps(manifest), headers=headers).raise_for_status()

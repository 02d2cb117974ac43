"""What processes of this machine do without."""

from __future__ import annotations

from dataclasses import replace

from gitopsd.adapters.local.settings import LocalSettings, names_of
from gitopsd.model.ops import RunSh, Task
from gitopsd.model.parts import Image, Persistent, ServiceSpec

_IGNORED = (
    "max_cpu", "min_cpu", "min_memory", "public_ports", "tolerations", "node_selectors", "files_to_be_moved", "tini",
    "tty", "devices", "publish_udp", "capabilities", "gpu", "privileged", "host_pid", "bind_mounts",
)  # fmt: skip
_TASK = RunSh(name="", run="", image=Image(name=""))
_SIZE = Persistent(key="").size
"""Megabytes of a directory that asks for none."""


def ignored_fields(
    spec: ServiceSpec | Task, settings: LocalSettings, *, separate: bool = True, mounted: bool = True
) -> tuple[str, ...]:
    """Names of the fields that are set and not honoured. ``separate``: services have users of their own; ``mounted``:
    files are mounted where they are asked for, and paths need not be rewritten."""
    unset = ServiceSpec(image=spec.image) if isinstance(spec, ServiceSpec) else replace(_TASK, image=spec.image)
    names = [name for name in _IGNORED if hasattr(spec, name) and getattr(spec, name) != getattr(unset, name)]
    names += _of_image(spec.image, settings)
    if isinstance(spec, ServiceSpec):
        names += _of_service(spec, settings, separate=separate)
    if not mounted and spec.files:
        names.append("files")
    return tuple(names)


def _of_image(image: Image, settings: LocalSettings) -> list[str]:
    if not settings.prefix(image.name) and not names_of(image.name)[1].startswith("python:"):
        return ["image"]
    registry = bool(image.registry or image.username or image.password)
    return ["image.build"] if image.build is not None else ["image.registry"] if registry else []


def _of_service(spec: ServiceSpec, settings: LocalSettings, *, separate: bool) -> list[str]:
    sized = any(isinstance(mount, Persistent) and mount.size != _SIZE for mount in spec.files.values())
    ignored = {
        "max_memory": spec.max_memory and not settings.memory_limits,
        "size": sized,
        "user": not separate and spec.user is not None,
    }
    return [name for name, is_ignored in ignored.items() if is_ignored]

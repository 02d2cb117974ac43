"""Plan methods that run a task of their own: run_sh and run_python."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from gitopsd.evaluate.arguments import ANY, BOOL, DICT, LIST, TEXT, may, need, signature
from gitopsd.evaluate.engine import StructValue
from gitopsd.evaluate.methods.method import Method
from gitopsd.evaluate.reading import Fields
from gitopsd.evaluate.recorder import Recorder, slug
from gitopsd.evaluate.rules import bind_mounts, duration_or_none, text_map
from gitopsd.evaluate.specs import image, named, stores, task_files, tolerations
from gitopsd.model.ops import RunPython, RunSh
from gitopsd.model.parts import Image

SHELL_IMAGE = "badouralix/curl-jq"
PYTHON_IMAGE = "python:3.11-alpine"
_WAIT = 180.0

T = TypeVar("T", RunSh, RunPython)


def _run_sh(recorder: Recorder, given: Fields) -> StructValue:
    op = RunSh(
        name=given.plain("name"),
        run=given.text("run"),
        image=_image(recorder, given, SHELL_IMAGE),
        files=task_files(given),
        env=given.text_map("env_vars"),
        wait=given.seconds_or_none("wait", _WAIT),
        codes=given.integers("acceptable_codes", (0,)),
        any_code=given.flag("skip_code_check"),
        node_selectors=given.plain_map("node_selectors"),
        tolerations=tolerations(given),
        privileged=given.flag("privileged"),
        host_pid=given.flag("host_pid_namespace"),
        bind_mounts=given.plain_map("bind_mounts"),
    )
    return _recorded(recorder, given, op, "sh")


def _run_python(recorder: Recorder, given: Fields) -> StructValue:
    op = RunPython(
        name=given.plain("name"),
        run=given.text("run"),
        image=_image(recorder, given, PYTHON_IMAGE),
        args=given.texts("args"),
        packages=given.plains("packages"),
        files=task_files(given),
        wait=given.seconds_or_none("wait", _WAIT),
        codes=given.integers("acceptable_codes", (0,)),
        any_code=given.flag("skip_code_check"),
        node_selectors=given.plain_map("node_selectors"),
        tolerations=tolerations(given),
    )
    return _recorded(recorder, given, op, "python")


def _image(recorder: Recorder, given: Fields, default: str) -> Image:
    if "image" not in given:
        return Image(name=default)
    return recorder.sourced(image(given.get("image"), given.what("image"), given.references))


def _recorded(recorder: Recorder, given: Fields, op: T, prefix: str) -> StructValue:
    """Records a task under its name, or as a nameless one with a name from its content; names what it stores."""
    stored = stores(given)
    if op.name:
        name, step = op.name, recorder.named_id("task", op.name)
    else:
        name = recorder.generated_name(prefix, replace(op, store=named(stored, tuple(item for _, item in stored))))
        step = recorder.nameless_id("run_sh" if prefix == "sh" else "run_python")
    names = tuple(item or recorder.unique_name(f"{name}-{slug(src)}") for src, item in stored)
    recorder.add(step, replace(op, name=name, store=named(stored, names)))
    return StructValue(
        type_name="struct",
        fields={
            "code": recorder.token(step, "code"),
            "files_artifacts": list(names),
            "output": recorder.token(step, "output"),
        },
    )


METHODS = (
    Method(
        signature(
            "run_sh",
            may("name", TEXT),
            need("run", TEXT),
            may("image", ANY),
            may("files", DICT),
            may("store", LIST),
            may("env_vars", DICT),
            may("wait", ANY, duration_or_none),
            may("acceptable_codes", LIST),
            may("skip_code_check", BOOL),
            may("node_selectors", DICT, text_map),
            may("tolerations", LIST),
            may("privileged", BOOL),
            may("host_pid_namespace", BOOL),
            may("bind_mounts", DICT, bind_mounts),
        ),
        _run_sh,
    ),
    Method(
        signature(
            "run_python",
            may("name", TEXT),
            need("run", TEXT),
            may("args", LIST),
            may("packages", LIST),
            may("image", ANY),
            may("files", DICT),
            may("store", LIST),
            may("wait", ANY, duration_or_none),
            may("acceptable_codes", LIST),
            may("skip_code_check", BOOL),
            may("node_selectors", DICT, text_map),
            may("tolerations", LIST),
        ),
        _run_python,
    ),
)

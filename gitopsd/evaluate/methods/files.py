"""Plan methods that make artifacts out of sources, templates and services."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from dataclasses import replace

from gitopsd.evaluate.arguments import DICT, TEXT, may, need, non_empty, signature, wrong
from gitopsd.evaluate.engine import StarlarkValue, StructValue
from gitopsd.evaluate.methods.method import Method
from gitopsd.evaluate.reading import Fields
from gitopsd.evaluate.recorder import Recorder, slug
from gitopsd.model.codec import digest
from gitopsd.model.ops import GetFilesArtifact, RenderTemplates, StoreServiceFiles, Template, UploadFiles
from gitopsd.model.values import Frozen, describe_text

_LONGEST_NAME = 255
"""Bytes of one name, as file systems have it (NAME_MAX of limits.h)."""


def _upload_files(recorder: Recorder, given: Fields) -> str:
    upload = recorder.sources.upload(given.known("src"), recorder.calling_file)
    generated = f"{slug(upload.locator)}-{digest(upload.locator)[:6]}"
    name = given.plain("name") if "name" in given else recorder.unique_name(generated)
    made = recorder.named_id("artifact", name)
    recorder.words_by_id[made] = upload.words
    recorder.add(made, UploadFiles(name=name, source=upload.source, content=upload.content))
    return name


def _render_templates(recorder: Recorder, given: Fields) -> str:
    templates = given.pairs("config", lambda value, what: _template(given, value, what))
    files = {_inside(given, path): item for path, item in templates.items()}
    for path in files:
        if folder := next((above for above in _folders(path) if above in files), ""):
            raise wrong(given.what("config"), path, f"{folder!r} to be a file or a folder, and not both")
    op = RenderTemplates(name="", files=Frozen(files))
    op = replace(op, name=given.plain("name") if "name" in given else recorder.generated_name("render", op))
    recorder.add(recorder.named_id("artifact", op.name), op)
    return op.name


def _folders(path: str) -> Iterator[str]:
    """The folders that a path lies in, the nearest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _inside(given: Fields, path: str) -> str:
    """A path inside the artifact in its shortest form; a slash at its beginning means the artifact's root, as upstream
    joins it there."""
    inside = posixpath.normpath(path.lstrip("/"))
    parts = inside.split("/")
    if parts[0] in (".", "..") or "\0" in inside or max(len(os.fsencode(part)) for part in parts) > _LONGEST_NAME:
        raise wrong(given.what("config"), path, "a relative path inside the artifact")
    return inside


def _template(given: Fields, value: StarlarkValue, what: str) -> Template:
    if (
        not isinstance(value, StructValue)
        or value.type_name != "struct"
        or not {"template", "data"} <= set(value.fields)
    ):
        raise wrong(what, value, "a struct with the fields template and data")
    text = value.fields["template"]
    if not isinstance(text, str):
        raise wrong(f"{what}.template", text, "a string")
    return Template(text=given.references.text(text), data=given.references.value(value.fields["data"], f"{what}.data"))


def _store_service_files(recorder: Recorder, given: Fields) -> str:
    service, src = given.plain("service_name"), given.plain("src")
    where = digest(Frozen({"service": service, "src": src}))[:6]
    name = given.plain("name") if "name" in given else recorder.unique_name(f"{slug(describe_text(src))}-{where}")
    recorder.add(
        recorder.named_id("artifact", name),
        StoreServiceFiles(
            service=service, life=recorder.life(service), src=src, name=name, depends_on=given.text("depends_on")
        ),
    )
    return name


def _get_files_artifact(recorder: Recorder, given: Fields) -> str:
    name = given.plain("name")
    recorder.add(recorder.nameless_id("get_files_artifact", name), GetFilesArtifact(name=name))
    return name


METHODS = (
    Method(signature("upload_files", need("src", TEXT, non_empty), may("name", TEXT)), _upload_files),
    Method(signature("render_templates", need("config", DICT, non_empty), may("name", TEXT)), _render_templates),
    Method(
        signature(
            "store_service_files",
            need("service_name", TEXT, non_empty),
            need("src", TEXT, non_empty),
            may("name", TEXT),
            may("depends_on", TEXT),
        ),
        _store_service_files,
    ),
    Method(signature("get_files_artifact", need("name", TEXT, non_empty)), _get_files_artifact),
)

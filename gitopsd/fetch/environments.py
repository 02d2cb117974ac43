"""The environments file ``gitopsd.yaml``, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gitopsd.errors import Reason, UserError
from gitopsd.fetch.mistakes import Mistakes, shown
from gitopsd.fetch.rules import KEYS, Fields, read_name
from gitopsd.kit.locators import LocatorError, is_absolute, parse_package, path_inside
from gitopsd.model.environment import ArgumentsFile, Commit, Environment, Source
from gitopsd.model.package import YamlDocument
from gitopsd.model.plan import Problem
from gitopsd.model.values import Frozen, Json
from gitopsd.ports import Evaluator, Git

FILE = "gitopsd.yaml"
_LARGEST_FILE = 1024 * 1024
_MOST_ENVIRONMENTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a commit defines. ``broken`` holds the problems of the environments that cannot be followed at it, by
    name; ``problems`` those of the file outside any environment. The order is that of the file."""

    environments: tuple[Environment, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: Mapping[str, tuple[Problem, ...]] = Frozen()


def read_environments(source: Source, commit: Commit, git: Git, evaluator: Evaluator) -> Fetched:
    """The environments that the file at the root of a commit defines.

    An environment with a ``ref`` of its own follows that ref of the same repository: its ``source`` says so.
    Raises UserError when there is no such file, or it is not a mapping of environments at all.
    """
    document = evaluator.load_yaml(_text(commit, git), FILE)
    mistakes = Mistakes(document, FILE)
    entries = _entries(document, mistakes)
    names = sorted(entries, key=len, reverse=True)
    duplicates = {path: _owner(path, names) for path in document.duplicates}
    for path in (path for path, owner in duplicates.items() if not owner):
        mistakes.add(path, f"the key {path!r} is given more than once", key=True)
    parts: dict[str, Mistakes] = {}
    found: dict[str, Environment] = {}
    for name, value in entries.items():
        part = parts[name] = Mistakes(document, FILE)
        for path in (path for path, owner in duplicates.items() if owner == name):
            part.add(path, f"the key {path!r} is given more than once", key=True)
        environment = _environment(name, value, source, part)
        if environment is not None:
            found[name] = environment
    _refuse_shared_enclaves(entries, parts)
    return Fetched(
        environments=tuple(item for name, item in found.items() if not parts[name].found),
        problems=tuple(mistakes.found),
        broken=Frozen({name: tuple(part.found) for name, part in parts.items() if part.found}),
    )


def _text(commit: Commit, git: Git) -> bytes:
    try:
        text = git.read(commit.url, commit.id, FILE)
    except UserError as error:
        if error.reason is not Reason.PATH_REFUSED:
            raise
        raise UserError(
            Reason.ENVIRONMENT_INVALID,
            f"there is no {FILE} at the root of the commit {commit.short}",
            position=FILE,
            hint="it names the environments; see gitopsd docs environments",
        ) from None
    if len(text) > _LARGEST_FILE:
        raise UserError(Reason.LIMIT_EXCEEDED, f"{FILE} is larger than {_LARGEST_FILE} bytes", position=FILE)
    return text


def _entries(document: YamlDocument, mistakes: Mistakes) -> Frozen[Json]:
    data = document.data
    hint = "expected: environments: {NAME: {package: …}}; see gitopsd docs environments"
    if not isinstance(data, Frozen) or "environments" not in data:
        if isinstance(data, Frozen):
            mistakes.unknown_keys("", data, ("environments",))
        suspect = f"; {mistakes.found[0].message}: {mistakes.found[0].hint}" if mistakes.found else ""
        position = mistakes.position("")
        raise UserError(
            Reason.ENVIRONMENT_INVALID, f"no environments in the file{suspect}", position=position, hint=hint
        )
    mistakes.unknown_keys("", data, ("environments",))
    entries, position = data["environments"], mistakes.position("environments")
    if not isinstance(entries, Frozen):
        raise UserError(Reason.ENVIRONMENT_INVALID, "environments is no mapping of names", position=position, hint=hint)
    if len(entries) > _MOST_ENVIRONMENTS:
        message = f"{len(entries)} environments, more than {_MOST_ENVIRONMENTS}"
        raise UserError(Reason.LIMIT_EXCEEDED, message, position=position, hint="use several repositories")
    if "environments" in document.duplicates:
        message = "the key 'environments' is given more than once, so it is not known which ones are meant"
        raise UserError(Reason.ENVIRONMENT_INVALID, message, position=mistakes.position("environments", key=True))
    return entries


def _owner(path: str, names: list[str]) -> str:
    """The environment that a path lies in, "" for none; longer names come first in ``names``."""
    inner = path.removeprefix("environments.")
    return next((name for name in names if inner == name or inner.startswith(f"{name}.")), "") if inner != path else ""


def _environment(name: str, value: Json, source: Source, mistakes: Mistakes) -> Environment | None:
    path = f"environments.{name}"
    read_name(path, name, mistakes, key=True)
    if not isinstance(value, Frozen):
        mistakes.expected(path, value, "a mapping with at least the key 'package'")
        return None
    mistakes.unknown_keys(path, value, KEYS)
    fields = Fields(path, value, mistakes)
    if "package" not in value:
        mistakes.add(
            path, f"{path}: lacks the key 'package'", hint="a path, or github.com/owner/repo[/path]@ref", key=True
        )
    ref = fields.ref("ref")
    return Environment(
        name=name,
        source=replace(source, ref=ref) if ref else source,
        package=_package(fields),
        enclave=fields.name("enclave") or name,
        backend=fields.name("backend") or "local",
        args=_arguments(fields),
        main_file=_main_file(fields) or "main.star",
        main_function=_main_function(fields) or "run",
        policy=fields.policy(),
        position=mistakes.position(path, key=True),
    )


def _package(fields: Fields) -> str:
    text = fields.text("package", "a path in the repository, or github.com/owner/repo[/path]@ref")
    if text:
        try:
            if is_absolute(text):
                parse_package(text)
            else:
                path_inside(text)
        except LocatorError as error:
            fields.wrong("package", str(error))
    return text


def _arguments(fields: Fields) -> Frozen[Json] | ArgumentsFile:
    value = fields.value("args")
    if value is None:
        return Frozen()
    if isinstance(value, Frozen):
        return value
    text = fields.text("args", "a mapping of arguments, or the path of a file that holds one")
    if text:
        try:
            path_inside(text)
        except LocatorError as error:
            fields.wrong("args", str(error))
    return ArgumentsFile(path=text)


def _main_file(fields: Fields) -> str:
    text = fields.text("main_file", "the path of a file in the package's folder")
    try:
        path = path_inside(text) if text else ""
    except LocatorError as error:
        fields.wrong("main_file", str(error))
        return ""
    if text and not path:
        fields.wrong("main_file", "is the package's folder: expected a file in it")
    return path


def _main_function(fields: Fields) -> str:
    text = fields.text("main_function", "the name of a function in the main file")
    if text and not text.isidentifier():
        fields.wrong("main_function", f"{shown(text)} is no name of a function")
    return text


def _refuse_shared_enclaves(entries: Mapping[str, Json], parts: Mapping[str, Mistakes]) -> None:
    """Two that write to one enclave would undo each other for ever, so none of them may."""
    claimed: dict[tuple[str, str], list[str]] = {}
    for name, value in entries.items():
        if isinstance(value, Frozen):
            enclave, backend = value.get("enclave") or name, value.get("backend") or "local"
            claimed.setdefault((str(backend), str(enclave)), []).append(name)
    for (_, enclave), names in claimed.items():
        for name in names if len(names) > 1 else ():
            others = " and ".join(repr(other) for other in names if other != name)
            path = f"environments.{name}"
            at = f"{path}.enclave" if "enclave" in _mapping(entries[name]) else path
            parts[name].add(
                at,
                f"{path}: the enclave {enclave!r} is claimed by {others} too",
                hint="each environment needs an enclave of its own",
            )


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Frozen) else {}

"""The arguments of an environment: inline, or a YAML or JSON file of its repository."""

from __future__ import annotations

import json

from gitopsd.errors import Reason, UserError
from gitopsd.kit.locators import LocatorError, path_inside
from gitopsd.model.environment import ArgumentsFile, Commit, Environment
from gitopsd.model.package import Arguments, YamlDocument
from gitopsd.model.values import Frozen, Json
from gitopsd.ports import Evaluator, Git

_LARGEST_FILE = 4 * 1024 * 1024
_INLINE_ORIGIN = "gitopsd.yaml"


def read_arguments(environment: Environment, commit: Commit, git: Git, evaluator: Evaluator) -> Arguments:
    """The argument object of an environment at a commit; an empty file is ``{}``.

    Raises UserError PATH_REFUSED for a file that is not in the repository, ARGUMENTS_INVALID for one that holds no
    object, and LIMIT_EXCEEDED for one above 4 MiB.
    """
    if not isinstance(environment.args, ArgumentsFile):
        return Arguments(values=_sorted_keys(environment.args), origin=environment.position or _INLINE_ORIGIN)
    try:
        path = path_inside(environment.args.path)
    except LocatorError as error:
        raise UserError(Reason.PATH_REFUSED, f"args: {error}", position=environment.position) from None
    return parsed_arguments(_read(environment, commit, git, path), path, evaluator)


def parsed_arguments(text: bytes, path: str, evaluator: Evaluator) -> Arguments:
    """The argument object of a YAML or JSON text; an empty one is ``{}``. Raises UserError ARGUMENTS_INVALID with the
    place in ``path`` for a text that is neither, that holds no object, or that gives a name twice."""
    try:
        document = evaluator.load_yaml(text, path)
    except UserError as error:
        if error.reason is not Reason.CONFIG_INVALID:
            raise
        raise UserError(Reason.ARGUMENTS_INVALID, error.message, position=error.position, hint=error.hint) from None
    data = Frozen() if document.data is None else document.data
    if not isinstance(data, Frozen):
        kind = "a list" if isinstance(data, tuple) else "a single value"
        raise _invalid(f"the arguments are {kind}: expected an object of named arguments", document, path, "")
    if document.duplicates:
        names = ", ".join(repr(name) for name in document.duplicates[:10])
        raise _invalid(f"given more than once: {names}", document, path, document.duplicates[0] + "#key")
    return Arguments(values=data if _is_json(text) else _sorted_keys(data), origin=path)


def _sorted_keys(data: Frozen[Json]) -> Frozen[Json]:
    """YAML arguments as a package gets them: made JSON of, which sorts the keys of each mapping. Text that is JSON
    already keeps the order that it was written in."""
    return Frozen({key: _sorted(data[key]) for key in sorted(data)})


def _sorted(value: Json) -> Json:
    if isinstance(value, Frozen):
        return _sorted_keys(value)
    return tuple(_sorted(item) for item in value) if isinstance(value, tuple) else value


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _read(environment: Environment, commit: Commit, git: Git, path: str) -> bytes:
    try:
        text = git.read(commit.url, commit.id, path)
    except UserError as error:
        message = f"args of {environment.name}: {error.message}"
        raise UserError(error.reason, message, position=environment.position, hint=error.hint) from None
    if len(text) > _LARGEST_FILE:
        raise UserError(Reason.LIMIT_EXCEEDED, f"{path} is larger than {_LARGEST_FILE} bytes", position=path)
    return text


def _invalid(message: str, document: YamlDocument, path: str, at: str) -> UserError:
    line, column = document.marks.get(at, (1, 1))
    return UserError(Reason.ARGUMENTS_INVALID, message, position=f"{path}:{line}:{column}")

"""``kurtosis.yml``: the three keys of ``starlark-api.md`` section 4.1, read strictly."""

from __future__ import annotations

from dataclasses import dataclass

from gitopsd.errors import Reason, UserError
from gitopsd.kit.locators import LocatorError, check_replace, parse_package
from gitopsd.kit.text import one_line, suggestion
from gitopsd.model.package import YamlDocument
from gitopsd.model.values import Frozen, Json, thaw
from gitopsd.ports import Evaluator

_KEYS = ("name", "description", "replace")
_LARGEST_FILE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a package says of itself."""

    name: str
    replace: Frozen[str] = Frozen()


def read_manifest(text: bytes, file: str, evaluator: Evaluator) -> Manifest:
    """The manifest in a text. Raises UserError PACKAGE_INVALID with every mistake in it, each on a line."""
    if len(text) > _LARGEST_FILE:
        raise UserError(Reason.LIMIT_EXCEEDED, f"{file} is larger than {_LARGEST_FILE} bytes", position=file)
    try:
        document = evaluator.load_yaml(text, file)
    except UserError as error:
        if error.reason is not Reason.CONFIG_INVALID:
            raise
        raise UserError(Reason.PACKAGE_INVALID, error.message, position=error.position, hint=error.hint) from None
    data = document.data
    if not isinstance(data, Frozen):
        raise UserError(Reason.PACKAGE_INVALID, "is no mapping: expected the key 'name'", position=f"{file}:1:1")
    mistakes = [*_unknown(data, document), *_name(data), *_description(data), *_replace(data)]
    if mistakes:
        raise _invalid(mistakes, document, file)
    replace = data.get("replace") or Frozen()
    assert isinstance(replace, Frozen)
    return Manifest(name=str(data["name"]), replace=Frozen({key: str(value) for key, value in replace.items()}))


def _unknown(data: Frozen[Json], document: YamlDocument) -> list[tuple[str, str]]:
    unknown = [
        (f"{key}#key", f"unknown key {_shown(key)}, {suggestion(key, _KEYS) or 'expected name, description, replace'}")
        for key in data
        if key not in _KEYS
    ]
    return unknown + [
        (f"{path}#key", f"the key {_shown(path)} is given more than once") for path in document.duplicates
    ]


def _name(data: Frozen[Json]) -> list[tuple[str, str]]:
    name = data.get("name")
    expected = "expected github.com/owner/repo[/path]"
    if name is None:
        return [("name", f"the key 'name' is missing, {expected}")]
    if not isinstance(name, str) or not name:
        return [("name", f"name: {_shown(name)} is no locator, {expected}")]
    try:
        wrong = bool(parse_package(name).ref) or str(parse_package(name)) != name
    except LocatorError as error:
        return [("name", f"name: {error}")]
    return [("name", f"name: {_shown(name)} has a ref or a needless slash, {expected}")] if wrong else []


def _description(data: Frozen[Json]) -> list[tuple[str, str]]:
    value = data.get("description")
    return (
        [] if value is None or isinstance(value, str) else [("description", f"description: {_shown(value)} is no text")]
    )


def _replace(data: Frozen[Json]) -> list[tuple[str, str]]:
    value = data.get("replace")
    if value is None:
        return []
    if not isinstance(value, Frozen):
        return [("replace", f"replace: {_shown(value)} is no mapping from locators to locators")]
    texts = {key: item for key, item in value.items() if isinstance(item, str) and item}
    others = [(f"replace.{key}", f"replace: {_shown(value[key])} is no locator") for key in value if key not in texts]
    return others + [(f"replace.{key}", f"replace: {message}") for key, message in check_replace(texts)]


def _invalid(mistakes: list[tuple[str, str]], document: YamlDocument, file: str) -> UserError:
    lines: list[str] = []
    for path, message in mistakes:
        mark = document.marks.get(path) or document.marks.get(path.removesuffix("#key")) or (1, 1)
        lines.append(f"{file}:{mark[0]}:{mark[1]}: {message}")
    position, _, first = lines[0].partition(": ")
    return UserError(Reason.PACKAGE_INVALID, "\n".join([first, *lines[1:]]), position=position)


def _shown(value: Json) -> str:
    return "nothing" if value is None else one_line(repr(thaw(value)), limit=100)

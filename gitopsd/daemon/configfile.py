"""Reads the configuration file and turns every mistake into a line that says where, what and what was expected."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from gitopsd.daemon.config import NESTED, PREFIX, PRIVATE, Reference, Settings
from gitopsd.errors import Reason, UserError
from gitopsd.kit.text import one_line, suggestion
from gitopsd.model.plan import Problem

KeyPath = tuple[str, ...]


class ConfigError(UserError):
    """A configuration that cannot be used; ``problems`` holds every mistake."""

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(Reason.CONFIG_INVALID, f"{file} cannot be used:\n{lines}")
        self.problems = problems


@dataclass(slots=True)
class _Text:
    """A YAML text: its data, the line of each key path, and mistakes of the text itself."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    mistakes: list[Problem] = field(default_factory=list)

    def position(self, path: KeyPath) -> str:
        """The line of a key, or of the nearest part around it; a variable when one set it."""
        for length in range(len(path), 0, -1):
            variable = PREFIX + NESTED.join(path[:length]).upper()
            if variable in {name.upper() for name in os.environ}:
                return variable
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return f"{self.name}:{self.lines[path[:length]]}"
        return self.name


def load(file: str | Path | None) -> Settings:
    """The settings of a file (None: of the variables alone), relative paths taken from the file's folder.

    Raises ConfigError with every mistake.
    """
    text = _read(Path(file)) if file is not None else _Text(name="the environment")
    mistakes = [*text.mistakes, *_misspelt_variables()]
    settings: Settings | None = None
    try:
        settings = Settings(**text.data)
    except ValidationError as error:
        mistakes.extend(problem for item in error.errors() for problem in _problems(item, text))
    except SettingsError as error:
        mistakes.append(_problem("the environment", one_line(f"{error}: {error.__cause__ or ''}")))
    if mistakes or settings is None:
        raise ConfigError(text.name, tuple(mistakes))
    folder = Path(file).resolve().parent if file is not None else Path.cwd()
    return settings.model_copy(update={"state_dir": folder / settings.state_dir})


def _read(file: Path) -> _Text:
    text = _Text(name=str(file))
    try:
        source = file.read_text("utf-8")
        tree = yaml.compose(source, Loader=yaml.SafeLoader)
        if tree is not None:
            text.mistakes.extend(_walk(tree, (), text))
        data = yaml.safe_load(source) or {}
    except OSError as error:
        raise ConfigError(str(file), (_problem(str(file), f"cannot be read: {error.strerror}"),)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), (_problem(str(file), f"is not UTF-8 at byte {error.start}"),)) from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        message = f"is not YAML: {error.problem or error.context}"
        raise ConfigError(str(file), (_problem(f"{file}{line}", message),)) from None
    except yaml.YAMLError as error:
        raise ConfigError(str(file), (_problem(str(file), one_line(f"is not YAML: {error}")),)) from None
    if not isinstance(data, dict):
        raise ConfigError(str(file), (_problem(f"{file}:1", "expected a mapping of settings"),))
    text.data = {str(key): value for key, value in data.items()}
    return text


def _walk(node: yaml.Node, path: KeyPath, text: _Text) -> Iterator[Problem]:
    if isinstance(node, yaml.MappingNode):
        seen: set[KeyPath] = set()
        for key, value in node.value:
            place = (*path, str(key.value))
            if place in seen:
                first, again = text.lines[place], key.start_mark.line + 1
                yield _problem(f"{text.name}:{again}", f"{'.'.join(place)}: given twice, first in line {first}")
            else:
                seen.add(place)
                text.lines[place] = key.start_mark.line + 1
            yield from _walk(value, place, text)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            text.lines[*path, str(index)] = item.start_mark.line + 1
            yield from _walk(item, (*path, str(index)), text)


def _problems(item: Any, text: _Text) -> Iterator[Problem]:
    path = tuple(str(part) for part in item["loc"] if part != "[key]")
    message = item["msg"].removeprefix("Value error, ")
    if not path:
        for line in message.splitlines():
            key = tuple(line.split(": ", 1)[0].split("."))
            yield _problem(text.position(key), line)
        return
    hint = ""
    if item["type"] == "extra_forbidden":
        message, hint = "unknown key", suggestion(path[-1], _known_keys(path[:-1]))
    elif item["type"] == "missing":
        message = "is missing"
    elif item["type"] != PRIVATE and not isinstance(item.get("input"), dict):
        message = f"{message[:1].lower()}{message[1:]}, got {_shown(item.get('input')) or 'something else'}"
    yield _problem(text.position(path), f"{'.'.join(path)}: {message}", hint=hint)


def _shown(value: Any) -> str:
    """A wrong value as a message shows it. Texts are shown only when they are short enough to be no key or token."""
    if isinstance(value, str):
        return repr(one_line(value)) if len(value) <= 16 else "a text"
    if value is None or isinstance(value, (bool, int, float)):
        return "nothing" if value is None else repr(value)
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else ""


def _known_keys(path: KeyPath) -> tuple[str, ...]:
    """The keys that a part of the configuration has; mappings by name are passed through."""
    part: Any = Settings
    for step in path:
        fields = part.model_fields if isinstance(part, type) and issubclass(part, BaseModel) else {}
        if step in fields:
            part = _model_of(fields[step].annotation) or part
    return tuple(part.model_fields)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in reversed(getattr(annotation, "__args__", ())):
        found = _model_of(inner)
        if found is not None:
            return found
    return None


def _misspelt_variables() -> Iterator[Problem]:
    """Variables that look like an override and are none. Others are left alone: Kubernetes sets
    ``GITOPSD_SERVICE_HOST`` and the like by itself, and a token may be called ``GITOPSD_TOKEN``."""
    plain = [name.upper() for name in Settings.model_fields]
    known = {PREFIX + name for name in plain}
    for name in sorted(os.environ):
        first, _, rest = name.upper().partition(NESTED)
        if not name.upper().startswith(PREFIX) or first in known:
            continue
        near = difflib.get_close_matches(first.removeprefix(PREFIX), plain, n=1, cutoff=0.85)
        if rest or near:
            hint = f"did you mean {PREFIX}{near[0]}?" if near else "see gitopsd docs configuration"
            yield _problem(name, "names no setting", hint=hint)


def _problem(position: str, message: str, *, hint: str = "") -> Problem:
    return Problem(stage="config", reason=Reason.CONFIG_INVALID, message=message, position=position, hint=hint)


def reveal(reference: Reference, environ: Mapping[str, str]) -> str:
    """The value that a reference stands for. UserError SECRET_MISSING when it is not there; the value is in no
    message."""
    if reference.env:
        if reference.env not in environ:
            raise UserError(Reason.SECRET_MISSING, f"environment variable {reference.env} is not set")
        return environ[reference.env]
    try:
        return Path(reference.file).read_text("utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(Reason.SECRET_MISSING, f"secret file {reference.file} cannot be read: {why}") from None

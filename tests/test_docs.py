"""The manual and the program say the same: settings, reasons, verbs with their options, keys, in both directions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

import gitopsd
from gitopsd.cli.app import VERBS, app
from gitopsd.cli.docs import text_by_page
from gitopsd.cli.output import Exit
from gitopsd.daemon.config import Reference, Settings
from gitopsd.errors import Reason
from gitopsd.evaluate.methods import METHODS
from gitopsd.evaluate.types import TYPE_NAMES
from gitopsd.fetch.rules import KEYS
from gitopsd.model import environment as environments
from tests.stage.releases import PYPROJECT, RELEASES, version_in


def page(name: str) -> str:
    return (files("gitopsd") / "docs" / f"{name}.md").read_text("utf-8")


def first_cells(text: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        found = list(models_in(field.annotation))
        named = "dict" in str(field.annotation)
        path = f"{prefix}{name}"
        if found and found[0] is not Reference:
            yield from settings_of(found[0], f"{path}.NAME." if named else f"{path}.")
        else:
            yield path


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    assert first_cells(page("configuration")) == set(settings_of(Settings))


def test_every_reason_has_its_row_and_every_row_its_reason() -> None:
    assert first_cells(page("reasons")) == {reason.value for reason in Reason}


def test_every_key_of_an_environment_is_documented_and_every_documented_one_exists() -> None:
    assert first_cells(page("environments")) == set(KEYS)


def test_every_choice_of_a_policy_is_documented() -> None:
    text = page("environments")
    for name in ("RollbackPolicy", "DriftPolicy", "PrunePolicy", "OrderMode", "InterruptedPolicy", "StepPolicy"):
        for choice in getattr(environments, name):
            assert f"`{choice.value}`" in text, f"{name} {choice.value}"


def test_every_builtin_is_documented_and_every_documented_one_exists() -> None:
    assert first_cells(page("packages")) == {*METHODS, *TYPE_NAMES}


def test_every_page_that_a_message_names_exists() -> None:
    sources = "".join(file.read_text("utf-8") for file in Path(gitopsd.__file__).parent.rglob("*.py"))
    named = set(re.findall(r"see `?gitopsd docs ([a-z-]+)", sources))
    assert named <= set(text_by_page())
    assert named


def test_every_verb_has_its_section_and_every_section_its_verb() -> None:
    assert re.findall(r"^## gitopsd (\S+)$", page("cli"), re.MULTILINE) == list(VERBS)


@pytest.mark.parametrize("verb", list(VERBS))
def test_the_options_of_a_verb_are_those_of_its_section(verb: str) -> None:
    section = page("cli").partition(f"## gitopsd {verb}\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`(--[a-z-]+)`", section.partition("Options:")[2]))
    group: Any = typer.main.get_command(app)
    command = group.get_command(typer.Context(group), verb)
    options = {name for item in command.params for name in item.opts if name.startswith("--")}
    assert documented == options - {"--help"}


def test_every_exit_code_is_documented() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page("cli"), re.MULTILINE)}
    assert codes == {code.value for code in Exit} | {130, 141}


def test_the_changelog_has_a_section_for_each_release_and_for_the_version_to_come() -> None:
    sections = re.findall(r"^## (\S+)", page("changelog"), re.MULTILINE)
    assert sections == [version_in(PYPROJECT.read_text("utf-8")), *[release.version for release in reversed(RELEASES)]]


def test_the_section_of_the_version_to_come_says_what_changes_how_to_upgrade_and_what_is_refused() -> None:
    section = page("changelog").partition("\n## ")[2].partition("\n## ")[0]
    headings = re.findall(r"^### (.+)$", section, re.MULTILINE)
    assert headings == ["What changes for users", "Upgrade steps", "Refused now"]

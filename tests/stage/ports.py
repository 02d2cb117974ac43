"""The smallest clock, journal, secrets and evaluator that a test gets by with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gitopsd.errors import Reason, UserError
from gitopsd.kit.content import content_digest
from gitopsd.model.head import Head
from gitopsd.model.package import EvaluationRequest, TreeFile, YamlDocument
from gitopsd.model.plan import Evaluation, Instruction, Problem
from gitopsd.model.values import Json, thaw


class SteppingClock:
    """Every look at it is a millisecond later; sleeping moves it on at once."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        self.seconds += 0.001
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Uploads:
    """Git with nothing but trees to upload: ``git <url> <commit> <path>`` by its path."""

    def __init__(self) -> None:
        self.trees: dict[str, tuple[TreeFile, ...]] = {}

    def files(self, url: str, commit: str, path: str) -> tuple[TreeFile, ...]:
        return self.trees[path]


class PlainEvaluator:
    """Templates become their text and data; jq is not needed here."""

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        raise AssertionError("plans are written by hand here")

    def render(self, files: Mapping[str, tuple[str, Json]]) -> dict[str, bytes]:
        return {path: (text + json.dumps(thaw(data), sort_keys=True)).encode() for path, (text, data) in files.items()}

    def extract(self, program: str, document: Json) -> tuple[Json, ...]:
        raise AssertionError("no recipe extracts anything here")

    def load_yaml(self, text: bytes, origin: str) -> YamlDocument:
        raise AssertionError("nothing is parsed here")


@dataclass
class BoundSecrets:
    """Secrets by name, the same for every environment."""

    values: dict[str, str] = field(default_factory=dict)

    def names(self, environment: str) -> tuple[str, ...]:
        return tuple(self.values)

    def reveal(self, environment: str, name: str) -> str:
        if name not in self.values:
            raise UserError(Reason.SECRET_MISSING, f"no secret {name!r} is bound to {environment}")
        return self.values[name]

    def keyed_digest(self, value: str) -> str:
        return content_digest([("secret", 0, b"key" + value.encode())])


class Silence:
    """A journal that nobody reads."""

    def step(self, environment: str, instruction: Instruction, text: str) -> None:
        pass

    def problem(self, environment: str, problem: Problem) -> None:
        pass


class NoHeads:
    """Heads of a daemon that keeps none."""

    def load(self, environment: str) -> None:
        return None

    def keep(self, environment: str, head: Head) -> None:
        raise AssertionError("a head was kept beside the record")

    def drop(self, environment: str) -> None:
        pass

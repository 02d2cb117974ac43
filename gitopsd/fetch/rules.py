"""Fields of one environment: what each may hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from gitopsd.fetch.mistakes import Mistakes
from gitopsd.kit.duration import parse_duration
from gitopsd.kit.locators import LocatorError, check_ref
from gitopsd.kit.text import suggestion
from gitopsd.model.environment import (
    DriftPolicy,
    InterruptedPolicy,
    OrderMode,
    Policy,
    PrunePolicy,
    RollbackPolicy,
    StepPolicy,
    StepRule,
)
from gitopsd.model.values import Frozen, Json

POLICY_KEYS = ("rollback", "drift", "prune", "order", "retries", "timeout", "interrupted", "steps", "suspend")
KEYS = ("package", "args", "main_file", "main_function", "enclave", "backend", "ref", "policies", *POLICY_KEYS)
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_MOST_RETRIES = 1000
_LONGEST_GLOB = 256
_MOST_RULES = 500

E = TypeVar("E", bound=StrEnum)


def read_name(path: str, name: str, mistakes: Mistakes, *, key: bool = False) -> None:
    """Notes a name that is no label of RFC 1035: it becomes part of the names of things elsewhere."""
    if not _NAME.fullmatch(name):
        mistakes.add(
            path,
            f"{path}: {name[:100]!r} is no name",
            hint="expected 1 to 63 of a-z, 0-9 and '-', a letter first, no '-' at the end",
            key=key,
        )


class Fields:
    """Reads the fields of a mapping; what is wrong is noted, and the default taken."""

    def __init__(self, path: str, values: Mapping[str, Json], mistakes: Mistakes) -> None:
        self._path = path
        self._values = values
        self._mistakes = mistakes

    def value(self, key: str) -> Json:
        """The value as it stands, None when there is none."""
        return self._values.get(key)

    def wrong(self, key: str, message: str, *, hint: str = "") -> None:
        """Notes a mistake of a field."""
        self._mistakes.add(self._at(key), f"{self._at(key)}: {message}", hint=hint)

    def text(self, key: str, expected: str) -> str:
        """A text that is not empty; "" when the key is not there or holds something else."""
        value = self._values.get(key)
        if isinstance(value, str) and value:
            return value
        if key in self._values:
            hint = "write it in quotes" if isinstance(value, (bool, int, float)) else ""
            self._mistakes.expected(self._at(key), value, expected, hint=hint)
        return ""

    def name(self, key: str) -> str:
        """A name; "" when there is none."""
        text = self.text(key, "a name")
        if text:
            read_name(self._at(key), text, self._mistakes)
        return text

    def ref(self, key: str) -> str:
        """A branch, tag or commit; "" when there is none."""
        text = self.text(key, "a branch, a tag or a commit")
        try:
            return check_ref(text) if text else ""
        except LocatorError as error:
            self.wrong(key, str(error))
            return ""

    def policy(self) -> Policy:
        """The policies, which stand in the environment itself or under its key ``policies``."""
        nested = self._values.get("policies")
        if nested is None and "policies" not in self._values:
            return self._policy()
        if not isinstance(nested, Frozen):
            self._mistakes.expected(self._at("policies"), nested, "a mapping of policies")
            return self._policy()
        self._mistakes.unknown_keys(self._at("policies"), nested, POLICY_KEYS)
        for key in nested:
            if key in self._values and key in POLICY_KEYS:
                self._mistakes.add(
                    f"{self._at('policies')}.{key}",
                    f"{self._path}: {key!r} is given beside 'policies' and inside it",
                    key=True,
                )
        inner = Fields(self._at("policies"), nested, self._mistakes)._policy()
        outer = self._policy()
        return Policy(**{
            key: getattr(inner if key in nested else outer, key) for key in POLICY_KEYS
        })  # fmt: skip

    def _policy(self) -> Policy:
        default = Policy()
        return Policy(
            rollback=self._choice("rollback", default.rollback, RollbackPolicy),
            drift=self._choice("drift", default.drift, DriftPolicy),
            prune=self._choice("prune", default.prune, PrunePolicy),
            order=self._choice("order", default.order, OrderMode),
            retries=self._count("retries", default.retries),
            timeout=self._seconds("timeout", default.timeout),
            interrupted=self._choice("interrupted", default.interrupted, InterruptedPolicy),
            steps=self._steps("steps"),
            suspend=self._flag("suspend"),
        )

    def _choice(self, key: str, default: E, choices: type[E]) -> E:
        if key not in self._values:
            return default
        value = self._values[key]
        known = [item.value for item in choices]
        if isinstance(value, bool):
            value = next((word for word in (("on", "true") if value else ("off", "false")) if word in known), value)
        if isinstance(value, str) and value in known:
            return choices(value)
        hint = suggestion(value, known) if isinstance(value, str) else ""
        self._mistakes.expected(self._at(key), value, f"one of {', '.join(known)}", hint=hint)
        return default

    def _count(self, key: str, default: int) -> int:
        value = self._values.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_RETRIES:
            return value
        self._mistakes.expected(self._at(key), value, f"a whole number from 0 to {_MOST_RETRIES}")
        return default

    def _seconds(self, key: str, default: float) -> float:
        if key not in self._values:
            return default
        value = self._values[key]
        try:
            seconds = parse_duration(value) if isinstance(value, str) else 0.0
        except ValueError:
            seconds = 0.0
        if seconds > 0:
            return seconds
        hint = f"did you mean '{value}s'?" if isinstance(value, int) and not isinstance(value, bool) else ""
        self._mistakes.expected(self._at(key), value, "a duration above zero, such as '30m' or '1h30m'", hint=hint)
        return default

    def _flag(self, key: str) -> bool:
        value = self._values.get(key, False)
        if isinstance(value, bool):
            return value
        self._mistakes.expected(self._at(key), value, "true or false")
        return False

    def _steps(self, key: str) -> tuple[StepRule, ...]:
        rules = self._values.get(key, Frozen())
        if not isinstance(rules, Frozen) or len(rules) > _MOST_RULES:
            expected = f"a mapping of at most {_MOST_RULES} globs to policies, such as 'task/*': once"
            self._mistakes.expected(self._at(key), None if isinstance(rules, Frozen) else rules, expected)
            return ()
        for glob in rules:
            if not glob or len(glob) > _LONGEST_GLOB:
                self.wrong(key, f"a glob of 1 to {_LONGEST_GLOB} characters was expected, not one of {len(glob)}")
        fields = Fields(self._at(key), rules, self._mistakes)
        return tuple(
            StepRule(glob=glob, policy=fields._choice(glob, StepPolicy.PER_INCARNATION, StepPolicy)) for glob in rules
        )

    def _at(self, key: str) -> str:
        return f"{self._path}.{key}"

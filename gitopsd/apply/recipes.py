"""Recipes, their results and assertions: ``exec``, ``request``, ``wait``, ``verify`` and ready conditions.

Semantics: ``starlark-api.md`` sections 6.7 to 6.10, 7.4, 7.5 and 9; ``future-references.md`` section 4.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from gitopsd.apply.patience import Patience
from gitopsd.errors import Reason, StepError, TransientError
from gitopsd.kit import jsontext
from gitopsd.kit.text import one_line, shorten
from gitopsd.model.calls import HttpCall
from gitopsd.model.ops import Exec, Request
from gitopsd.model.parts import HttpRecipe, Port, Probe
from gitopsd.model.values import Frozen, Json, Value, freeze, plain_text, starlark_repr
from gitopsd.world import Site

COMMAND_LIMIT = 24 * 3600.0
"""Longest time in seconds that one command may take when the run has more."""


def run_exec(site: Site, op: Exec, *, key: str, patience: Patience) -> dict[str, Json]:
    """Runs an ``exec`` by its key and checks its code. Raises StepError COMMAND_FAILED or EXTRACT_FAILED."""
    command = tuple(plain_text(part) for part in op.recipe.command)
    done = site.backend.execute(site.enclave, op.service, command, key=key, timeout=patience.remaining(COMMAND_LIMIT))
    check_code(done.code, op.codes, op.any_code, f"the command exited with code {done.code}: {tail(site, done.output)}")
    found: dict[str, Json] = {"code": done.code, "output": done.output}
    return found | extracted(site, op.recipe.extract, done.output)


def run_request(site: Site, op: Request, ports: Mapping[str, Port], patience: Patience) -> dict[str, Json]:
    """Sends a ``request`` and checks its code. Raises StepError REQUEST_FAILED or EXTRACT_FAILED."""
    answer = ask_http(site, op.service, op.recipe, ports, timeout=patience.remaining(COMMAND_LIMIT))
    code, body = cast("int", answer["code"]), cast("str", answer["body"])
    if not op.any_code and code not in op.codes:
        raise StepError(
            Reason.REQUEST_FAILED, f"the answer has code {code}, not one of {_codes(op.codes)}: {tail(site, body)}"
        )
    return answer | extracted(site, op.recipe.extract, _json_body(site, body) if op.recipe.extract else None)


def check_code(code: int, accepted: tuple[int, ...], any_code: bool, message: str) -> None:
    """Raises StepError COMMAND_FAILED for an exit code that is not accepted."""
    if not any_code and code not in accepted:
        raise StepError(Reason.COMMAND_FAILED, message, hint=f"accepted: {_codes(accepted)}")


def _codes(codes: tuple[int, ...]) -> str:
    return ", ".join(map(str, codes))


def tail(site: Site, output: str, limit: int = 400) -> str:
    """The last lines of an output on one line of a message, secrets masked before anything is cut off."""
    lines = [line for line in site.masked(output).splitlines() if line.strip()]
    return one_line(" | ".join(lines[-4:])[-limit:]) or "(no output)"


def ask_http(
    site: Site, service: str, recipe: HttpRecipe, ports: Mapping[str, Port], *, timeout: float
) -> dict[str, Json]:
    """The answer to one HTTP recipe, within ``timeout`` seconds: ``code`` and ``body``."""
    port = ports.get(recipe.port)
    if port is None:
        raise StepError(Reason.REQUEST_FAILED, f"service {service} has no port {recipe.port!r}")
    headers = {name: plain_text(value) for name, value in recipe.headers.items()}
    content_type = plain_text(recipe.content_type)
    if recipe.method == "POST" and content_type and "content-type" not in map(str.lower, headers):
        headers["Content-Type"] = content_type
    call = HttpCall(
        method=recipe.method,
        url_path=plain_text(recipe.endpoint),
        headers=Frozen(headers),
        body=plain_text(recipe.body),
        timeout=timeout,
    )
    answer = site.backend.request(site.enclave, service, port, call)
    return {"code": answer.code, "body": answer.body}


def _json_body(site: Site, body: str) -> Json:
    try:
        return freeze(jsontext.loads(body))
    except (ValueError, RecursionError) as error:
        message = f"the body is not JSON, so nothing can be extracted ({error}): {tail(site, body)}"
        raise StepError(Reason.EXTRACT_FAILED, message) from None


def extracted(site: Site, programs: Mapping[str, str], document: Json) -> dict[str, Json]:
    """``extract.<key>`` of each jq program: nulls are skipped, one result is itself, more are a list."""
    found: dict[str, Json] = {}
    for name, program in programs.items():
        results = tuple(item for item in site.world.evaluator.extract(program, document) if item is not None)
        if not results:
            raise StepError(Reason.EXTRACT_FAILED, f"extract {name!r}: the jq program {program!r} gave no result")
        found[f"extract.{name}"] = results[0] if len(results) == 1 else results
    return found


def until(site: Site, service: str, probe: Probe, ports: Mapping[str, Port], patience: Patience) -> dict[str, Json]:
    """Asks a recipe at once and then at every interval until its assertion holds; the last answer. Intervals count
    from the first try, so a slow recipe is asked again at once; a try under way at the end has a quarter of the
    timeout more, as with Kurtosis.

    Raises StepError TIMED_OUT with the last answer or failure after the probe's timeout.
    """
    asking = _Asking(site=site, service=service, probe=probe, ports=ports, patience=patience)
    clock = site.world.clock
    due = clock.monotonic()
    end = due + probe.timeout
    while True:
        patience.check()
        answer, last = asking.once(end + probe.timeout / 4 - clock.monotonic())
        if answer is not None:
            return answer
        due = max(due + probe.interval, clock.monotonic())
        if due > end:
            wanted = f"{probe.field} {probe.assertion} {site.shown(probe.target, limit=200)}"
            raise StepError(Reason.TIMED_OUT, f"{service}: {wanted} did not hold within {probe.timeout:g} s; {last}")
        patience.sleep(due - clock.monotonic())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """A probe of a service that is asked again and again."""

    site: Site
    service: str
    probe: Probe
    ports: Mapping[str, Port]
    patience: Patience

    def once(self, limit: float) -> tuple[dict[str, Json] | None, str]:
        """The answer of one try within ``limit`` seconds when its assertion holds; otherwise what is wrong."""
        probe, show = self.probe, self.site.shown
        try:
            answer = self._answer(self.patience.remaining(limit))
            field = answer.get(probe.field)
            if holds(field, probe.assertion, probe.target, show=show):
                return answer, ""
        except StepError as error:
            return None, error.message
        except TransientError as error:
            if error.reason is Reason.PREEMPTED:
                raise
            return None, error.message
        return None, f"{probe.field} is {show(field, limit=200)}"

    def _answer(self, limit: float) -> dict[str, Json]:
        site, service, recipe = self.site, self.service, self.probe.recipe
        if isinstance(recipe, HttpRecipe):
            answer = ask_http(site, service, recipe, self.ports, timeout=limit)
            document = _json_body(site, cast("str", answer["body"])) if recipe.extract else None
            return answer | extracted(site, recipe.extract, document)
        command = tuple(plain_text(part) for part in recipe.command)
        key = f"probe-{uuid.uuid4().hex}"
        done = site.backend.execute(site.enclave, service, command, key=key, timeout=limit)
        found: dict[str, Json] = {"code": done.code, "output": done.output}
        return found | extracted(site, recipe.extract, done.output)


def holds(value: Value, assertion: str, target: Value, *, show: Callable[[Value], str] = starlark_repr) -> bool:
    """Whether ``value assertion target`` holds. Raises StepError CHECK_FAILED for types that do not compare, with both
    as ``show`` writes them."""
    if assertion in ("IN", "NOT_IN"):
        if not isinstance(target, tuple):
            raise StepError(Reason.CHECK_FAILED, f"{assertion} needs a list, not {shorten(show(target), 120)}")
        return any(_same(value, item) for item in target) == (assertion == "IN")
    if _kind(value) != _kind(target):
        one, other = shorten(show(value), 120), shorten(show(target), 120)
        message = f"cannot compare {_kind(value)} {one} with {_kind(target)} {other}"
        raise StepError(Reason.CHECK_FAILED, message)
    if assertion in ("==", "!="):
        return _same(value, target) == (assertion == "==")
    return _ordered(value, assertion, target)


def _ordered(value: Value, assertion: str, target: Value) -> bool:
    if isinstance(value, str) and isinstance(target, str):
        sign = (value > target) - (value < target)
    elif isinstance(value, (int, float)) and isinstance(target, (int, float)):
        sign = 0 if value == target else (1 if value > target else -1)
    else:
        raise StepError(Reason.CHECK_FAILED, f"{assertion} does not order {_kind(value)} values")
    return {"<": sign < 0, "<=": sign <= 0, ">": sign > 0, ">=": sign >= 0}[assertion]


def _same(value: Value, other: Value) -> bool:
    return _kind(value) == _kind(other) and value == other


def _kind(value: Value) -> str:
    match value:
        case None:
            return "NoneType"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
        case tuple():
            return "list"
        case _:
            return "dict"

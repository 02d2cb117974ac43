"""Plan methods that ask something: exec, request, wait, verify, print."""

from __future__ import annotations

from gitopsd.evaluate.arguments import ANY, BOOL, LIST, TEXT, may, need, non_empty, signature, wrong
from gitopsd.evaluate.engine import HostError
from gitopsd.evaluate.methods.method import Method
from gitopsd.evaluate.printing import printed
from gitopsd.evaluate.reading import Fields
from gitopsd.evaluate.recorder import Recorder
from gitopsd.evaluate.rules import ASSERTIONS, RECIPES, comparable, duration, one_of, one_of_types
from gitopsd.evaluate.specs import LISTS, probe, recipe, target
from gitopsd.model.ops import Exec, Print, Request, Verify, Wait
from gitopsd.model.parts import ExecRecipe, HttpRecipe, Probe, Recipe
from gitopsd.model.values import Frozen

_HTTP_CODES = (200, 201, 202, 203, 204, 205, 206, 207, 208, 226)
_WAIT_TIMEOUT = 10.0


def _exec(recorder: Recorder, given: Fields) -> Frozen[str]:
    service = given.plain("service_name")
    found = recipe(given.get("recipe"), given.what("recipe"), given.references)
    if not isinstance(found, ExecRecipe):
        raise HostError(f"{given.what('recipe')} is a request, expected an ExecRecipe")
    step = recorder.nameless_id("exec", service)
    recorder.add(
        step,
        Exec(
            service=service,
            life=recorder.life(service),
            recipe=found,
            codes=given.integers("acceptable_codes", (0,)),
            any_code=given.flag("skip_code_check"),
        ),
    )
    return _result(recorder, step, found)


def _request(recorder: Recorder, given: Fields) -> Frozen[str]:
    service = given.plain("service_name")
    found = recipe(given.get("recipe"), given.what("recipe"), given.references)
    if not isinstance(found, HttpRecipe):
        raise HostError(
            f"{given.what('recipe')} is a command, expected a GetHttpRequestRecipe or PostHttpRequestRecipe"
        )
    step = recorder.nameless_id("request", service)
    recorder.add(
        step,
        Request(
            service=service,
            life=recorder.life(service),
            recipe=found,
            codes=given.integers("acceptable_codes", _HTTP_CODES),
            any_code=given.flag("skip_code_check"),
        ),
    )
    return _result(recorder, step, found)


def _wait(recorder: Recorder, given: Fields) -> Frozen[str]:
    service = given.plain("service_name")
    found = probe(given, _WAIT_TIMEOUT)
    warn_of_field(recorder, service, found)
    step = recorder.nameless_id("wait", service)
    recorder.add(step, Wait(service=service, life=recorder.life(service), probe=found))
    return _result(recorder, step, found.recipe)


def _result(recorder: Recorder, step: str, asked: Recipe) -> Frozen[str]:
    """What the script gets: a placeholder for each field of the result."""
    return Frozen({field: recorder.token(step, field) for field in result_fields(asked)})


def result_fields(asked: Recipe) -> tuple[str, ...]:
    """The fields that a recipe's result has, in the order in which a script meets them."""
    own = ("code", "output") if isinstance(asked, ExecRecipe) else ("body", "code")
    return (*own, *(f"extract.{key}" for key in asked.extract))


def warn_of_field(recorder: Recorder, service: str, found: Probe) -> None:
    """A probe may ask for what its recipe does not give: upstream then waits for it until the timeout."""
    if found.field not in (fields := result_fields(found.recipe)):
        recorder.warn(
            f"service {service!r}: its recipe has no result {found.field!r}, only {', '.join(fields)}: this never holds"
        )


def _verify(recorder: Recorder, given: Fields) -> None:
    value, assertion = given.get("target_value"), given.plain("assertion")
    if assertion in LISTS and not isinstance(value, (list, tuple, range, dict)):
        raise wrong(given.what("target_value"), value, f"a list for {assertion}")
    op = Verify(value=given.text("value"), assertion=assertion, target=target(given))
    recorder.add(recorder.nameless_id("verify"), op)


def _print(recorder: Recorder, given: Fields) -> None:
    message = recorder.references.text(printed(given.get("msg")))
    recorder.add(recorder.nameless_id("print"), Print(message=message))


_SERVICE = need("service_name", TEXT, non_empty)
_ASSERTION = need("assertion", TEXT, one_of(*ASSERTIONS))
_TARGET = need("target_value", ANY, comparable)
_CODES = may("acceptable_codes", LIST)
_SKIP = may("skip_code_check", BOOL)

METHODS = (
    Method(signature("exec", _SERVICE, need("recipe", ("ExecRecipe",)), _CODES, _SKIP), _exec),
    Method(
        signature(
            "request", _SERVICE, need("recipe", ("GetHttpRequestRecipe", "PostHttpRequestRecipe")), _CODES, _SKIP
        ),
        _request,
    ),
    Method(
        signature(
            "wait",
            _SERVICE,
            need("recipe", ANY, one_of_types(*RECIPES)),
            need("field", TEXT),
            _ASSERTION,
            _TARGET,
            may("interval", TEXT, duration),
            may("timeout", TEXT, duration),
        ),
        _wait,
    ),
    Method(signature("verify", need("value", TEXT), _ASSERTION, _TARGET), _verify),
    Method(signature("print", need("msg", ANY)), _print),
)

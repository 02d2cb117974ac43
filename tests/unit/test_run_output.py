"""What a package returned, as a run that applied it tells it."""

from __future__ import annotations

from typing import Any, cast

from gitopsd.apply import Known
from gitopsd.model.ops import AddService, Print
from gitopsd.model.parts import Image, ServiceSpec
from gitopsd.model.plan import Instruction, Plan
from gitopsd.model.record import Step, StepOutput
from gitopsd.model.values import Address, Frozen, Secret, StepResult, Text, Value

WEB = Instruction(id="service/web#2", op=AddService(name="web", spec=ServiceSpec(image=Image(name="i"))))
ASKED = Instruction(id="exec/web@0", op=Print(message=""))


def told(output: Value) -> Value:
    steps = {
        WEB.id: Step(instruction=WEB, output=StepOutput(values=Frozen({"ip_address": "127.1.2.3"}))),
        ASKED.id: Step(
            instruction=ASKED,
            output=StepOutput(values=Frozen({"code": 0, "extract.list": ("a", True), "output": Secret(name="KEY")})),
        ),
    }
    known = Known(site=cast("Any", None), reading=cast("Any", None), steps=steps)
    return known.output(Plan(package_digest="p", args_digest="a", instructions=(WEB, ASKED), output=output))


def test_results_and_addresses_are_the_texts_that_the_package_took_them_for() -> None:
    host, address = (Address(service="web", field=name) for name in ("hostname", "ip_address"))
    assert told(Frozen({"url": Text(parts=("http://", address, ":80")), "host": host})) == Frozen({
        "url": "http://127.1.2.3:80", "host": "web",
    })  # fmt: skip
    assert told(StepResult(step="exec/web@0", field="code")) == "0"
    assert told((StepResult(step="exec/web@0", field="extract.list"),)) == ('["a", True]',)


def test_secrets_and_what_has_no_value_stay_references() -> None:
    lost = StepResult(step="exec/web@0", field="body")
    assert told((Secret(name="KEY"), StepResult(step="exec/web@0", field="output"), lost)) == (
        Secret(name="KEY"), Secret(name="KEY"), lost,
    )  # fmt: skip

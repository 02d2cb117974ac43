"""Evaluates one package for a test: JSON on standard input, JSON with calls, result or problem on standard output."""

import json
import posixpath
import sys

from gitopsd.adapters.starlark.engine import StarlarkEngine
from gitopsd.evaluate.engine import (
    EntryPoint,
    HostError,
    MissingSource,
    OpaqueValue,
    SourceFile,
    StarlarkProblem,
    StructValue,
)

ROOT = "github.com/o/r/"


class Recorder:
    """A host that remembers what it was asked."""

    plan_methods = ("add_service", "add_services", "exec", "odd", "print")
    text_methods = ("print",)
    type_names = ("PortSpec", "Service", "ServiceConfig")

    def __init__(self, files, constants):
        self.files = files
        self.constants = constants
        self.calls = []
        self.resets = 0

    def call(self, method, args, kwargs, where):
        if method == "exec" and "recipe" not in kwargs:
            raise HostError("exec: 100% of the calls need 'recipe'")
        self.calls.append([method, shown(args), shown(kwargs), where.file.removeprefix(ROOT), where.line])
        answers = {
            "add_service": lambda: self.service(args[0] if args else kwargs["name"]),
            "add_services": lambda: {name: self.service(name) for name in args[0]},
            "exec": lambda: {"code": "{{code}}", "output": "a\0b"},
            "odd": lambda: ["\udcff", (1, {"k": None}), 10**30, "é"],
        }
        return answers[method]() if method in answers else None

    def service(self, name):
        ports = {"http": StructValue(type_name="PortSpec", fields={"number": 80}, serial=1)}
        return StructValue(type_name="Service", fields={"name": name, "ports": ports}, serial=2)

    def construct(self, type_name, args, kwargs):
        order = {"PortSpec": ["number", "wait"], "ServiceConfig": ["image", "ports", "cmd"]}[type_name]
        given = dict(zip(order, args, strict=False)) | kwargs
        unknown = sorted(set(given) - set(order))
        if unknown:
            raise HostError(f'{type_name}: unexpected keyword argument "{unknown[0]}"')
        return {name: given[name] for name in order if name in given}

    def source(self, locator, calling_file):
        if locator.startswith("github.com/other/"):
            raise MissingSource(f"{locator} is not here yet", locator=locator)
        path = (
            locator if locator.startswith("github.com/") else posixpath.join(posixpath.dirname(calling_file), locator)
        )
        name = posixpath.normpath(path).removeprefix(ROOT)
        if name not in self.files:
            raise HostError(f"no file {name} here")
        return SourceFile(path=ROOT + name, content=self.files[name].encode())

    def looked_ahead(self):
        pass

    def reset(self):
        self.calls.clear()
        self.resets += 1


def shown(value):
    if isinstance(value, StructValue):
        return {"type": value.type_name, **{name: shown(item) for name, item in value.fields.items()}}
    if isinstance(value, dict):
        return {str(key): shown(item) for key, item in value.items()}
    if isinstance(value, OpaqueValue):
        return value.text
    return [shown(item) for item in value] if isinstance(value, list | tuple) else value


def main():
    request = json.load(sys.stdin)
    host = Recorder(request["files"], request.get("constants", {}))
    entry = EntryPoint(file=host.source("main.star", ROOT + "main.star"), function=request.get("function", "run"))
    answer = {}
    try:
        answer["result"] = shown(
            StarlarkEngine(host, cache=request.get("cache", "")).run(entry, request.get("arguments"))
        )
    except StarlarkProblem as problem:
        answer |= {"problem": problem.message, "kind": problem.kind, "line": problem.line}
        answer["file"] = problem.file.removeprefix(ROOT)
        answer["stack"] = [[frame.file.removeprefix(ROOT), frame.line, frame.function] for frame in problem.stack]
    except MissingSource as missing:
        answer["missing"] = missing.locator
    answer |= {"calls": host.calls, "resets": host.resets}
    json.dump(answer, sys.stdout)


main()

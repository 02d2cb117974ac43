"""Runs conformance programs, one JSON object per line on standard input, and writes what each did, one per line."""

import json
import posixpath
import sys
from pathlib import Path
from types import MappingProxyType

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gitopsd.adapters.starlark.engine import StarlarkEngine
from gitopsd.evaluate.engine import EntryPoint, HostError, SourceFile, StarlarkProblem


class Package:
    """The host that the corpus was made with: files of one case, and `plan.print` under two names."""

    plan_methods = ("print", "assert")
    text_methods = ("print", "assert")
    type_names = ()
    constants = MappingProxyType({})

    def __init__(self, case):
        self.files = {path: text.encode() for path, text in case["files"].items()}
        self.files |= {path: bytes.fromhex(data) for path, data in case.get("files_hex", {}).items()}
        self.prints = []

    def call(self, method, args, kwargs, where):
        given = list(args) + [value for name, value in kwargs.items() if name == "msg"]
        unknown = [name for name in kwargs if name != "msg"]
        if unknown:
            raise HostError(f'{method}: unexpected keyword argument "{unknown[0]}" (did you mean msg?)')
        if len(given) > 1:
            raise HostError(f"{method}: got {len(given)} arguments, want at most 1")
        if not given:
            raise HostError(f"{method}: missing argument for msg")
        self.prints.append(given[0])

    def construct(self, type_name, args, kwargs):
        raise HostError("no types here")

    def source(self, locator, calling_file):
        base = "" if locator.startswith("/") else posixpath.dirname(calling_file)
        path = posixpath.normpath(posixpath.join(base, locator.lstrip("/")))
        if path not in self.files:
            raise HostError(f"file {path} does not exist")
        return SourceFile(path=path, content=self.files[path])

    def looked_ahead(self):
        pass

    def reset(self):
        self.prints.clear()


def outcome(case):
    host = Package(case)
    result = {"id": case["id"]}
    entry = EntryPoint(file=host.source("main.star", ""))
    arguments = json.loads(case.get("args_json") or json.dumps(case["args"]))
    try:
        StarlarkEngine(host).run(entry, arguments)
    except StarlarkProblem as problem:
        stack = [[frame.file, frame.line, frame.function] for frame in problem.stack]
        result |= {"error": problem.message, "kind": problem.kind, "file": problem.file, "line": problem.line}
        result["stack"] = stack
    result["prints"] = [_shown(text) for text in host.prints]
    return result


def _shown(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return {"hex": text.encode("utf-8", "surrogateescape").hex()}
    return text


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(outcome(json.loads(line))), flush=True)

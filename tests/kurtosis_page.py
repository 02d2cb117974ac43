"""Writes ``gitopsd/docs/kurtosis.md`` from the tables of the code: ``python -m tests.kurtosis_page`` writes it anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import gitopsd
from gitopsd.adapters.gotemplate.functions import NAMES
from gitopsd.adapters.local import ignored as local
from gitopsd.adapters.starlark import prelude, times
from gitopsd.evaluate.arguments import Signature
from gitopsd.evaluate.methods import METHODS
from gitopsd.evaluate.types import SIGNATURES
from gitopsd.model.ops import KIND_BY_OP, METHOD_BY_OP
from gitopsd.resolve.closure import ARGUMENTS

PAGE = Path(gitopsd.__file__).parent / "docs" / "kurtosis.md"
LATER = "later issue"
YES, EVALUATED, WARNED = "yes", "evaluation", "no, with a warning"
KEPT = "kept, no effect"
TAKEN = "taken, no effect"
MEMORY = "yes, as a limit of each process' data, unless `memory_limits` is off: then no, with a warning"
TASKS = ("run_sh", "run_python")
PURE = ("get_service", "get_services", "get_cluster_type", "get_files_artifact")

WARNED_OF = frozenset(ARGUMENTS.get(name, name) for name in local._IGNORED)
"""Arguments that a process cannot be given, under the names that packages use."""
ON_LOCAL = {
    ("ServiceConfig", "image"): "a name: mapped to a command in the configuration, a Python image to Python; else no, "
    "with a warning",
    ("ServiceConfig", "user"): "yes as root, else no, with a warning",
    ("ServiceConfig", "files"): "yes; without namespaces paths in arguments are rewritten, with a warning",
    ("ServiceConfig", "labels"): "yes, in the description of the service",
    ("ServiceConfig", "cpu_allocation"): WARNED,
    ("ServiceConfig", "max_memory"): MEMORY,
    ("ServiceConfig", "memory_allocation"): MEMORY,
    ("Directory", "size"): WARNED,
    ("ImageSpec", "registry"): WARNED,
    ("ImageSpec", "username"): WARNED,
    ("ImageSpec", "password"): WARNED,
    ("run_sh", "image"): "as that of a service",
    ("run_python", "image"): "as that of a service",
    ("run_python", "packages"): "those that are installed, if `pip_packages` allows them; else the step fails",
}
WITH_THE_FIELD = {
    "Toleration": "tolerations", "GpuConfig": "gpu", "ImageSpec": "image", "ImageBuildSpec": "image",
    "NixBuildSpec": "image",
}  # fmt: skip
"""Types whose fields share the state of the one argument that they are for."""

HEAD = """# Kurtosis, piece by piece

What a package for Kurtosis may use and what becomes of it. This page is made from the code by
`python -m tests.kurtosis_page`, and a test holds it to it. *{evaluation}*: settled while the package is evaluated, the
same everywhere. *{warned}*: the plan says so, nothing is ignored silently. *{kept}*: part of the plan and of its
comparison. The backend `memory` (tests and dry runs) takes everything and starts nothing; `kubernetes` is a {later}.
"""


def page() -> str:
    """The text of the page."""
    parts = [HEAD.format(evaluation=EVALUATED, warned=WARNED, kept=KEPT, later=LATER)]
    parts.append("\n## Plan methods and their arguments\n")
    classes = {METHOD_BY_OP[op]: kind.value for op, kind in KIND_BY_OP.items()} | {"add_services": "desired"}
    classes["request"] += ", capture with GetHttpRequestRecipe"
    for name, method in METHODS.items():
        parts.append(f"\n### plan.{name} ({classes[name]})\n\n" + table(name, rows(method.signature)))
    parts.append("\n## Types and their fields\n")
    for name, signature in SIGNATURES.items():
        parts.append(f"\n### {name}\n\n" + table(name, rows(signature)))
    parts.append("\n## Names that are there\n\nAll of them are settled by the evaluation, on every backend.\n\n")
    parts.append(names("Universe", sorted({*prelude.ORIGINALS, *prelude.builtin_names(()), "True", "False", "None"})))
    parts.append(names("`json`", ("decode", "encode", "indent")))
    parts.append(names("`time`", sorted({*times.FUNCTIONS, *times.CONSTANTS})))
    parts.append("\n`print` and `time.now` are refused as in Kurtosis; `set` and `load` do not exist.\n")
    parts.append("\n## Functions of templates\n\nThose of Go's `text/template`, on every backend.\n\n")
    parts.append(names("Functions", sorted(NAMES)))
    return "".join(parts)


def rows(signature: Signature) -> Iterator[tuple[str, str, str]]:
    """Argument, what it takes, and its state on `local`."""
    for item in (item for item in signature.parameters if item.name != "description"):
        takes = " or ".join(item.types) or "any value"
        yield item.name, takes + (", required" if item.required else ""), on_local(signature.name, item.name)
    yield "description", "string", TAKEN if signature.name in SIGNATURES else "shown, never compared"


def on_local(owner: str, name: str) -> str:
    """The state of an argument or field on the backend `local`."""
    if (owner, name) in ON_LOCAL:
        return ON_LOCAL[owner, name]
    field = WITH_THE_FIELD.get(owner)
    if field is not None:
        return f"as `{field}`"
    if owner in ("ServiceConfig", *TASKS) and name in WARNED_OF:
        return WARNED
    return EVALUATED if owner in (*PURE, "Service") else YES


def table(owner: str, found: Iterable[tuple[str, str, str]]) -> str:
    """The rows as a table."""
    lines = ["| argument | takes | local | kubernetes | memory |", "|---|---|---|---|---|"]
    for name, takes, state in found:
        same = state == EVALUATED or owner in ("get_service", "get_services", "get_cluster_type")
        lines.append(
            f"| `{name}` | {takes} | {state} | {EVALUATED if same else LATER} | {EVALUATED if same else KEPT} |"
        )
    return "\n".join(lines) + "\n"


def names(title: str, found: Iterable[str]) -> str:
    """A list of names in one paragraph."""
    return f"* {title}: " + " ".join(f"`{name}`" for name in found) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")

"""The tables in Markdown: what was measured here, and what others publish about themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.benchmarks.measuring import Figure

PEERS = (
    ("plan or diff of a change", "Terraform: 0.1 to 0.5 s per resource; 1,526 unchanged data sources 2 to 3 min",
     "hashicorp/terraform#16375, #18981, #22617"),
    ("commit to reconcile, polling", "Argo CD: 120 s and up to 60 s jitter; Fleet: 15 s; Flux: 60 s at least",
     "their documentation"),
    ("re-run after one changed argument", "Kurtosis: 32 s (213 s fresh), an OP-stack devnet on a laptop",
     "ethereum-optimism/optimism#14390"),
    ("git requests for one changed value", "Argo CD: 52 ls-remote and 6 fetches for 10 applications",
     "argoproj/argo-cd#14725"),
    ("memory, 100 objects", "Flux 2.9: kustomize-controller 134 MiB, source-controller 49 MiB, helm-controller 286 MiB",
     "fluxcd/flux-benchmark"),
    ("rollback after a failed apply", "Argo CD: none; Flux: HelmRelease only; Kurtosis: none",
     "argoproj/argo-cd#6147, #11713; Flux documentation"),
    ("newer commit while one waits", "Flux: a block of 15 min was reported; cancelled by an opt-in gate since 2.7",
     "fluxcd/kustomize-controller#701, fluxcd/flux2#5584"),
)  # fmt: skip
"""What, its figure, and where it is published. Other machines, other workloads: orders of magnitude."""


def table(figures: Sequence[Figure], machine: Mapping[str, str], command: str) -> str:
    """The figures with targets, and what they were measured on."""
    lines = ["| what | target | min | median | max | |", "|---|---|---|---|---|---|"]
    for figure in figures:
        target = "" if figure.target is None else figure.shown(figure.target)
        spread = [figure.shown(value) for value in (min(figure.samples), figure.median, max(figure.samples))]
        met = {True: "met", False: "**missed**", None: ""}[figure.met]
        what = f"{figure.what} ({figure.note})" if figure.note else figure.what
        lines.append("| " + " | ".join([what, target, *spread, met]) + " |")
    lines += ["", f"Command: `{command}`", ""]
    lines += [f"* {name}: {value}" for name, value in machine.items()]
    return "\n".join(lines) + "\n"


def peers_table() -> str:
    """What others publish."""
    lines = ["| what | others | source |", "|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in PEERS)]) + "\n"

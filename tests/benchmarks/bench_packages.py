"""``gitopsd plan`` on a large public package, as whole processes: the first time, and with lowered sources kept.

``python -m tests.benchmarks.bench_packages --packages DIR [--times N]``, with DIR as for ``tests/compat``. Needs
ethpandaops/ethereum-package there and what it imports. There is no cache of plans on this path: every run evaluates.

Where the time of the worker goes (defaults: 23,000 lines in 109 modules, lowered sources kept), in milliseconds of the
clock at raised priority on two loaded cores, 95 in all, while a native program took 44: loading the modules in the
interpreter 48, running them 6; reading kept lowered sources 6; reading files 4; locators 3; plan methods 2, and what
crosses to them 2; the fork, its limits and its end 7; all else 17. Twelve participants cost 100 more: 35 inside the
interpreter, 10 for reading what leaves it, the rest in plan methods, uploads (2 MB of them) and what needs what. No
start of Python is in it: workers are forked from a server that has imported what they need. The first time adds the
lowering of 109 files, and a worker for each round of imports (two here), which lowers and runs nothing.

Of a whole command with lowered sources kept, on a machine of half that speed (a native program took 90 ms): 20 for the
start of Python; 45 until the server is started, before the rest is imported; 95 for that, and 80 for libgit2 beside
the call that reads ``kurtosis.yml``; 35 for where refs are; 310 for the worker, beside which the classes of the answer
and of the output are imported; 20 for the answer and the text.

What made it quick: a fork instead of a start (65); fields of objects stay where they are instead of being sent back;
messages name places only when they are told; a worker needs no Git library for files of pinned commits, which are
kept; Go collects garbage seldom; an evaluation runs off the process's first thread (Go asks glibc for the bounds of
the stack at every call, and for the first thread glibc reads ``/proc/self/maps`` each time: 13,000 system calls, and
0.12 inside the interpreter); a file is read once per place and not per import; classes of the model are made when
they are met; all literal imports that are missing are fetched in one round, and those of a folder's last plan before
the first; nothing runs before all that literal imports name was looked for; the end of a worker is told at once, and
not after what its server imports meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.measuring import Figure, cpu, wall
from tests.benchmarks.yardstick import Rivals, rivals
from tests.compat.places import borrow, check_out
from tests.stage.processes import ROOT, program

REPOSITORY = "ethpandaops/ethereum-package"
FIRST, KEPT, NATIVE = 1.2, 0.4, 3.5
_EXECUTION = ("geth", "nethermind", "besu", "reth", "erigon", "nimbus")
_CONSENSUS = ("lighthouse", "teku", "nimbus", "prysm", "lodestar", "grandine")
_SERVICES = (
    "dora", "tx_fuzz", "prometheus", "grafana", "assertoor", "spamoor", "forkmon", "apache", "forky",
    "tracoor", "checkpointz", "dugtrio",
)  # fmt: skip


def large_network() -> dict[str, object]:
    """Twelve participants with different clients, and many additional services."""
    pairs = [(_EXECUTION[number % 6], _CONSENSUS[(number + number // 6) % 6]) for number in range(12)]
    participants = [{"el_type": execution, "cl_type": consensus} for execution, consensus in pairs]
    return {"participants": participants, "additional_services": list(_SERVICES)}


def figures(packages: Path, work: Path, times: int) -> list[Figure]:
    """The measurements, in seconds of the clock, with CPU seconds in the notes; those against a native program where Go
    is there to build it."""
    cache = work / "cache" / "gitopsd"
    borrow(packages, cache)
    checkout = check_out(packages, REPOSITORY, work / "package")
    if checkout is None:
        raise SystemExit(f"{packages} has no {REPOSITORY}")
    arguments = work / "large.json"
    arguments.write_text(json.dumps(large_network()))
    found = []
    for name, file, factor in (("defaults", None, 1), ("twelve participants", arguments, 2)):
        plan = planning(checkout.folder, packages, work, file)
        found.append(_figure(f"{name}, first time", lambda plan=plan: _afresh(cache, plan), FIRST * factor, times))
        found.append(_figure(f"{name}, lowered sources kept", plan, KEPT * factor, times))
        if shutil.which("go"):
            found += _against_native(name, rivals(checkout.folder, packages, work, file), times)
    return found


def _against_native(name: str, pair: Rivals, times: int) -> list[Figure]:
    """Both by turns, so that other work on the machine meets both, and how many times longer the worker takes."""
    samples = [(wall(pair.worker, times=1)[0], wall(pair.native, times=1)[0]) for _ in range(4 * times)]
    worker, native = (tuple(sorted(side)) for side in zip(*samples, strict=True))
    ratios = tuple(ours / theirs for ours, theirs in samples)
    return [
        Figure(benchmark="packages", what=f"{name}, the worker alone", unit="s", samples=worker),
        Figure(benchmark="packages", what=f"{name}, a native program", unit="s", samples=native),
        Figure(benchmark="packages", what=f"{name}, worker to native", unit="times", samples=ratios, target=NATIVE),
    ]


def planning(package: Path, packages: Path, work: Path, arguments: Path | None) -> Callable[[], None]:
    """A call that plans in a process of its own, and fails when it does not plan."""
    words = ["plan", str(package), "--rewrite", f"https://github.com/=file://{packages}/"]
    words += ["--args", str(arguments)] if arguments else []
    command = program(*words)
    environment = os.environ | {"XDG_CACHE_HOME": str(work / "cache")}

    def plan() -> None:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])

    return plan


def _afresh(cache: Path, plan: Callable[[], None]) -> None:
    for folder in ("lowered", "hints"):
        shutil.rmtree(cache / folder, ignore_errors=True)
    plan()


def _figure(what: str, act: Callable[[], object], target: float, times: int) -> Figure:
    act()
    samples = wall(act, times=times)
    spent = sorted(cpu(act, times=times))[times // 2]
    note = f"{spent:.2f} s of CPU time"
    return Figure(benchmark="packages", what=what, unit="s", samples=samples, target=target, note=note)


def main() -> None:
    """Prints each figure with its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="packages-") as work:
        for figure in figures(asked.packages.resolve(), Path(work), asked.times):
            least, middle = figure.shown(min(figure.samples)), figure.shown(figure.median)
            target = f"; target {figure.shown(figure.target)}" if figure.target else ""
            note = f"; {figure.note}" if figure.note else ""
            print(f"{figure.what}: {middle} (least {least}{target}){note}")


if __name__ == "__main__":
    main()

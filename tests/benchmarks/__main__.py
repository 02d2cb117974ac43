"""``python -m tests.benchmarks [name ...] [--json]``: measures, and prints a table.

Each benchmark makes what it needs in a scratch folder, and ends and deletes it afterwards. A benchmark that fails is
reported, and the others go on; the exit code is 1 then. A figure beyond its target is no failure: machines differ.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks import cycle, effect, plan, record, rest, rollback
from tests.benchmarks.measuring import Figure, machine
from tests.benchmarks.tables import peers_table, table

BENCHMARKS: dict[str, Callable[[Path], Iterator[Figure]]] = {
    "plan": plan.measure,
    "cycle": cycle.measure,
    "effect": effect.measure,
    "rest": rest.measure,
    "record": record.measure,
    "rollback": rollback.measure,
}


def main() -> int:
    """Runs the benchmarks that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}; none: all")
    parser.add_argument("--json", action="store_true", help="every sample, as JSON")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    on = machine()
    figures: list[Figure] = []
    failed = False
    for name in options.names or BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="gitopsd-benchmark-") as folder:
            Path(folder).chmod(0o755)
            try:
                for figure in BENCHMARKS[name](Path(folder)):
                    figures.append(figure)
                    print(f"  {figure.what}: {figure.shown(figure.median)}", file=sys.stderr, flush=True)
            except Exception:
                failed = True
                traceback.print_exc()
    command = " ".join(["python -m tests.benchmarks", *options.names])
    if options.json:
        data = {"command": command, "machine": on, "figures": [figure.data() for figure in figures]}
        print(json.dumps(data, indent=2))
    else:
        print(table(figures, on, command) + "\n" + peers_table())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

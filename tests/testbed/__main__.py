"""``python -m tests.testbed build | up [PART...] | down | status | env``."""

from __future__ import annotations

import argparse
import functools
import os
import shlex
import sys
import time

from tests.testbed import proxies, testbed
from tests.testbed.ledger import Ledger
from tests.testbed.places import TestbedError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description="Real servers for tests.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("build", help="install Debian's parts and build the others, what is not there yet")
    up = verbs.add_parser("up", help="start the servers")
    up.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(testbed.PARTS)}; all but second if none")
    ensure = verbs.add_parser("ensure", help="start a part for a test session, if it is not up")
    ensure.add_argument("part")
    ensure.add_argument("session", type=int, metavar="PID", help="its process: once that has ended, so may the servers")
    verbs.add_parser("down", help="end the servers and undo every change to the machine")
    verbs.add_parser("status", help="what runs")
    verbs.add_parser("env", help="variables for tests, as shell commands")
    asked = parser.parse_args()
    began = time.monotonic()
    proxies.bypass(os.environ)
    try:
        _do(asked)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    if asked.verb in ("build", "up", "down"):
        print(f"testbed: {asked.verb} took {time.monotonic() - began:.1f} s", file=sys.stderr)
    return 0


def _do(asked: argparse.Namespace) -> None:
    match asked.verb:
        case "build":
            testbed.build(functools.partial(_tell, time.monotonic()))
        case "up":
            testbed.up(asked.parts or testbed.AT_ONCE)
        case "ensure":
            testbed.ensure(asked.part, session=asked.session)
        case "down":
            testbed.down()
        case "status":
            print("\n".join(testbed.status()))
        case _:
            for name, value in Ledger().offers().items():
                print(f"export {name}={shlex.quote(value)}")


def _tell(began: float, text: str) -> None:
    """With the time since the start, at once also where a log is read through a pipe."""
    print(f"testbed: {time.monotonic() - began:5.0f} s  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

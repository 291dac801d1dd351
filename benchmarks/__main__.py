"""`python -m benchmarks [--quick | --add] [NAME…]`: measure, print the table, write the page."""

from __future__ import annotations

import argparse
import datetime
import importlib
import sys
import time
import traceback

from benchmarks import report
from benchmarks.harness import Measure
from benchmarks.stage import Stage
from tests.services.warden import warden

FIGURES = (
    "deliveries",
    "saves",
    "latency",
    "hanging",
    "history",
    "backlog",
    "economy",
    "embedded",
    "rivals",
    "signing",
    "workers",
    "api_post",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--quick", action="store_true", help="one round of less; writes nothing")
    parser.add_argument(
        "--add", action="store_true", help="keep what was measured on other machines beside it"
    )
    given = parser.parse_args()
    if unknown := set(given.names) - set(FIGURES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    measures: list[Measure] = []
    failed = []
    about = ""
    try:
        with Stage(quick=given.quick) as stage:
            for name in given.names or FIGURES:
                started = time.monotonic()
                print(f"{name} …", end=" ", file=sys.stderr, flush=True)
                try:
                    measures += importlib.import_module(f"benchmarks.{name}").measure(stage)
                except Exception:
                    traceback.print_exc()
                    failed.append(name)
                print(f"{time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            if not given.quick and not given.names:
                today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
                about = report.machine(today, stage.postgres_version())
    finally:
        warden.close()
    measures.sort(key=lambda each: each.figure)
    print(report.table(measures))
    if failed:
        print(f"Could not be measured: {', '.join(failed)}.", file=sys.stderr)
    elif about:
        report.write(measures, about, add=given.add)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench`: run the benchmarks and print their table. Always ends with 0.

A benchmark informs, it does not judge: a slow machine is no failure. Limits stand in the docs.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from bench import creates, lists, start_up, validation
from bench.measure import Report, Scale, Unmeasurable, as_json, table

BENCHMARKS = {
    "start_up": start_up.run,
    "validation": validation.run,
    "lists": lists.run,
    "creates": creates.run,
}


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes and three turns")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--turns", type=int, help="turns of each pair (5; quick: 3)")
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="may be repeated")
    chosen = parser.parse_args()

    scale = Scale(3, 500, 100, 100_000) if chosen.quick else Scale(5, 10_000, 1_000, 1_000_000)
    if chosen.turns:
        scale = replace(scale, turns=chosen.turns)
    reports = []
    for name in chosen.only or BENCHMARKS:
        print(f"measuring {name} …", file=sys.stderr)
        try:
            reports.append(BENCHMARKS[name](scale))
        except Unmeasurable as finding:
            reports.append(Report(f"{name}: not measured", [], [str(finding)]))
    print(as_json(reports) if chosen.json else table(reports))


if __name__ == "__main__":
    main()

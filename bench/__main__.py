"""`python -m bench`: run the benchmarks and print their table. Always ends with 0.

A benchmark informs, it does not judge: a slow machine is no failure, and a limit that was missed is
said in the table.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench import creates, lists, sending, side_by_side, start_up, state, unchanged, validation
from bench.measure import Report, Scale, Unmeasurable
from bench.tables import as_json, as_markdown, put_into, read, table

BENCHMARKS = {
    "start_up": start_up.run,
    "validation": validation.run,
    "lists": lists.run,
    "state": state.run,
    "unchanged": unchanged.run,
    "creates": creates.run,
    "octodns": side_by_side.run,
    "script": sending.run,
}
WHOLE = Scale(turns=5, specs=10_000, creates=1_000, contacts=1_000_000)
QUICK = Scale(turns=3, specs=500, creates=100, contacts=100_000, zones=500, quick=True)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes and three turns")
    parser.add_argument("--turns", type=int, help="turns of each pair (5; quick: 3)")
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="may be repeated")
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="PYTHON",
        help="interpreter of the environment with requirements/bench.txt",
    )
    parser.add_argument(
        "--from",
        dest="earlier",
        type=Path,
        action="append",
        metavar="FILE",
        help="measure nothing: print what --json wrote earlier (may be repeated)",
    )
    layout = parser.add_mutually_exclusive_group()
    layout.add_argument("--json", action="store_const", const=as_json, dest="layout")
    layout.add_argument("--markdown", action="store_const", const=as_markdown, dest="layout")
    layout.add_argument(
        "--into", type=Path, metavar="FILE", help="put the figures into this Markdown document"
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the JSON too, for --from")
    chosen = parser.parse_args()
    if chosen.into:
        put_into(chosen.into.read_text("utf-8"), [])  # fails now rather than in twenty minutes

    if chosen.earlier:
        reports = [report for file in chosen.earlier for report in read(file.read_text("utf-8"))]
    else:
        scale = replace(QUICK if chosen.quick else WHOLE, beside=chosen.beside)
        if chosen.turns:
            scale = replace(scale, turns=chosen.turns)
        reports = [_measured(name, scale) for name in chosen.only or BENCHMARKS]
    if chosen.save:
        chosen.save.write_text(as_json(reports), "utf-8")
    if chosen.into:
        document = put_into(chosen.into.read_text("utf-8"), reports)
        chosen.into.write_text(document, "utf-8")
    else:
        print((chosen.layout or table)(reports))


def _measured(name: str, scale: Scale) -> Report:
    start = time.monotonic()
    try:
        report = BENCHMARKS[name](scale)
    except Unmeasurable as finding:
        report = Report(f"{name}: not measured", [], [str(finding)])
    print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    return report


if __name__ == "__main__":
    main()

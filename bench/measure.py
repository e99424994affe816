"""Measuring on a noisy machine: pairs that ran next to each other, and the median of their ratios.

An absolute time says more about the machine than about the program. So each benchmark measures a
limit too (an interpreter that does nothing, a bare parser, a server's latency), takes turns between
the two, divides within each turn and reports the middle ratio with the extremes beside it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PYTHON = sys.executable
RECONCILER = str(Path(sys.executable).with_name("reconciler"))


class Unmeasurable(Exception):  # noqa: N818 - no error of ours, but a finding
    """What was to be measured did not do its work, so that its time means nothing."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much to measure: turns of each pair, spec files to validate, batches to create.

    `contacts` are those of the list that is read.
    """

    turns: int
    specs: int
    creates: int
    contacts: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """One line of the table: `subject` took `median` times what `limit` took."""

    subject: str
    limit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the ratios of all turns."""
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True)
class Report:
    """What one benchmark found; `notes` are absolute figures, for orientation only."""

    title: str
    ratios: Sequence[Ratio]
    notes: Sequence[str] = field(default=())


def in_turns(turns: int, subjects: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Run every subject once in each turn and give their measurements, in order of the turns.

    The first turn is thrown away: it fills caches of the disk and writes bytecode.
    """
    measured: dict[str, list[float]] = {name: [] for name in subjects}
    for turn in range(turns + 1):
        for name, subject in subjects.items():
            value = subject()
            if turn:
                measured[name].append(value)
    return measured


def ratio(subject: str, limit: str, measured: Mapping[str, Sequence[float]]) -> Ratio:
    """Divide a subject's measurements by its limit's, turn by turn."""
    pairs = zip(measured[subject], measured[limit], strict=True)
    return Ratio(subject, limit, tuple(mine / theirs for mine, theirs in pairs))


def seconds(command: Sequence[str], env: Mapping[str, str]) -> float:
    """Time a command from start to exit; raise Unmeasurable if it fails."""
    start = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    took = time.perf_counter() - start
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-500:]
        raise Unmeasurable(f"{' '.join(command)}\nended with {done.returncode}:\n{said}")
    return took


def environment(url: str = "http://127.0.0.1:9/api/v1") -> dict[str, str]:
    """Give an environment in which no real account, proxy or terminal plays a part."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GRAINE_") and not name.lower().endswith("_proxy")
    }
    return kept | {"GRAINE_API_KEY": "gat_bench", "GRAINE_API_URL": url, "NO_COLOR": "1"}


def peak_memory() -> float:
    """Give the most memory this process has held so far, in MB.

    From the kernel's own mark for this program where there is one: what getrusage gives begins with
    what the process that started us held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource  # noqa: PLC0415 - absent on Windows, needed only where /proc is

    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def table(reports: Sequence[Report]) -> str:
    """Lay out all ratios for people; smaller is better, 1 is the limit."""
    if not any(report.ratios for report in reports):
        return "\n".join(line for r in reports for line in (r.title, *r.notes))
    rows = [(r.subject, r.limit, r.values, r.median) for report in reports for r in report.ratios]
    wide = max(len(row[0]) for row in rows)
    against = max(len(row[1]) for row in rows)
    head = (
        f"{'measured':<{wide}}  {'against':<{against}}  {'median':>7} {'min':>7} {'max':>7}  turns"
    )
    lines = [head, "-" * len(head)]
    lines += [
        f"{subject:<{wide}}  {limit:<{against}}  {median:>7.2f} {min(values):>7.2f}"
        f" {max(values):>7.2f}  {len(values):>5}"
        for subject, limit, values, median in rows
    ]
    for report in reports:
        lines += ["", report.title, *(f"  {note}" for note in report.notes)]
    return "\n".join(lines)


def as_json(reports: Sequence[Report]) -> str:
    """Give all ratios and notes for programs."""
    document: list[dict[str, Any]] = [
        {
            "title": report.title,
            "notes": list(report.notes),
            "ratios": [
                {
                    "measured": r.subject,
                    "against": r.limit,
                    "median": r.median,
                    "min": min(r.values),
                    "max": max(r.values),
                    "values": list(r.values),
                }
                for r in report.ratios
            ],
        }
        for report in reports
    ]
    return json.dumps({"python": sys.version.split()[0], "reports": document}, indent=2)

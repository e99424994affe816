"""A very long contact list, against a bare pass of the csv module over the same file.

What is measured begins with the file and ends with what can be sent: every number and name
checked, no number twice, the digest known, the contacts written down as the request's JSON, in the
order of their numbers. Each measurement is taken inside a fresh process, imports left out; the peak
of memory is what that process held above what it held before. The same list with every cell in
quotes shows what the csv module costs where nothing is plain.
"""

from __future__ import annotations

import csv
import gc
import hashlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import PYTHON, Ratio, Report, Scale, Unmeasurable, peak_memory

BARE, STREAMED = "bare csv.reader pass", "read_stream"
_TIMES = 5
"""How much longer the second list is, whose peak of memory should be the same."""
_PLANS = ("Basic Health", "Family Floater", "Senior Care", "Critical Illness Plus")
_NAMES = ("Rajesh Sharma", "Priya Iyer", "Anjali Patel", "Vikram Khan", "Meera Reddy", "Zoë Kaur")


def write_list(path: Path, contacts: int, *, quoted: bool = False) -> int:
    """Write a list of as many contacts, in no order, and give its size in bytes.

    A contact takes about 62 bytes; one in ten has an empty cell.
    """
    chance = random.Random(20_260_512)  # noqa: S311 - nobody guards anything with this
    # A step that has no divisor in common with the range: each number once, in no order.
    start, step, numbers = 6_000_000_000, 7_368_787, 3_999_999_999
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(
            file,
            quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL,
            lineterminator="\n",
        )
        writer.writerow(["phone_number", "callee_name", "current_plan", "renewal_date", "premium"])
        for index in range(contacts):
            number = start + index * step % numbers
            writer.writerow(
                [
                    f"+91{number}",
                    chance.choice(_NAMES),
                    chance.choice(_PLANS) if index % 10 else "",
                    f"2036-{chance.randrange(1, 13):02d}-15",
                    f"{chance.randrange(5_000, 90_000)}.00",
                ]
            )
    return path.stat().st_size


def read_bare(path: Path) -> int:
    """Pass over all rows, keeping none; give the number of contacts."""
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def read_streamed(path: Path) -> int:
    """Read, check, sort, write down and digest a list; give the number of contacts."""
    from reconciler.spec.csv_stream import read_stream  # noqa: PLC0415 - not part of the other
    from reconciler.spec.list_model import ContactsFile  # noqa: PLC0415 - as above

    gc.disable()  # as load_specs does
    with path.open("rb") as file:
        contacts = read_stream(file, ContactsFile(file="list.csv"))
    sha = hashlib.sha256()
    for piece in contacts.canonical():
        sha.update(piece)
    return len(contacts)


_SUBJECTS = {BARE: read_bare, STREAMED: read_streamed}


def run(scale: Scale) -> Report:
    """Measure."""
    lists = {
        "list": (scale.contacts, False),
        "quoted": (scale.contacts, True),
        "long": (scale.contacts * _TIMES, False),
    }
    took: dict[tuple[str, str], list[float]] = {}
    peaks: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, (contacts, quoted) in lists.items():
            write_list(Path(directory, f"{name}.csv"), contacts, quoted=quoted)
        write_list(Path(directory, "one.csv"), 1)
        for turn in range(scale.turns + 1):
            for name, (contacts, _) in lists.items():
                for subject in _SUBJECTS:
                    answer = _in_a_fresh_process(subject, directory, name, expected=contacts)
                    if turn:  # the first turn filled the disk's cache
                        took.setdefault((name, subject), []).append(answer["seconds"])
                        peaks.setdefault((name, subject), []).append(answer["peak_mb"])
    ratios = [
        Ratio(f"{what} {contacts:,} contacts, digest and body", BARE, _divided(took, name))
        for name, what in (("list", "reading"), ("quoted", "reading, all cells quoted,"))
        for contacts in [lists[name][0]]
    ]
    peak = {name: statistics.median(peaks[name, STREAMED]) for name in lists}
    growth = zip(peaks["long", STREAMED], peaks["list", STREAMED], strict=True)
    ratios.append(
        Ratio(
            f"peak memory above start, {lists['long'][0]:,} contacts",
            f"the same, {scale.contacts:,} contacts",
            tuple(long / short for long, short in growth),
        )
    )
    mine, bare = (statistics.median(took["list", subject]) for subject in (STREAMED, BARE))
    notes = [f"{scale.contacts:,} contacts: {mine:.2f} s, {bare:.2f} s bare"]
    for name, (contacts, quoted) in lists.items():
        what = f"{contacts:,} contacts{', quoted' * quoted}"
        notes.append(f"peak above start, {what}: {peak[name]:.0f} MB")
    return Report("Lists", ratios, notes)


def _divided(took: dict[tuple[str, str], list[float]], name: str) -> tuple[float, ...]:
    pairs = zip(took[name, STREAMED], took[name, BARE], strict=True)
    return tuple(mine / bare for mine, bare in pairs)


def _in_a_fresh_process(
    subject: str, directory: str, name: str, *, expected: int
) -> dict[str, float]:
    done = subprocess.run(
        [PYTHON, "-m", "bench.lists", subject, directory, name],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise Unmeasurable(f"{subject} ended with {done.returncode}")
    answer: dict[str, float] = json.loads(done.stdout)
    if answer["contacts"] != expected:
        raise Unmeasurable(f"{subject} found {answer['contacts']} contacts of {expected}")
    return answer


def _measure_here(name: str, directory: str, which: str) -> None:
    subject = _SUBJECTS[name]
    subject(Path(directory, "one.csv"))  # imports what it needs
    before = peak_memory()
    start = time.perf_counter()
    contacts = subject(Path(directory, f"{which}.csv"))
    took = time.perf_counter() - start
    peak = peak_memory() - before
    print(json.dumps({"contacts": contacts, "seconds": took, "peak_mb": peak}))


if __name__ == "__main__":
    _measure_here(*sys.argv[1:])

"""A very long contact list, from its file to the server, as a spec that names it goes.

What is measured first begins with the files of a root and ends with what can be sent: the spec read
(`load_specs`), every number and name of its list checked, no number twice, the digest known, the
request's JSON written down. That stands beside a bare pass of the csv module over the same list.
Then that request is created (`HttpBatchApi.create`), beside httpx streaming the same body from a
file, by turns, to the same server. Each measurement is taken inside a fresh process, imports left
out; the peak of memory is what that process held above what it held before. The same list with
every cell in quotes shows what the csv module costs where nothing is plain.
"""

from __future__ import annotations

import csv
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import PYTHON, Ratio, Report, Scale, Unmeasurable, at_least, at_most, peak_memory
from bench.sink import draining

if TYPE_CHECKING:
    import httpx

    from reconciler.model import LongBody, Request

BARE, STREAMED = "bare csv.reader pass", "load_specs"
FILE, CREATED = "httpx, body from a file", "HttpBatchApi.create"
_SLOWER, _AS_FAST, _MOST_MEMORY, _MOST_GROWTH = 5.0, 0.9, 300.0, 1.5
_SENT = 9
"""How often each of the two sends the body, by turns, in one process."""
_KEY = "rk1_0"
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
    """Read the spec that names a list, and write its request's body; give how many contacts."""
    request, body = _read(path)
    with tempfile.TemporaryFile() as file:
        file.writelines(body)
    return len(request.contacts)


def _read(path: Path) -> tuple[Request, LongBody]:
    """Read the spec in the directory of a list; give its request, and that as it is sent."""
    from reconciler.apply.sending import long_body  # noqa: PLC0415 - not part of the other
    from reconciler.model import LongContacts  # noqa: PLC0415 - as above
    from reconciler.spec.load import load_specs  # noqa: PLC0415 - as above

    specs = load_specs(path.parent)
    if specs.diagnostics:
        raise Unmeasurable(specs.diagnostics[0].message)
    request = specs.specs[0].requests[0]
    if not isinstance(request.contacts, LongContacts):
        raise Unmeasurable("the list was not spooled")
    return request, long_body(dict(request.fields), request.contacts)


def send_by_turns(path: Path, url: str) -> dict[str, float]:
    """Send a list's request and the same body from a file, by turns; give the median seconds."""
    import httpx  # noqa: PLC0415 - as above

    from reconciler.api.client import HttpBatchApi  # noqa: PLC0415 - as above
    from reconciler.api.config import ApiConfig  # noqa: PLC0415 - as above
    from reconciler.observed import Created  # noqa: PLC0415 - as above

    class Clock:
        def now(self) -> datetime:
            return datetime.now(UTC)

        def elapsed(self) -> float:
            return time.monotonic()

    _, body = _read(path)
    written = path.with_name("body.json")
    with written.open("wb") as out:
        out.writelines(body)
    config = ApiConfig(url=url, token="gat_bench", timeout=600, organization_id=None)  # noqa: S106 - nobody's
    took: dict[str, list[float]] = {FILE: [], CREATED: []}
    with (
        HttpBatchApi(config, clock=Clock()) as api,
        httpx.Client(timeout=600, trust_env=False) as client,
    ):
        for turn in range(_SENT + 1):
            start = time.perf_counter()
            with written.open("rb") as file:
                _require_ok(client.post(f"{url}/batches/", content=file))
            between = time.perf_counter()
            if not isinstance(api.create(body, _KEY), Created):
                raise Unmeasurable("the create did not succeed")
            end = time.perf_counter()
            if turn:  # the first opened the connections
                took[FILE].append(between - start)
                took[CREATED].append(end - between)
    return {name: statistics.median(values) for name, values in took.items()}


def _require_ok(response: httpx.Response) -> None:
    if response.status_code != 200:
        raise Unmeasurable(f"the sink answered {response.status_code}")


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
    sent: dict[str, list[float]] = {FILE: [], CREATED: []}
    with tempfile.TemporaryDirectory() as directory, draining() as url:
        for name, (contacts, quoted) in lists.items():
            _make_root(Path(directory, name), contacts, quoted=quoted)
        # Long enough to be spooled, so that all is imported before anything is timed.
        _make_root(Path(directory, "first"), 20_000)
        for turn in range(scale.turns + 1):
            for name, (contacts, _) in lists.items():
                for subject in _SUBJECTS:
                    answer = _in_a_fresh_process(subject, directory, name)
                    if answer["contacts"] != contacts:
                        raise Unmeasurable(f"{subject} found {answer['contacts']} contacts")
                    if turn:  # the first turn filled the disk's cache
                        took.setdefault((name, subject), []).append(answer["seconds"])
                        peaks.setdefault((name, subject), []).append(answer["peak_mb"])
            answer = _in_a_fresh_process(CREATED, directory, "list", url)
            if turn:
                sent[FILE].append(answer[FILE])
                sent[CREATED].append(answer[CREATED])
    ratios = [
        Ratio(
            f"{what} {lists[name][0]:,} contacts, digest and body",
            BARE,
            _divided(took[name, STREAMED], took[name, BARE]),
            limit,
        )
        for name, what, limit in (
            ("list", "reading", at_most(_SLOWER)),
            ("quoted", "reading, all cells quoted,", None),
        )
    ]
    ratios += [
        Ratio(
            f"speed of sending {scale.contacts:,} contacts",
            FILE,
            _divided(sent[FILE], sent[CREATED]),
            at_least(_AS_FAST),
        ),
        *(
            Ratio(
                f"peak memory above start, {lists[name][0]:,} contacts",
                "MB",
                tuple(peaks[name, STREAMED]),
                at_most(_MOST_MEMORY),
            )
            for name in ("list", "long")
        ),
        Ratio(
            f"peak memory above start, {lists['long'][0]:,} contacts",
            f"the same, {scale.contacts:,} contacts",
            _divided(peaks["long", STREAMED], peaks["list", STREAMED]),
        ),
    ]
    mine, bare = (statistics.median(took["list", subject]) for subject in (STREAMED, BARE))
    ours, theirs = (statistics.median(sent[name]) for name in (CREATED, FILE))
    notes = [
        f"{scale.contacts:,} contacts: read in {mine:.2f} s, {bare:.2f} s bare",
        f"sent in {ours:.2f} s, {theirs:.2f} s from a file",
    ]
    return Report("Lists", ratios, notes)


def _make_root(root: Path, contacts: int, *, quoted: bool = False) -> None:
    """Make a directory with a spec and the list it names."""
    root.mkdir()
    write_list(root / "list.csv", contacts, quoted=quoted)
    spec = "campaign_id: cmp_000000\ncontacts: {file: list.csv}\n"
    (root / "batch.yaml").write_text(spec, "utf-8")


def _divided(ones: list[float], others: list[float]) -> tuple[float, ...]:
    return tuple(one / other for one, other in zip(ones, others, strict=True))


def _in_a_fresh_process(subject: str, directory: str, name: str, url: str = "") -> dict[str, float]:
    done = subprocess.run(
        [PYTHON, "-m", "bench.lists", subject, directory, name, url],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise Unmeasurable(f"{subject} ended with {done.returncode}")
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def _measure_here(name: str, directory: str, which: str, url: str) -> None:
    path = Path(directory, which, "list.csv")
    if name == CREATED:
        print(json.dumps(send_by_turns(path, url)))
        return
    subject = _SUBJECTS[name]
    subject(Path(directory, "first", "list.csv"))  # imports what it needs
    before = peak_memory()
    start = time.perf_counter()
    contacts = subject(path)
    took = time.perf_counter() - start
    peak = peak_memory() - before
    print(json.dumps({"contacts": contacts, "seconds": took, "peak_mb": peak}))


if __name__ == "__main__":
    _measure_here(*sys.argv[1:])

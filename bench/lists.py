"""A very long contact list, from its file to the server, as a spec that names it goes.

What is measured first begins with the files of a root and ends with what can be sent: the spec read
(`load_specs`), every number and name of its list checked, no number twice, the digest known, the
request's JSON written down. That stands beside a bare pass of the csv module over the same list.
Then that request is created (`HttpBatchApi.create`), beside httpx streaming the same body from a
file, by turns, to the same server. Each measurement is taken inside a fresh process, imports left
out; the peak of memory is what that process held above what it held before. The same list with
every cell in quotes shows what the csv module costs where nothing is plain; the same contacts in
JSONL and in Parquet stand beside the same bare pass, so that all formats can be compared.
"""

from __future__ import annotations

import csv
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import (
    Ratio,
    Report,
    Scale,
    Unmeasurable,
    at_least,
    at_most,
    divided,
    peak_memory,
)
from bench.processes import in_a_fresh_process
from bench.sink import draining

if TYPE_CHECKING:
    import httpx

    from reconciler.model import LongBody, Request

BARE, STREAMED = "bare csv.reader pass", "load_specs"
FILE, CREATED = "httpx, body from a file", "HttpBatchApi.create"
_SLOWER, _AS_FAST, _MOST_MEMORY = 5.0, 0.9, 300.0
_SENT = 9
"""How often each of the two sends the body, by turns, in one process."""
_KEY = "rk1_0"
_TIMES = 5
"""How much longer the second list is, whose peak of memory should be the same."""
_HEADERS = ("phone_number", "callee_name", "current_plan", "renewal_date", "premium")
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
        writer.writerow(_HEADERS)
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


def write_as_jsonl(path: Path) -> None:
    """Write a list's contacts beside it in JSONL, leaving empty cells out."""
    with (
        path.open(encoding="utf-8", newline="") as file,
        path.with_suffix(".jsonl").open("w", encoding="utf-8") as out,
    ):
        for row in csv.DictReader(file):
            said = {name: cell for name, cell in row.items() if cell}
            out.write(json.dumps(said, ensure_ascii=False) + "\n")


def write_as_parquet(path: Path) -> None:
    """Write a list's contacts beside it in Parquet, as texts, empty cells as nulls."""
    import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415 - no types; not measured
    from pyarrow import csv as arrow_csv  # noqa: PLC0415 - as above
    from pyarrow import parquet  # noqa: PLC0415 - as above

    texts = dict.fromkeys(_HEADERS, pa.string())
    options = arrow_csv.ConvertOptions(column_types=texts, strings_can_be_null=True)
    # As most programs do: what is up to about a million rows is one group.
    parquet.write_table(
        arrow_csv.read_csv(path, convert_options=options), path.with_suffix(".parquet")
    )


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
_FORMATS = {"csv": lambda _path: None, "jsonl": write_as_jsonl, "parquet": write_as_parquet}


@dataclass(frozen=True, slots=True)
class _List:
    """A list that is measured. A list that is not in CSV is only read as a spec's."""

    contacts: int
    form: str = "csv"
    quoted: bool = False

    @property
    def subjects(self) -> list[str]:
        """What it is measured with."""
        return [BARE, STREAMED] if self.form == "csv" else [STREAMED]


def run(scale: Scale) -> Report:
    """Measure."""
    lists = {
        "list": _List(scale.contacts),
        "quoted": _List(scale.contacts, quoted=True),
        "jsonl": _List(scale.contacts, "jsonl"),
        "parquet": _List(scale.contacts, "parquet"),
        "long": _List(scale.contacts * _TIMES),
    }
    took: dict[tuple[str, str], list[float]] = {}
    peaks: dict[str, list[float]] = {}
    sent: dict[str, list[float]] = {FILE: [], CREATED: []}
    with tempfile.TemporaryDirectory() as directory, draining() as url:
        for name, one in lists.items():
            _make_root(Path(directory, name), one)
        for form in _FORMATS:
            # Long enough to be spooled, so that all is imported before anything is timed.
            _make_root(Path(directory, f"first_{form}"), _List(20_000, form))
        for turn in range(scale.turns + 1):
            for name, one in lists.items():
                for subject in one.subjects:
                    answer = _measured(subject, directory, name, one)
                    if turn:  # the first turn filled the disk's cache
                        took.setdefault((name, subject), []).append(answer["seconds"])
                        if subject == STREAMED:
                            peaks.setdefault(name, []).append(answer["peak_mb"])
            answer = in_a_fresh_process("bench.lists", CREATED, directory, "list", "csv", url)
            if turn:
                sent[FILE].append(answer[FILE])
                sent[CREATED].append(answer[CREATED])
    ratios = [*_times(scale.contacts, took), *_peaks(lists, peaks)]
    ratios.insert(2, _speed(scale.contacts, sent))
    mine, bare = (statistics.median(took["list", subject]) for subject in (STREAMED, BARE))
    ours, theirs = (statistics.median(sent[name]) for name in (CREATED, FILE))
    others = ", ".join(
        f"{what} {statistics.median(took[form, STREAMED]):.2f} s" for form, what in _OTHERS.items()
    )
    notes = [
        f"{scale.contacts:,} contacts: read in {mine:.2f} s, {bare:.2f} s bare; {others}",
        f"sent in {ours:.2f} s, {theirs:.2f} s from a file",
    ]
    return Report("Lists", ratios, notes)


_OTHERS = {"jsonl": "JSONL", "parquet": "Parquet"}


def _times(contacts: int, took: dict[tuple[str, str], list[float]]) -> list[Ratio]:
    """Compare reading with the bare pass, that of other formats with the one over the same CSV."""
    rows = [("list", "reading", at_most(_SLOWER)), ("quoted", "reading, all cells quoted,", None)]
    rows += [(form, f"reading {what},", None) for form, what in _OTHERS.items()]
    return [
        Ratio(
            f"{what} {contacts:,} contacts, digest and body",
            BARE,
            divided(took[name, STREAMED], took["list" if name in _OTHERS else name, BARE]),
            limit,
        )
        for name, what, limit in rows
    ]


def _speed(contacts: int, sent: dict[str, list[float]]) -> Ratio:
    """Compare the speed of sending."""
    speeds = divided(sent[FILE], sent[CREATED])
    return Ratio(f"speed of sending {contacts:,} contacts", FILE, speeds, at_least(_AS_FAST))


def _peaks(lists: dict[str, _List], peaks: dict[str, list[float]]) -> list[Ratio]:
    """Give what reading held, and how that grows with the list."""
    short, long = (f"{lists[name].contacts:,} contacts" for name in ("list", "long"))
    rows = {"list": short, "long": long}
    rows |= {form: f"{short} in {what}" for form, what in _OTHERS.items()}
    return [
        *(
            Ratio(
                f"peak memory above start, {what}", "MB", tuple(peaks[name]), at_most(_MOST_MEMORY)
            )
            for name, what in rows.items()
        ),
        Ratio(
            f"peak memory above start, {long}",
            f"the same, {short}",
            divided(peaks["long"], peaks["list"]),
        ),
    ]


def _make_root(root: Path, one: _List) -> None:
    """Make a directory with a spec and the list it names."""
    root.mkdir()
    path = root / "list.csv"
    write_list(path, one.contacts, quoted=one.quoted)
    _FORMATS[one.form](path)
    spec = f"campaign_id: cmp_000000\ncontacts: {{file: list.{one.form}}}\n"
    (root / "batch.yaml").write_text(spec, "utf-8")


def _measured(subject: str, directory: str, name: str, one: _List) -> dict[str, float]:
    answer = in_a_fresh_process("bench.lists", subject, directory, name, one.form, "")
    if answer["contacts"] != one.contacts:
        raise Unmeasurable(f"{subject} found {answer['contacts']} contacts")
    return answer


def _measure_here(name: str, directory: str, which: str, form: str, url: str) -> None:
    path = Path(directory, which, "list.csv")
    if name == CREATED:
        print(json.dumps(send_by_turns(path, url)))
        return
    subject = _SUBJECTS[name]
    subject(Path(directory, f"first_{form}", "list.csv"))  # imports what it needs
    before = peak_memory()
    start = time.perf_counter()
    contacts = subject(path)
    took = time.perf_counter() - start
    peak = peak_memory() - before
    print(json.dumps({"contacts": contacts, "seconds": took, "peak_mb": peak}))


if __name__ == "__main__":
    _measure_here(*sys.argv[1:])

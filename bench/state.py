"""Recorded state of a large root: read, checked and written, beside orjson alone on the same file.

What every reader and writer of this JSON must pay is `orjson.loads` and `orjson.dumps` (indented
and sorted, as the file is). What comes above 1 is ours: typed records, no word that is said twice
or that nobody knows, records that contradict each other. Saving is the whole: the file is compared
with what was read, written beside the old one, synced, renamed. Each measurement is taken inside a
fresh process, imports left out.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Ratio, Report, Scale, at_most, divided, in_turns, peak_memory
from bench.processes import in_a_fresh_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.state.document import NameRecord, State

BATCHES, FEWER = 100_000, 10_000
RECORDED = 1_000
"""Batches that a run records, one by one."""
BARE, CODEC = "orjson.loads + orjson.dumps", "decode + encode"
FILE, STORE = "the same with a synced file", "load and save"
_MOST = 4.0


def record_of(index: int) -> NameRecord:
    """Give what is recorded of a batch that was created and has not changed since."""
    from reconciler.model import Lifecycle  # noqa: PLC0415 - not part of what is measured elsewhere
    from reconciler.state import document  # noqa: PLC0415 - likewise

    at = datetime(2036, 5, 12, 3, 30, tzinfo=UTC) + timedelta(milliseconds=37 * index)
    name = hashlib.sha256(str(index).encode()).hexdigest()
    request = document.RequestRecord(
        part=1,
        key=f"rk1_{name[:40]}",
        status=document.Status.CREATED,
        digest=f"v1:{name}",
        contacts=20,
        attempt=1,
        first_attempted_at=at,
        attempted_at=at,
        run=name[-12:],
        batch_id=f"bat_{name[:24]}",
        recorded_at=at + timedelta(seconds=1),
        recorded_by=document.RecordedBy.CREATED,
    )
    campaign = f"cmp_{index % 10:06d}"
    generation = document.Generation(
        generation=1,
        campaign_id=campaign,
        fields={
            "campaign_id": campaign,
            "concurrency_limit": 10,
            "metadata": {"source": "crm-export", "team": "renewals"},
            "scheduled_start": "2036-05-12T09:00:00",
        },
        source=document.Source(path=f"{index:06d}.yaml", commit=name[:40], blob=name[-40:]),
        requests=(request,),
    )
    return document.NameRecord(generations=(generation,), lifecycle=Lifecycle.ACTIVE)


def make(path: Path, batches: str) -> dict[str, float]:
    """Write the file of a root with so many batches, as the tool does."""
    from reconciler.state import codec, document  # noqa: PLC0415 - likewise

    records = {f"{index:06d}": record_of(index) for index in range(int(batches))}
    state = document.State(lineage="0" * 32, serial=1, batches=records)
    path.write_bytes(codec.encode(state))
    return {}


def bare(path: Path) -> dict[str, float]:
    """Read and write the file's JSON, believing everything."""
    import orjson  # noqa: PLC0415 - likewise

    data = path.read_bytes()
    held, start = peak_memory(), time.perf_counter()
    document = orjson.loads(data)
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    return _answer(start, held, same=text == data[:-1])


def typed(path: Path) -> dict[str, float]:
    """Read, check and write the state with one batch more, then with many more, one by one."""
    from reconciler.state.codec import Encoder  # noqa: PLC0415 - likewise

    data, one = path.read_bytes(), record_of(10**6)
    held, start = peak_memory(), time.perf_counter()
    encoder = Encoder()
    state = encoder.decode(data, where="state.json")
    text = encoder.encode(state.with_record("one more", one))
    answer = _answer(start, held, same=len(text) > len(data))
    record = record_of(1)
    start = time.perf_counter()
    for index in range(RECORDED):
        state = _with(state, f"more/{index}", record)
    return answer | {"recording": time.perf_counter() - start}


def _with(state: State, name: str, record: NameRecord) -> State:
    """Record a batch as a run does."""
    return state.with_request(name, record.current, record.current.requests[0])


def orjson_file(path: Path) -> dict[str, float]:
    """Do what has to be done to a file of that size in any case."""
    import os  # noqa: PLC0415 - here only

    import orjson  # noqa: PLC0415 - likewise

    held, start = peak_memory(), time.perf_counter()
    document = orjson.loads(path.read_bytes())
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    beside = path.with_name("beside")
    with beside.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    answer = _answer(start, held, same=True)
    beside.unlink()
    return answer


def store(path: Path) -> dict[str, float]:
    """Load and save with the store, one batch more than before."""
    from reconciler.state.file import FileStore  # noqa: PLC0415 - likewise
    from reconciler.system import RandomIds  # noqa: PLC0415 - likewise

    copied = Path(shutil.copy(path, path.with_name("copied.json")))
    one, name = record_of(10**6), "one more"
    held, start = peak_memory(), time.perf_counter()
    states = FileStore(copied, ids=RandomIds())
    state = states.load()
    states.save(state.with_record(name, one), touched=frozenset({name}), why="")
    return _answer(start, held, same=copied.stat().st_size > path.stat().st_size)


def _answer(start: float, held: float, *, same: bool) -> dict[str, float]:
    took = time.perf_counter() - start
    if not same:
        raise SystemExit("what was written is not what was read")
    return {"seconds": took, "peak_mb": peak_memory() - held}


_SUBJECTS: dict[str, Callable[..., dict[str, float]]] = {
    "make": make,
    BARE: bare,
    CODEC: typed,
    FILE: orjson_file,
    STORE: store,
}


def run(scale: Scale) -> Report:
    """Measure."""
    batches = FEWER if scale.quick else BATCHES
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory, "state.json"))
        in_a_fresh_process("bench.state", "make", path, str(batches))
        size = Path(path).stat().st_size
        answers = in_turns(
            scale.turns,
            {
                name: partial(in_a_fresh_process, "bench.state", name, path)
                for name in (BARE, CODEC, FILE, STORE)
            },
        )

    def figures(name: str, figure: str) -> list[float]:
        return [answer[figure] for answer in answers[name]]

    def against(mine: str, theirs: str, figure: str) -> tuple[float, ...]:
        return divided(figures(mine, figure), figures(theirs, figure))

    what = f"state of {batches:,} batches"
    recording = statistics.median(figures(CODEC, "recording")) * 1000
    return Report(
        "Recorded state",
        [
            Ratio(f"{what}: {CODEC}", BARE, against(CODEC, BARE, "seconds"), at_most(_MOST)),
            Ratio(f"{what}: {CODEC}, peak memory", BARE, against(CODEC, BARE, "peak_mb")),
            Ratio(f"{what}: {STORE}", FILE, against(STORE, FILE, "seconds")),
            Ratio(f"{what}: {STORE}, peak memory", FILE, against(STORE, FILE, "peak_mb")),
        ],
        [
            f"{size / 1e6:.0f} MB of JSON",
            *(
                f"{name}: {statistics.median(figures(name, 'seconds')):.2f} s,"
                f" {statistics.median(figures(name, 'peak_mb')):.0f} MB more at its peak"
                for name in answers
            ),
            f"recording {RECORDED:,} more batches there, one by one: {recording:.0f} ms",
        ],
    )


if __name__ == "__main__":
    print(json.dumps(_SUBJECTS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])))

"""Many creates at once, against what the API's latency allows.

With a latency of 50 ms and ten requests under way, a thousand creates cannot end before five
seconds. The create phase is timed by the server (first POST in, last answer out); the whole command
from its start to its exit. Two clients that post the same few bytes over and over, in ten threads,
take turns with the command: one of bare sockets, which shows how near to the ideal this server and
this machine let anybody come, and one of httpx, the library that the reconciler sends with.

The same is created once more in a root where very many batches are recorded already. A state is
stored as a whole, so there every intent waits for 50 MB to reach the disk.
"""

from __future__ import annotations

import http.client
import shutil
import statistics
import tempfile
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from bench.corpus import write_specs
from bench.measure import (
    RECONCILER,
    Ratio,
    Report,
    Scale,
    Unmeasurable,
    at_least,
    divided,
    environment,
    seconds,
)
from bench.server import serving, summary
from bench.unchanged import MANY, make, new

if TYPE_CHECKING:
    from collections.abc import Callable

LATENCY = 0.05
PARALLELISM = 10
BODY = b'{"campaign_id": "cmp_000000", "contacts": [{"phone_number": "+917000000000"}]}'


def run(scale: Scale) -> Report:
    """Measure."""
    ideal = scale.creates / PARALLELISM * LATENCY
    bare: list[float] = []
    bare_httpx: list[float] = []
    phase: list[float] = []
    whole: list[float] = []
    with tempfile.TemporaryDirectory() as directory, serving(LATENCY) as url:
        specs = Path(directory, "specs")
        write_specs(specs, specs=scale.creates, contacts=1)
        for turn in range(scale.turns):
            post_bare(url, scale.creates)
            bare.append(_phase(url, scale.creates))
            post_httpx(url, scale.creates)
            bare_httpx.append(_phase(url, scale.creates))
            batches = Path(directory, f"batches-{turn}")
            shutil.copytree(specs, batches)
            command = [RECONCILER, "--batches", str(batches), "apply", "--yes"]
            whole.append(seconds([*command, "--parallelism", str(PARALLELISM)], environment(url)))
            phase.append(_phase(url, scale.creates))
    what = f"{scale.creates:,} creates"
    limit = f"ideal at {LATENCY * 1000:.0f} ms, {PARALLELISM} at once"
    beside = []
    if not scale.quick:
        recorded = f"{what} beside {MANY:,} recorded batches: create phase"
        beside.append(Ratio(recorded, limit, beside_many(scale, ideal)))
    return Report(
        "Creates",
        [
            Ratio(f"{what}: bare sockets", limit, tuple(value / ideal for value in bare)),
            Ratio(f"{what}: bare httpx", limit, tuple(value / ideal for value in bare_httpx)),
            Ratio(f"{what}: create phase", limit, tuple(value / ideal for value in phase)),
            Ratio(f"{what}: whole command", limit, tuple(value / ideal for value in whole)),
            *beside,
            Ratio(
                f"{what}: rate of the create phase",
                "rate of bare httpx",
                divided(bare_httpx, phase),
                at_least(0.9),
            ),
        ],
        [
            f"ideal: {ideal:.2f} s",
            f"bare sockets: {ideal / statistics.median(bare):.0%} of the ideal rate",
            f"create phase: {ideal / statistics.median(phase):.0%} of the ideal rate",
        ],
    )


def beside_many(scale: Scale, ideal: float) -> tuple[float, ...]:
    """Create as many beside very many recorded ones, and divide each create phase by the ideal."""
    found: list[float] = []
    with tempfile.TemporaryDirectory() as directory, serving(LATENCY) as url:
        clone = Path(directory)
        make(clone, MANY)
        state = clone / "batches" / "state.json"
        recorded = state.read_bytes()
        command = [RECONCILER, "--batches", str(state.parent), "apply", "--yes"]
        with new(clone, scale.creates):
            for _ in range(scale.turns):
                seconds([*command, "--parallelism", str(PARALLELISM)], environment(url))
                found.append(_phase(url, scale.creates) / ideal)
                state.write_bytes(recorded)
    return tuple(found)


def post_bare(url: str, count: int) -> None:
    """Send the same body `count` times over as many connections as may be under way."""
    address = urlsplit(url)

    def work(more: Callable[[], bool]) -> None:
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        while more():
            connection.request("POST", f"{address.path}/batches/", BODY)
            connection.getresponse().read()
        connection.close()

    _in_threads(count, work)


def post_httpx(url: str, count: int) -> None:
    """Send the same with httpx: one client for all threads, as its documentation advises."""
    limits = httpx.Limits(max_connections=PARALLELISM, max_keepalive_connections=PARALLELISM)
    with httpx.Client(limits=limits, trust_env=False) as client:

        def work(more: Callable[[], bool]) -> None:
            while more():
                client.post(f"{url}/batches/", content=BODY).raise_for_status()

        _in_threads(count, work)


def _in_threads(count: int, work: Callable[[Callable[[], bool]], None]) -> None:
    """Run `work` in as many threads as requests may be under way; it asks before each one."""
    left = deque(range(count))

    def more() -> bool:
        try:
            left.pop()
        except IndexError:  # another thread took the last one
            return False
        return True

    threads = [threading.Thread(target=work, args=(more,)) for _ in range(PARALLELISM)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _phase(url: str, expected: int) -> float:
    """Give how long the server saw creates, having checked that it saw each exactly once."""
    seen = summary(url)
    if seen["created"] != expected or seen["most_at_once"] > PARALLELISM:
        what = f"{seen['created']} creates of {expected}, {seen['most_at_once']} at once"
        raise Unmeasurable(f"the server saw {what}")
    return float(seen["seconds"])

"""The ledger of calls: who was called by which launch, in keyed hashes, for as long as it counts.

A launch is a file beside the state, `ledger/<key of its request>.calls`: a line of JSON, a zero
byte (by which git takes it for binary), and a hash of eight bytes for each number, ascending. A
file of its own never meets another run's: what two runs recorded is what both of them wrote.

A hash is the beginning of an HMAC of the number: without the key nobody can go through all numbers
there are and see which of them were called. Among ten million of them one of a million others is
taken for another with odds of one to two million, and is then counted too often, never too seldom.
"""

from __future__ import annotations

import sys
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson
from msgspec import Struct

from reconciler.errors import Refused
from reconciler.values import shown_without

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

DIRECTORY = "ledger"
SUFFIX = ".calls"
FORMAT = "calls/1"
WIDTH = 8
"""Bytes of a hash."""
MOST = 10_000_000
"""Hashes that a ledger may hold: 80 MB, and no file of it over what git hosts take."""

_HEADER_ENDS = b"\n\0"
_LONGEST_HEADER = 1_000
_SLICE = 1 << 15
"""Hashes of a launch that are compared at a time."""
_SMALL = 1 << 10
"""Launches of so many people at most are looked up together …"""
_LOOKED_UP = 1_000_000
"""… as long as they are no more than so many people in all."""
_DENSE = 16
"""From so many times as many hashes on, each of ours is looked for, not each of theirs."""


class LedgerUnusable(Refused):
    """The ledger of calls cannot be trusted, so nobody can say how often somebody was called."""


class Launch(Struct, frozen=True):
    """Who is called by one request, from when on: `at` is aware; `hashes` are ascending."""

    request: str
    at: datetime
    hashes: array[int]

    def __repr__(self) -> str:
        return shown_without(self, "hashes")


def name_of(request: str) -> str:
    """Give the name of a launch's file, below the ledger's directory."""
    return f"{request}{SUFFIX}"


def encode(launch: Launch, key_id: str) -> bytes:
    """Write a launch as its file. `key_id` tells the key of its hashes from others."""
    hashes = array("Q", launch.hashes)
    if sys.byteorder == "little":
        hashes.byteswap()
    body = hashes.tobytes()
    header = {
        "at": launch.at.astimezone(UTC).isoformat(),
        "format": FORMAT,
        "key": key_id,
        "people": len(hashes),
        "request": launch.request,
    }
    whole = {**header, "sha256": _checksum(header, body)}
    return orjson.dumps(whole) + _HEADER_ENDS + body


def _checksum(header: Mapping[str, Any], body: bytes) -> str:
    checked = sha256(orjson.dumps(header, option=orjson.OPT_SORT_KEYS))
    checked.update(body)
    return checked.hexdigest()


def decode(name: str, data: bytes, key_id: str | None) -> Launch:
    """Read a launch's file. With `key_id`, hashes of another key are refused.

    Raises `LedgerUnusable`.
    """
    header, separator, body = data.partition(_HEADER_ENDS)
    if not separator or len(header) > _LONGEST_HEADER:
        raise _unusable(name, "is no ledger of calls")
    try:
        said: dict[str, Any] = dict(orjson.loads(header))
        checksum = said.pop("sha256")
        form, key, request = (str(said[each]) for each in ("format", "key", "request"))
        at = datetime.fromisoformat(said["at"])
        people = int(said["people"])
    except (ValueError, KeyError, TypeError):
        raise _unusable(name, "is no ledger of calls") from None
    if form != FORMAT:
        raise _unusable(name, "is in a format that this version does not know")
    if name_of(request) != name or at.tzinfo is None:
        raise _unusable(name, "is not what its name says")
    if _checksum(said, body) != checksum or len(body) != WIDTH * people:
        raise _unusable(name, "is damaged or cut short")
    if key_id is not None and key != key_id:
        raise LedgerUnusable(
            f"the ledger of calls was written with another key than this: {DIRECTORY}/{name}",
            hint="set RECONCILER_LEDGER_KEY to the key it was written with; if that is lost: "
            "reconciler ledger rebuild",
        )
    hashes = array("Q", body)
    if sys.byteorder == "little":
        hashes.byteswap()
    if any(one >= other for one, other in pairwise(hashes)):
        raise _unusable(name, "is out of order")
    return Launch(request, at, hashes)


def _unusable(name: str, what: str) -> LedgerUnusable:
    return LedgerUnusable(
        f"{DIRECTORY}/{name} {what}",
        hint="bring it back from git, or make the ledger anew: reconciler ledger rebuild",
    )


class CallLedger:
    """All launches that still count. Safe to use in several threads at once."""

    def __init__(self, launches: Iterable[Launch] = ()) -> None:
        self._launches: dict[str, Launch] = {}
        self._large: dict[str, Launch] = {}
        self._small: dict[int, list[Launch]] = {}
        self._looked_up = 0
        self._lock = threading.Lock()
        for launch in launches:
            self.put(launch)

    @classmethod
    def read(cls, files: Iterable[tuple[str, bytes]], key_id: str | None) -> CallLedger:
        """Read a ledger from its files, by name. Raises `LedgerUnusable`."""
        return cls(decode(name, data, key_id) for name, data in files)

    def __len__(self) -> int:
        """Count the hashes of all launches."""
        with self._lock:
            return sum(len(launch.hashes) for launch in self._launches.values())

    @property
    def launches(self) -> Mapping[str, Launch]:
        """All launches by their requests' keys, as they are now."""
        with self._lock:
            return dict(self._launches)

    def put(self, launch: Launch) -> None:
        """Add a launch, in the place of an earlier one of the same request."""
        with self._lock:
            self._drop(launch.request)
            self._launches[launch.request] = launch
            size = len(launch.hashes)
            if size > _SMALL or self._looked_up + size > _LOOKED_UP:
                self._large[launch.request] = launch
                return
            self._looked_up += size
            for each in launch.hashes:
                self._small.setdefault(each, []).append(launch)

    def drop(self, request: str) -> None:
        """Take a launch out, if it is there."""
        with self._lock:
            self._drop(request)

    def _drop(self, request: str) -> None:
        launch = self._launches.pop(request, None)
        if launch is None or self._large.pop(request, None) is not None:
            return
        self._looked_up -= len(launch.hashes)
        for each in launch.hashes:
            left = [other for other in self._small[each] if other is not launch]
            if left:
                self._small[each] = left
            else:
                del self._small[each]

    def older_than(self, moment: datetime) -> tuple[str, ...]:
        """Give the requests of launches that called before a moment."""
        return tuple(key for key, launch in self.launches.items() if launch.at < moment)

    def called(
        self,
        hashes: array[int],
        times: int,
        around: datetime,
        within: timedelta,
        besides: Container[str] = (),
    ) -> int:
        """Count who of some (ascending hashes) has a launch that often, `besides` left aside.

        Launches count that are no farther from `around` than `within`, before and after it: a batch
        that starts next week is recorded already.
        """

        def counts(launch: Launch) -> bool:
            return abs(launch.at - around) <= within and launch.request not in besides

        total = 0
        with self._lock:
            large = [launch for launch in self._large.values() if counts(launch)]
            for start in range(0, len(hashes), _SLICE):
                some = hashes[start : start + _SLICE]
                seen: Counter[int] = Counter()
                for launch in large:
                    seen.update(_common(some, launch.hashes))
                if self._small:
                    for each in some:
                        mine = sum(map(counts, self._small.get(each, ())))
                        if mine:
                            seen[each] += mine
                total += sum(count >= times for count in seen.values())
        return total


def _common(some: array[int], others: array[int]) -> Iterator[int] | set[int]:
    """Give what two ascending arrays have in common."""
    begin = bisect_left(others, some[0])
    end = bisect_right(others, some[-1], begin)
    if end - begin > _DENSE * len(some):
        return (
            each
            for each in some
            if (at := bisect_left(others, each, begin, end)) < end and others[at] == each
        )
    return set(some).intersection(others[begin:end])

"""Looking through a campaign for the batches of certain keys.

The list shows no metadata, so the key is read from each batch that may be the one: not yet known
to be another's, and not made before the key was first used. Times only say where to look first:
that a key is absent is never believed because of one, as clocks are wrong and times are told oddly.
What is learned of a batch never changes, so each is read once a run.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct, field

from reconciler.apply.concurrent import concurrently
from reconciler.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from reconciler.observed import Batch, Listing
    from reconciler.ports import BatchApi

SKEW = timedelta(hours=26)
"""How much too early a batch's time may be told: a local time that is called UTC, on a clock that
is off. Reading a day's batches more costs little beside calling people twice."""


class Wanted(Struct, frozen=True):
    """A key to look for. `since` is when it was first used, aware; None looks at every age.

    `witnesses` are ids of batches of about the same age that are known to exist in its campaign: a
    list without them (of another organisation, say, or of a stale copy) proves no absence. With
    `certain`, it is not absent before the batches of every age were read.
    """

    key: str
    campaign_id: str
    contacts: int
    since: datetime | None = None
    witnesses: frozenset[str] = frozenset()
    certain: bool = False


class Sighting(Struct, frozen=True):
    """What one look showed: see the fields of the same names in `reconciler.plan.facts.Facts`."""

    found: Mapping[str, tuple[Batch, ...]] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    suspects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str = ""


def may_be(batch: Batch, wanted: Wanted) -> bool:
    """Whether a batch can be the one that was made under a key, as far as its time tells.

    The count of contacts does not decide: an API that drops numbers says another count.
    """
    if wanted.since is None or batch.created_at is None:
        return True
    return batch.created_at >= wanted.since - SKEW


class Lookup:
    """Finds batches by key. `known` maps recorded batch ids to their keys (not read again)."""

    def __init__(
        self,
        api: BatchApi,
        known: Mapping[str, str],
        *,
        parallelism: int = 4,
        everywhere: Callable[[str], Listing] | None = None,
    ) -> None:
        """`everywhere` lists a campaign without the filter that `api` lists with, if it has one."""
        self._everywhere = everywhere
        self._api = api
        self._known = dict(known)
        self._parallelism = parallelism
        self._read: dict[str, Batch] = {}

    def look(self, campaign_id: str, wanted: Sequence[Wanted]) -> Sighting:
        """Look once through one campaign for all keys wanted there. Does not raise for the API."""
        sighting = self._look(self._api.listing, campaign_id, wanted)
        if self._everywhere is None or not sighting.absent:
            return sighting
        # Not in the organisation that is asked about is not the same as not there.
        return self._look(self._everywhere, campaign_id, wanted)

    def _look(
        self, listed: Callable[[str], Listing], campaign_id: str, wanted: Sequence[Wanted]
    ) -> Sighting:
        try:
            listing = listed(campaign_id)
            rows = self.unknown(listing.rows)
            first = [row for row in rows if row.key or any(may_be(row, each) for each in wanted)]
            read, unreadable = self.read(first)
            sighting = self._sighting(listing, read, unreadable, wanted)
            if any(each.certain and each.key in sighting.absent for each in wanted):
                # One that is listed and gone, and of another time at that, is not waited for.
                read, _ = self.read(rows)
                sighting = self._sighting(listing, read, unreadable, wanted)
        except ApiError as error:
            return Sighting(problem=error.message)
        return sighting

    def learn(self, batch_id: str, key: str) -> None:
        """Take note of a batch that this run came to know, so that it is not read again."""
        self._known[batch_id] = key

    def unknown(self, rows: Iterable[Batch]) -> list[Batch]:
        """Leave out the rows of batches that are recorded."""
        return [row for row in rows if row.batch_id not in self._known]

    def read(self, rows: Iterable[Batch]) -> tuple[list[Batch], bool]:
        """Read the metadata of listed batches; the flag tells that one could not be read.

        Raises `ApiError`.
        """
        todo = []
        result = []
        for row in rows:
            if row.key is not None:
                result.append(row)
            elif row.batch_id in self._read:
                result.append(self._read[row.batch_id])
            else:
                todo.append(row)
        fetched = concurrently(lambda row: self._api.batch(row.batch_id), todo, self._parallelism)
        unreadable = False
        for row, batch in zip(todo, fetched, strict=True):
            if batch is None:
                unreadable = True
                continue
            if batch.metadata is not None:
                self._read[row.batch_id] = batch
            result.append(batch)
        return result, unreadable

    def _sighting(
        self,
        listing: Listing,
        read: Sequence[Batch],
        unreadable: bool,  # noqa: FBT001 - private, and named at its one call
        wanted: Sequence[Wanted],
    ) -> Sighting:
        by_key: dict[str, list[Batch]] = defaultdict(list)
        mute = []
        for batch in read:
            if batch.key is not None:
                by_key[batch.key].append(batch)
            elif not batch.metadata:
                mute.append(batch)
        for row in listing.rows:
            key = self._known.get(row.batch_id)
            if key:
                by_key[key].append(row)
        suspects = {
            each.key: ids
            for each in wanted
            if (ids := tuple(b.batch_id for b in mute if _is_suspect(b, each)))
        }
        listed = {row.batch_id for row in listing.rows}
        lacking = any(not each.witnesses <= listed for each in wanted)
        whole = listing.complete and not unreadable and not lacking
        absent = {each.key for each in wanted if whole and each.key not in by_key}
        return Sighting(
            found={each.key: tuple(by_key[each.key]) for each in wanted if each.key in by_key},
            absent=frozenset(absent - set(suspects)),
            suspects=suspects,
            problem=""
            if whole
            else "the list of batches lacks one that is known to exist"
            if lacking
            else "the list of batches could not be read to its end",
        )


def _is_suspect(batch: Batch, wanted: Wanted) -> bool:
    """Whether a batch that shows no metadata may be the one in doubt.

    One without any field for it may be of any size. One whose metadata is empty was made by
    somebody else, as a rule: it is suspect only when it calls as many.
    """
    sizes = {None, wanted.contacts, batch.total_contacts if batch.metadata is None else None}
    return may_be(batch, wanted) and batch.total_contacts in sizes

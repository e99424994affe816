"""What a name's record says of batches that are paused, cancelled and replaced. Pure.

Each function gives the record after one thing that was begun or done; the recorder puts it in its
place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.model import Lifecycle
from reconciler.plan.history import cancelling
from reconciler.state.document import Replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping
    from datetime import datetime

    from reconciler.plan.actions import Replacement
    from reconciler.state.document import NameRecord, RequestRecord


def replacing_begun(
    record: NameRecord, replacement: Replacement, generation: int, now: datetime
) -> NameRecord:
    """Note that old batches are about to be paused for a new generation.

    What an earlier run had begun is gone on with: what that may have paused stays noted. A batch
    that was to be cancelled and is none of the old ones was seen ended.
    """
    olds = tuple(target.batch_id for target in replacement.olds)
    ending = {target.batch_id for target in cancelling(record)}
    record = cancelled(record, ending.difference(olds))
    earlier = record.replacing
    noted = set(earlier.paused) if earlier else set()
    by_lifecycle = record.lifecycle is Lifecycle.PAUSED
    replacing = Replacing(
        generation=generation,
        on_change=replacement.on_change,
        olds=olds,
        paused=tuple(each for each in olds if each in noted or not by_lifecycle),
        begun_at=earlier.begun_at if earlier else now,
    )
    return replace(record, replacing=replacing)


def with_not_owed(record: NameRecord, not_owed: Mapping[str, tuple[str, ...]]) -> NameRecord:
    """Note which contacts of old batches must not count as owed once those are cancelled."""
    return _with_requests(
        record, not_owed, lambda r: replace(r, not_owed=not_owed[r.batch_id or ""])
    )


def cancelling_begun(record: NameRecord, batch_ids: Iterable[str], now: datetime) -> NameRecord:
    """Note that batches are about to be cancelled by us."""
    return _with_requests(
        record,
        frozenset(batch_ids),
        lambda r: replace(r, cancelled_at=r.cancelled_at or now, cancelling=True),
    )


def cancelled(record: NameRecord, batch_ids: Iterable[str]) -> NameRecord:
    """Note that the API said of batches that they are cancelled."""
    return _with_requests(record, frozenset(batch_ids), lambda r: replace(r, cancelling=False))


def _with_requests(
    record: NameRecord,
    batch_ids: Container[str],
    change: Callable[[RequestRecord], RequestRecord],
) -> NameRecord:
    generations = tuple(
        replace(
            generation,
            requests=tuple(
                change(request) if request.batch_id in batch_ids else request
                for request in generation.requests
            ),
        )
        for generation in record.generations
    )
    return replace(record, generations=generations)


def disclaimed(record: NameRecord, batch_ids: Iterable[str]) -> NameRecord:
    """Note that it was not we who paused some of the batches noted for a replacement."""
    others = frozenset(batch_ids)
    if record.replacing is None or not others.intersection(record.replacing.paused):
        return record
    ours = tuple(each for each in record.replacing.paused if each not in others)
    return replace(record, replacing=replace(record.replacing, paused=ours))


def replacing_over(record: NameRecord) -> NameRecord:
    """Note that nothing of a replacement is left to be done, or to be undone."""
    return replace(record, replacing=None)


def taken_over(record: NameRecord) -> NameRecord:
    """Note that the new generation is there: its batches are calling, or about to."""
    return replace(record, lifecycle=Lifecycle.ACTIVE)


def with_lifecycle(record: NameRecord, lifecycle: Lifecycle) -> NameRecord:
    """Note what the batches of a name were made to do. What was only begun is over by it."""
    replacing = record.replacing
    if replacing is not None and replacing.generation > record.current.generation:
        replacing = None
    return replace(record, lifecycle=lifecycle, replacing=replacing, stopped=None)

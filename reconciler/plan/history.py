"""The batches that were made under one name, and what still lives of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.observed import TERMINAL
from reconciler.plan.actions import Target
from reconciler.plan.callees import Roll

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.observed import Batch, BatchContact
    from reconciler.state.document import NameRecord, RequestRecord


class Made(Struct, frozen=True):
    """A batch that exists by our record: of a request, or a second one of its key (`extra`)."""

    target: Target
    record: RequestRecord
    extra: bool = False

    @property
    def batch_id(self) -> str:
        """Its id."""
        return self.target.batch_id

    @property
    def cancelled(self) -> bool:
        """Whether we cancelled it, or set out to."""
        return self.extra or self.record.cancelled_at is not None

    @property
    def cancelling(self) -> bool:
        """Whether we set out to cancel it, and the API has not said yet that it is."""
        return self.record.cancelling and not self.extra


def made(record: NameRecord, before: int | None = None) -> Iterator[Made]:
    """Walk all batches of a name, those of the generations before one, the oldest first."""
    for generation in record.generations:
        if before is not None and generation.generation >= before:
            return
        for request in generation.requests:
            number, part = generation.generation, request.part
            for batch_id in request.duplicates:
                yield Made(Target(batch_id, number, part), request, extra=True)
            if request.batch_id is not None:
                yield Made(Target(request.batch_id, number, part), request)


def living(
    record: NameRecord,
    observed: Mapping[str, Batch | None],
    before: int | None = None,
) -> tuple[Target, ...]:
    """Give the batches that may still call: created, not cancelled by us, not seen ended or gone.

    One that we only set out to cancel is among them.

    `observed` is what the API says of batches, as far as it was asked; None says it has none such.
    """
    return tuple(
        each.target
        for each in made(record, before)
        if (each.cancelling or not each.cancelled) and not _ended(each.batch_id, observed)
    )


def is_cancelled(request: RequestRecord) -> bool:
    """Whether we cancelled a request's batch and the API has said so: it calls nobody any more."""
    return request.cancelled_at is not None and not request.cancelling


def cancelling(record: NameRecord) -> tuple[Target, ...]:
    """Give the batches that we set out to cancel, and that may still call for all we know."""
    return tuple(each.target for each in made(record) if each.cancelling)


def leftover(record: NameRecord) -> tuple[Target, ...]:
    """Give the batches whose place a newer one took, and that are still to be cancelled.

    Their generation must be whole: what is missing of it may be what they still hold.
    """
    replacing, current = record.replacing, record.current
    if replacing is None or replacing.generation != current.generation or current.in_doubt:
        return ()
    if len(current.requests) < (current.parts or 1):
        return ()
    return tuple(each.target for each in made(record) if each.batch_id in replacing.olds)


def _ended(batch_id: str, observed: Mapping[str, Batch | None]) -> bool:
    if batch_id not in observed:
        return False
    batch = observed[batch_id]
    return batch is None or batch.status in TERMINAL


def rolls(
    record: NameRecord,
    contacts: Mapping[str, tuple[BatchContact, ...] | None],
    before: int,
) -> tuple[Roll, ...]:
    """Give everyone in the batches before a generation, as far as the API tells.

    What is left over of an earlier change is cancelled before anything else is done.
    """
    left = {target.batch_id for target in leftover(record)}
    return tuple(
        Roll(
            each.batch_id,
            people,
            each.cancelled or each.batch_id in left,
            frozenset() if each.extra else frozenset(each.record.not_owed),
        )
        for each in made(record, before)
        if (people := contacts.get(each.batch_id)) is not None
    )

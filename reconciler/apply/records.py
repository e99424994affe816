"""Records as a run writes them, that the recorder only puts in their place. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.state.document import WATCH, RequestRecord, Status

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.plan.actions import Creation
    from reconciler.state.document import NameRecord


def as_complete(creation: Creation, part: int, *, run: str, now: datetime) -> RequestRecord:
    """Give the record of a request for which nobody was left to call, so that it needs no batch.

    One that was in doubt and taken for not created stays watched: it can still arrive.
    """
    earlier = creation.previous
    return RequestRecord(
        part=part,
        key=creation.key,
        status=Status.COMPLETE,
        digest=creation.request.digest,
        contacts=0,
        spec_contacts=creation.spec_contacts,
        attempt=earlier.attempt if earlier else 0,
        first_attempted_at=earlier.first_attempted_at if earlier else now,
        attempted_at=earlier.attempted_at if earlier else now,
        run=run,
        recorded_at=now,
        watch_until=now + WATCH if earlier else None,
        duplicates=earlier.duplicates if earlier else (),
        audit=earlier.audit if earlier else (),
    )


def let_go(record: NameRecord, *, run: str, now: datetime) -> NameRecord:
    """Give a name's record once a run is over: others may look for what it leaves in doubt.

    Until `gives_up_at` a request of it may be under way, so nothing is created again earlier.
    """

    def free(request: RequestRecord) -> RequestRecord:
        mine = request.in_doubt and request.run == run and request.gives_up_at is not None
        held = request.expires_at is not None and request.expires_at > now
        return replace(request, expires_at=now) if mine and held else request

    generations = tuple(
        replace(generation, requests=tuple(map(free, generation.requests)))
        for generation in record.generations
    )
    return replace(record, generations=generations)

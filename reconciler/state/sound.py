"""Whether a state can be true: records that contradict each other were edited by hand.

Every command asks, about every record there is. So a plain loop says yes, and only where it does
not, words are looked for.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from reconciler.state.document import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.state.document import NameRecord, RequestRecord, State


_DIGEST = re.compile("v1:[0-9a-f]{64}")
"""Of the only version that there is; see `reconciler.digest`."""
_NO_DIGEST = "its digest is of no kind that this version of the tool knows"


def contradictions(state: State) -> Iterator[str]:
    """Name what cannot be true of any state we wrote, beyond what the types rule out."""
    return iter(()) if is_sound(state.batches) else _contradictions(state)


def is_sound(batches: Mapping[str, NameRecord]) -> bool:
    """Whether `contradictions` would name nothing of a state that has these batches."""
    keys: list[str] = []
    ids: list[str] = []
    if not are_sound(batches, keys, ids):
        return False
    return len(set(keys)) == len(keys) and len(set(ids)) == len(ids)


def are_sound(batches: Mapping[str, NameRecord], keys: list[str], ids: list[str]) -> bool:  # noqa: C901, PLR0912 - one loop, for 100,000 records
    """Whether each record is sound in itself. Adds its keys and ids, to be compared with all."""
    created, creating = Status.CREATED, Status.CREATING
    is_digest = _DIGEST.fullmatch
    for name, record in batches.items():
        number = 0
        doubtful = False
        for generation in record.generations:
            campaign = generation.campaign_id
            said = generation.fields.get("campaign_id", campaign)
            if generation.generation <= number or doubtful or said != campaign:
                return False
            if generation.digest is not None and not is_digest(generation.digest):
                return False
            number = generation.generation
            part = 0
            for request in generation.requests:
                if request.part <= part or not is_digest(request.digest):
                    return False
                part = request.part
                keys.append(request.key)
                if request.status is created:
                    if not request.batch_id or request.recorded_at is None:
                        return False
                    ids.append(request.batch_id)
                elif request.batch_id is not None:
                    return False
                elif request.status is creating:
                    doubtful = True
                if request.duplicates:
                    ids.extend(request.duplicates)
            if not part:
                return False
        if not name or not number:
            return False
    return True


def _contradictions(state: State) -> Iterator[str]:
    for name, record in state.batches.items():
        yield from _name_contradictions(name, record)
    keys = Counter(request.key for _, _, request in state.requests())
    yield from (f"the key {key} stands {n} times" for key, n in keys.items() if n > 1)
    ids = Counter(
        batch_id
        for _, _, request in state.requests()
        for batch_id in (request.batch_id, *request.duplicates)
        if batch_id is not None
    )
    yield from (f"the batch {batch} stands {n} times" for batch, n in ids.items() if n > 1)


def _name_contradictions(name: str, record: NameRecord) -> Iterator[str]:
    numbers = [generation.generation for generation in record.generations]
    if not name or not numbers:
        yield f"{name!r} has no generation"
        return
    if numbers[0] < 1 or numbers != sorted(set(numbers)):
        yield f"{name}: generations are {numbers}"
    if any(generation.in_doubt for generation in record.generations[:-1]):
        yield f"{name}: an earlier generation is still being created"
    for generation in record.generations:
        at = f"{name}, generation {generation.generation}"
        campaign = generation.campaign_id
        if generation.fields.get("campaign_id", campaign) != campaign:
            yield f"{at}: its campaign_id is {campaign}, and another one stands in its fields"
        if generation.digest is not None and not _DIGEST.fullmatch(generation.digest):
            yield f"{at}: {_NO_DIGEST}"
        parts = [request.part for request in generation.requests]
        if not parts or parts[0] < 1 or parts != sorted(set(parts)):
            yield f"{at}: parts are {parts}"
        for request in generation.requests:
            yield from (f"{at}: {problem}" for problem in _request_contradictions(request))


def _request_contradictions(request: RequestRecord) -> Iterator[str]:
    if not _DIGEST.fullmatch(request.digest):
        yield _NO_DIGEST
    if request.status is Status.CREATED and not (request.batch_id and request.recorded_at):
        yield "created, but without a batch id and the time it was recorded"
    if request.status is not Status.CREATED and request.batch_id is not None:
        yield f"{'still being created' if request.in_doubt else 'complete'}, but with a batch id"

"""Reading who is in recorded batches, and how each of them fared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.api.reads import TokenRefusedError
from reconciler.apply.concurrent import concurrently
from reconciler.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.observed import Batch, BatchContact
    from reconciler.ports import BatchApi


class Histories(Struct, frozen=True):
    """What the API told: see the fields of the same names in `reconciler.plan.facts.Facts`.

    `problems` are what it did not tell, each with a hint.
    """

    batches: Mapping[str, Batch | None]
    contacts: Mapping[str, tuple[BatchContact, ...] | None]
    problems: tuple[tuple[str, str], ...] = ()


def read_histories(
    api: BatchApi,
    batch_ids: Iterable[str],
    known: Mapping[str, Batch | None],
    *,
    parallelism: int,
) -> Histories:
    """Read everyone in some batches. `known` are batches that a list has just shown.

    Does not raise for the API, but for a token that it refuses.
    """
    batches: dict[str, Batch | None] = {}
    contacts: dict[str, tuple[BatchContact, ...] | None] = {}
    problems: list[tuple[str, str]] = []

    def read(batch_id: str) -> None:
        try:
            batches[batch_id] = known.get(batch_id) or api.batch(batch_id)
            gone = batches[batch_id] is None
            contacts[batch_id] = None if gone else api.batch_contacts(batch_id)
        except TokenRefusedError:
            raise
        except ApiError as error:
            problems.append((f"batch {batch_id}: {error.message}", error.hint or ""))

    concurrently(read, dict.fromkeys(batch_ids), parallelism)
    return Histories(batches, contacts, tuple(sorted(problems)))

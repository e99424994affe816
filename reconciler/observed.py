"""What the API says: campaigns, batches, listings, and how a create ended.

Frozen values, made by `reconciler.api` out of whatever the API really sent. Every field that the
vendor's documentation does not promise may be None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from msgspec import Struct

from reconciler.values import shown_without

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

TERMINAL = frozenset({"completed", "cancelled", "expired"})
"""Batch statuses that end a batch for good."""
IN_FLIGHT = ("dispatched", "in_progress")
"""Contact statuses with a call under way."""


class Campaign(Struct, frozen=True):
    """A campaign as `GET /campaigns/{id}` gives it. `timezone` is an IANA name.

    `working_hours` are as sent, `reconciler.plan.hours` reads them. `concurrency_limit` is how many
    calls may go out at once (`metadata.concurrency_limit`), `max_retries` how often somebody who
    was not reached is tried again (`retry_policy.max_retries`).
    """

    campaign_id: str
    name: str | None = None
    status: str | None = None
    timezone: str | None = None
    working_hours_enforced: bool | None = None
    working_hours: Mapping[str, Any] | None = None
    concurrency_limit: int | None = None
    max_retries: int | None = None


class Batch(Struct, frozen=True):
    """A batch as the list or `GET /batches/{id}` gives it.

    `created_at` is aware; where the API gave no offset, UTC was assumed. `metadata` is None where
    the answer had none (the documented rows of the list), and empty where it said there is none.
    `counters` are as sent. `scheduled_start` is as sent too: naive in the campaign's timezone, or
    with an offset. `concurrency_limit` is the batch's own.
    """

    batch_id: str
    campaign_id: str | None = None
    status: str | None = None
    total_contacts: int | None = None
    created_at: datetime | None = None
    metadata: Mapping[str, Any] | None = None
    counters: Mapping[str, Any] | None = None
    scheduled_start: str | None = None
    concurrency_limit: int | None = None

    @property
    def marker(self) -> Mapping[str, Any] | None:
        """Our own `metadata.reconciler`, or None when the batch carries none."""
        marker = (self.metadata or {}).get("reconciler")
        if isinstance(marker, str):  # an API that keeps values as text
            try:
                marker = orjson.loads(marker)
            except ValueError:
                return None
        return marker if isinstance(marker, dict) else None

    @property
    def key(self) -> str | None:
        """The idempotency key the batch was created with, or None."""
        key = (self.marker or {}).get("key")
        return key if isinstance(key, str) else None

    @property
    def generation(self) -> int | None:
        """The generation of its name that the batch was created in, or None."""
        generation = (self.marker or {}).get("generation")
        return generation if isinstance(generation, int) else None

    @property
    def root(self) -> str | None:
        """The batches root that the batch was created from, or None; see `Session.root_name`."""
        root = (self.marker or {}).get("root")
        return root if isinstance(root, str) else None

    @property
    def digest(self) -> str | None:
        """The digest the batch was created with, or None."""
        digest = (self.marker or {}).get("digest")
        return digest if isinstance(digest, str) else None


class BatchContact(Struct, frozen=True):
    """One person of a batch as `GET /batches/{id}/contacts` gives them.

    `phone_number` is E.164, `call_variables` are as sent; both are for nobody's eyes. `status` is
    None where the row had none.
    """

    contact_id: str
    phone_number: str
    status: str | None = None
    call_variables: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return shown_without(self, "phone_number", "call_variables")


class Listing(Struct, frozen=True):
    """All batches of one campaign that the list showed, each once.

    `complete` is False when the paging could not be shown to have reached every row (a server that
    ignores `skip`, rows that kept moving). An absence counts only in a complete listing.
    """

    campaign_id: str
    rows: tuple[Batch, ...]
    complete: bool


class FieldProblem(Struct, frozen=True):
    """One complaint of a 422: where in the request body, and what is wrong there.

    `path` leaves out FastAPI's leading `body`: `("contacts", 17, "phone_number")`.
    """

    path: tuple[str | int, ...]
    message: str


class Created(Struct, frozen=True):
    """The API made the batch and said so: a 2xx with a valid id."""

    batch_id: str
    status: str | None = None
    total_contacts: int | None = None


class Rejected(Struct, frozen=True):
    """Certainly not created: the request never left, or the answer says no.

    `retry` tells that the same request may do better later (429, a refused connection), and
    `retry_after` how many seconds the API asked to wait. `status` is None when nothing answered.
    `too_late` tells that the time in which it might be sent was over before it could leave.
    """

    reason: str
    status: int | None = None
    retry: bool = False
    retry_after: float | None = None
    problems: tuple[FieldProblem, ...] = ()
    hint: str = ""
    too_late: bool = False


class Unknown(Struct, frozen=True):
    """Nobody can say whether the batch exists: anything that is neither of the other two."""

    reason: str
    status: int | None = None


Outcome = Created | Rejected | Unknown
"""How one POST ended."""

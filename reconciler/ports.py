"""The doors to the outside: time, ids and the API. Real ones are adapters, tests pass fakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from reconciler.model import LongBody
    from reconciler.observed import Batch, BatchContact, Campaign, Listing, Outcome


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """Give the wall-clock time, aware, in UTC. May jump either way between two calls."""

    def elapsed(self) -> float:
        """Give seconds since an arbitrary point: never goes back, runs on through suspension."""


class Ids(Protocol):
    """Where names that nobody else uses come from."""

    def unique(self) -> str:
        """Give a string of lower-case letters and digits that was never given before, anywhere."""


class Brake(Protocol):
    """What stops every create at once, also in the middle of a run."""

    def frozen(self) -> str | None:
        """Say why nothing may begin to ring now, None when it may; never an answer from before.

        Not to be able to tell is a reason. May be asked by several threads at once.
        """


class BatchApi(Protocol):
    """The part of the batches API the reconciler needs.

    `create` must send at most one POST and never raises for anything the network or the API does:
    it answers with an outcome. The others may be sent again until they succeed or patience ends,
    and then raise `reconciler.errors.ApiError`. All may be called from several threads at once.
    """

    def create(self, body: bytes | LongBody, key: str, *, send_by: float | None = None) -> Outcome:
        """POST one batch; `body` is the JSON request, `key` goes into `Idempotency-Key`.

        It must not begin to leave once `Clock.elapsed` is past `send_by`, which is looked at last
        of all: that is `Rejected`, and `too_late`. A long body that cannot be read to its end, once
        some of it may have left, is `Unknown`.
        """

    def listing(self, campaign_id: str, *, sought: Collection[str] | None = None) -> Listing:
        """List every batch of a campaign, through all pages; or until those `sought` were seen."""

    def batch(self, batch_id: str) -> Batch | None:
        """Read one batch with its metadata; None when the API knows no such batch."""

    def campaign(self, campaign_id: str) -> Campaign | None:
        """Read one campaign; None when the API knows no such campaign."""

    def batch_contacts(
        self, batch_id: str, *, status: str | None = None
    ) -> tuple[BatchContact, ...]:
        """Read everyone in a batch, or who has a status; raises if it cannot show that it did."""

    def pause(self, batch_id: str) -> None:
        """Pause one batch. A batch that is paused or already ended counts as success."""

    def resume(self, batch_id: str, *, send_by: float | None = None) -> None:
        """Resume one batch, sending at most once. A batch that is calling counts as success.

        Once `Clock.elapsed` is past `send_by` it is not sent: `reconciler.errors.TooLate`.
        """

    def cancel(self, batch_id: str) -> None:
        """Cancel one batch. A batch that already ended counts as success."""

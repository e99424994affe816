"""Everything that may be sent again: reads, and the lifecycle calls that repeat without harm.

Knows paths and answers, not HTTP: a subclass sends. What goes wrong ends as `ApiError` with what
to type next; an answer that could hide a batch (a 404 by a stranger, a foreign or empty object)
is an error too, never an absence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from reconciler.api.models import as_batch, as_campaign, as_contact, as_id, as_json, as_rows
from reconciler.api.outcome import retry_after, spoken
from reconciler.api.paging import PAGE, SMALLER_PAGE, Walk
from reconciler.api.retry import Patience, Turn
from reconciler.errors import ApiError, TooLate
from reconciler.observed import TERMINAL, Batch, BatchContact, Campaign, Listing

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Iterator, Mapping

    from reconciler.api.privacy import Scrubber
    from reconciler.ports import Clock

CHECK_URL = "check GRAINE_API_URL and the network, then run: reconciler doctor"
_CHECK_TOKEN = "check GRAINE_API_KEY and GRAINE_ORG_ID, then run: reconciler doctor"  # noqa: S105 - a hint
_OK = range(200, 300)
_REDIRECT = range(300, 400)
_RETRIED = frozenset({408, 425, 429, *range(500, 600)})
_DENIED = frozenset({401, 403})
_NOT_FOUND = 404
_ONCE = 1


class Answer(Struct, frozen=True):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Failure(Struct, frozen=True):
    """Why there is no whole answer, fit to be shown.

    `left` is False only where the request provably never left; `retry` tells whether the same
    request may do better later, `too_late` that its time was over before all of it was sent.
    """

    reason: str
    left: bool = True
    retry: bool = True
    hint: str = CHECK_URL
    too_late: bool = False


class DeniedError(ApiError):
    """The API does not accept the token, or not for this (401, 403)."""


class TokenRefusedError(DeniedError):
    """The API does not take the token (401): nothing at all can be done with it."""


class _BadQueryError(ApiError):
    """The API does not take what was asked (400, 422): a page of that size, perhaps."""


_KINDS: Mapping[int, type[ApiError]] = {
    400: _BadQueryError,
    401: TokenRefusedError,
    403: DeniedError,
    422: _BadQueryError,
}


class Reads(ABC):
    """The repeatable half of the client."""

    def __init__(
        self,
        *,
        organization_id: str | None,
        clock: Clock,
        stop: threading.Event,
        patience: Patience,
        scrub: Scrubber,
    ) -> None:
        self._query = {"organization_id": organization_id} if organization_id else {}
        self._clock = clock
        self._stop = stop
        self._patience = patience
        self._scrub = scrub
        self._limit = PAGE

    @abstractmethod
    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        stoppable: bool,
        send_by: float | None = None,
    ) -> Answer | Failure:
        """Send once; `stoppable` lets the stop event cut it short. Must not raise.

        For `send_by` see `BatchApi.create`.
        """

    def listing(self, campaign_id: str, *, sought: Collection[str] | None = None) -> Listing:
        """List every batch of a campaign; `reconciler.api.paging` says what `complete` proves.

        Passes are repeated until one shows nothing new, at most four. Where only some batches are
        `sought`, by their ids, no page is read after that with the last of them.
        """
        return self._listing({"campaign_id": campaign_id, **self._query}, campaign_id, sought)

    def listing_everywhere(self, campaign_id: str) -> Listing:
        """List a campaign's batches whatever the organisation; otherwise like `listing`."""
        return self._listing({"campaign_id": campaign_id}, campaign_id)

    @property
    def filters(self) -> bool:
        """Whether `listing` asks about one organisation only."""
        return bool(self._query)

    def _listing(
        self, query: dict[str, str], campaign_id: str, sought: Collection[str] | None = None
    ) -> Listing:
        walk = Walk(lambda skip: self._page("/batches/", query, skip), _batch_id)
        known: dict[str, Batch] = {}
        missing = set(sought or ())
        proved = settled = False
        for number in walk.passes():
            before = len(known)
            for batch_id, row in walk.one_pass():
                batch = as_batch(row)
                if batch is not None:
                    known[batch_id] = _merged(known.get(batch_id), batch)
                missing.discard(batch_id)
                if sought is not None and not missing:
                    return Listing(campaign_id, _of(campaign_id, known), complete=False)
            proved = proved or walk.clean
            settled = number > 1 and len(known) == before
            if proved and settled:
                break
        complete = proved and settled and not (walk.nameless or walk.stuck)
        return Listing(campaign_id, _of(campaign_id, known), complete)

    def batch(self, batch_id: str) -> Batch | None:
        """Read one batch with its metadata; None when the API says that it has none such."""
        return self._batch(batch_id, stoppable=True)

    def _batch(self, batch_id: str, *, stoppable: bool) -> Batch | None:
        path = f"/batches/{_segment(batch_id)}"
        answer = self._repeat("GET", path, {}, or_none=True, stoppable=stoppable)
        if answer is None:
            return None
        batch = as_batch(as_json(answer.body), whole=True)
        if batch is None or batch.batch_id != batch_id:
            raise ApiError(f"the answer is not the batch {batch_id}", hint=CHECK_URL)
        return batch

    def campaign(self, campaign_id: str) -> Campaign | None:
        """Read one campaign; None when the API says that it has none such."""
        answer = self._repeat("GET", f"/campaigns/{_segment(campaign_id)}", {}, or_none=True)
        if answer is None:
            return None
        campaign = as_campaign(as_json(answer.body), campaign_id)
        if campaign is None:
            raise ApiError(f"the answer is not the campaign {campaign_id}", hint=CHECK_URL)
        return campaign

    def contacts(
        self, batch_id: str, *, include_calls: bool = False, status: str | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """Give a batch's contacts as the API sends them, each once, page by page.

        They hold phone numbers: data, not for messages. Raises `ApiError` at the end when the
        pages could not be shown to have held everyone, so that a gap never looks whole: by the
        paging, or by how many contacts the batch has. With `status`, a contact that leaves that
        status meanwhile can hide another.
        """
        query = {"include_calls": "true"} if include_calls else {}
        if status:
            query["status"] = status
        path = f"/batches/{_segment(batch_id)}/contacts"
        walk = Walk(lambda skip: self._page(path, query, skip), _contact_id)
        given: set[str] = set()
        for _ in walk.passes():
            for contact_id, row in walk.one_pass():
                if contact_id not in given:
                    given.add(contact_id)
                    yield row
            if walk.clean:
                return
        if walk.stuck and not walk.nameless:
            # The server ignores `skip`. What it gave is everyone if it is as many as it says.
            if status:
                everyone = self.contacts(batch_id, include_calls=include_calls)
                yield from (row for row in everyone if _contact_id(row) not in given)
                return
            batch = self.batch(batch_id)
            if batch is not None and batch.total_contacts == len(given):
                return
        raise ApiError(
            f"the contacts of {batch_id} moved while they were read: some may be missing",
            hint="run the command again",
        )

    def batch_contacts(
        self, batch_id: str, *, status: str | None = None
    ) -> tuple[BatchContact, ...]:
        """Read everyone in a batch as values. Raises `ApiError` too for one without a number."""
        found = [as_contact(row) for row in self.contacts(batch_id, status=status)]
        whole = tuple(contact for contact in found if contact is not None)
        if len(whole) < len(found):
            raise ApiError(
                f"{len(found) - len(whole)} of the contacts of {batch_id} show no whole phone "
                "number, so nobody can say who was called",
                hint="ask the vendor whether this token may read phone numbers",
            )
        return whole

    def validate_token(self) -> bool | None:
        """Ask whether the token is good; None when the API has no such question (404)."""
        try:
            answer = self._repeat("GET", "/api-tokens/validate-token", {}, or_none=True)
        except DeniedError:
            return False
        return None if answer is None else True

    def cancel(self, batch_id: str) -> None:
        """Cancel a batch; one that ended already, or is found ended after an error, is success."""
        self._control(batch_id, "cancel", TERMINAL, self._patience)

    def pause(self, batch_id: str) -> None:
        """Pause a batch; one found paused or ended after an error is success."""
        self._control(batch_id, "pause", TERMINAL | {"paused"}, self._patience)

    def resume(self, batch_id: str, *, send_by: float | None = None) -> None:
        """Resume a batch. Sent once only: a second could undo a pause an operator made since."""
        once = replace(self._patience, tries=_ONCE)
        wanted = frozenset({"in_progress", "pending"})
        self._control(batch_id, "resume", wanted, once, send_by)

    def _control(
        self,
        batch_id: str,
        verb: str,
        wanted: frozenset[str],
        patience: Patience,
        send_by: float | None = None,
    ) -> None:
        path = f"/batches/{_segment(batch_id)}/{verb}"
        try:
            self._repeat("POST", path, {}, patience=patience, stoppable=False, send_by=send_by)
        except ApiError:
            # An error may follow a deed (a lost answer, a second try). What counts is where the
            # batch is now; when even that cannot be read, the first error is the one to tell.
            try:
                found = self._batch(batch_id, stoppable=False)
            except ApiError:
                found = None
            if found is None or found.status not in wanted:
                raise

    def _page(self, path: str, query: Mapping[str, str], skip: int) -> list[Any]:
        limit = self._limit
        try:
            answer = self._repeat("GET", path, _paged(query, skip, limit))
        except _BadQueryError:
            if skip or limit == SMALLER_PAGE:
                raise
            # It may take no page that long. How many rows a page has proves nothing to a walk, so
            # a list that is read in smaller ones counts as much.
            answer = self._repeat("GET", path, _paged(query, skip, SMALLER_PAGE))
            self._limit = SMALLER_PAGE
        rows = as_rows(as_json(answer.body)) if answer is not None else None
        if rows is None:
            raise ApiError(f"the answer to GET {path} is not a list", hint=CHECK_URL)
        return rows

    def _repeat(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        or_none: bool = False,
        patience: Patience | None = None,
        stoppable: bool = True,
        send_by: float | None = None,
    ) -> Answer | None:
        """Send until an answer counts; `ApiError` when patience ends or repeating is no use.

        `or_none` gives None for a 404 in JSON: another 404 is not the API's, but a gateway's.
        What is not `stoppable` is sent even while stopping, but then only once.
        """
        turn = Turn(patience or self._patience, self._clock, self._stop)
        while True:
            got = self._send(method, path, query, stoppable=stoppable, send_by=send_by)
            asked = None
            kind: type[ApiError] = ApiError
            if isinstance(got, Answer):
                if got.status in _OK:
                    return got
                if or_none and got.status == _NOT_FOUND and isinstance(as_json(got.body), dict):
                    return None
                asked = retry_after(got.headers, self._clock.now())
                kind = _KINDS.get(got.status, ApiError)
                got = self._refusal(got)
            if got.too_late and not got.left:
                kind = TooLate
            if not (got.retry and turn.again(asked)):
                raise kind(f"{method} {path} failed: {got.reason}", hint=got.hint)

    def _refusal(self, answer: Answer) -> Failure:
        """Say what an answer other than a success means for a call that may be repeated."""
        status = answer.status
        if status in _REDIRECT:
            reason = f"HTTP {status}, a redirect: not followed, so that the token stays here"
            return Failure(
                reason, retry=False, hint="set GRAINE_API_URL to where the API really is"
            )
        text = spoken(answer.body, self._scrub).text
        return Failure(
            f"HTTP {status}: {text}" if text else f"HTTP {status}",
            retry=status in _RETRIED,
            hint=_CHECK_TOKEN if status in _DENIED else CHECK_URL,
        )


def _of(campaign_id: str, batches: Mapping[str, Batch]) -> tuple[Batch, ...]:
    """Give a campaign's batches: a server that ignores the filter sends others' too.

    Which batch is whose is told by its key; only a row that names another campaign beyond doubt is
    left out.
    """
    wanted = {None, _folded(campaign_id)}
    return tuple(batch for batch in batches.values() if _folded(batch.campaign_id) in wanted)


def _folded(campaign_id: str | None) -> str | None:
    return campaign_id.strip().casefold() if campaign_id is not None else None


def _segment(text: str) -> str:
    """Quote one part of a path; dots alone would walk up it, so they are no id at all."""
    if not text.strip("."):
        raise ApiError(f"{text!r} is not an id", hint="copy the id from the vendor's console")
    return quote(text, safe="")


def _paged(query: Mapping[str, str], skip: int, limit: int) -> Mapping[str, str]:
    return {**query, "skip": str(skip), "limit": str(limit)}


def _batch_id(row: Any) -> str | None:
    return as_id(row.get("batch_id")) if isinstance(row, dict) else None


def _contact_id(row: Any) -> str | None:
    if not isinstance(row, dict):
        return None
    return as_id(row.get("contact_id")) or as_id(row.get("id"))


def _merged(old: Batch | None, new: Batch) -> Batch:
    """Let the later row win, but keep metadata that any row had: lists may leave it out."""
    if old is None or new.metadata:
        return new
    return replace(new, metadata=old.metadata if old.metadata is not None else new.metadata)

"""Listing a campaign while rows are added, in any order, from servers that cap and ignore."""

from __future__ import annotations

import itertools
import json
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.privacy import Scrubber
from reconciler.api.reads import Answer, Failure, Reads
from reconciler.api.retry import Patience
from reconciler.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Rows = list[Any]


class Frozen:
    """A clock nobody here needs."""

    def now(self) -> Any:
        """Give nothing."""

    def elapsed(self) -> float:
        """Give zero."""
        return 0.0


class Paged(Reads):
    """The client's reads over a function that answers for (path, skip, limit)."""

    def __init__(self, answer: Callable[[int, int], Any]) -> None:
        super().__init__(
            organization_id=None,
            clock=Frozen(),
            stop=threading.Event(),
            patience=Patience(tries=1),
            scrub=Scrubber(),
        )
        self._answer = answer
        self.asked = 0
        self.limits: list[int] = []

    def _send(
        self,
        method: str,  # noqa: ARG002 - every read is answered alike
        path: str,  # noqa: ARG002 - likewise
        query: Mapping[str, str],
        *,
        stoppable: bool,  # noqa: ARG002 - nothing stops here
        send_by: float | None = None,  # noqa: ARG002 - nor is anything late
    ) -> Answer | Failure:
        self.asked += 1
        self.limits.append(int(query["limit"]))
        said = self._answer(int(query["skip"]), int(query["limit"]))
        if isinstance(said, Answer):
            return said
        return Answer(200, {}, json.dumps(said).encode())


def rows(count: int) -> Rows:
    """Give so many rows of a campaign."""
    return [{"batch_id": f"b{n}", "campaign_id": "c"} for n in range(count)]


def serving(stored: Rows, cap: int = 100) -> Callable[[int, int], Rows]:
    """Answer from a list that stands still."""
    return lambda skip, limit: stored[skip : skip + min(cap, limit)]


def contact_rows(count: int) -> Rows:
    """Give so many contacts of a batch."""
    return [{"contact_id": n + 1, "phone_number": "+91"} for n in range(count)]


class MovingServer:
    """A list that grows between pages and shows its rows in an order of its own.

    Faults: a cap below the limit asked for; rows inserted anywhere before any page, so that later
    rows move to where was read already, or out of what will be read; an order that changes with
    every request. Rows are never deleted, as the API offers no way to.
    """

    def __init__(self, *, before: int, cap: int, shuffles: bool, seed: int, rate: float) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a simulation
        self._rows = rows(before)
        self._random.shuffle(self._rows)
        self._cap = cap
        self._shuffles = shuffles
        self._rate = rate
        self._new = itertools.count()

    def __call__(self, skip: int, limit: int) -> Rows:
        """Give a page."""
        while self._random.random() < self._rate:
            row = {"batch_id": f"new{next(self._new)}", "campaign_id": "c"}
            place = self._random.choice([0, len(self._rows), self._random.randint(0, 50)])
            self._rows.insert(place, row)
        if self._shuffles:
            self._random.shuffle(self._rows)
        return self._rows[skip : skip + min(self._cap, limit)]


@given(
    before=st.integers(0, 40),
    cap=st.integers(1, 120),
    shuffles=st.booleans(),
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.0, 0.05, 0.3, 0.7]),
)
def test_a_complete_listing_holds_every_row_from_before_it_began(
    *, before: int, cap: int, shuffles: bool, seed: int, rate: float
) -> None:
    """An absence counts in a complete listing, so nothing that was there may be missing."""
    server = MovingServer(before=before, cap=cap, shuffles=shuffles, seed=seed, rate=rate)
    listing = Paged(server).listing("c")
    ids = [row.batch_id for row in listing.rows]
    assert len(ids) == len(set(ids))
    if listing.complete:
        assert {f"b{n}" for n in range(before)} <= set(ids)


@given(before=st.integers(0, 60), cap=st.integers(1, 120), seed=st.integers(0, 2**32))
def test_a_list_that_stands_still_is_always_complete(before: int, cap: int, seed: int) -> None:
    """Whatever the order and the cap, a quiet campaign gives a listing that counts."""
    server = MovingServer(before=before, cap=cap, shuffles=False, seed=seed, rate=0)
    listing = Paged(server).listing("c")
    assert listing.complete
    assert len(listing.rows) == before


@pytest.mark.parametrize(
    ("sought", "asked"),
    [
        ({"b3"}, 1),  # on the first page
        ({"b3", "b250"}, 3),  # the last of them on the third
        ({"b3", "not there"}, 8),  # looked for as thoroughly as in any listing
        (set(), 1),  # nobody would ask; one page is the least
    ],
)
def test_a_listing_ends_where_the_last_of_those_sought_was_seen(
    sought: set[str], asked: int
) -> None:
    """To see where some batches stand costs no proof that there are no others."""
    api = Paged(serving(rows(300)))
    listing = api.listing("c", sought=sought)
    assert api.asked == asked
    assert sought - {"not there"} <= {row.batch_id for row in listing.rows}
    assert listing.complete is ("not there" in sought)


def test_a_campaign_on_one_page_needs_one_confirmation() -> None:
    """Two passes of a page and an empty page each: four requests."""
    api = Paged(serving(rows(30)))
    assert api.listing("c").complete
    assert api.asked == 4


def test_an_empty_campaign_is_looked_at_twice() -> None:
    """A list that lags behind is given a second chance before an absence counts."""
    pages = iter([[], rows(1), [], rows(1), []])
    listing = Paged(lambda _skip, _limit: next(pages)).listing("c")
    assert listing.complete
    assert len(listing.rows) == 1


def test_a_server_that_ignores_skip_is_noticed() -> None:
    """The same page for ever ends soon, and proves nothing."""
    api = Paged(lambda _skip, _limit: rows(100))
    listing = api.listing("c")
    assert not listing.complete
    assert len(listing.rows) == 100
    assert api.asked < 10


def test_a_list_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that always finds another row does not hold the reconciler for ever."""
    monkeypatch.setattr("reconciler.api.paging.MOST_PAGES", 50)
    api = Paged(lambda skip, _limit: [{"batch_id": f"b{skip}"}])
    assert not api.listing("c").complete
    assert api.asked == 50


def test_a_row_in_the_data_twice_never_counts_as_complete() -> None:
    """Repeats may hide a row, and these never go away."""
    api = Paged(serving([*rows(3), *rows(1)]))
    listing = api.listing("c")
    assert not listing.complete
    assert [row.batch_id for row in listing.rows] == ["b0", "b1", "b2"]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"campaign_id": "c"}, id="no id"),
        pytest.param({"batch_id": "../x"}, id="an id that is none"),
        pytest.param("b9", id="no object"),
    ],
)
def test_a_row_without_an_id_makes_the_listing_incomplete(odd: Any) -> None:
    """A row that cannot be named may be the one that was looked for."""
    listing = Paged(serving([*rows(2), odd])).listing("c")
    assert not listing.complete
    assert len(listing.rows) == 2


def test_rows_of_other_campaigns_are_left_out() -> None:
    """A server may ignore the filter; a row that does not say stays in."""
    stored = [{"batch_id": "a", "campaign_id": "other"}, {"batch_id": "b"}, *rows(1)]
    listing = Paged(serving(stored)).listing("c")
    assert listing.complete
    assert [row.batch_id for row in listing.rows] == ["b", "b0"]


def test_the_latest_row_wins_but_metadata_stays() -> None:
    """A later row without metadata does not take away what an earlier one told."""
    passes = iter(
        [
            [{"batch_id": "b", "status": "pending", "metadata": {"x": 1}}],
            [],
            [{"batch_id": "b", "status": "completed"}],
            [],
        ]
    )
    (row,) = Paged(lambda _skip, _limit: next(passes)).listing("c").rows
    assert (row.status, row.metadata) == ("completed", {"x": 1})


@pytest.mark.parametrize("wrapper", ["batches", "items", "data"])
def test_a_wrapped_list_is_read_too(wrapper: str) -> None:
    """APIs grow an envelope sooner or later."""
    page = serving(rows(3))
    assert len(Paged(lambda skip, limit: {wrapper: page(skip, limit)}).listing("c").rows) == 3


@pytest.mark.parametrize("said", [{"count": 0}, "none", 3, None])
def test_an_answer_that_is_no_list_is_an_error(said: Any) -> None:
    """What cannot be read is not an empty campaign."""
    with pytest.raises(ApiError, match="not a list"):
        Paged(lambda _skip, _limit: said).listing("c")


def refusing(stored: Rows, longest: int, status: int) -> Callable[[int, int], Any]:
    """Answer from a list that stands still, but no page longer than `longest`."""
    page = serving(stored)
    no = Answer(status, {}, b'{"detail": "limit: Input should be less than or equal to 50"}')
    return lambda skip, limit: no if limit > longest else page(skip, limit)


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_long_pages_is_asked_for_shorter_ones(status: int) -> None:
    """The documented default is a limit that every server takes; the proof is the same."""
    api = Paged(refusing(rows(120), 50, status))
    listing = api.listing("c")
    assert listing.complete
    assert len(listing.rows) == 120
    assert api.limits == [100, *[50] * 8]
    assert api.listing("other").complete
    assert set(api.limits[9:]) == {50}


@given(before=st.integers(0, 130), seed=st.integers(0, 2**32))
def test_shorter_pages_of_a_moving_list_prove_as_much(before: int, seed: int) -> None:
    """A listing that began with a refusal is complete only if nothing is missing."""
    server = MovingServer(before=before, cap=120, shuffles=False, seed=seed, rate=0.3)
    no = Answer(422, {}, b"{}")
    listing = Paged(lambda skip, limit: no if limit > 50 else server(skip, limit)).listing("c")
    if listing.complete:
        assert {f"b{n}" for n in range(before)} <= {row.batch_id for row in listing.rows}


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_every_page_is_an_error(status: int) -> None:
    """It was asked once more, and what it says is told; the next list begins with long pages."""
    api = Paged(refusing(rows(3), 0, status))
    for _ in range(2):
        with pytest.raises(ApiError, match=f"HTTP {status}: limit"):
            api.listing("c")
    assert api.limits == [100, 50, 100, 50]


def test_a_page_refused_in_the_middle_is_an_error() -> None:
    """What was taken at the beginning is not a matter of the page's length."""
    page = serving(rows(150))
    no = Answer(422, {}, b"{}")
    api = Paged(lambda skip, limit: no if skip else page(skip, limit))
    with pytest.raises(ApiError, match="HTTP 422"):
        api.listing("c")
    assert api.limits == [100, 100]


@pytest.mark.parametrize("status", [401, 403, 404, 409])
def test_other_refusals_are_not_about_the_length_of_a_page(status: int) -> None:
    """A token that is not taken is not tried again."""
    api = Paged(lambda _skip, _limit: Answer(status, {}, b"{}"))
    with pytest.raises(ApiError, match=f"HTTP {status}"):
        api.listing("c")
    assert api.limits == [100]


class Unpaged(Paged):
    """A server that gives everyone in each answer, and knows how many there are."""

    def __init__(self, people: Rows, total: int | None) -> None:
        super().__init__(lambda _skip, _limit: people)
        self._total = total

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        stoppable: bool,
        send_by: float | None = None,
    ) -> Answer | Failure:
        if path.endswith("/contacts"):
            return super()._send(method, path, query, stoppable=stoppable, send_by=send_by)
        batch = {"batch_id": "b", "campaign_id": "c", "total_contacts": self._total}
        return Answer(200, {}, json.dumps(batch).encode())


@pytest.mark.parametrize("status", [None, "skipped"])
def test_a_server_without_pages_is_believed_if_the_count_fits(status: str | None) -> None:
    """It ignores `skip`, but nobody is missing."""
    people = contact_rows(130)
    found = list(Unpaged(people, 130).contacts("b", status=status))
    assert [row["contact_id"] for row in found] == list(range(1, 131))


@pytest.mark.parametrize("total", [131, 129, None])
@pytest.mark.parametrize("status", [None, "skipped"])
def test_a_server_without_pages_is_not_believed_otherwise(
    total: int | None, status: str | None
) -> None:
    """It may give its first page again and again."""
    with pytest.raises(ApiError, match="some may be missing"):
        list(Unpaged(contact_rows(130), total).contacts("b", status=status))


def test_contacts_come_once_each_through_all_pages() -> None:
    """A quiet batch takes one pass, in the order of the API."""
    api = Paged(serving(contact_rows(250), cap=40))
    assert [row["contact_id"] for row in api.contacts("b")] == list(range(1, 251))
    assert api.asked == 8


def test_contacts_that_move_are_read_again_until_nobody_is_missing() -> None:
    """A contact that slipped past a page is found by the next pass."""
    stored = contact_rows(4)
    swapped = [stored[2], *stored[:2], stored[3]]
    calls = iter([stored[:2], swapped[2:], [], stored[:2], stored[2:], []])
    api = Paged(lambda _skip, _limit: next(calls))
    assert sorted(row["contact_id"] for row in api.contacts("b")) == [1, 2, 3, 4]


def test_contacts_that_may_be_missing_end_in_an_error() -> None:
    """Half a list of people never looks like the whole."""
    answer = serving([*contact_rows(2), {"phone_number": "+91"}])
    with pytest.raises(ApiError, match="some may be missing"):
        list(Paged(answer).contacts("b"))

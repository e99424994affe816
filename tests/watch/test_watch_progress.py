"""Counters, rates and ends: what can be told from what the API happens to send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from msgspec.structs import replace

from reconciler.plan.progress import (
    BatchProgress,
    counts,
    done_of,
    ends_about,
    in_flight,
    progress_of,
    rate_per_hour,
    totals,
)
from reconciler.state.document import Status
from tests.watch.records import ALWAYS, NOW, OFFICE, batch, reading, request, state

if TYPE_CHECKING:
    from reconciler.observed import Batch, Campaign
    from reconciler.state.document import RequestRecord


@pytest.mark.parametrize(
    ("counters", "done", "why"),
    [
        (None, None, "no counters"),
        ({}, None, "empty"),
        ({"calls_made": 7, "total": 100}, None, "none that is known: nothing can be told"),
        ({"pending": 100}, 0, "known ones that are missing count nobody"),
        ({"completed": 3, "failed": 2, "no_answer": 1, "busy": 1, "skipped": 1}, 8, "all ends"),
        ({"max_retries_reached": 4, "retrying": 9}, 4, "who is retried is not done"),
        ({"completed": "3", "failed": None, "busy": True, "skipped": -1}, None, "no counts"),
        ({"completed": 3, "failed": 1.5}, 3, "an odd one hides no other"),
        ({"completed": 400}, 100, "never more than there are"),
    ],
)
def test_who_is_done(counters: dict[str, Any] | None, done: int | None, why: str) -> None:
    """Only counters that bear a contact status's name are believed."""
    assert done_of(counters, 100) == done, why


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.integers())))
def test_any_counters_can_be_read(counters: dict[str, Any]) -> None:
    """Whatever is sent, reading it gives counts of known statuses and never fails."""
    assert all(count >= 0 for count in counts(counters).values())
    assert in_flight(counters) >= 0
    assert done_of(counters, 100) in {None, *range(101)}


def test_a_batch_at_work() -> None:
    """Forty in two hours are twenty an hour, and sixty more take three hours."""
    (row,) = progress_of(state((request(),)), reading(batch()))
    assert (row.status, row.done, row.contacts) == ("in_progress", 40, 100)
    assert row.rate_per_hour == pytest.approx(20)
    assert row.ends_about == NOW + timedelta(hours=3)
    assert row.outcomes == {"completed": 40}
    assert row.alive


def test_only_hours_in_which_calls_were_allowed_count() -> None:
    """A batch of yesterday afternoon has worked one hour then and four today, not twenty."""
    since = datetime(2035, 5, 14, 15, 0, tzinfo=UTC)  # 16:00 in London
    rate = rate_per_hour(OFFICE, since, NOW, 50)
    assert rate == pytest.approx(10)  # one hour on Monday, 09:00 to 13:00 on Tuesday
    end = ends_about(OFFICE, NOW, 50, rate)
    assert end == datetime(2035, 5, 16, 9, 0, tzinfo=UTC)  # four hours today, one tomorrow


@pytest.mark.parametrize(
    ("change", "campaign", "why"),
    [
        ({"counters": None}, ALWAYS, "no counters"),
        ({"counters": {"pending": 100}}, ALWAYS, "nobody is done yet"),
        ({"created_at": None}, ALWAYS, "the start is not told"),
        ({"created_at": NOW - timedelta(seconds=20)}, ALWAYS, "too short a time"),
        ({"created_at": NOW + timedelta(hours=1)}, ALWAYS, "clocks that disagree"),
        ({"status": "paused"}, ALWAYS, "nobody knows when it goes on"),
        ({"status": "completed"}, ALWAYS, "nobody knows when it ended"),
        ({}, None, "nothing is known of the campaign"),
        ({}, replace(ALWAYS, working_hours_enforced=None), "nothing is known of its hours"),
        ({}, replace(OFFICE, working_hours={"monday": "odd"}), "hours that cannot be read"),
    ],
)
def test_what_cannot_be_told_is_left_out(
    change: dict[str, Any], campaign: Campaign | None, why: str
) -> None:
    """No rate and no end rather than ones that look like facts."""
    (row,) = progress_of(state((request(),)), reading(batch(**change), campaign=campaign))
    assert (row.rate_per_hour, row.ends_about) == (None, None), why


def test_an_end_in_years_is_none() -> None:
    """An estimate that far away is worth nothing."""
    assert ends_about(ALWAYS, NOW, 10**6, 1.0) is None
    assert ends_about(ALWAYS, NOW, 10**300, 1e-9) is None


def test_the_start_is_the_scheduled_one() -> None:
    """It is read from the API's row, or from what is recorded, in the campaign's timezone."""
    recorded = state((request(),), scheduled_start="2035-05-15T12:00:00")
    (row,) = progress_of(recorded, reading(batch()))
    assert row.starts_at == datetime(2035, 5, 15, 11, 0, tzinfo=UTC)
    assert row.rate_per_hour == pytest.approx(40)  # one hour since then
    (row,) = progress_of(recorded, reading(batch(scheduled_start="2035-05-15T11:30:00Z")))
    assert row.starts_at == datetime(2035, 5, 15, 11, 30, tzinfo=UTC)
    (row,) = progress_of(recorded, reading(batch(scheduled_start="soon")))
    assert row.starts_at is None


@pytest.mark.parametrize(
    ("record", "batches", "status", "alive"),
    [
        (request(None), {}, "in_doubt", False),
        (request(), {"b1": None}, "gone", False),
        (request(), {}, "unknown", True),
        (request(), {"b1": batch(status=None)}, "unknown", True),
        (request(), {"b1": batch(status="expired")}, "expired", False),
        (request(), {"b1": batch(status="new_word")}, "new_word", True),
    ],
)
def test_what_stands_for_a_status(
    record: RequestRecord, batches: dict[str, Batch | None], status: str, *, alive: bool
) -> None:
    """In doubt, gone and not known are told apart, and watching waits for what may still move."""
    (row,) = progress_of(state((record,)), reading(more=batches))
    assert (row.status, row.alive) == (status, alive)


def test_an_earlier_generation_is_shown_while_it_runs() -> None:
    """With `on_change: added` the old batch goes on, and its people are called too."""
    both = state((request("old"),), (request("new"),))
    shown = [row.batch_id for row in progress_of(both, reading(batch("old"), batch("new")))]
    assert shown == ["old", "new"]
    ended = reading(batch("old", status="cancelled"), batch("new"))
    assert [row.batch_id for row in progress_of(both, ended)] == ["new"]


def test_whom_an_earlier_batch_still_calls_is_counted_there() -> None:
    """Nobody was left to call, for the old batch has them: they are not done, and not there twice.

    Once that has ended, all people of the spec are done.
    """
    nobody = structs.replace(request(None), status=Status.COMPLETE, contacts=0, spec_contacts=90)
    both = state((request("old"),), (nobody,))
    rows = progress_of(both, reading(batch("old")))
    assert [(row.status, row.done, row.contacts) for row in rows] == [
        ("in_progress", 40, 100),
        ("complete", 0, 0),
    ]
    assert (totals(rows).done, totals(rows).people) == (40, 100)
    (row,) = progress_of(both, reading(batch("old", status="completed")))
    assert (row.status, row.done, row.contacts) == ("complete", 90, 90)
    more = structs.replace(nobody, spec_contacts=150)  # 50 of them were in a part that has ended
    rows = progress_of(state((request("old"),), (more,)), reading(batch("old")))
    assert (totals(rows).done, totals(rows).people) == (90, 150)


def test_more_requests_than_parts_are_no_missing_ones() -> None:
    """A merge puts those together that are in doubt, each as a part of its own."""
    doubts = [
        structs.replace(request(None), status=Status.CREATING, part=part, key=f"k{part}")
        for part in (1, 2, 3)
    ]
    both = state(tuple(doubts))
    generation = structs.replace(both.batches["a"].current, parts=2)
    record = structs.replace(both.batches["a"], generations=(generation,))
    rows = progress_of(both.with_record("a", record), reading())
    assert totals(rows).missing == 0


def test_the_end_of_all_is_known_when_each_is() -> None:
    """One batch that may take for ever leaves the end of all open."""
    row = BatchProgress(
        name="a",
        generation=1,
        part=1,
        batch_id="b1",
        campaign_id="cmp_1",
        contacts=100,
        status="in_progress",
        done=40,
        ends_about=NOW,
    )
    later = replace(row, ends_about=NOW + timedelta(hours=1))
    ended = replace(row, status="completed", done=100, ends_about=None)
    assert totals([row, later, ended]).ends_about == later.ends_about
    assert totals([row, later, ended]).done == 180
    assert totals([row, replace(row, ends_about=None)]).ends_about is None

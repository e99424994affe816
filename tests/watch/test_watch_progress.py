"""Counters, rates and ends: what can be told from what the API happens to send."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.observed import Batch, Campaign
from reconciler.plan.progress import (
    BatchProgress,
    Reading,
    counts,
    done_of,
    ends_about,
    in_flight,
    progress_of,
    rate_per_hour,
    totals,
)
from reconciler.state.document import (
    Generation,
    NameRecord,
    RequestRecord,
    Source,
    State,
    Status,
)

NOW = datetime(2035, 5, 15, 12, 0, tzinfo=UTC)
ALWAYS = Campaign("cmp_1", timezone="Europe/London", working_hours_enforced=False)
OFFICE = Campaign(
    "cmp_1",
    timezone="Europe/London",
    working_hours_enforced=True,
    working_hours={
        name: {"start": "09:00", "end": "17:00", "enabled": True}
        for name in ("monday", "tuesday", "wednesday", "thursday", "friday")
    },
)


def request(batch_id: str | None = "b1", *, part: int = 1) -> RequestRecord:
    """Give a record, in doubt without an id."""
    return RequestRecord(
        part=part,
        key=f"rk1_{part}",
        status=Status.CREATED if batch_id else Status.CREATING,
        digest="v1:0",
        contacts=100,
        attempt=1,
        first_attempted_at=NOW,
        attempted_at=NOW,
        run="r",
        batch_id=batch_id,
    )


def state(*generations: tuple[RequestRecord, ...], **fields: Any) -> State:
    """Give a state with one name and these generations."""
    made = tuple(
        Generation(
            generation=number,
            campaign_id="cmp_1",
            fields=fields,
            source=Source(path="a.yaml"),
            requests=requests,
        )
        for number, requests in enumerate(generations, start=1)
    )
    return State(lineage="l", batches={"a": NameRecord(generations=made)})


def batch(batch_id: str = "b1", **fields: Any) -> Batch:
    """Give a batch of a hundred people that runs since ten o'clock."""
    usual: dict[str, Any] = {
        "status": "in_progress",
        "total_contacts": 100,
        "created_at": NOW - timedelta(hours=2),
        "counters": {"completed": 40, "pending": 60},
    }
    return Batch(batch_id, "cmp_1", **{**usual, **fields})


def reading(
    *batches: Batch,
    campaign: Campaign | None = ALWAYS,
    more: dict[str, Batch | None] | None = None,
) -> Reading:
    """Give what the API said."""
    found: dict[str, Batch | None] = {each.batch_id: each for each in batches}
    campaigns = {} if campaign is None else {"cmp_1": campaign}
    return Reading(at=NOW, campaigns=campaigns, batches={**found, **(more or {})})


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

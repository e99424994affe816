from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.models import as_batch, as_campaign, as_rows, as_timestamp
from reconciler.observed import Batch, Campaign

NINE = datetime(2026, 5, 12, 9, 0, tzinfo=UTC)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
FIELDS = (
    "batch_id",
    "campaign_id",
    "status",
    "total_contacts",
    "created_at",
    "metadata",
    "counters",
    "name",
    "timezone",
)


def test_a_documented_batch_is_read_whole() -> None:
    """Every field the engine uses arrives."""
    row = {
        "batch_id": "b1",
        "campaign_id": "c1",
        "status": "paused",
        "total_contacts": 3,
        "created_at": "2026-05-12T14:30:00+05:30",
        "metadata": {"reconciler": {"key": "k"}},
        "counters": {"pending": 3},
        "new_field": 1,
    }
    batch = as_batch(row)
    assert batch == Batch(
        "b1",
        "c1",
        "paused",
        3,
        NINE,
        metadata={"reconciler": {"key": "k"}},
        counters={"pending": 3},
    )
    assert batch.key == "k"


def test_null_is_no_metadata_only_where_all_is_shown() -> None:
    """A batch made in the console has none; a row of a list may just not show it."""
    row: dict[str, Any] = {"batch_id": "b1", "metadata": None}
    assert as_batch(row) == Batch("b1")
    assert as_batch(row, whole=True) == Batch("b1", metadata={})
    assert as_batch({"batch_id": "b1"}, whole=True) == Batch("b1")


def test_odd_fields_become_none_and_hide_no_batch() -> None:
    """A batch whose details are odd exists all the same."""
    row: dict[str, Any] = {name: ["odd"] for name in FIELDS} | {"batch_id": 12}
    assert as_batch(row) == Batch("12")


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING) | ANYTHING)
def test_nothing_an_api_sends_raises(row: Any) -> None:
    """Reading believes little and survives anything."""
    as_batch(row)
    as_campaign(row, "c1")
    as_rows(row)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        pytest.param("2026-05-12T09:00:00Z", NINE, id="UTC"),
        pytest.param("2026-05-12T14:30:00+05:30", NINE, id="an offset"),
        pytest.param("2026-05-12 09:00:00.000000", NINE, id="naive"),
        pytest.param("2026-05-12T09:00:00.000000000Z", NINE, id="nanoseconds"),
        pytest.param(1778576400, NINE, id="seconds"),
        pytest.param(1778576400000, NINE, id="milliseconds"),
        pytest.param(1778576400000000.0, NINE, id="microseconds"),
        pytest.param("2026-05-12", None, id="a date is no time"),
        pytest.param("yesterday", None, id="words"),
        pytest.param("0001-01-01T00:00:00+14:00", None, id="before time began"),
        pytest.param(10**400, None, id="too large for a float"),
        pytest.param(-5, None, id="before 1970"),
        pytest.param(float("inf"), None, id="infinite"),
        pytest.param(True, None, id="a boolean"),
        pytest.param(None, None, id="null"),
    ],
)
def test_timestamps_are_utc_or_none(value: Any, moment: datetime | None) -> None:
    """A time is aware; without an offset it is taken for UTC."""
    found = as_timestamp(value)
    assert found == moment
    assert found is None or found.tzinfo is UTC


def test_metadata_kept_as_text_is_parsed_and_absence_is_not_emptiness() -> None:
    """Some stores hand JSON columns out as text; a list row without metadata says nothing."""
    stored = as_batch({"batch_id": "b", "metadata": '{"reconciler": {"key": "k"}}'})
    empty = as_batch({"batch_id": "b", "metadata": {}})
    absent = as_batch({"batch_id": "b"})
    assert stored is not None
    assert stored.key == "k"
    assert empty is not None
    assert empty.metadata == {}
    assert absent is not None
    assert absent.metadata is None


def test_a_campaign_carries_the_id_it_was_asked_by() -> None:
    """The vendor does not document an id in the answer."""
    row = {"name": "Renewals", "status": "active", "timezone": "Asia/Kolkata", "id": 5}
    assert as_campaign(row, "c1") == Campaign("c1", "Renewals", "active", "Asia/Kolkata")
    assert as_campaign([], "c1") is None

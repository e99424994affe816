"""What a message shows of a user's own text: dates as written, phone numbers never whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.privacy import Scrubber
from reconciler.spec.problems import quoted


@pytest.mark.parametrize(
    "text",
    [
        "14.05.2035 09:00",
        "14.05.2035",
        "14-5-2035 9:00",
        "2035-05-14",
        "2035-05-14 09:00",
        "2035-05-14T09:00:00",
        "2035-02-30T09:00",
    ],
)
def test_a_date_is_shown_as_it_is_written(text: str) -> None:
    """What has a date's form is a date, in our messages and in the API's."""
    assert quoted(text) == f"`{text}`"
    assert Scrubber().clean(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "2035-05-14 5550100",
        "14.05.2035 5551234",
        "14.05.20355",
        "+14.05.2035",
        "030/14.05.2035",
        "14.05-2035",
        "98.76.5432",
    ],
)
def test_what_is_only_nearly_a_date_is_masked(text: str) -> None:
    """A number that holds a date, or touches one, stays a number."""
    assert "*" in quoted(text)
    assert "*" in Scrubber().clean(text)


@given(
    st.integers(10**6, 10**15 - 1).map(str),
    st.lists(st.sampled_from(["", " ", ".", "-"]), min_size=15, max_size=15),
    st.sampled_from(["", "call ", "14.05.2035 ", "2035-05-14 "]),
)
def test_no_e164_number_is_taken_for_a_date(digits: str, gaps: list[str], before: str) -> None:
    """However it is cut with spaces, dots and dashes, a number with its plus is masked."""
    written = "+" + "".join(digit + gap for digit, gap in zip(digits, gaps, strict=False)).rstrip()
    for shown in (quoted(before + written), Scrubber().clean(before + written)):
        assert written not in shown
        assert "*" in shown

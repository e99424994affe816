"""What a message shows of a user's own text: dates as written, phone numbers never whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.privacy import Scrubber
from reconciler.spec.problems import quoted, quoted_path


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


@pytest.mark.parametrize(
    "path",
    [
        "contacts/renewals-2026-11-20.csv",
        "contacts/renewals-20261120.csv",
        "suppression/dnd_20261120.csv",
        "batches/2026-11-20",
        "batches/2026/11/20",
        "20261120",
        "2026-11-20/20261121.csv",
        "batches/2026/20261120.csv",
        "batches/2026-11/20261120.csv",
        "https://lists.example/2026-11-20/20261120.csv",
    ],
)
def test_a_date_in_a_path_is_shown(path: str) -> None:
    """A mistake in the name of a file can only be seen where the name is shown."""
    assert quoted_path(path) == f"`{path}`"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("contacts/+919876543210.csv", "contacts/+91********10.csv"),
        ("contacts/9876543210.csv", "contacts/987*****10.csv"),
        ("contacts/20261120987.csv", "contacts/202******87.csv"),
        ("contacts/+20261120.csv", "contacts/+20****20.csv"),
        ("contacts/20261320.csv", "contacts/202***20.csv"),
        ("contacts/20261132.csv", "contacts/202***32.csv"),
        ("contacts/30261120.csv", "contacts/302***20.csv"),
        ("contacts/2026-1120.csv", "contacts/202****20.csv"),
        ("contacts/2026.11.20.csv", "contacts/202*****20.csv"),
        ("contacts/20261120-5550100.csv", "contacts/202***********00.csv"),
        ("contacts/2026-11-20/5550100.csv", "contacts/2026-11-20/*******.csv"),
        ("+45_20350514.csv", "+45_203***14.csv"),
        ("45_20350514.csv", "45_203***14.csv"),
        ("lists/+45/20350514", "lists/+45/203***14"),
        ("0045/20350514", "0045/203***14"),
        ("030~20350514", "030~203***14"),
        ("+1/2026/20350514", "+1/2026/203***14"),
        (f"{'c' * 51}20261120987.csv", f"{'c' * 51}202*****…"),
    ],
)
def test_a_number_in_a_path_is_masked(path: str, shown: str) -> None:
    """What is no date, be it a digit off or cut where the text is, may be somebody's number."""
    assert quoted_path(path) == f"`{shown}`"


def test_a_date_in_a_cell_is_no_name_of_a_file() -> None:
    """Eight digits where a number may stand are one."""
    assert quoted("20261120") == "`202***20`"


@given(st.integers(10**6, 10**15 - 1).map(str), st.sampled_from(["", "+"]))
def test_no_number_in_a_path_is_shown_but_as_a_date(digits: str, sign: str) -> None:
    """In a path eight digits can be a date, and all else that can be dialled is masked."""
    shown = quoted_path(f"contacts/list-{sign}{digits}.csv")
    if digits in shown:
        assert (len(digits), sign) == (8, "")
        assert 1900 <= int(digits[:4]) <= 2099
        assert 1 <= int(digits[4:6]) <= 12
        assert 1 <= int(digits[6:]) <= 31

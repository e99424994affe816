from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import (
    Diagnostic,
    Severity,
    SpecSet,
    kept_fields,
    masked,
    without_numbers,
)
from reconciler.observed import Batch
from tests.core.builders import request, spec


@pytest.mark.parametrize(
    ("number", "shown", "reason"),
    [
        ("+919876543210", "+91********10", "the country and the end tell people which one it is"),
        ("+1415555", "+14***55", "eight characters are the fewest that are shown in part"),
        ("+141555", "*******", "of a short number the ends would be most of it"),
        ("", "", "nothing stays nothing"),
    ],
)
def test_a_masked_number_shows_its_ends_only(number: str, shown: str, reason: str) -> None:
    """A masked number keeps its length and hides its middle."""
    assert masked(number) == shown, reason
    assert len(masked(number)) == len(number)


def test_numbers_are_masked_wherever_they_stand_in_a_value() -> None:
    """Masking reaches texts in nested objects, lists and tuples, and leaves all else alone."""
    value = {
        "note": "ask +919876543210 first",
        "deep": [{"callback": "+14155550100"}, ("+14155550100", 7)],
        "count": 919876543210,
        "none": None,
    }
    assert without_numbers(value) == {
        "note": "ask +91********10 first",
        "deep": [{"callback": "+14*******00"}, ["+14*******00", 7]],
        "count": 919876543210,
        "none": None,
    }


@pytest.mark.parametrize(
    "joint",
    [
        " ",
        "\t",
        "\n",
        "\r\n",
        "\u00a0",
        "\u2009",
        "-",
        "\u2013",
        "\u2011",
        ".",
        ") (",
        "    ",
        "\u200b",
    ],
)
def test_no_way_of_writing_a_number_gets_past(joint: str) -> None:
    """Line breaks, spaces of all kinds, dashes of all kinds, any number of them, even unseen."""
    written = f"ask {joint.join(('+91', '98765', '43210'))}, please"
    kept = kept_fields({"metadata": {"note": written}})["metadata"]["note"]
    assert kept.startswith("ask +91*")
    assert kept.endswith("*10, please")
    assert "98765" not in kept
    assert "43210" not in kept


@given(st.integers(10**6, 10**20) | st.floats(1e6, 1e15))
def test_a_number_that_is_no_text_is_kept_masked(value: float) -> None:
    """YAML reads digits as an integer, and as a float with a dot or an exponent."""
    kept = kept_fields({"call_context": {"line": value, "list": [value]}})["call_context"]
    assert kept["list"] == [kept["line"]]
    assert "*" in kept["line"]
    assert str(int(value)) not in kept["line"]


def test_a_request_never_shows_its_contacts() -> None:
    """A request's representation holds no phone number, so that no log can."""
    assert "+9190000" not in repr(request())


def test_a_spec_counts_the_people_of_all_its_requests() -> None:
    """The contacts of a spec are those of its requests together."""
    assert spec(parts=3, n=5).contacts == 15
    assert spec(campaign="cmp_b").campaign_id == "cmp_b"


def test_a_start_is_a_text_or_nothing() -> None:
    """A request without a start starts at once."""
    assert request().scheduled_start is None
    assert request(scheduled_start="2027-01-01T09:00:00").scheduled_start == "2027-01-01T09:00:00"


def test_only_errors_keep_a_command_from_going_on() -> None:
    """Warnings are no errors."""
    warning = Diagnostic(Severity.WARNING, "a.yaml", 1, 1, "", "odd")
    error = Diagnostic(Severity.ERROR, "a.yaml", 1, 1, "", "wrong")
    assert SpecSet((), (warning, error), 1).errors == (error,)


@pytest.mark.parametrize(
    ("metadata", "key", "digest", "reason"),
    [
        (None, None, None, "the answer had no metadata"),
        ({}, None, None, "the batch has none"),
        ({"reconciler": "rk1_x"}, None, None, "somebody else's text under our name"),
        ({"reconciler": {"key": 7, "digest": []}}, None, None, "not what we ever send"),
        ({"reconciler": {"key": "rk1_x", "digest": "v1:y"}}, "rk1_x", "v1:y", "our marker"),
    ],
)
def test_a_marker_is_believed_only_in_its_own_shape(
    metadata: dict[str, object] | None, key: str | None, digest: str | None, reason: str
) -> None:
    """Whatever else stands in a batch's metadata is no marker of ours."""
    batch = Batch("bat_1", metadata=metadata)
    assert (batch.key, batch.digest) == (key, digest), reason

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.privacy import Scrubber


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param("+919876543210", "+91********10", id="E.164"),
        pytest.param("(022) 2345-6789 rang", "(022*********89 rang", id="as people write it"),
        pytest.param("1234567", "*******", id="seven digits"),
        pytest.param("room 123456", "room 123456", id="six digits are no number"),
        pytest.param("a\u202eb\u2028c\x07d", "a b c d", id="nothing a terminal obeys"),
        pytest.param("x" * 400, "x" * 299 + "\u2026", id="cut to length"),
    ],
)
def test_foreign_text_is_made_fit_to_show(said: str, shown: str) -> None:
    """A message is one short printable line, and a number in it tells nobody whose it is."""
    assert Scrubber().clean(said) == shown


@given(st.text(), st.text(alphabet="0123456789", min_size=8, max_size=15), st.text(max_size=20))
def test_no_phone_number_survives_wherever_it_stands(before: str, number: str, after: str) -> None:
    """A number is masked wherever an answer puts it."""
    assert number not in Scrubber().clean(f"{before}+{number}{after}", 1000)


@pytest.mark.parametrize("said", ["Asha Rao", "ASHA RAO", "asha rao", "aSHA  rAO"])
def test_a_name_is_blotted_out_in_whatever_capitals(said: str) -> None:
    """An API may write what it was sent in its own."""
    scrub = Scrubber("", b'{"contacts": [{"call_variables": {"callee_name": "Asha Rao"}}]}')
    assert scrub.clean(f"no consent of {said}!") == "no consent of ***!"


def test_short_variables_do_not_blot_out_the_sentence() -> None:
    """An age of 5 is nobody's secret."""
    scrub = Scrubber("", b'{"contacts": [{"call_variables": {"age": 5, "vip": "no"}}, 3]}')
    assert scrub.clean("no field 5") == "no field 5"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"contacts": 3}', b'{"contacts": [[]]}'])
def test_any_request_body_will_do(body: bytes) -> None:
    """Scrubbing works with whatever was sent."""
    assert Scrubber("", body).clean("fine") == "fine"

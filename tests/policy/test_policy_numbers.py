from __future__ import annotations

from typing import TYPE_CHECKING, Any

import phonenumbers
import phonenumbers.timezone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from reconciler.model import Contact, LongContacts
from reconciler.policy import crowd, numbers
from reconciler.policy.crowd import crowd_of
from reconciler.policy.numbers import Whereabouts, locator

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

KINDS = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
    "fixed_line",
    "mobile",
)
CODES = sorted(COUNTRY_CODE_TO_REGION_CODE)


def examples() -> list[str]:
    """Give an example of every kind of number of every country, in E.164."""
    found = []
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        for region in regions:
            metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
            for kind in KINDS:
                description = getattr(metadata, kind)
                if description is not None and description.example_number:
                    found.append(f"+{code}{description.example_number}")
    return found


EXAMPLES = examples()


def locate(number: str) -> Whereabouts:
    """Look a number up as the product does."""
    found = locator()
    assert found is not None
    return found(number)


def library(number: str) -> Whereabouts:
    """Give what the library itself says of a whole number."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return Whereabouts("", ())
    region = phonenumbers.region_code_for_number(parsed)
    zones = set(phonenumbers.timezone.time_zones_for_number(parsed)) - {"Etc/Unknown"}
    return Whereabouts("" if region in {None, "001"} else region, tuple(sorted(zones)))


def test_every_kind_of_number_of_every_country() -> None:
    """The example numbers of all countries are where the library says they are."""
    assert len(EXAMPLES) > 1_000
    for number in EXAMPLES:
        assert locate(number) == library(number), number


def test_numbers_with_what_is_dialled_at_home() -> None:
    """A number that has its country's trunk prefix in it is where the library says it is."""
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        main = PhoneMetadata.metadata_for_region_or_calling_code(code, regions[0])
        prefix = (main.national_prefix if main else None) or ""
        for example in EXAMPLES if prefix else ():
            if example.startswith(f"+{code}"):
                rest = example[len(f"+{code}") :]
                for national in (prefix + rest, prefix + rest[1:], prefix + rest[:-1]):
                    number = f"+{code}{national}"[:16]
                    assert locate(number) == library(number), number


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(EXAMPLES), st.integers(1, 14), st.text("0123456789", max_size=13))
def test_numbers_that_begin_like_sound_ones(example: str, kept: int, rest: str) -> None:
    """Whatever digits follow the beginning of a sound number: the answer is the library's."""
    number = (example[: kept + 1] + rest)[:16]
    assert locate(number) == library(number)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(EXAMPLES), st.data())
def test_numbers_of_the_right_length(example: str, data: st.DataObject) -> None:
    """A sound number with other last digits is where the library says it is."""
    kept = data.draw(st.integers(2, len(example)))
    rest = len(example) - kept
    number = example[:kept] + data.draw(st.text("0123456789", min_size=rest, max_size=rest))
    assert locate(number) == library(number)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*CODES, 0, 210, 999]), st.text("0123456789", max_size=14))
def test_any_digits(code: int, digits: str) -> None:
    """Any digits after any country code, also one that nobody has."""
    number = f"+{code}{digits}"[:16]
    assert locate(number) == library(number)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+919876543210", Whereabouts("IN", ("Asia/Calcutta",))),
        ("+12124567890", Whereabouts("US", ("America/New_York",))),
        ("+14165550123", Whereabouts("CA", ("America/Toronto",))),
        ("+61412345678", library("+61412345678")),  # a mobile may be anywhere in Australia
        ("+80012345678", Whereabouts("", ())),  # international: of no country
        ("+15551234567", library("+15551234567")),  # no such area
        ("+4402079460018", library("+4402079460018")),  # with the zero that is dialled at home
        ("+78121234567", library("+78121234567")),  # begins as what is dialled at home
        ("no number", Whereabouts("", ())),
        ("", Whereabouts("", ())),
        ("+", Whereabouts("", ())),
        ("919876543210", Whereabouts("", ())),
    ],
)
def test_numbers_one_knows(number: str, expected: Whereabouts) -> None:
    """Well-known numbers, and what is none at all."""
    assert locate(number) == expected


def test_a_mobile_of_a_wide_country_has_all_its_zones() -> None:
    """Where a number says nothing of a place, every timezone of the country counts."""
    assert len(locate("+61412345678").zones) > 3
    assert len(locate("+18005550199").zones) > 5


def test_the_library_is_hardly_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long list costs no call of the library's own for each number."""
    found = locator()
    asked: list[str] = []
    of_class = type(getattr(found, "__self__"))  # noqa: B009 - a bound method, for mypy a function
    original = of_class._asked

    def counted(self: Any, number: str) -> Whereabouts:
        asked.append(number)
        answer: Whereabouts = original(self, number)
        return answer

    monkeypatch.setattr(of_class, "_asked", counted)
    for index in range(3_000):
        locate(f"+9198765{index:05}")
        locate(f"+1212456{index:04}")
        locate(f"+4477009{index:05}")
        locate(f"+7812123{index:04}")
    assert asked == []


def people(*numbers: str, **variables: Any) -> list[Contact]:
    """Give contacts with these numbers, all with the same variables."""
    return [
        {"phone_number": number, "call_variables": {"callee_name": "Someone", **variables}}
        for number in numbers
    ]


class Streamed(LongContacts):
    """A list that is never to be held: it counts how often it is gone through."""

    def __init__(self, contacts: list[Contact]) -> None:
        self.contacts = contacts
        self.passes = 0

    def __len__(self) -> int:
        return len(self.contacts)

    def __iter__(self) -> Iterator[Contact]:
        self.passes += 1
        return iter(self.contacts)

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("a streamed list is gone through, not picked from")

    def numbers(self) -> Iterator[list[str]]:
        """Give all numbers, and count the pass."""
        self.passes += 1
        yield [contact["phone_number"] for contact in self.contacts]

    def canonical(self) -> Iterator[bytes]:
        """Nothing here asks for this."""
        raise AssertionError

    def size(self) -> int:
        """Nothing here asks for this."""
        raise AssertionError

    def place(self, number: str) -> int | None:
        """Nothing here asks for this."""
        raise AssertionError(len(number))

    def without(self, numbers: Container[str]) -> LongContacts:
        """Nothing here asks for this."""
        raise AssertionError(numbers)


INDIA, BOSTON, NOWHERE = "+919876543210", "+16175550123", "+80012345678"


def _list(contacts: list[Contact]) -> list[Contact]:
    return contacts


@pytest.mark.parametrize("kind", [_list, Streamed])
def test_a_crowd_is_counted(kind: Callable[[list[Contact]], Any]) -> None:
    """People by country, by timezones, by both; a variable counts where it has a value."""
    first = kind(people(INDIA, NOWHERE, plan="Gold", note=" "))
    second = kind(people(BOSTON, plan=None))
    found = crowd_of([first, second], regions=True, zones=True, variables=True)
    assert found.people == 3
    assert found.regions == {"IN": 1, "": 1, "US": 1}
    assert found.zones == {("Asia/Calcutta",): 1, (): 1, ("America/New_York",): 1}
    assert found.places[("US", ("America/New_York",))] == 1
    assert found.variables == {"callee_name": 3, "plan": 2}
    if isinstance(first, Streamed):
        assert first.passes == 1


@pytest.mark.parametrize("variables", [True, False])
def test_only_what_is_asked_for_is_counted(
    monkeypatch: pytest.MonkeyPatch, *, variables: bool
) -> None:
    """Without a rule on places no number is looked up."""
    monkeypatch.setattr(crowd, "locator", lambda: pytest.fail("nobody asked"))
    streamed = Streamed(people(INDIA, plan="Gold"))
    found = crowd_of([streamed], variables=variables)
    assert (found.people, found.regions, found.zones, found.places) == (1, {}, {}, {})
    assert found.variables == ({"callee_name": 1, "plan": 1} if variables else {})
    assert streamed.passes == int(variables)


def test_without_the_package_everybody_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody can look numbers up, all count as of no country and no timezone."""
    monkeypatch.setattr(crowd, "locator", lambda: None)
    found = crowd_of([people(INDIA, BOSTON)], regions=True, zones=True)
    assert found.regions == {"": 2}
    assert found.zones == {(): 2}


def test_a_missing_package_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `phonenumbers` there is no locator, and a rule that needs one says what to type."""
    monkeypatch.setitem(__import__("sys").modules, "phonenumbers", None)
    locator.cache_clear()
    try:
        assert locator() is None
    finally:
        monkeypatch.undo()
        locator.cache_clear()
    assert "[hours]" in numbers.missing("countries").hint

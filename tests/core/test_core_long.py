"""Lists too long to be held make the same plans as those that are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.digest import request_digest
from reconciler.model import LongContacts, OnChange, Request
from reconciler.observed import BatchContact
from reconciler.plan import people as comparing
from reconciler.plan.callees import Roll, share
from reconciler.plan.people import in_several, numbers, shared
from reconciler.spec.lists import spool
from reconciler.spec.lists.spool import Spooling, as_lines
from reconciler.spec.split import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model import Contact

SMALL = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NUMBERS = [f"+1415555{number:04}" for number in range(24)]
STATUSES = ["pending", "retrying", "dispatched", "in_progress", "completed", "skipped", "odd", None]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a few people fill many blocks."""
    monkeypatch.setattr(spool, "_BLOCK", 3)


def held(people: dict[str, str]) -> list[Contact]:
    """Give contacts in the order of their numbers."""
    return [
        {"phone_number": number, "call_variables": {"callee_name": people[number]}}
        for number in sorted(people)
    ]


def long(contacts: Sequence[Contact]) -> LongContacts:
    """Give the same contacts, not held."""
    spooling = Spooling()
    spooling.add(as_lines(list(contacts)))
    return spooling.sorted()


def requested(contacts: Sequence[Contact], most: int | None) -> tuple[Request, ...]:
    """Give the requests of a spec."""
    fields = {"campaign_id": "cmp_1"}
    return split(Request(1, fields, contacts, request_digest(fields, contacts)), most)


names = st.sampled_from(["Asha", "Ravi"])
lists = st.dictionaries(st.sampled_from(NUMBERS), names, min_size=1)


@st.composite
def rolls(draw: st.DrawFn) -> list[Roll]:
    """Draw earlier batches."""
    made = []
    for index in range(draw(st.integers(0, 3))):
        people = draw(lists)
        contacts = tuple(
            BatchContact(
                f"c{index}-{number}",
                number,
                draw(st.sampled_from(STATUSES)),
                draw(st.sampled_from([None, {"callee_name": name}])),
            )
            for number, name in people.items()
        )
        not_owed = frozenset(draw(st.sets(st.sampled_from([c.contact_id for c in contacts]))))
        made.append(Roll(f"b{index}", contacts, draw(st.booleans()), not_owed))
    return made


@SMALL
@given(
    people=lists,
    earlier=rolls(),
    on_change=st.sampled_from(list(OnChange)),
    most=st.sampled_from([None, 1, 4, 7]),
)
def test_a_changed_list_calls_the_same_people(
    people: dict[str, str], earlier: list[Roll], on_change: OnChange, most: int | None
) -> None:
    """Who is called, how many again, what changed: all of it, however the list is cut."""
    contacts = held(people)
    short, spooled = requested(contacts, most), requested(long(contacts), most)
    assert [(r.part, r.digest, list(r.contacts)) for r in short] == [
        (r.part, r.digest, list(r.contacts)) for r in spooled
    ]
    expected, found = share(short, earlier, on_change), share(spooled, earlier, on_change)
    assert [list(part) for part in found.contacts] == [list(part) for part in expected.contacts]
    assert all(isinstance(part, LongContacts) for part in found.contacts)
    assert found.to_call == expected.to_call
    assert replace(found, contacts=()) == replace(expected, contacts=())


@SMALL
@given(ones=st.lists(lists, max_size=3), others=st.lists(lists, max_size=3), data=st.data())
def test_people_in_two_lists_are_counted(
    ones: list[dict[str, str]], others: list[dict[str, str]], data: st.DataObject
) -> None:
    """Exactly, whichever of the two is held."""
    expected = sum(len(set(one) & set(other)) for one in ones for other in others)

    def either(people: dict[str, str]) -> Sequence[Contact]:
        return long(held(people)) if data.draw(st.booleans()) else held(people)

    found = shared(
        [numbers(either(one)) for one in ones], [numbers(either(other)) for other in others]
    )
    assert found == expected


@SMALL
@given(each=st.lists(lists, max_size=5), data=st.data())
def test_people_in_several_lists_are_found(each: list[dict[str, str]], data: st.DataObject) -> None:
    """Each with all lists that have them, whichever of these are held."""
    expected = [
        tuple(owners)
        for number in NUMBERS
        if len(owners := [at for at, people in enumerate(each) if number in people]) > 1
    ]
    some = [
        (at, numbers(long(held(people)) if data.draw(st.booleans()) else held(people)))
        for at, people in enumerate(each)
    ]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(comparing, "_PIECE", 2)
        found = [tuple(sorted(owners)) for owners in in_several(some)]
    assert sorted(found) == sorted(expected)

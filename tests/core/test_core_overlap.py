from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from reconciler.digest import request_digest
from reconciler.model import Request
from reconciler.observed import Batch
from reconciler.plan import overlap
from reconciler.plan.facts import Facts
from tests.core.builders import CAMPAIGN, NOW, created, people, plan, recorded, spec, state

if TYPE_CHECKING:
    from reconciler.model import Spec
    from reconciler.state.document import State

DAY = timedelta(days=1)


def of(name: str, first: int, count: int) -> Spec:
    """Give a spec of so many people, the first of them by number."""
    contacts = people(count, first=first)
    fields = {"campaign_id": CAMPAIGN, "call_context": {"name": name}}
    request = Request(1, fields, contacts, request_digest(fields, contacts))
    return replace(spec(name), requests=(request,))


OLD = of("april", 0, 10)


def called(days: float) -> State:
    """Give a state in which the old batch was created so long ago."""
    record = structs.replace(created(OLD, "bat_1"), recorded_at=NOW - days * DAY)
    return state(april=recorded(record, of=OLD))


def told(new: Spec, on: State, facts: Facts | None = None, *others: Spec) -> list[str]:
    """Give what a plan says of overlaps."""
    made = plan(new, OLD, *others, on=on, facts=facts)
    return [d.message for d in made.diagnostics if " also in " in d.message]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0.5, ["4 people are also in april, created today"]),
        (1, ["4 people are also in april, created 1 day ago"]),
        (12, ["4 people are also in april, created 12 days ago"]),
        (31, []),
    ],
)
def test_people_of_a_recent_batch_are_counted(days: float, expected: list[str]) -> None:
    """How many, in which, and how long ago; what is long past does not count."""
    assert told(of("may", 6, 10), called(days)) == expected


def test_an_old_batch_that_still_calls_counts() -> None:
    """However long ago it was created."""
    facts = Facts(batches={"bat_1": Batch("bat_1", CAMPAIGN, "in_progress")})
    assert told(of("may", 9, 5), called(90), facts) == [
        "1 person is also in april, created 90 days ago"
    ]


def test_two_new_batches_are_compared_too() -> None:
    """Once, at the later of their names."""
    said = told(of("may", 20, 5), called(90), None, of("june", 22, 5))
    assert said == ["3 people are also in june, also to be created"]


def test_a_changed_spec_says_nothing_of_who_was_in_its_batch() -> None:
    """What it said then is not known any more, so nothing is claimed."""
    on = called(1)
    record = on.batches["april"]
    other = structs.replace(record.current.requests[0], digest="v1:" + "0" * 64)
    changed = replace(on, batches={"april": recorded(other, of=OLD)})
    assert told(of("may", 0, 5), changed) == []


@given(st.integers(0, 30), st.integers(1, 20))
def test_the_count_is_exact(first: int, count: int) -> None:
    """It is the size of the intersection, whatever that is."""
    both = len(set(range(10)) & set(range(first, first + count)))
    said = told(of("may", first, count), called(2))
    assert [int(line.split()[0]) for line in said] == [both] * bool(both)


@pytest.mark.parametrize(
    "most",
    [
        pytest.param(0, id="nobody is in two"),
        pytest.param(299, id="one is in all"),
    ],
)
def test_batches_without_anybody_in_common_are_not_compared(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many new batches are no pairs to go through: only those that meet are counted."""
    compared = []
    exact = overlap._shared

    def counting(ones: Any, others: Any) -> int:
        compared.append(1)
        return exact(ones, others)

    monkeypatch.setattr(overlap, "_shared", counting)
    apart = [of(f"new-{index:03d}", 20 + 3 * index, 3) for index in range(299)]
    meeting = of("with-all", 20, 3 * most) if most else of("with-nobody", 2_000, 3)
    said = told(meeting, called(90), None, *apart)
    assert len(said) == most
    assert len(compared) <= most

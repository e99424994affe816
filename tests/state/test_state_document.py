from __future__ import annotations

import pytest

from reconciler.model import OnChange
from reconciler.state.document import Generation, NameRecord, Replacing, State, begins
from tests.core.builders import (
    LINEAGE,
    NOW,
    created,
    creating,
    generation,
    in_doubt,
    recorded,
    spec,
    state,
)

SPEC, CHANGED = spec(), spec(contents=2)
NAME = frozenset({"welcome"})
EMPTY = State(lineage=LINEAGE, serial=7)
INTENT = in_doubt(SPEC)
DONE = state(welcome=recorded(created(SPEC, "bat_1"), of=SPEC))


def test_a_request_finds_its_place() -> None:
    """Generations and parts are added where they belong, and replaced where they stand."""
    two = spec(parts=2)
    grown = EMPTY.with_request("welcome", generation(two, number=2), created(two, part=2))
    grown = grown.with_request("welcome", generation(two, number=1), created(two, "bat_a"))
    grown = grown.with_request("welcome", generation(two, number=2), creating(two, part=1))
    record = grown.batches["welcome"]
    assert [g.generation for g in record.generations] == [1, 2]
    assert [r.part for r in record.current.requests] == [1, 2]
    assert record.current.in_doubt
    replaced = grown.with_request("welcome", record.current, created(two, "bat_b"))
    assert not replaced.batches["welcome"].current.in_doubt
    assert grown.batches["welcome"].current.in_doubt, "a change gives a new state"
    assert record.current.request(9) is None


def test_what_becomes_empty_goes_too() -> None:
    """A request that is dropped takes an empty generation and an empty name with it."""
    two = spec(parts=2)
    both = state(welcome=recorded(of=two))
    one = both.without_request("welcome", 1, 2)
    assert [r.part for r in one.batches["welcome"].current.requests] == [1]
    assert one.without_request("welcome", 1, 1).batches == {}
    assert both.without_request("nobody", 1, 1) is both
    assert both.without_request("welcome", 9, 1).batches == both.batches
    older = NameRecord(generations=(generation(SPEC), generation(CHANGED, number=2)))
    left = state(welcome=older).without_request("welcome", 2, 1)
    assert left.batches["welcome"].current.generation == 1


def test_every_id_has_its_name() -> None:
    """Second batches are known by name like all others."""
    known = state(welcome=recorded(created(SPEC, "bat_1", duplicates=("bat_2",)), of=SPEC))
    assert known.batch_ids() == {"bat_1": "welcome", "bat_2": "welcome"}
    assert INTENT.batch_ids() == {}
    assert known.record("nobody") is None


RENEWED = in_doubt(SPEC, expires_at=NOW, attempted_at=NOW)
AGAIN = in_doubt(SPEC, attempt=2, run="another")
JOURNAL = Replacing(
    generation=2,
    on_change=OnChange.REMAINING,
    olds=("bat_1",),
    paused=("bat_1",),
    begun_at=NOW,
)


def replacing(*generations: Generation, journal: Replacing | None = JOURNAL) -> State:
    """Give a state in which something may be taking a batch's place."""
    return state(welcome=NameRecord(generations=generations, replacing=journal))


OLD = generation(SPEC, created(SPEC, "bat_1"))
CANCELLED = generation(SPEC, created(SPEC, "bat_1", cancelled_at=NOW))
NEW = generation(CHANGED, created(CHANGED, "bat_2", generation=2), number=2)
BEGUN, SOON = replacing(OLD), replacing(CANCELLED)
BOTH, TAKEN = replacing(OLD, NEW), replacing(CANCELLED, NEW)
OVER = replacing(CANCELLED, NEW, journal=None)
ENDED = replacing(CANCELLED, journal=None)


@pytest.mark.parametrize(
    ("before", "after", "expected", "reason"),
    [
        (EMPTY, INTENT, True, "a first intent"),
        (INTENT, INTENT, False, "nothing changed"),
        (INTENT, RENEWED, True, "the old one may have expired and be another run's by now"),
        (INTENT, AGAIN, True, "another attempt"),
        (AGAIN, INTENT, False, "an attempt that made no batch is put back as it was before"),
        (INTENT, in_doubt(SPEC, unknown="timeout"), False, "an outcome, though not a known one"),
        (INTENT, DONE, False, "an outcome"),
        (INTENT, EMPTY, False, "a withdrawal"),
        (DONE, INTENT, True, "whatever was there, this is about to be sent"),
        (DONE, BEGUN, True, "a batch is about to be paused for a change"),
        (BEGUN, BEGUN, False, "it was begun before"),
        (BEGUN, DONE, False, "the change came to nothing"),
        (DONE, ENDED, True, "a batch is about to be cancelled for its own sake"),
        (BEGUN, SOON, True, "a batch is cancelled before the new one is there"),
        (BOTH, TAKEN, False, "the new batch is there, so cancelling the old one only follows"),
        (TAKEN, OVER, False, "and when that is done, so is the change"),
    ],
)
def test_what_begins_something(before: State, after: State, *, expected: bool, reason: str) -> None:
    """Only what is about to be sent must win the race for the state."""
    assert begins(before, after, NAME) == expected, reason
    assert not begins(before, after, frozenset()), "names that were not touched do not count"

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings

from reconciler.state import codec
from reconciler.state.document import NameRecord, Source, State, begins, lay_onto
from tests.core.builders import (
    LINEAGE,
    LONG_AGO,
    NOW,
    created,
    creating,
    generation,
    in_doubt,
    recorded,
    spec,
    state,
)
from tests.state.strategies import states

SPEC, CHANGED = spec(), spec(contents=2)
NAME = frozenset({"welcome"})
EMPTY = State(lineage=LINEAGE, serial=7)
INTENT = in_doubt(SPEC)
DONE = state(welcome=recorded(created(SPEC, "bat_1"), of=SPEC))


def sound(merged: State) -> State:
    """Give a state back if a store could read it again."""
    assert codec.decode(codec.encode(merged), where="state.json").batches == merged.batches
    return merged


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
    ],
)
def test_what_begins_something(before: State, after: State, *, expected: bool, reason: str) -> None:
    """Only what is about to be sent must win the race for the state."""
    assert begins(before, after, NAME) == expected, reason
    assert not begins(before, after, frozenset()), "names that were not touched do not count"


def test_only_touched_names_are_laid_onto_theirs() -> None:
    """Theirs stays but for what this run changed."""
    other = spec("other", 5)
    theirs = replace(state(other=recorded(of=other)), serial=20)
    merged = lay_onto(theirs, DONE, NAME)
    assert merged.serial == 20
    assert set(merged.batches) == {"welcome", "other"}
    assert lay_onto(theirs, DONE, frozenset()) is theirs
    assert lay_onto(INTENT, EMPTY, NAME).batches == {}, "an intent that was withdrawn"


def test_a_batch_that_they_found_answers_our_doubt() -> None:
    """Whoever knows the id of a key is believed."""
    assert sound(lay_onto(DONE, INTENT, NAME)).batch_ids() == {"bat_1": "welcome"}
    assert not lay_onto(DONE, INTENT, NAME).batches["welcome"].current.in_doubt


def test_a_batch_that_only_they_know_is_not_dropped() -> None:
    """A withdrawal of ours says nothing about what they created."""
    assert lay_onto(DONE, EMPTY, NAME).batches == DONE.batches


def test_two_batches_of_a_key_are_both_kept_and_watched() -> None:
    """Both runs created it: one id is a second batch's, and the next run looks at both."""
    ours = state(welcome=recorded(created(SPEC, "bat_2"), of=SPEC))
    merged = sound(lay_onto(DONE, ours, NAME))
    (record,) = merged.batches["welcome"].current.requests
    assert (record.batch_id, record.duplicates) == ("bat_2", ("bat_1",))
    assert record.watch_until == LONG_AGO + timedelta(days=1)


def test_other_contents_under_the_same_name_are_both_kept() -> None:
    """Theirs gets a number of its own, so that no id is lost."""
    ours = state(welcome=recorded(created(CHANGED, "bat_2"), of=CHANGED))
    merged = sound(lay_onto(DONE, ours, NAME))
    assert merged.batch_ids() == {"bat_1": "welcome", "bat_2": "welcome"}
    assert [g.generation for g in merged.batches["welcome"].generations] == [1, 2]


def test_a_move_of_ours_does_not_bring_the_old_name_back() -> None:
    """Their record of the old name is known to us under the new one."""
    moved = state(hello=recorded(created(SPEC, "bat_1"), of=SPEC))
    merged = sound(lay_onto(DONE, moved, frozenset({"welcome", "hello"})))
    assert merged.batch_ids() == {"bat_1": "hello"}


@settings(max_examples=40, deadline=None)
@given(states(most=3), states(most=3))
def test_laying_on_loses_no_id_of_either(theirs: State, ours: State) -> None:
    """Whatever two runs know, every id of both is in what is stored."""
    apart = replace(
        ours,
        batches={
            name: replace(
                record,
                generations=tuple(
                    replace(
                        g,
                        source=Source(path="ours"),
                        requests=tuple(
                            replace(
                                r,
                                key="our-" + r.key,
                                batch_id=r.batch_id and "our-" + r.batch_id,
                                duplicates=tuple("our-" + d for d in r.duplicates),
                            )
                            for r in g.requests
                        ),
                    )
                    for g in record.generations
                ),
            )
            for name, record in ours.batches.items()
        },
    )
    merged = lay_onto(theirs, apart, frozenset({*theirs.batches, *ours.batches}))
    created_by_them = {r.batch_id for _, _, r in theirs.requests() if r.batch_id}
    assert set(merged.batch_ids()) >= set(apart.batch_ids()) | created_by_them

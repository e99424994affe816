from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings

from reconciler.model import Lifecycle
from reconciler.state import codec
from reconciler.state.document import WATCH, NameRecord, State
from reconciler.state.merge import lay_over
from tests.core.builders import (
    LINEAGE,
    LONG_AGO,
    NOW,
    created,
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
OURS = "ours"
INTENT = in_doubt(SPEC, run=OURS)
THEIR_INTENT = in_doubt(SPEC, run="theirs", attempt=2)
DONE = state(welcome=recorded(created(SPEC, "bat_1"), of=SPEC))
SECOND = state(welcome=recorded(created(SPEC, "bat_2"), of=SPEC))
UNKNOWN = in_doubt(SPEC, run=OURS, unknown="timeout")


def laid(theirs: State, ours: State, known: State) -> State:
    """Lay ours onto theirs, and make sure that a store could read it again."""
    merged = lay_over(theirs, ours, known, NAME, OURS)
    assert codec.decode(codec.encode(merged), where="state.json").batches == merged.batches
    return merged


@pytest.mark.parametrize(
    ("theirs", "ours", "known", "expected", "reason"),
    [
        (INTENT, DONE, INTENT, DONE, "they changed nothing of it"),
        (INTENT, EMPTY, INTENT, EMPTY, "our intent that made no batch is withdrawn"),
        (INTENT, UNKNOWN, INTENT, UNKNOWN, "what we learned of our own intent"),
        (DONE, EMPTY, EMPTY, DONE, "what only they created is not dropped by our withdrawal"),
        (DONE, EMPTY, INTENT, DONE, "nor when our intent had been stored"),
        (DONE, UNKNOWN, INTENT, DONE, "they found what we are in doubt about"),
        (THEIR_INTENT, EMPTY, INTENT, THEIR_INTENT, "their attempt is not ours to withdraw"),
        (THEIR_INTENT, UNKNOWN, INTENT, THEIR_INTENT, "and is the later word"),
        (EMPTY, DONE, INTENT, DONE, "they withdrew it, not knowing that it exists"),
        (EMPTY, INTENT, INTENT, EMPTY, "they settled what we did not touch"),
    ],
)
def test_who_is_believed(
    theirs: State, ours: State, known: State, expected: State, reason: str
) -> None:
    """A batch counts more than a doubt, and who changed something more than who did not."""
    assert laid(theirs, ours, known).batches == expected.batches, reason


def test_only_touched_names_are_laid_onto_theirs() -> None:
    """Theirs stays but for what this run changed."""
    other = spec("other", 5)
    theirs = replace(state(other=recorded(of=other)), serial=20)
    merged = laid(theirs, DONE, EMPTY)
    assert merged.serial == 20
    assert set(merged.batches) == {"welcome", "other"}
    assert lay_over(theirs, DONE, EMPTY, frozenset(), OURS) == theirs


def test_two_batches_of_a_key_are_both_kept_and_watched() -> None:
    """Both runs created it: one id is a second batch's, and the next run looks at both."""
    (record,) = laid(DONE, SECOND, INTENT).batches["welcome"].current.requests
    assert (record.batch_id, record.duplicates) == ("bat_1", ("bat_2",))
    assert record.watch_until == LONG_AGO + WATCH


def test_a_batch_of_ours_meets_their_new_attempt() -> None:
    """They are creating it again, not knowing that ours exists: it is recorded and watched."""
    (record,) = laid(THEIR_INTENT, DONE, INTENT).batches["welcome"].current.requests
    assert (record.batch_id, record.in_doubt) == ("bat_1", False)
    assert record.watch_until == LONG_AGO + WATCH


def test_a_watch_ends_when_the_longer_one_does() -> None:
    """The later of two times counts."""
    far = NOW + timedelta(days=9)
    theirs = state(welcome=recorded(created(SPEC, "bat_1", watch_until=far), of=SPEC))
    (record,) = laid(theirs, SECOND, INTENT).batches["welcome"].current.requests
    assert record.watch_until == far


def test_generations_of_both_are_kept() -> None:
    """What they added and what we added stand side by side."""
    ours = NameRecord(generations=(generation(SPEC), generation(CHANGED, number=3)))
    theirs = NameRecord(generations=(generation(SPEC), generation(CHANGED, number=2)))
    merged = laid(state(welcome=theirs), state(welcome=ours), state(welcome=recorded(of=SPEC)))
    numbers = [g.generation for g in merged.batches["welcome"].generations]
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize(
    ("theirs", "ours", "known", "expected"),
    [
        (Lifecycle.PAUSED, Lifecycle.ACTIVE, Lifecycle.ACTIVE, Lifecycle.PAUSED),
        (Lifecycle.PAUSED, Lifecycle.CANCELLED, Lifecycle.ACTIVE, Lifecycle.CANCELLED),
    ],
)
def test_who_changed_the_lifecycle_is_believed(
    theirs: Lifecycle, ours: Lifecycle, known: Lifecycle, expected: Lifecycle
) -> None:
    """Ours counts where we changed it."""
    merged = laid(*(state(welcome=recorded(of=SPEC, lifecycle=x)) for x in (theirs, ours, known)))
    assert merged.batches["welcome"].lifecycle is expected


def test_a_move_of_ours_meets_their_change() -> None:
    """A name we moved while they changed it stays where they have it: one batch, one record."""
    known = DONE
    moved = state(hello=recorded(created(SPEC, "bat_1"), of=SPEC))
    watched = state(welcome=recorded(created(SPEC, "bat_1", watch_until=NOW), of=SPEC))
    names = frozenset({"welcome", "hello"})
    assert lay_over(DONE, moved, known, names, OURS).batch_ids() == {"bat_1": "hello"}
    assert lay_over(watched, moved, known, names, OURS).batch_ids() == {"bat_1": "welcome"}


@settings(max_examples=60, deadline=None)
@given(states(most=3), states(most=3))
def test_laying_on_loses_no_id_of_either(theirs: State, known: State) -> None:
    """Whatever two runs know, every id of both is in what is stored, or in what neither changed."""
    names = frozenset({*theirs.batches, *known.batches})
    ours = state(
        **{
            f"s{i}": recorded(created(spec(f"s{i}", i), f"ours_{i}"), of=spec(f"s{i}", i))
            for i in range(3)
        }
    )
    for name, record in known.batches.items():
        ours = ours.with_record(name, record)
    merged = lay_over(theirs, ours, known, names | {"s0", "s1", "s2"}, OURS)
    assert set(merged.batch_ids()) >= {"ours_0", "ours_1", "ours_2"}
    assert set(merged.batch_ids()) >= set(theirs.batch_ids())

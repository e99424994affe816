from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from reconciler.model import Lifecycle, OnChange
from reconciler.state import codec
from reconciler.state.document import (
    WATCH,
    Audit,
    Generation,
    NameRecord,
    Replacing,
    RequestRecord,
    Source,
    State,
    Status,
)
from reconciler.state.merge import displaced, lay_over
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

if TYPE_CHECKING:
    from collections.abc import Iterable

SPEC, CHANGED = spec(), spec(contents=2)
NAME = frozenset({"welcome"})
EMPTY = State(lineage=LINEAGE, serial=7)
OURS = "ours"
INTENT = in_doubt(SPEC, run=OURS)
THEIR_INTENT = in_doubt(SPEC, run="theirs", attempt=2)
DONE = state(welcome=recorded(created(SPEC, "bat_1"), of=SPEC))
DONE_WATCHED = state(
    welcome=recorded(
        structs.replace(created(SPEC, "bat_1"), watch_until=creating(SPEC).attempted_at + WATCH),
        of=SPEC,
    )
)
SECOND = state(welcome=recorded(created(SPEC, "bat_2"), of=SPEC))
UNKNOWN = in_doubt(SPEC, run=OURS, unknown="timeout")
COMPLETE = in_doubt(SPEC, status=Status.COMPLETE)


def laid(theirs: State, ours: State, known: State) -> State:
    """Lay ours onto theirs, and make sure that a store could read it again."""
    return sound(lay_over(theirs, ours, known, NAME, OURS))


def sound(merged: State) -> State:
    """Give a state back if a store could read it again."""
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
        (DONE, UNKNOWN, INTENT, DONE_WATCHED, "they found what we are in doubt about"),
        (DONE, INTENT, INTENT, DONE_WATCHED, "or made it; what we have sent may still come"),
        (THEIR_INTENT, EMPTY, INTENT, THEIR_INTENT, "their attempt is not ours to withdraw"),
        (THEIR_INTENT, UNKNOWN, INTENT, THEIR_INTENT, "and is the later word"),
        (EMPTY, DONE, INTENT, DONE, "they withdrew it, not knowing that it exists"),
        (EMPTY, THEIR_INTENT, THEIR_INTENT, EMPTY, "they settled what we did not touch"),
        (EMPTY, INTENT, INTENT, INTENT, "we may be at it, and nobody else can know"),
        (INTENT, EMPTY, EMPTY, EMPTY, "our push arrived after all, and we know that it made none"),
        (INTENT, DONE, EMPTY, DONE, "or what it made"),
        (INTENT, DONE, DONE, DONE, "a batch is not unmade by somebody who went back to a doubt"),
        (DONE, INTENT, DONE, DONE, "neither by us"),
        (EMPTY, DONE, DONE, DONE, "what we know for certain is not dropped"),
        (EMPTY, COMPLETE, COMPLETE, COMPLETE, "nor that no batch was needed"),
        (COMPLETE, DONE, EMPTY, DONE, "where there is a batch, it is known"),
        (DONE, COMPLETE, EMPTY, DONE, "whoever knows it"),
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
    theirs = structs.replace(state(other=recorded(of=other)), serial=20)
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


def test_what_both_learned_of_one_batch_is_kept() -> None:
    """Field by field, and with all that people said."""
    said = [Audit(who=who, at=NOW, said="so") for who in ("Ada", "Bea")]
    known = state(welcome=recorded(created(SPEC, "bat_1"), of=SPEC))
    theirs = created(SPEC, "bat_1", watch_until=NOW, duplicates=("bat_2",), audit=(said[0],))
    ours = created(SPEC, "bat_1", cancelled_at=NOW, duplicates=("bat_3",), audit=(said[1],))
    both = (state(welcome=recorded(each, of=SPEC)) for each in (theirs, ours))
    (record,) = laid(next(both), next(both), known).batches["welcome"].current.requests
    assert record == structs.replace(
        theirs, cancelled_at=NOW, duplicates=("bat_3", "bat_2"), audit=tuple(said)
    )


MOVED = state(hello=recorded(created(SPEC, "bat_1"), of=SPEC))
BOTH = frozenset({"welcome", "hello"})
SECOND_PART = structs.replace(created(SPEC, "bat_p2", part=1), part=2, key="second part")


@pytest.mark.parametrize(
    ("theirs", "expected", "reason"),
    [
        (DONE, {"bat_1": "hello"}, "they did nothing to it"),
        (
            state(welcome=recorded(created(SPEC, "bat_1", duplicates=("bat_2",)), of=SPEC)),
            {"bat_1": "hello", "bat_2": "hello"},
            "what they learned goes along",
        ),
        (
            state(welcome=recorded(created(SPEC, "bat_1"), SECOND_PART, of=SPEC)),
            {"bat_1": "hello", "bat_p2": "hello"},
            "and what they added: half a set would be taken for one that was interrupted",
        ),
        (
            state(hi=recorded(created(SPEC, "bat_1"), of=SPEC)),
            {"bat_1": "hi"},
            "they moved it too, and were first",
        ),
        (
            DONE.with_record("hello", recorded(created(CHANGED, "bat_2"), of=CHANGED)),
            {"bat_1": "welcome", "bat_2": "hello"},
            "the new name is taken by something else of theirs",
        ),
        (EMPTY, {"bat_1": "hello"}, "they lost it"),
    ],
)
def test_a_move_of_ours(theirs: State, expected: dict[str, str], reason: str) -> None:
    """A rename is done to what they have now; one batch, one record."""
    merged = lay_over(theirs, MOVED, DONE, BOTH, OURS)
    assert sound(merged).batch_ids() == expected, reason


def test_a_move_of_theirs() -> None:
    """What we learned of a name that they moved is found by its key."""
    assert laid(MOVED, SECOND, in_doubt(SPEC)).batch_ids() == {"bat_1": "hello", "bat_2": "hello"}
    assert laid(MOVED, DONE, INTENT).batch_ids() == {"bat_1": "hello"}


def test_other_contents_under_one_name_are_both_kept() -> None:
    """Ours keep their number, because this run is at work there; theirs get the next one."""
    ours = state(welcome=recorded(created(CHANGED, "bat_2"), of=CHANGED))
    merged = laid(DONE, ours, EMPTY)
    assert merged.batch_ids() == {"bat_1": "welcome", "bat_2": "welcome"}
    record = merged.batches["welcome"]
    assert [(g.generation, g.requests[0].batch_id) for g in record.generations] == [
        (1, "bat_2"),
        (2, "bat_1"),
    ]
    assert not displaced(ours, merged, OURS)


def test_a_doubt_beside_other_contents_stays_in_doubt() -> None:
    """It becomes the current generation, the only one that is settled; who was at it is told."""
    ours = state(welcome=recorded(creating(CHANGED, run=OURS, unknown="timeout"), of=CHANGED))
    merged = laid(DONE, ours, EMPTY)
    assert merged.batches["welcome"].current.in_doubt
    assert displaced(ours, merged, OURS)
    assert not displaced(ours, merged, "another")


def test_two_doubts_of_other_contents_are_settled_together() -> None:
    """Neither is forgotten: both stand in the generation that is looked at."""
    ours = state(welcome=recorded(creating(CHANGED, run=OURS), of=CHANGED))
    both = NameRecord(generations=(*THEIR_INTENT.batches["welcome"].generations,))
    merged = laid(state(welcome=both), ours, EMPTY)
    (current,) = merged.batches["welcome"].generations
    assert {request.key for request in current.requests} == {
        request.key for each in (THEIR_INTENT, ours) for _, _, request in each.requests()
    }


BEGUN = Replacing(
    generation=2, on_change=OnChange.REMAINING, olds=("bat_1",), paused=("bat_1",), begun_at=NOW
)
FIRST = DONE.batches["welcome"]
AT_IT = state(welcome=structs.replace(FIRST, replacing=BEGUN))


def changed(contents: int, batch_id: str, replacing: Replacing | None = None) -> State:
    """Give a state with a second generation."""
    of = spec(contents=contents)
    second = generation(of, created(of, batch_id), number=2)
    return state(welcome=NameRecord(generations=(*FIRST.generations, second), replacing=replacing))


@pytest.mark.parametrize(
    ("theirs", "ours", "number", "current", "reason"),
    [
        (DONE, AT_IT, 2, "bat_1", "we began it"),
        (AT_IT, DONE, 2, "bat_1", "they began it"),
        (changed(2, "bat_2"), AT_IT, 3, "bat_2", "its number was taken meanwhile"),
        (changed(2, "bat_2", BEGUN), changed(3, "bat_3"), 3, "bat_2", "theirs made room for ours"),
    ],
)
def test_a_replacement_that_was_begun_goes_along(
    theirs: State, ours: State, number: int, current: str, reason: str
) -> None:
    """It is about its own generation, whichever number that has in the end."""
    record = laid(theirs, ours, DONE).batches["welcome"]
    assert record.replacing == structs.replace(BEGUN, generation=number), reason
    assert record.current.requests[0].batch_id == current


# -- whatever two sides did ------------------------------------------------------------------------

KEYS = [f"k{number}" for number in range(5)]


@st.composite
def versions(draw: st.DrawFn) -> State:
    """Give any version of one small state, so that two of them meet in every way there is."""
    keys = draw(st.permutations(KEYS))
    batches: dict[str, NameRecord] = {}
    for name in draw(st.sets(st.sampled_from("abc"))):
        numbers = sorted(draw(st.sets(st.integers(1, 3), min_size=1, max_size=2)))
        generations = []
        for number in numbers:
            parts = sorted(draw(st.sets(st.integers(1, 2), min_size=1)))
            records = [
                draw(records_of(keys.pop(), part, may_be_in_doubt=number == numbers[-1]))
                for part in parts
                if keys
            ]
            if records:
                generations.append(
                    Generation(
                        generation=number,
                        campaign_id=draw(st.sampled_from("xy")),
                        fields={},
                        source=Source(path=name),
                        requests=tuple(records),
                    )
                )
        if generations:
            batches[name] = NameRecord(generations=tuple(generations))
    return State(lineage=LINEAGE, serial=7, batches=batches)


@st.composite
def records_of(draw: st.DrawFn, key: str, part: int, *, may_be_in_doubt: bool) -> RequestRecord:
    """Give any record of a key; a batch that is one key's is never another's."""
    status = draw(st.sampled_from([Status.CREATED, Status.COMPLETE, Status.CREATING]))
    if status is Status.CREATING and not may_be_in_doubt:
        status = Status.CREATED
    ids = draw(st.permutations([f"{key} {number}" for number in range(3)]))
    made = status is Status.CREATED
    return structs.replace(
        creating(SPEC),
        part=part,
        key=key,
        status=status,
        run=draw(st.sampled_from([OURS, "theirs"])),
        batch_id=ids.pop() if made else None,
        recorded_at=NOW if made else None,
        duplicates=tuple(ids[: draw(st.integers(0, 2))]),
        watch_until=draw(st.sampled_from([None, NOW])),
    )


def ids_of_keys(of: State, names: Iterable[str]) -> set[tuple[str, str]]:
    """Give every batch id with its key."""
    return {
        (request.key, batch_id)
        for name, _, request in of.requests()
        for batch_id in (request.batch_id, *request.duplicates)
        if batch_id and name in names
    }


@settings(max_examples=400, deadline=None)
@given(versions(), versions(), versions(), st.frozensets(st.sampled_from("abc")))
def test_whatever_two_sides_did(
    theirs: State, ours: State, known: State, names: frozenset[str]
) -> None:
    """No batch id of either is lost, nor given to another key; a key has one record."""
    merged = sound(lay_over(theirs, ours, known, names, OURS))
    told = ids_of_keys(theirs, theirs.batches) | ids_of_keys(ours, names)
    assert ids_of_keys(merged, merged.batches) == told
    keys = {request.key for _, _, request in merged.requests()}
    assert keys >= {
        request.key
        for name, _, request in ours.requests()
        if name in names and request.in_doubt and request.run == OURS
    }, "what this run may have begun is remembered"
    again = sound(lay_over(merged, ours, known, names, OURS))
    assert ids_of_keys(again, again.batches) == told, "laid twice, it says the same"


@settings(max_examples=100, deadline=None)
@given(versions(), versions())
def test_what_nobody_touched_stays(theirs: State, ours: State) -> None:
    """Without a name that we changed, nothing of theirs is changed either."""
    assert lay_over(theirs, ours, ours, frozenset(), OURS) == theirs
    assert lay_over(theirs, theirs, theirs, frozenset("abc"), "") == theirs


@settings(max_examples=60, deadline=None)
@given(states(most=3), states(most=3))
def test_laying_on_loses_no_id_of_either(theirs: State, known: State) -> None:
    """States of any shape: every id of both is in what is stored."""
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

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from msgspec.structs import replace

from reconciler.plan.actions import Reason
from reconciler.plan.facts import Facts, Rules
from reconciler.plan.settling import (
    CreateAgain,
    Found,
    StillInDoubt,
    Verdict,
    as_created,
    oldest,
    settle,
    sort_out,
    verdict,
    with_adoption,
    without_released,
)
from reconciler.state.document import WATCH, RecordedBy, RequestRecord, Status
from tests.core.builders import (
    LONG_AGO,
    NOW,
    batch,
    created,
    creating,
    in_doubt,
    recorded,
    spec,
    state,
)

if TYPE_CHECKING:
    from reconciler.observed import Batch

SPEC = spec()
RECORD = creating(SPEC)
SECOND = timedelta(seconds=1)
SETTLE = Rules().settle
ABSENT = Facts(absent=frozenset({RECORD.key}))
OURS = batch(RECORD, "bat_1", age=timedelta(hours=1))
FOREIGN = replace(OURS, metadata={"reconciler": {"key": RECORD.key, "digest": "v1:other"}})
UNTOLD = replace(OURS, metadata={"reconciler": {"key": RECORD.key}})
AGAIN = "create again"


def found(*batches: Batch) -> Facts:
    """Give facts in which these batches carry the key."""
    return Facts(found={RECORD.key: batches})


def called(result: Verdict) -> str:
    """Give a verdict's name for a table."""
    match result:
        case Found(keep, extra):
            return " ".join(["found", keep.batch_id, *(b.batch_id for b in extra)])
        case CreateAgain():
            return AGAIN
        case StillInDoubt(reason):
            return reason.value


@pytest.mark.parametrize(
    ("record", "facts", "rules", "expected", "reason"),
    [
        (RECORD, found(OURS), Rules(), "found bat_1", "the key is proof"),
        (RECORD, found(UNTOLD), Rules(), "found bat_1", "a marker without a digest is still ours"),
        (RECORD, found(OURS), Rules(hold=True), "found bat_1", "a fact needs no person"),
        (RECORD, found(FOREIGN), Rules(), "key_conflict", "the same key, but not what we sent"),
        (RECORD, found(OURS, FOREIGN), Rules(), "key_conflict", "one odd batch spoils the proof"),
        (RECORD, Facts(offline=True), Rules(), "in_doubt", "offline nobody can tell"),
        (
            RECORD,
            replace(ABSENT, offline=True),
            Rules(),
            "in_doubt",
            "offline nothing counts as shown to be absent",
        ),
        (RECORD, ABSENT, Rules(hold=True), "held", "`hold` leaves it to a person"),
        (RECORD, Facts(), Rules(), "in_doubt", "an incomplete listing proves no absence"),
        (
            RECORD,
            replace(ABSENT, suspects={RECORD.key: ("bat_mute",)}),
            Rules(),
            "in_doubt",
            "a batch without metadata may be it",
        ),
        (RECORD, ABSENT, Rules(), AGAIN, "old, and nowhere in a complete listing"),
        (
            structs.replace(RECORD, attempted_at=NOW - SETTLE + SECOND),
            ABSENT,
            Rules(),
            "in_doubt",
            "it may still appear",
        ),
        (
            structs.replace(RECORD, attempted_at=NOW - SETTLE),
            ABSENT,
            Rules(),
            AGAIN,
            "just old enough",
        ),
        (
            structs.replace(RECORD, attempted_at=NOW + timedelta(hours=2)),
            ABSENT,
            Rules(),
            "in_doubt",
            "a clock that was set back makes no attempt old",
        ),
        (
            structs.replace(RECORD, attempted_at=NOW + timedelta(hours=2)),
            ABSENT,
            Rules(settle=timedelta(0)),
            "in_doubt",
            "not even without a time to settle",
        ),
        (
            structs.replace(RECORD, expires_at=NOW + SECOND, run="other"),
            ABSENT,
            Rules(),
            "in_doubt",
            "the intent is still its run's alone",
        ),
        (
            structs.replace(RECORD, expires_at=NOW + SECOND, run="ours"),
            found(OURS),
            Rules(run="ours"),
            "found bat_1",
            "our own intent need not be left alone",
        ),
        (
            structs.replace(RECORD, expires_at=NOW + SECOND, run="other", unknown="timed out"),
            found(OURS),
            Rules(),
            "found bat_1",
            "its run said that it does not know: it sends nothing more",
        ),
        (
            structs.replace(
                RECORD,
                expires_at=NOW + SECOND,
                gives_up_at=NOW + SECOND,
                run="other",
                unknown="timed out",
            ),
            ABSENT,
            Rules(settle=timedelta(0)),
            "in_doubt",
            "what it sent may still arrive",
        ),
        (
            structs.replace(RECORD, expires_at=NOW - Rules().timeout + SECOND),
            ABSENT,
            Rules(),
            "in_doubt",
            "its run may have begun the request just before the intent expired",
        ),
        (
            structs.replace(RECORD, expires_at=NOW - Rules().timeout),
            ABSENT,
            Rules(),
            AGAIN,
            "the intent has expired, and so has a request begun under it",
        ),
        (
            structs.replace(RECORD, released_at=NOW),
            Facts(offline=True),
            Rules(hold=True),
            AGAIN,
            "a person said so",
        ),
        (
            structs.replace(RECORD, released_at=NOW),
            found(OURS),
            Rules(),
            "found bat_1",
            "what the API shows counts more than what a person said",
        ),
        (
            structs.replace(RECORD, released_at=NOW),
            found(FOREIGN),
            Rules(),
            AGAIN,
            "a person looked at the other batch and said it is not this one",
        ),
    ],
)
def test_what_is_believed_of_a_request_in_doubt(
    record: RequestRecord, facts: Facts, rules: Rules, expected: str, reason: str
) -> None:
    """Each kind of evidence leads to its verdict, and doubt never to a create."""
    assert called(verdict("welcome", record, facts, rules, NOW)) == expected, reason


@pytest.mark.parametrize(
    "facts",
    [
        Facts(offline=True),
        Facts(),
        found(FOREIGN),
        replace(ABSENT, suspects={RECORD.key: ("bat_mute",)}),
    ],
)
def test_every_doubt_says_what_to_type(facts: Facts) -> None:
    """A person is never left without the next command."""
    result = verdict("welcome", RECORD, facts, Rules(), NOW)
    assert isinstance(result, StillInDoubt)
    assert result.message
    assert "reconciler" in result.hint or "--offline" in result.hint


def test_a_recent_attempt_says_until_when_to_wait() -> None:
    """The later of settling time and lease is named."""
    record = structs.replace(RECORD, attempted_at=NOW - SECOND)
    result = verdict("welcome", record, ABSENT, Rules(), NOW)
    assert isinstance(result, StillInDoubt)
    assert "09:09:59 UTC" in result.message
    assert "09:09:59 UTC" in result.hint


@pytest.mark.parametrize(
    ("batches", "recorded_id", "keep", "extra", "reason"),
    [
        ([("b", 1), ("a", 2)], None, "a", ["b"], "the older has called the most people"),
        ([("b", 1), ("a", 1)], None, "a", ["b"], "at the same age the id decides"),
        ([("b", None), ("a", 9)], None, "a", ["b"], "where an age is missing, the id decides"),
        ([("b", None), ("a", 9)], "b", "b", ["a"], "where an age is missing, the recorded stays"),
        ([("b", 1), ("a", 2)], "b", "a", ["b"], "a known age counts more than being recorded"),
        ([("a", 1)], None, "a", [], "one is no choice"),
    ],
)
def test_which_of_several_batches_is_kept(
    batches: list[tuple[str, int | None]],
    recorded_id: str | None,
    keep: str,
    extra: list[str],
    reason: str,
) -> None:
    """Every run keeps the same batch, in whatever order the API lists them."""
    made = [
        batch(RECORD, name, age=None if hours is None else timedelta(hours=hours))
        for name, hours in batches
    ]
    for order in permutations(made):
        kept, others = oldest(order, recorded=recorded_id)
        assert (kept.batch_id, [b.batch_id for b in others]) == (keep, extra), reason


@pytest.mark.parametrize("status", ["cancelled", "completed", "expired"])
def test_a_batch_that_ended_is_not_cancelled_again(status: str) -> None:
    """A second batch that has ended calls nobody any more, so there is nothing to do about it."""
    old = batch(RECORD, "a", age=timedelta(hours=2))
    ended = batch(RECORD, "b", age=timedelta(hours=1), status=status)
    assert oldest([ended, old]) == (old, ())


def test_second_batches_are_given_until_their_ids_are_known_and_they_have_ended() -> None:
    """An unknown id is recorded even of an ended one; a known one matters while it calls."""
    old = batch(RECORD, "a", age=timedelta(hours=2))
    live, ended = batch(RECORD, "b", age=SECOND), batch(RECORD, "c", age=SECOND, status="expired")
    record = created(SPEC, "a")
    assert sort_out(record, [ended, live, old]) == (old, (ended, live))
    known = structs.replace(record, duplicates=("b", "c"))
    assert sort_out(known, [ended, live, old]) == (old, (live,))
    assert sort_out(RECORD, [ended, live, old]) == (old, (ended, live))
    kept, others = sort_out(record, [live])
    assert (kept.batch_id, others) == ("a", (live,))


def test_the_oldest_is_kept_even_when_it_was_cancelled() -> None:
    """A person cancelled it, so its twin is not wanted either."""
    old = batch(RECORD, "a", age=timedelta(hours=2), status="cancelled")
    young = batch(RECORD, "b", age=timedelta(hours=1))
    assert oldest([young, old]) == (old, (young,))


@pytest.mark.parametrize(
    ("changes", "by", "watched", "reason"),
    [
        ({}, RecordedBy.CREATED, False, "the API answered the first attempt"),
        ({"attempt": 2}, RecordedBy.CREATED, True, "the first attempt may still arrive"),
        ({"unknown": "timeout"}, RecordedBy.CREATED, True, "it was in doubt before"),
        ({}, RecordedBy.FOUND, True, "its answer was lost"),
        ({}, RecordedBy.RESOLVED, True, "a person said so"),
    ],
)
def test_what_was_ever_in_doubt_is_watched(
    changes: dict[str, object], by: RecordedBy, *, watched: bool, reason: str
) -> None:
    """For a day, later runs look for a second batch of a key that was ever in doubt."""
    before = structs.replace(RECORD, released_at=NOW, expires_at=NOW, **changes)
    record = as_created(before, "bat_1", by=by, now=NOW)
    assert record.watch_until == (NOW + WATCH if watched else None), reason
    assert (record.status, record.batch_id, record.recorded_by) == (Status.CREATED, "bat_1", by)
    assert (record.unknown, record.expires_at, record.released_at) == (None, None, None)
    assert (record.key, record.first_attempted_at) == (RECORD.key, LONG_AGO)


def test_a_name_is_settled_part_by_part() -> None:
    """One part is found, one absent, one unclear; one that is created is not looked at."""
    of = spec(parts=4)
    parts = [creating(of, part=1), creating(of, part=2), creating(of, part=3), created(of, part=4)]
    facts = Facts(
        found={parts[0].key: (batch(parts[0], "bat_1"), batch(parts[0], "bat_2"))},
        absent=frozenset({parts[1].key}),
    )
    (settled,) = settle(state(welcome=recorded(*parts, of=of)), facts, Rules(), NOW)
    assert [(a.part, a.batch.batch_id) for a in settled.adoptions] == [(1, "bat_1")]
    assert [(part, b.batch_id) for part, b in settled.extra] == [(1, "bat_2")]
    assert [r.part for r in settled.again] == [2]
    assert [d.reason for d in settled.in_doubt] == [Reason.IN_DOUBT]


def test_nothing_in_doubt_is_nothing_to_settle() -> None:
    """Created requests are never settled."""
    assert settle(state(welcome=recorded(of=SPEC)), Facts(), Rules(), NOW) == ()


def test_an_adoption_takes_the_place_of_its_intent() -> None:
    """The record keeps its key and attempt and gains the id."""
    before = in_doubt(SPEC, unknown="timeout")
    (settled,) = settle(before, found(OURS), Rules(), NOW)
    after = with_adoption(before, "welcome", settled.generation, settled.adoptions[0], now=NOW)
    (record,) = after.batches["welcome"].current.requests
    assert (record.batch_id, record.key) == ("bat_1", RECORD.key)
    assert record.recorded_by is RecordedBy.FOUND
    stranger = replace(settled.adoptions[0], part=9)
    assert with_adoption(before, "welcome", settled.generation, stranger, now=NOW) is before


RELEASED = in_doubt(SPEC, released_at=NOW)


@pytest.mark.parametrize(
    ("specs", "facts", "kept", "reason"),
    [
        ({"welcome": SPEC}, Facts(), True, "it is created again under its key"),
        ({"welcome": spec(contents=2)}, Facts(), False, "nobody asks for it any more"),
        ({}, Facts(), False, "its spec is gone"),
        ({}, found(OURS), True, "it arrived after all, whatever a person said"),
        ({"welcome": spec(contents=2)}, found(OURS), True, "it arrived after all"),
    ],
)
def test_a_released_request_stays_while_it_matters(
    specs: dict[str, object], facts: Facts, *, kept: bool, reason: str
) -> None:
    """What a person settled as not created is forgotten, unless a spec or a batch speaks for it."""
    left = without_released(RELEASED, specs, facts)  # type: ignore[arg-type]  # a table's values
    assert (left.record("welcome") is not None) == kept, reason

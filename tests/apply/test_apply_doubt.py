from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from reconciler.apply.engine import Limits
from reconciler.apply.lookup import Lookup
from reconciler.errors import ExitCode
from reconciler.state.document import RecordedBy, Status
from tests.apply.doubles import (
    CRASH,
    DENIED,
    LOST,
    NEVER,
    REFUSED,
    World,
    endings,
    the_record,
)
from tests.core.builders import (
    NOW,
    batch,
    created,
    creating,
    in_doubt,
    key_of,
    recorded,
    spec,
    state,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from reconciler.observed import Batch, Listing

SPEC = spec()
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("step", [LOST, CRASH])
def test_a_lost_answer_is_found_by_its_key(step: str) -> None:
    """The verifier finds the batch, its id is recorded, nothing is sent twice."""
    world = World(welcome=[step])
    report = world.apply(SPEC)
    assert endings(report) == {"welcome create": "created"}
    record = the_record(world)
    assert (record.batch_id, record.recorded_by) == ("bat_1", RecordedBy.FOUND)
    assert record.watch_until is not None
    assert len(world.api.creates) == 1
    assert report.exit_code is ExitCode.DONE


@pytest.mark.parametrize("released", [False, True])
def test_a_batch_whose_time_is_days_off_is_found_before_anything_is_sent_again(
    *, released: bool
) -> None:
    """Whosever clock is wrong; and also where a person said that it was not created."""
    world = World(welcome=[LOST])
    add = world.api.add

    def days_off(body: dict[str, object], **changes: object) -> Batch:
        made_at = world.clock.now() - timedelta(days=3)
        return add(body, **{"created_at": made_at, **changes})

    world.api.add = days_off  # type: ignore[method-assign]  # a double of a double
    assert endings(world.apply(SPEC)) == {"welcome create": "unknown"}
    world.clock.pass_by(3600)
    if released:
        said = replace(the_record(world), released_at=world.clock.now())
        generation = world.store.last.batches["welcome"].current
        world.store.saved.append(world.store.last.with_request("welcome", generation, said))
    world.apply(SPEC)
    assert the_record(world).batch_id == "bat_1"
    assert len(world.api.creates) == 1


def test_a_no_that_was_a_yes() -> None:
    """A gateway that lets the create through and says no: the batch is found, and recorded."""
    world = World(welcome=[DENIED])
    report = world.apply(SPEC)
    assert (endings(report), report.exit_code) == ({"welcome create": "created"}, ExitCode.DONE)
    assert "HTTP 403" in report.results[0].message
    assert (the_record(world).batch_id, the_record(world).attempt) == ("bat_1", 1)
    assert the_record(world).watch_until is not None
    assert len(world.api.creates) == 1


@pytest.mark.parametrize("listed", [True, False])
def test_a_no_is_a_no(*, listed: bool) -> None:
    """Nothing is left of it once it was looked for, or could not be."""
    world = World(welcome=[REFUSED])
    world.before_create = lambda _key: None if listed else world.api.broken.add("cmp_abc123")
    before = len(world.api.listings)
    report = world.apply(SPEC)
    assert (endings(report), report.exit_code) == ({"welcome create": "rejected"}, ExitCode.FAILED)
    assert world.store.last.batches == {}
    assert len(world.api.listings) == before + 2, "once for the plan, and once for the no"


def test_a_run_that_dies_before_it_looked_leaves_the_intent() -> None:
    """A no is not written down as "nothing was created" before anybody looked."""
    world = World(welcome=[DENIED])
    world.limits = Limits(parallelism=1)
    statuses = []
    listing = world.api.listing

    def listed(campaign_id: str, **sought: Collection[str] | None) -> Listing:
        if world.api.creates:
            statuses.append(the_record(world).status)
        return listing(campaign_id, **sought)

    world.api.listing = listed  # type: ignore[method-assign] # to see what is stored by then
    world.apply(SPEC)
    assert statuses == [Status.CREATING]


def test_a_batch_that_is_listed_late_is_found() -> None:
    """The verifier looks again and again for as long as it may."""
    world = World(welcome=[LOST])
    world.limits = Limits(verify_for=1e9)
    world.api.hidden["bat_1"] = 4
    assert endings(world.apply(SPEC)) == {"welcome create": "created"}
    assert world.recorded_ids() == {"bat_1"}


def test_what_is_not_found_stays_in_doubt() -> None:
    """Exit 3; runs leave it alone until it is old enough, and then use the same key."""
    world = World(welcome=[NEVER])
    report = world.apply(SPEC)
    assert (endings(report), report.exit_code) == (
        {"welcome create": "unknown"},
        ExitCode.UNKNOWN_OUTCOME,
    )
    assert the_record(world).unknown == "no answer within 60 s"
    second = world.apply(SPEC)
    assert (endings(second), second.exit_code) == (
        {"welcome blocked": "blocked"},
        ExitCode.UNKNOWN_OUTCOME,
    )
    assert len(world.api.creates) == 1
    world.clock.pass_by(600)
    assert endings(world.apply(SPEC)) == {"welcome create": "created"}
    assert world.api.creates == [key_of(SPEC)] * 2
    record = the_record(world)
    assert (record.attempt, record.first_attempted_at) == (2, NOW)
    assert record.watch_until is not None


def test_what_an_earlier_run_left_in_doubt_is_found_while_running() -> None:
    """A blocked name becomes an id as soon as its batch is listed."""
    world = World(on=in_doubt(SPEC, attempted_at=NOW, first_attempted_at=NOW))
    plan = world.plan(SPEC)
    world.api.put(batch(creating(SPEC), "bat_9", age=timedelta(0)))
    report = world.engine(plan).run()
    assert endings(report) == {"welcome blocked": "created"}
    assert report.exit_code is ExitCode.DONE
    assert world.recorded_ids() == {"bat_9"}


def test_an_unreadable_list_is_said_and_proves_nothing() -> None:
    """What kept the verifier from seeing is part of the message."""
    world = World(welcome=[NEVER])
    plan = world.plan(SPEC)
    world.api.broken.add("cmp_a")
    (result,) = world.engine(plan).run().results
    assert "the list does not answer" in result.message
    assert the_record(world).in_doubt


def test_an_id_that_is_anothers_is_not_believed() -> None:
    """An API that answers with a batch recorded elsewhere has told nothing about this request."""
    other = spec("other", 2)
    world = World(on=state(other=recorded(created(other, "bat_other"), of=other)))
    world.api.script["welcome"] = ["bat_other"]
    report = world.apply(SPEC, other)
    assert endings(report) == {"welcome create": "unknown"}
    assert the_record(world).in_doubt
    assert "bat_other" in (the_record(world).unknown or "")


def test_a_key_with_other_contents_is_refused() -> None:
    """A batch with our key and another digest is neither adopted nor created again."""
    world = World(welcome=[NEVER])
    odd = batch(creating(SPEC), "bat_odd", age=timedelta(0))
    plan = world.plan(SPEC)
    world.api.put(replace(odd, metadata={"reconciler": {"key": odd.key, "digest": "v1:other"}}))
    report = world.engine(plan).run()
    assert endings(report) == {"welcome create": "blocked"}
    assert report.exit_code is ExitCode.REFUSED
    assert the_record(world).in_doubt


def test_a_search_that_fails_has_seen_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in looking leaves the request in doubt, and the run ends."""

    def broken(*_: object) -> None:
        raise RuntimeError("a bug of ours")

    world = World(welcome=[NEVER])
    plan = world.plan(SPEC)
    monkeypatch.setattr(Lookup, "look", broken)
    (result,) = world.engine(plan).run().results
    assert result.ending == "unknown"
    assert "RuntimeError" in result.message


def test_what_another_run_is_creating_is_left_to_it() -> None:
    """An intent that has not expired is its run's alone: nobody waits for its batch."""
    theirs = in_doubt(SPEC, run="theirs", expires_at=NOW + HOUR, attempted_at=NOW)
    world = World(on=theirs)
    plan = world.plan(SPEC)
    listed = len(world.api.listings)
    report = world.engine(plan).run()
    assert (endings(report), report.exit_code) == (
        {"welcome blocked": "blocked"},
        ExitCode.UNKNOWN_OUTCOME,
    )
    assert len(world.api.listings) == listed
    assert world.store.last.batches == theirs.batches


def test_of_two_batches_the_older_is_kept_and_the_other_cancelled() -> None:
    """Both ids are recorded, the cancel is loud, and the next run has nothing to do."""
    world = World(welcome=[LOST])
    world.limits = Limits(verify_for=1e9)
    plan = world.plan(SPEC)
    world.api.put(batch(creating(SPEC), "bat_late", age=timedelta(minutes=-5)))
    report = world.engine(plan).run()
    assert endings(report) == {"welcome create": "created", "welcome cancel": "done"}
    assert world.api.cancels == ["bat_late"]
    (kept,) = world.api.live()
    assert the_record(world).batch_id == kept.batch_id
    assert the_record(world).duplicates == ("bat_late",)
    assert any("bat_late" in line for line in world.told.lines)
    assert world.apply(SPEC).results == ()


def test_a_cancel_that_fails_is_said_and_tried_by_the_next_run() -> None:
    """As long as a second batch calls people, every run tries to cancel it."""
    young = batch(creating(SPEC), "bat_young", age=timedelta(minutes=1))
    world = World(on=in_doubt(SPEC))
    world.api.put(young, batch(creating(SPEC), "bat_old", age=HOUR))
    plan = world.plan(SPEC)
    world.api.broken.add("bat_young")
    report = world.engine(plan).run()
    assert endings(report) == {"welcome adopt": "created", "welcome cancel": "failed"}
    assert report.exit_code is ExitCode.FAILED
    assert "did not go through" in report.results[1].message
    world.api.broken.clear()
    assert endings(world.apply(SPEC)) == {"welcome cancel": "done"}
    assert [b.batch_id for b in world.api.live()] == ["bat_old"]
    assert world.apply(SPEC).results == ()


def test_a_cancel_that_crashes_is_a_failure() -> None:
    """Whatever goes wrong while cancelling is told, and the run goes on."""
    world = World(on=state(welcome=recorded(created(SPEC, "a", watch_until=NOW + HOUR), of=SPEC)))
    record = creating(SPEC)
    world.api.put(batch(record, "a", age=2 * HOUR), batch(record, "b", age=HOUR))
    plan = world.plan(SPEC, spec("other", 2))
    world.api.gone.add("b")
    report = world.engine(plan).run()
    assert endings(report) == {"welcome cancel": "failed", "other create": "created"}


def test_the_attempt_that_was_given_up_may_arrive_first() -> None:
    """After creating again, one more look finds the first attempt's batch, and one is cancelled."""
    world = World(on=in_doubt(SPEC))
    plan = world.plan(SPEC)
    world.api.put(batch(creating(SPEC), "bat_first", age=HOUR))
    report = world.engine(plan).run()
    assert endings(report) == {"welcome create": "created", "welcome cancel": "done"}
    assert [b.batch_id for b in world.api.live()] == ["bat_first"]
    record = the_record(world)
    assert (record.batch_id, record.attempt) == ("bat_first", 2)
    assert record.duplicates == ("bat_2",)


def test_a_batch_that_is_not_listed_yet_is_not_forgotten() -> None:
    """When only the first attempt's batch is listed, one of the two still has to go."""
    world = World(on=in_doubt(SPEC))
    plan = world.plan(SPEC)
    world.api.put(batch(creating(SPEC), "bat_first", age=HOUR))
    world.api.hidden["bat_2"] = 10**6
    world.engine(plan).run()
    assert len(world.api.live()) == 1
    assert the_record(world).batch_id == world.api.live()[0].batch_id
    assert world.recorded_ids() == {"bat_first", "bat_2"}


def test_a_second_batch_that_has_called_everybody_is_not_told_as_cancelled() -> None:
    """Nothing is left to be done about it, and somebody must hear of it."""
    world = World(on=in_doubt(SPEC))
    record = the_record(world)
    world.api.put(
        batch(record, "bat_1", age=timedelta(hours=2), status="completed"),
        batch(record, "bat_2", age=timedelta(hours=1), status="completed"),
    )

    def ended(batch_id: str) -> None:
        world.api.cancels.append(batch_id)  # one that is over stays what it is

    world.api.cancel = ended  # type: ignore[method-assign]  # a double of a double
    report = world.apply(SPEC)
    (result,) = (r for r in report.results if r.batch_ids == ("bat_2",))
    assert result.message == "a second batch of the same key was found; nothing is left to cancel"
    (warning,) = result.warnings
    assert warning.startswith("batch bat_2 had ended before it was found (it is completed): people")


def test_a_second_attempt_that_stands_alone_is_left_in_peace() -> None:
    """Looking for a second batch and seeing only our own changes nothing."""
    world = World(on=in_doubt(SPEC))
    assert endings(world.apply(SPEC)) == {"welcome create": "created"}
    assert world.api.cancels == []
    assert len(world.api.listings) == 2

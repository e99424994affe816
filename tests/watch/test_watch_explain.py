"""`reconciler explain`: each reason for silence is told from the others, with what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs
from msgspec.structs import replace

from reconciler.model import Lifecycle, OnChange
from reconciler.observed import Batch
from reconciler.plan.explain import Cause, Finding, explain_batch, explain_name
from reconciler.plan.progress import Reading
from reconciler.sandbox.campaigns import campaign as campaign_row
from reconciler.state.document import Audit, Replacing, Stopped
from tests.watch.records import NOW, OFFICE, batch, request, state

if TYPE_CHECKING:
    from reconciler.observed import Campaign
    from tests.watch.conftest import World

NOON = NOW  # 13:00 in London
NIGHT = NOON + timedelta(hours=9)
LIMITED = replace(OFFICE, status="active", concurrency_limit=5)
CALLING = {"pending": 60, "in_progress": 2, "completed": 38}
IDLE = {"pending": 60, "completed": 40}
BUSY = Batch("b2", "cmp_1", status="in_progress", counters={"dispatched": 2, "in_progress": 3})


def explained(
    *,
    status: str | None = "in_progress",
    counters: dict[str, Any] | None = None,
    campaign: Campaign | None = LIMITED,
    siblings: tuple[Batch, ...] = (),
    now: datetime = NOON,
    starts_at: datetime | None = None,
) -> tuple[Finding, ...]:
    """Explain a batch of a hundred people."""
    batch = Batch("b1", "cmp_1", status=status, total_contacts=100, counters=counters)
    return explain_batch(batch, campaign, siblings, now, starts_at=starts_at, name="a b")


@pytest.mark.parametrize(
    ("facts", "causes", "why"),
    [
        ({"counters": CALLING}, ["running"], "calls are under way"),
        ({"counters": None}, ["running"], "in progress, and no counter says otherwise"),
        ({"counters": {"calls": 3}, "campaign": None}, ["running"], "nothing else is known"),
        ({"status": "completed"}, ["completed"], "it is over"),
        ({"status": "cancelled", "campaign": replace(LIMITED, status="paused")}, ["cancelled"], ""),
        ({"status": "expired"}, ["expired"], "its window is over"),
        ({"status": "paused"}, ["paused"], "by hand"),
        (
            {"status": "paused", "campaign": replace(LIMITED, status="paused")},
            ["campaign_paused", "paused"],
            "resuming only one of them would not help",
        ),
        ({"campaign": replace(LIMITED, status="draft")}, ["campaign_draft"], "not launched"),
        ({"campaign": replace(LIMITED, status="cancelled")}, ["campaign_cancelled"], "over"),
        ({"campaign": replace(LIMITED, status="completed")}, ["campaign_completed"], "over"),
        ({"campaign": replace(LIMITED, status="odd")}, ["campaign_not_active"], "a new word"),
        ({"counters": IDLE, "now": NIGHT}, ["outside_hours"], "at night"),
        ({"campaign": replace(LIMITED, working_hours={"monday": None})}, ["no_hours"], "none"),
        (
            {"status": "pending", "starts_at": NOON + timedelta(days=1)},
            ["scheduled"],
            "within working hours",
        ),
        (
            {"status": "pending", "starts_at": NIGHT},
            ["scheduled", "outside_hours"],
            "at a time when the campaign does not call",
        ),
        ({"status": "pending", "starts_at": NOON - timedelta(hours=1)}, ["starting"], "due"),
        ({"status": "pending"}, ["starting"], "at once"),
        ({"counters": IDLE, "siblings": (BUSY,)}, ["concurrency"], "all five lines are taken"),
        ({"counters": CALLING, "siblings": (BUSY,)}, ["running"], "it has lines of its own"),
        (
            {"counters": IDLE, "siblings": (BUSY,), "now": NIGHT},
            ["outside_hours"],
            "the calls under way at closing time end soon: they are not the reason",
        ),
        (
            {"counters": IDLE, "siblings": (replace(BUSY, counters={"in_progress": 4}),)},
            ["running"],
            "one line is free",
        ),
        (
            {"counters": {"completed": 60, "max_retries_reached": 40}, "now": NIGHT},
            ["nobody_left"],
            "exhausted, whatever the time",
        ),
        (
            {"counters": {"completed": 60, "retrying": 30, "followup_scheduled": 10}},
            ["waiting_for_retries"],
            "each retry has its own time",
        ),
        ({"status": "new_word"}, ["unknown"], "a status of a later API"),
        ({"status": None}, ["unknown"], "no status"),
    ],
)
def test_each_reason(facts: dict[str, Any], causes: list[str], why: str) -> None:
    """The plainest reason is the answer, and what else holds the calls back comes after it."""
    findings = explained(**facts)
    assert [finding.cause.value for finding in findings] == causes, why
    assert all(finding.message for finding in findings)
    held = {"running"}
    assert all(finding.hint for finding in findings if finding.cause.value not in held)


def test_when_it_ends_by_itself() -> None:
    """Times that are known are told: the start, and the next opening from then on."""
    (outside,) = explained(counters=IDLE, now=NIGHT)
    assert outside.until == datetime(2035, 5, 16, 8, 0, tzinfo=UTC)
    friday_evening = datetime(2035, 5, 18, 18, 0, tzinfo=UTC)
    scheduled, then = explained(status="pending", starts_at=friday_evening)
    assert scheduled.until == friday_evening
    assert then.until == datetime(2035, 5, 21, 8, 0, tzinfo=UTC)
    assert explained(status="paused")[0].until is None


def test_a_hint_can_be_copied() -> None:
    """A name with a space is quoted as a shell needs it."""
    (finding,) = explained(status="expired")
    assert finding.cause is Cause.EXPIRED
    assert finding.hint.endswith("reconciler results 'a b'")


def test_texts(world: World) -> None:
    """What people read: the answer, until when, and what to do, for each of the usual cases."""
    world.sandbox.add_campaign(campaign_row("cmp_night", "Late", hours=("20:00", "22:00")))
    world.spec("later", scheduled_start="2035-05-19T23:00:00", campaign_id="cmp_london")
    world.spec("night", campaign_id="cmp_night", first=10)
    world.spec("held", campaign_id="cmp_paused", first=20)
    world.spec("now", people=50, first=30)
    world.apply()
    texts = []
    for name in ("later", "night", "held", "now", "never"):
        said = world.run("explain", name)
        assert said.status == (1 if name == "never" else 0)
        texts.append(said.text)
    world.said("explain", "\n".join(texts))


def test_lines_taken_by_a_batch_that_is_not_recorded() -> None:
    """All of the campaign's other batches count, the one in question does not count as another."""
    recorded = state((request(),))
    own = batch(counters=IDLE)
    reading = Reading(
        at=NOON,
        campaigns={"cmp_1": LIMITED},
        batches={"b1": own},
        siblings={"cmp_1": (own, BUSY)},
    )
    record = recorded.batches["a"]
    (explanation,) = explain_name("a", record, reading)
    (finding,) = explanation.findings
    assert finding.message == (
        "the campaign's 5 calls at once are taken: 5 are under way in 1 other batch"
    )
    alone = replace(reading, siblings={"cmp_1": (replace(own, counters=CALLING),)})
    (explanation,) = explain_name("a", record, alone)
    assert explanation.findings[0].cause is Cause.RUNNING


def test_a_generation_without_a_batch() -> None:
    """Where nobody was left to call no batch was made, and that is the answer."""
    record = state((request(),)).batches["a"]
    empty = structs.replace(record.current, requests=())
    record = structs.replace(record, generations=(empty,))
    (explanation,) = explain_name("a", record, Reading(at=NOON))
    assert [finding.cause for finding in explanation.findings] == [Cause.NOBODY_LEFT]


def test_json(world: World) -> None:
    """Programs get the cause as a word that never changes, and times in UTC."""
    world.spec(scheduled_start="2035-05-17T09:00:00")
    world.apply()
    document = world.run("explain", "welcome", "--format", "json").json
    (row,) = document.pop("batches")
    assert document == {
        "format_version": "1.0",
        "name": "welcome",
        "generation": 1,
        "campaign_id": "cmp_abc123",
        "problems": [],
    }
    assert row.pop("batch_id").startswith("batch_")
    (finding,) = row.pop("findings")
    assert row == {"part": 1, "status": "pending"}
    assert finding["cause"] == "scheduled"
    assert finding["until"] == "2035-05-17T03:30:00Z"
    document = world.run("explain", "nobody", "--format", "json").json
    assert document["batches"][0]["findings"][0]["cause"] == "not_created"


BY = Audit(who="ada", at=NOW, said="stopped (paused)", why="complaints")
BEGUN = Replacing(generation=2, on_change=OnChange.REMAINING, begun_at=NOW, paused=("b1",))


@pytest.mark.parametrize(
    ("fields", "frozen", "causes", "message", "hint"),
    [
        (
            {"stopped": Stopped(lifecycle=Lifecycle.PAUSED, by=BY)},
            None,
            ["stopped_by_hand"],
            "it was paused by hand by ada on 2035-05-15 12:00 UTC (complaints)",
            "the way back: say `lifecycle: paused` in the spec and apply that",
        ),
        (
            {"lifecycle": Lifecycle.PAUSED},
            None,
            ["spec_paused"],
            "its spec says `lifecycle: paused`",
            "when the calls may go on, say `lifecycle: active` there, then: reconciler apply",
        ),
        (
            {"replacing": BEGUN},
            None,
            ["replacing"],
            "the batch is paused for a change of its spec that is not finished",
            "go on with it: reconciler apply",
        ),
        (
            {"replacing": structs.replace(BEGUN, paused=())},
            None,
            ["paused"],
            "the batch is paused",
            "resume the batch in the vendor's console",
        ),
        (
            {},
            "FREEZE says: stop",
            ["paused", "frozen"],
            "the batch is paused, and nothing that is recorded says why",
            "leave it paused while everything is frozen",
        ),
        (
            {"lifecycle": Lifecycle.PAUSED},
            "FREEZE says: stop",
            ["spec_paused", "frozen"],
            "its spec says `lifecycle: paused`",
            "when the calls may go on",
        ),
    ],
)
def test_who_wants_a_batch_paused(
    fields: dict[str, Any], frozen: str | None, causes: list[str], message: str, hint: str
) -> None:
    """Nobody is told to undo a stop that somebody made on purpose."""
    record = structs.replace(state((request(),)).batches["a"], **fields)
    seen = Reading(at=NOW, campaigns={}, batches={"b1": batch(status="paused")})
    (explanation,) = explain_name("a", record, seen, frozen)
    assert [finding.cause.value for finding in explanation.findings] == causes
    first, *others = explanation.findings
    assert first.message == message
    assert first.hint.startswith(hint)
    assert not frozen or "FREEZE says: stop" in others[0].message


def test_who_cancelled_it() -> None:
    """A batch that was cancelled by hand says by whom, and the way back."""
    stopped = Stopped(lifecycle=Lifecycle.CANCELLED, by=BY)
    record = structs.replace(state((request(),)).batches["a"], stopped=stopped)
    seen = Reading(at=NOW, campaigns={}, batches={"b1": batch(status="cancelled")})
    (explanation,) = explain_name("a", record, seen)
    (finding,) = explanation.findings
    assert finding.cause is Cause.CANCELLED
    assert finding.message.startswith("it was cancelled by hand by ada")
    assert finding.hint.startswith("the way back: say `lifecycle: cancelled`")


def test_stops_that_are_made_on_purpose(world: World) -> None:
    """`stop`, the spec and FREEZE, as the command sees them."""
    world.spec("hello")
    world.spec("held", first=10)
    world.apply()
    world.spec("held", first=10, reconcile={"lifecycle": "paused"})
    world.apply()
    world.run("stop", "hello", "--yes", "--why", "complaints")
    assert "(complaints)" in world.run("explain", "hello").out
    assert "console" not in world.run("explain", "hello").out
    assert "its spec says `lifecycle: paused`" in world.run("explain", "held").out
    (world.root / "FREEZE").write_text("stop everything", "utf-8")
    assert "everything is frozen" in world.run("explain", "held").out


def test_a_name_that_is_not_recorded(world: World) -> None:
    """A typing error fails; a new spec and a name that moved are told as what they are."""
    world.spec("april")
    said = world.run("explain", "april")
    assert (said.status, "its batch is not created yet" in said.out) == (0, True)
    world.apply()
    (world.root / "april.yaml").rename(world.root / "may.yaml")
    world.apply()
    said = world.run("explain", "april")
    assert said.status == 1
    assert "nothing is recorded under april any more" in said.out
    assert "are recorded under may now" in said.out
    assert "explain may" in said.out
    said = world.run("explain", "aprli")
    assert said.status == 1
    assert "nothing is recorded under aprli, and no spec has this name" in said.out
    (world.root / "odd.yaml").write_text("{", "utf-8")
    said = world.run("explain", "odd")
    assert said.status == 1
    assert "a spec with mistakes may have this name" in said.out


def test_doubt_absence_and_silence(world: World) -> None:
    """In doubt, gone and unreachable are three different answers."""
    world.sandbox.faults.add(operation="create", kind="close", when="before", times=1)
    world.spec("doubt")
    world.run("apply", "--yes", "--verify-for", "0", "--format", "json")
    said = world.run("explain", "doubt")
    assert said.status == 0
    assert "nobody can tell whether the batch exists" in said.out
    assert "resolve" in said.out
    assert "doubt, generation 1" in said.out
    world.spec("gone", first=10)
    world.run("apply", "--yes", "--verify-for", "0", "--format", "json")
    world.edit_state(world.sandbox.batches()[-1].batch_id, "batch_that_is_not_there")
    assert "knows no batch batch_that_is_not_there" in world.run("explain", "gone").out
    world.sandbox.faults.add(operation="any", kind="status", code=403, times=None)
    said = world.run("explain", "gone")
    assert said.status == 1
    assert "the API could not be asked" in said.out
    assert said.err.startswith("warning: ")

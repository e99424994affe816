"""Simulated calling: who is rung when, and what pausing, resuming and cancelling change."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from reconciler.sandbox import calling
from reconciler.sandbox.campaigns import campaign
from reconciler.sandbox.hours import Day, Hours, campaign_hours

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.sandbox import Sandbox

    Make = Callable[..., tuple[Sandbox, Any]]

DAY = 86_400.0
MONDAY = datetime(2026, 6, 1, 0, 0, tzinfo=UTC)


def _statuses(api: Any, batch_id: str) -> list[str]:
    rows = api.get(f"/batches/{batch_id}/contacts", limit=1000).json()
    return [row["status"] for row in rows]


def test_everybody_is_called_and_the_batch_completes(sandbox: Sandbox, api: Any) -> None:
    """Given time, everyone is rung, counters add up, and the batch is completed."""
    batch_id = api.create(40)
    sandbox.advance(DAY)
    batch = api.batch(batch_id)
    assert batch["status"] == "completed"
    counters = dict(batch["counters"])
    assert counters.pop("total") == 40 == sum(counters.values())
    ended = {"completed", "failed", "max_retries_reached"}
    assert {name for name, count in counters.items() if count} <= ended
    assert len({dial.phone_number for dial in sandbox.dials()}) == 40
    assert Counter(_statuses(api, batch_id)) == Counter(
        {name: count for name, count in counters.items() if count}
    )


def test_calls_begin_dispatched_then_ring(sandbox: Sandbox, api: Any) -> None:
    """A call is dispatched first, when nobody's phone rings yet, and then in progress."""
    batch_id = api.create(3)
    assert _statuses(api, batch_id) == ["dispatched"] * 3
    assert sandbox.dials() == []
    sandbox.advance(4)
    assert api.batch(batch_id)["counters"]["dispatched"] == 0
    assert len(sandbox.dials()) == 3


@pytest.mark.parametrize(
    ("script", "retries", "end", "rings"),
    [
        ("completed", None, "completed", 1),
        ("no_answer", None, "max_retries_reached", 3),
        ("busy", 1, "max_retries_reached", 2),
        ("failed", 0, "failed", 1),
        ("busy", 0, "busy", 1),
        ("no_answer", 0, "no_answer", 1),
        ("invalid", None, "failed", 1),
        (["busy", "completed"], None, "completed", 2),
        ("followup", None, "completed", 2),
    ],
)
def test_outcomes(
    sandbox: Sandbox, api: Any, *, script: Any, retries: int | None, end: str, rings: int
) -> None:
    """A prescribed outcome ends as its status says, after as many calls as the policy allows."""
    batch_id = api.create(1, variables={"sandbox_outcome": script}, max_retries_override=retries)
    sandbox.advance(DAY)
    assert _statuses(api, batch_id) == [end]
    assert [dial.attempt for dial in sandbox.dials()] == list(range(rings))
    (contact,) = api.get(f"/batches/{batch_id}/contacts").json()
    follow_ups = 1 if script == "followup" else 0
    assert contact["follow_up_count"] == follow_ups
    assert contact["retry_count"] == rings - 1 - follow_ups


@pytest.mark.parametrize(
    ("strategy", "waits"), [("fixed", [1800, 1800]), ("exponential", [1800, 3600])]
)
def test_retry_strategies(sandbox: Sandbox, api: Any, strategy: str, waits: list[int]) -> None:
    """A fixed strategy waits the cooldown before each retry, an exponential one doubles it."""
    body = campaign("cmp_retry", "Retry")
    body["retry_policy"]["strategy"] = strategy
    sandbox.add_campaign(body)
    batch_id = api.create(1, campaign_id="cmp_retry", variables={"sandbox_outcome": "busy"})
    sandbox.advance(60)
    (contact,) = api.get(f"/batches/{batch_id}/contacts").json()
    assert contact["status"] == "retrying"
    due = datetime.fromisoformat(contact["next_retry_at"]) - sandbox.now()
    assert timedelta(minutes=28) < due < timedelta(minutes=31)
    sandbox.advance(DAY)
    gaps = [(b.at - a.at).total_seconds() for a, b in pairwise(sandbox.dials())]
    assert gaps == [pytest.approx(wait, abs=10) for wait in waits]


def test_follow_up_is_scheduled(sandbox: Sandbox, api: Any) -> None:
    """Someone who was reached and wants another call is followup_scheduled until then."""
    batch_id = api.create(1, variables={"sandbox_outcome": "followup"})
    sandbox.advance(600)
    assert _statuses(api, batch_id) == ["followup_scheduled"]
    assert api.batch(batch_id)["status"] == "in_progress"


def test_pending_until_the_scheduled_start(make: Make) -> None:
    """A batch waits as pending for its start, read in the campaign's timezone, then calls."""
    sandbox, api = make(speed=0.0, now=MONDAY)
    batch_id = api.create(1, scheduled_start="2026-06-01T09:00:00")
    sandbox.advance(3.5 * 3600 - 1)
    assert (api.batch(batch_id)["status"], sandbox.dials()) == ("pending", [])
    sandbox.advance(5)
    assert api.batch(batch_id)["status"] == "in_progress"
    (dial,) = sandbox.dials()
    assert dial.at.astimezone(ZoneInfo("Asia/Kolkata")).hour == 9


def test_paused_while_pending(make: Make) -> None:
    """A pending batch can be paused past its start; resuming it earlier makes it pending again."""
    sandbox, api = make(speed=0.0, now=MONDAY)
    batch_id = api.create(1, scheduled_start="2026-06-01T09:00:00Z")
    api.post(f"/batches/{batch_id}/pause")
    assert api.post(f"/batches/{batch_id}/resume").json()["status"] == "pending"
    api.post(f"/batches/{batch_id}/pause")
    sandbox.advance(DAY)
    assert sandbox.dials() == []
    assert api.post(f"/batches/{batch_id}/resume").json()["status"] == "in_progress"
    sandbox.advance(10)
    assert len(sandbox.dials()) == 1


def test_pausing_lets_calls_in_flight_finish(sandbox: Sandbox, api: Any) -> None:
    """After a pause those in flight finish, nobody new is dialled, and scheduled retries stay."""
    variables = {"sandbox_outcome": ["no_answer", "completed"]}
    batch_id = api.create(6, concurrency_limit=2, variables=variables)
    sandbox.advance(10)
    api.post(f"/batches/{batch_id}/pause")
    sandbox.advance(DAY)
    assert Counter(_statuses(api, batch_id)) == {"retrying": 2, "pending": 4}
    assert len(sandbox.dials()) == 2
    api.post(f"/batches/{batch_id}/resume")
    sandbox.advance(DAY)
    assert api.batch(batch_id)["status"] == "completed"
    assert Counter(dial.attempt for dial in sandbox.dials()) == {0: 6, 1: 6}


def test_a_paused_batch_with_nobody_left_completes(sandbox: Sandbox, api: Any) -> None:
    """When the calls in flight were the last ones, a paused batch completes."""
    batch_id = api.create(2, variables={"sandbox_outcome": "completed"})
    sandbox.advance(10)
    api.post(f"/batches/{batch_id}/pause")
    sandbox.advance(600)
    assert api.batch(batch_id)["status"] == "completed"


def test_cancelling_skips_whoever_waits(sandbox: Sandbox, api: Any) -> None:
    """Cancelling skips pending and retrying people for ever; a ringing call finishes."""
    variables = {"sandbox_outcome": "no_answer"}
    batch_id = api.create(6, concurrency_limit=2, variables=variables)
    sandbox.advance(40)  # the first two have not answered, the next two ring
    assert Counter(_statuses(api, batch_id)) == {"retrying": 2, "in_progress": 2, "pending": 2}
    api.post(f"/batches/{batch_id}/cancel")
    assert Counter(_statuses(api, batch_id)) == {"skipped": 4, "in_progress": 2}
    sandbox.advance(DAY)
    assert Counter(_statuses(api, batch_id)) == {"skipped": 4, "no_answer": 2}
    assert len(sandbox.dials()) == 4
    assert api.batch(batch_id)["counters"]["skipped"] == 4


def test_cancelling_drops_dispatched_calls(sandbox: Sandbox, api: Any) -> None:
    """Who was dispatched and did not ring yet is skipped and was never called."""
    batch_id = api.create(5)
    api.post(f"/batches/{batch_id}/cancel")
    assert _statuses(api, batch_id) == ["skipped"] * 5
    sandbox.advance(DAY)
    assert sandbox.dials() == []
    rows = api.get(f"/batches/{batch_id}/contacts").json()
    assert {row["last_attempted_at"] for row in rows} == {None}


@pytest.mark.parametrize("script", [["busy", "completed"], ["followup", "completed"]])
def test_cancelling_drops_a_dispatched_retry(sandbox: Sandbox, api: Any, script: list[str]) -> None:
    """A retry or follow-up dropped before it rings counts neither as a call nor as a retry."""
    batch_id = api.create(1, variables={"sandbox_outcome": script})
    sandbox.advance(300)
    (waiting,) = api.get(f"/batches/{batch_id}/contacts").json()
    due = datetime.fromisoformat(waiting["next_retry_at"]) - sandbox.now()
    sandbox.advance(due.total_seconds() + 0.01)
    assert _statuses(api, batch_id) == ["dispatched"]
    api.post(f"/batches/{batch_id}/cancel")
    (contact,) = api.get(f"/batches/{batch_id}/contacts").json()
    assert contact["status"] == "skipped"
    assert (contact["retry_count"], contact["follow_up_count"]) == (0, 0)
    (dial,) = sandbox.dials()
    assert datetime.fromisoformat(contact["last_attempted_at"]) == dial.at


def test_a_batch_expires(sandbox: Sandbox, api: Any) -> None:
    """A batch that is not done within its end window expires, and skips whoever is left."""
    batch_id = api.create(3)
    api.post(f"/batches/{batch_id}/pause")
    sandbox.advance(calling.EXPIRES_AFTER + 1)
    assert api.batch(batch_id)["status"] == "expired"
    assert api.post(f"/batches/{batch_id}/resume").status_code == 400


def test_dials_are_stable(sandbox: Sandbox, api: Any) -> None:
    """What the dial log has said once it says for ever, whatever happens to the batch."""
    batch_id = api.create(200, concurrency_limit=20)
    seen: list[Any] = []
    for verb in (None, "pause", None, "resume", None, "cancel", None):
        if verb:
            api.post(f"/batches/{batch_id}/{verb}")
        sandbox.advance(97)
        dials = sandbox.dials()
        assert dials[: len(seen)] == seen
        seen = dials
    assert 0 < len(seen) < 200


def _plan(**changes: Any) -> calling.Plan:
    defaults: dict[str, Any] = {
        "seed": 7,
        "number": 1,
        "total": 60,
        "limit": 4,
        "start": 1_000.0,
        "max_retries": 2,
        "cooldown": 1_800.0,
        "exponential": True,
        "hours": Hours("UTC", None),
        "scripts": {},
    }
    return calling.Plan(**(defaults | changes))


def _run(plan: calling.Plan, times: list[float]) -> tuple[calling.Progress, list[calling.Dial]]:
    progress = calling.Progress("in_progress", plan.start, counts={"pending": plan.total})
    dials = []
    for moment in times:
        dials += calling.advance(plan, progress, moment).dials
    return progress, dials


@pytest.mark.parametrize("step", [0.5, 7.0, 61.0, 3_599.0])
def test_looking_changes_nothing(step: float) -> None:
    """Advancing in small steps gives the very calls that advancing at one go gives."""
    plan = _plan(hours=Hours("UTC", (Day(*_clock("00:10", "00:40")),) * 7))
    end = 20_000.0
    at_once = _run(plan, [end])
    in_steps = _run(plan, [1_000 + step * i for i in range(int(19_000 / step))] + [end])
    assert at_once == in_steps


def test_the_concurrency_limit_holds() -> None:
    """Never are more calls in flight than the batch's limit allows."""
    _, dials = _run(_plan(limit=4), [1e6])
    events = sorted([(dial.ring_at, 1) for dial in dials] + [(dial.end_at, -1) for dial in dials])
    most = running = 0
    for _, change in events:
        running += change
        most = max(most, running)
    assert most == 4


def test_another_seed_gives_other_calls() -> None:
    """The seed decides how calls end, and the same seed decides the same."""
    assert _run(_plan(seed=1), [1e6]) == _run(_plan(seed=1), [1e6])
    assert _run(_plan(seed=1), [1e6])[1] != _run(_plan(seed=2), [1e6])[1]


def _clock(start: str, end: str) -> tuple[Any, Any]:
    return tuple(datetime.fromisoformat(f"2026-01-01T{text}").time() for text in (start, end))  # type: ignore[return-value] # two texts, two times


def test_working_hours_hold(make: Make) -> None:
    """Where working hours are enforced, calls are dispatched within them only, local time."""
    sandbox, api = make(speed=0.0, now=MONDAY)
    api.create(30, campaign_id="cmp_narrow", concurrency_limit=1)
    sandbox.advance(1.9 * DAY)
    assert sandbox.dials() == []
    sandbox.advance(20 * DAY)
    zone = ZoneInfo("Asia/Kolkata")
    local = [dial.at.astimezone(zone) for dial in sandbox.dials()]
    assert local
    assert {(moment.weekday(), moment.hour) for moment in local} == {(2, 11)}


@pytest.mark.parametrize(
    ("zone", "local", "opens"),
    [
        # A plain weekday morning, an evening, and a Friday evening.
        ("Europe/London", "2026-06-03T08:00", "2026-06-03T09:00"),
        ("Europe/London", "2026-06-03T12:00", "2026-06-03T12:00"),
        ("Europe/London", "2026-06-03T17:30", "2026-06-04T09:00"),
        ("Europe/London", "2026-06-05T18:00", "2026-06-08T09:00"),
        # Clocks go forward on Sunday 29 March 2026 in London, by half an hour on 4 October there.
        ("Europe/London", "2026-03-28T12:00", "2026-03-30T09:00"),
        ("Australia/Lord_Howe", "2026-10-03T12:00", "2026-10-05T09:00"),
    ],
)
def test_when_hours_open(zone: str, local: str, opens: str) -> None:
    """Hours open at their local time, over weekends and changes of the clocks."""
    hours = campaign_hours(campaign("cmp_x", "X", zone, hours=("09:00", "17:30")))
    moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).timestamp()
    wanted = datetime.fromisoformat(opens).replace(tzinfo=ZoneInfo(zone)).timestamp()
    assert hours.open_at(moment) == wanted


def test_hours_past_midnight_and_never() -> None:
    """A window may pass midnight; a week without hours never opens."""
    night = Hours("UTC", (Day(*_clock("22:00", "02:00")),) * 7)
    one_at_night = datetime(2026, 6, 2, 1, 0, tzinfo=UTC).timestamp()
    assert night.open_at(one_at_night) == one_at_night
    assert night.open_at(one_at_night + 3600) == one_at_night + 21 * 3600
    assert Hours("UTC", (None,) * 7).open_at(0.0) is None


def test_a_batch_of_12000_contacts(sandbox: Sandbox, api: Any) -> None:
    """A long batch is created, called to its end, listed and read page by page."""
    batch_id = api.create(12_000, concurrency_limit=100)
    sandbox.advance(DAY)
    counters = api.get("/batches/").json()[0]["counters"]
    assert sum(counters.values()) == 2 * 12_000
    assert api.batch(batch_id)["status"] == "completed"
    last = api.get(f"/batches/{batch_id}/contacts", skip=11_990, limit=100).json()
    assert len(last) == 10

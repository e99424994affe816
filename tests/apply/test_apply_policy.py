"""The policy between plan and POST: the clock has moved on, and what was fine is not sent.

Whatever was refused at the last moment leaves no intent, is told with exit status 4, and a run at
a time that the policy allows makes up for it, exactly once.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.apply.gate import PolicyGate
from reconciler.cli.guarding import People, layers_of
from reconciler.errors import TooLate
from reconciler.model import Lifecycle
from reconciler.observed import Campaign
from reconciler.policy.guard import Guard
from reconciler.spec.config.policy import Policy
from tests.apply.doubles import World, endings
from tests.core.builders import NOW, spec

if TYPE_CHECKING:
    from reconciler.apply.engine import Engine
    from reconciler.apply.report import Report
    from reconciler.model import Spec
    from reconciler.observed import Batch

CLOSES = NOW + timedelta(hours=2)
"""When calling hours end, on the clock of the campaign and of the API."""
HOURS = {"calling_hours": {"campaign": f"{NOW:%H}:00-{CLOSES:%H:%M}", "retries": 0}}
LONG = timedelta(hours=3)
DAY = timedelta(days=1)


class Office(World):
    """A world with a policy, in which a campaign calls everybody within a minute or two."""

    def __init__(self, policy: dict[str, Any] = HOURS) -> None:
        super().__init__()
        self.limits = replace(self.limits, parallelism=1)
        self.policy = Policy.model_validate(policy)

        def campaign(campaign_id: str) -> Campaign:
            return Campaign(
                campaign_id,
                timezone="UTC",
                status="active",
                working_hours_enforced=False,
                concurrency_limit=1_000,
            )

        self.api.campaign = campaign  # type: ignore[method-assign]  # one that calls fast

    def opened(self, *each: Spec) -> Engine:
        """Plan as a command does, the policy looking at it; give the engine for that plan."""
        layers = layers_of(self.policy)
        root = Path("/nowhere")
        guard = Guard(layers, People(root, layers), lambda of, _: (of.file, 3, 1))
        made = guard.review(self.plan(*each), self.store.last, self.clock.now())
        engine = self.engine(made)
        engine._workers.gate = PolicyGate(guard)
        return engine

    def run(self, *each: Spec, late: timedelta = timedelta(0)) -> Report:
        """Plan, let time go by, and carry the plan out."""
        engine = self.opened(*each)
        self.clock.pass_by(late.total_seconds())
        report = engine.run()
        self.check()
        return report

    def sleep_until_tomorrow(self) -> None:
        """Let time go by until people may be called again."""
        whole = (NOW + DAY - self.clock.now()) % DAY
        self.clock.pass_by((whole or DAY).total_seconds())

    def in_doubt(self) -> list[str]:
        """Give the keys of which nobody knows whether a batch was made."""
        return [each.key for _, _, each in self.store.last.requests() if each.in_doubt]


def test_a_launch_that_waited_over_the_end_of_hours() -> None:
    """It is not sent and leaves nothing behind; on the next day it is created, once."""
    office = Office()
    report = office.run(spec("a", 1), late=LONG)
    (result,) = report.results
    assert (result.ending.value, report.exit_code, report.halted) == ("blocked", 4, False)
    assert result.message.startswith("the policy refuses it: calling_hours: ")
    assert (office.api.creates, dict(office.store.last.batches)) == ([], {})
    report = office.run(spec("a", 1))
    assert (endings(report), report.exit_code) == ({"a blocked": "blocked"}, 4)
    office.sleep_until_tomorrow()
    assert endings(office.run(spec("a", 1))) == {"a create": "created"}
    assert office.run(spec("a", 1)).results == ()
    assert len(office.api.creates) == 1


@settings(deadline=None, max_examples=50)  # each makes several runs
@given(
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    sent=st.integers(0, 6),
    broken=st.sampled_from(["created", "lost", "never", "busy"]),
)
def test_hours_end_somewhere_within_a_run(sizes: list[int], sent: int, broken: str) -> None:
    """Wherever in a run the limit is crossed: each request is sent before it, or a day later."""
    office = Office()
    specs = [spec(f"s{i}", i, n=6, parts=parts) for i, parts in enumerate(sizes)]
    office.api.script["s0"] = [broken]
    times = []

    def before_create(_key: str) -> None:
        times.append(office.clock.now())
        if len(times) == sent:
            office.clock.pass_by(LONG.total_seconds())

    office.before_create = before_create
    report = office.run(*specs, late=timedelta(0) if sent else LONG)
    assert all(time < CLOSES for time in times)
    assert len(times) <= sent
    if len(office.api.batches) < sum(sizes):
        assert report.exit_code in {3, 4}  # 3 where something is in doubt besides
    known = {each.key for each in office.api.batches.values()}
    begun = {each.key for _, _, each in office.store.last.requests()}
    assert begun - known <= set(office.in_doubt())
    for _ in range(3):
        office.sleep_until_tomorrow()
        office.run(*specs)
    assert len(office.api.batches) == sum(sizes)
    assert len({each.key for each in office.api.batches.values()}) == sum(sizes)
    assert office.in_doubt() == []
    assert office.run(*specs).results == ()


def test_a_changed_spec_that_waited_over_the_end_of_hours() -> None:
    """The old batch was paused for it and goes on; the next day the new one takes its place."""
    office = Office()
    office.run(spec("a", 1))
    report = office.run(spec("a", 2), late=LONG)
    (result,) = report.results
    assert (result.ending.value, report.exit_code) == ("blocked", 4)
    assert result.message.startswith("the policy refuses it: calling_hours: ")
    assert result.warnings == ("batch bat_1 goes on as before: it is resumed",)
    assert office.api.controls == [("pause", "bat_1"), ("resume", "bat_1")]
    record = office.store.last.batches["a"]
    assert (len(record.generations), record.replacing) == (1, None)
    assert [each.status for each in office.api.batches.values()] == ["in_progress"]
    office.sleep_until_tomorrow()
    assert endings(office.run(spec("a", 2))) == {"a replace": "created"}
    assert [b.status for b in office.api.batches.values()] == ["cancelled", "in_progress"]
    assert office.run(spec("a", 2)).results == ()


@pytest.mark.parametrize("decided", [False, True], ids=["nobody else stored", "somebody did"])
def test_who_was_suspended_before_a_resume(
    monkeypatch: pytest.MonkeyPatch, *, decided: bool
) -> None:
    """It is sent if nobody can have decided otherwise since, and else left to another run."""
    office = Office()
    office.run(spec("a", 1))
    resume, tries = office.api.resume, list[str]()

    def suspended(batch_id: str, *, send_by: float | None = None) -> None:
        tries.append(batch_id)
        if len(tries) == 1:
            office.clock.pass_by(301)
        resume(batch_id, send_by=send_by)

    monkeypatch.setattr(office.api, "resume", suspended)
    monkeypatch.setattr(office.store, "moved", lambda: decided)
    report = office.run(spec("a", 2), late=LONG)
    said = "is not resumed: its time is over" if decided else "goes on as before: it is resumed"
    assert said in report.results[0].warnings[0]
    assert (("resume", "bat_1") in office.api.controls) is not decided
    assert len(tries) == 2 - decided
    assert office.api.batches["bat_1"].status == ("paused" if decided else "in_progress")
    record = office.store.last.batches["a"]
    assert (record.replacing.paused if record.replacing else ()) == (("bat_1",) if decided else ())


def test_many_resumes_that_are_late_at_once_are_all_sent() -> None:
    """A machine that slept comes too late for each batch of a spec, and for each only once."""
    office = Office()
    office.run(spec("a", 1, n=12, parts=6))
    office.run(replace(spec("a", 1, n=12, parts=6), lifecycle=Lifecycle.PAUSED))
    resume, tries = office.api.resume, Counter[str]()

    def late(batch_id: str, *, send_by: float | None = None) -> None:
        tries[batch_id] += 1
        if tries[batch_id] == 1:
            raise TooLate("its time is over")
        resume(batch_id, send_by=send_by)

    office.api.resume = late  # type: ignore[method-assign]  # once for each of them
    assert endings(office.run(spec("a", 1, n=12, parts=6))) == {"a resume": "done"}
    assert {each.status for each in office.api.batches.values()} == {"in_progress"}


def test_resumes_that_wait_long_for_a_sender_are_sent_all_the_same() -> None:
    """Nobody was suspended: there are only many of them, and each takes its time."""
    office = Office()
    names = [f"s{index}" for index in range(20)]
    calm = [replace(spec(n, i), lifecycle=Lifecycle.PAUSED) for i, n in enumerate(names)]
    office.run(*(spec(name, index) for index, name in enumerate(names)))
    office.run(*calm)
    batch = office.api.batch

    def slow(batch_id: str) -> Batch | None:
        office.clock.pass_by(20)
        return batch(batch_id)

    office.api.batch = slow  # type: ignore[method-assign]  # one that takes its time
    office.limits = replace(office.limits, parallelism=1)
    report = office.run(*(spec(name, index) for index, name in enumerate(names)))
    assert set(endings(report).values()) == {"done"}
    assert {each.status for each in office.api.batches.values()} == {"in_progress"}


def test_an_old_batch_that_cannot_be_resumed_is_not_lost() -> None:
    """It stays paused, which is told and recorded; the next run takes it over."""
    office = Office()
    office.run(spec("a", 1))
    resume = office.api.resume

    def fails(batch_id: str, *, send_by: float | None = None) -> None:
        office.api.broken.add(batch_id)
        resume(batch_id, send_by=send_by)

    office.api.resume = fails  # type: ignore[method-assign]  # one that does not go through
    report = office.run(spec("a", 2), late=LONG)
    (result,) = report.results
    assert report.exit_code == 4
    assert "batch bat_1 was paused for this and is not resumed" in result.warnings[0]
    record = office.store.last.batches["a"]
    assert record.replacing is not None
    assert record.replacing.paused == ("bat_1",)
    office.api.broken.clear()
    report = office.run(spec("a", 2))
    assert (endings(report), report.exit_code) == ({"a blocked": "blocked"}, 4)
    assert report.results[0].message.endswith("; the batch before it stays paused")
    office.sleep_until_tomorrow()
    assert office.run(spec("a", 2)).exit_code == 0
    assert [b.status for b in office.api.batches.values()] == ["cancelled", "in_progress"]


def test_a_changed_spec_that_grew_while_its_calls_were_waited_for() -> None:
    """Calls in flight failed meanwhile: more people than planned, more than a batch may have."""
    office = Office({"max_contacts": {"batch": 3}})
    office.run(spec("a", 1, n=3))
    (people,) = office.api.people.values()
    office.api.people["bat_1"] = tuple(replace(each, status="in_progress") for each in people)
    engine = office.opened(spec("a", 2, n=5))
    assert [each.kind.value for each in engine._plan.pending] == ["replace"]
    office.api.people["bat_1"] = people
    report = engine.run()
    office.check()
    assert report.exit_code == 4
    assert "max_contacts.batch" in report.results[0].message
    assert [(b.status, b.total_contacts) for b in office.api.batches.values()] == [
        ("in_progress", 3)
    ]

"""Lists that lie while it is found out what became of a create."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.proof.world import SETTLED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.proof.world import World

READS = ("list", "get", "campaign")
HARMLESS: list[Mapping[str, Any]] = [
    {"kind": "cap", "rows": 1},
    {"kind": "cap", "rows": 2},
    {"kind": "shuffle", "within": "page"},
    {"kind": "with_metadata"},
    {"kind": "drop_fields", "fields": ["total_contacts", "created_at", "status", "counters"]},
    {"kind": "drop_fields", "fields": ["campaign_id"]},
    *(
        {"kind": "naive_created_at", "operation": "any", "timezone": zone}
        for zone in ("UTC", "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Pago_Pago")
    ),
]
"""Odd, and still enough to know everything."""
UNREADABLE: list[Mapping[str, Any]] = [
    {"kind": "status", "code": 500},
    {"kind": "status", "code": 403},
    {"kind": "status", "code": 404, "body": "<html>no such page</html>"},
    {"kind": "status", "code": 200, "body": {"detail": "later"}},
    {"kind": "garbage"},
    {"kind": "truncated"},
    {"kind": "close"},
    {"kind": "reset"},
    {"kind": "ignore_skip"},
    {"kind": "repeat_rows", "rows": 1},
    {"kind": "drop_fields", "fields": ["batch_id"]},
    {"kind": "status", "code": 500, "operation": "get"},
    {"kind": "status", "code": 404, "operation": "get"},
    {"kind": "status", "code": 200, "body": {}, "operation": "get"},
    {"kind": "garbage", "operation": "get"},
]
"""Nobody can say that anything is absent."""


def strike(world: World, when: str) -> None:
    """Have the answer to the create of spec-2 lost, before or after its effect."""
    world.sandbox.faults.add(operation="create", kind="reset", when=when, match={"name": "spec-2"})


def lie(world: World, rule: Mapping[str, Any]) -> int:
    """Have every list (or what the rule says) lie until told otherwise."""
    return world.sandbox.faults.add({"operation": "list", "times": None, **rule})


@pytest.mark.parametrize("rule", HARMLESS, ids=str)
def test_odd_lists_suffice(world: World, rule: Mapping[str, Any]) -> None:
    """What exists is found, and what does not is created, in however odd a list."""
    lie(world, rule)
    strike(world, "before")
    assert world.apply(parallelism=4).code == 3
    world.pass_time(SETTLED)
    strike(world, "after")
    assert world.apply().code == 0
    assert len(world.posts()) == 4
    world.check()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("rule", UNREADABLE, ids=str)
def test_unreadable_lists_create_nothing(world: World, rule: Mapping[str, Any], when: str) -> None:
    """However old the attempt, nothing is created again until a whole list was seen."""
    strike(world, when)
    lying = lie(world, rule)
    first = world.apply(parallelism=4)
    # A batch that is there to be seen may be seen, in a list that proves nothing else.
    seen = when == "after" and rule["kind"] in {"ignore_skip", "repeat_rows"}
    if rule.get("operation") == "get" and when == "before":
        # Nothing unknown is listed, so nothing had to be read.
        assert first.code == 3
        world.sandbox.faults.remove(lying)
        world.pass_time(SETTLED)
    else:
        assert first.code == (0 if seen else 3)
        for _ in range(2):
            world.pass_time(SETTLED)
            later = world.apply()
            assert later.code == (0 if seen else 3)
            told = "".join(action["message"] for action in later.report["actions"])
            assert seen or "could not be read to its end" in told or "metadata" in told
        assert len(world.posts()) == 3
        world.sandbox.faults.remove(lying)
    world.converge()
    assert len(world.posts()) == (3 if when == "after" else 4)
    world.check()


@pytest.mark.parametrize("when", ["before", "after"])
def test_rows_that_never_keep_still(world: World, when: str) -> None:
    """A list shuffled anew for each page may prove nothing; it never makes a second batch."""
    strike(world, when)
    lie(world, {"kind": "shuffle"})
    lie(world, {"kind": "cap", "rows": 1})
    world.apply()
    for _ in range(3):
        world.pass_time(SETTLED)
        assert world.apply().code in {0, 3}
    assert len(world.posts()) <= (3 if when == "after" else 4)
    world.sandbox.faults.clear()
    world.converge()
    world.check()


@pytest.mark.parametrize("gettable", [True, False])
@pytest.mark.parametrize("seconds", [5, 300, 580])
def test_a_batch_that_lists_do_not_show_yet(world: World, seconds: int, *, gettable: bool) -> None:
    """Hidden for less than `--settle`, it is waited for: never a second batch, not for a moment."""
    strike(world, "after")
    world.sandbox.faults.add(
        operation="create",
        kind="invisible",
        seconds=seconds,
        gettable=gettable,
        match={"name": "spec-2"},
    )
    assert world.apply().code == 3
    waited = 0
    while waited < seconds:
        assert world.apply().code == 3
        waited += 195
        world.pass_time(195)
    assert world.apply().code == 0
    assert len(world.posts()) == 3
    world.check()


@pytest.mark.parametrize("gettable", [True, False])
def test_a_batch_hidden_for_longer_than_settle(world: World, *, gettable: bool) -> None:
    """The honest limit: it is made a second time, and one of both ends as soon as both show."""
    strike(world, "after")
    world.sandbox.faults.add(
        operation="create",
        kind="invisible",
        seconds=SETTLED + 20,
        gettable=gettable,
        match={"name": "spec-2"},
    )
    assert world.apply().code == 3
    world.pass_time(SETTLED)
    assert world.apply().code == 0
    assert len(world.batches("spec-2")) == 2
    world.pass_time(30)
    assert world.apply().code == 0
    world.check(ever=2)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_list_that_is_empty_for_a_while(world: World, when: str) -> None:
    """An empty list shortly after the attempt proves nothing: the attempt is too young."""
    strike(world, when)
    lying = lie(world, {"kind": "empty_list"})
    assert world.apply().code == 3
    world.pass_time(300)
    assert world.apply().code == 3
    assert len(world.posts()) == 3
    world.sandbox.faults.remove(lying)
    world.pass_time(SETTLED)
    world.converge()
    assert len(world.posts()) == (3 if when == "after" else 4)
    world.check()


@pytest.mark.parametrize(
    "rule",
    [{"kind": "empty_list"}, {"kind": "status", "code": 200, "body": {"batches": []}}],
    ids=str,
)
def test_a_list_that_stays_empty(world: World, rule: Mapping[str, Any]) -> None:
    """A list without the batches that are known to exist is not believed about any other."""
    strike(world, "after")
    lying = lie(world, rule)
    assert world.apply().code == 3
    for _ in range(2):
        world.pass_time(SETTLED)
        assert world.apply().code == 3
    assert len(world.posts()) == 3
    world.sandbox.faults.remove(lying)
    assert world.converge() == [0]
    world.check()


def test_a_second_batch_that_had_ended_before_anybody_looked(world: World) -> None:
    """Too late to cancel it, but not to know of it: it is recorded, and told."""
    world.sandbox.faults.add(
        operation="create", kind="late", seconds=SETTLED + 60, match={"name": "spec-2"}
    )
    assert world.apply().code == 3
    world.pass_time(SETTLED)
    assert world.apply().code == 0
    world.pass_time(4 * 3_600)
    assert [batch.status for batch in world.batches("spec-2")] == ["completed", "completed"]
    ended = world.apply()
    assert "second" in ended.err
    assert ended.report["summary"]["cancel"] == 1
    assert len(world.record("spec-2").duplicates) == 1
    again = world.apply()
    assert (again.code, again.err) == (0, "")


def test_an_api_that_returns_no_metadata(world: World) -> None:
    """Without metadata nothing can be told apart: it stays in doubt, and a person can end that."""
    strike(world, "after")
    world.sandbox.faults.add(operation="get", kind="hold", when="after")
    run = world.begin(parallelism=1)
    world.sandbox.faults.wait_held()
    (batch,) = world.batches("spec-2")
    shown = {"batch_id": batch.batch_id, "campaign_id": "cmp_abc123", "status": "in_progress"}
    mute = {"operation": "get", "kind": "status", "code": 200, "body": shown, "times": None}
    world.sandbox.faults.clear()
    run.kill(9)
    run.wait()
    world.sandbox.faults.add(mute)
    world.pass_time(2 * SETTLED)
    ended = world.apply()
    assert ended.code == 3
    doubtful = next(a for a in ended.report["actions"] if a["name"] == "spec-2")
    assert batch.batch_id in doubtful["message"]
    assert "resolve spec-2 --created" in doubtful["hint"]
    assert world.resolve("spec-2", "--created", batch.batch_id).code == 0
    assert world.converge() == [0]
    assert len(world.posts()) == 3
    world.sandbox.faults.clear()
    world.check()

"""Specs whose lists are cut into several batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.digest import request_digest
from reconciler.model import Request
from reconciler.spec.split import split
from tests.change.test_change_sequence import calls, quick
from tests.core.builders import people

if TYPE_CHECKING:
    import random

    from tests.change.conftest import Office

PEOPLE = list(range(1, 8))


def cut(office: Office, most: int, numbers: list[int] = PEOPLE, **fields: Any) -> None:
    """Write a spec that is cut into batches of at most so many; nobody is called today."""
    reconcile = {"split": {"max_contacts": most}, **fields.pop("reconcile", {})}
    office.write(numbers, scheduled_start="2035-06-01T09:00:00Z", reconcile=reconcile, **fields)


@given(st.integers(1, 60), st.integers(1, 20), st.randoms(use_true_random=False))
def test_a_cut_depends_on_the_numbers_alone(total: int, most: int, order: random.Random) -> None:
    """Everyone is in exactly one part, no part is too long, and the file's order is no matter."""
    contacts = people(total)
    fields = {"campaign_id": "cmp_a"}
    whole = Request(1, fields, contacts, request_digest(fields, contacts))
    parts = split(whole, most)
    assert all(0 < len(part.contacts) <= most for part in parts)
    assert len(parts) == -(-total // most)
    told = sorted(c["phone_number"] for part in parts for c in part.contacts)
    assert told == sorted(c["phone_number"] for c in contacts)
    shuffled = list(contacts)
    order.shuffle(shuffled)
    again = split(Request(1, fields, shuffled, whole.digest), most)
    assert [part.digest for part in again] == [part.digest for part in parts]


def test_each_part_is_created_once_and_recorded(office: Office) -> None:
    """Seven people in batches of three are three batches, and one name."""
    cut(office, 3)
    (action,) = office.plan()
    assert (action["action"], action["people"], action["requests"]) == ("create", 7, 3)
    said = quick(office)
    assert said.status == 0
    assert sorted(len(batch["people"]) for batch in office.batches()) == [2, 2, 3]
    (result,) = said.json["actions"]
    assert len(result["batch_ids"]) == 3
    rows = office.run("state", "list", "--format", "json").json["batches"]
    assert [row["name"] for row in rows] == ["welcome"] * 3
    assert len({row["key"] for row in rows}) == 3
    assert office.plan() == []


def test_another_cut_is_no_change(office: Office) -> None:
    """A setting that changed later leaves what exists alone, however it cuts."""
    cut(office, 3)
    office.apply()
    for most in (2, 7, 100):
        cut(office, most)
        assert office.plan() == []
    office.write(PEOPLE, scheduled_start="2035-06-01T09:00:00Z")
    assert office.plan() == []
    (office.root / "reconciler.yaml").write_text("split: {max_contacts: 1}\n")
    assert office.plan() == []


def test_what_is_missing_is_cut_as_it_was(office: Office) -> None:
    """One part was rejected, and the setting changes: the rest is created as it was begun."""
    cut(office, 3)
    office.faults({"operation": "create", "kind": "status", "code": 422, "after": 1})
    assert quick(office, "--parallelism", "1").status == 1
    assert len(office.batches()) == 2
    cut(office, 2)
    (action,) = office.plan()
    assert (action["action"], action["reason"]) == ("create", "incomplete")
    assert quick(office).status == 0
    numbers = [person for batch in office.batches() for person in batch["people"]]
    assert sorted(numbers) == PEOPLE
    assert office.plan() == []


def test_more_people_in_a_cut_spec_are_a_change(office: Office) -> None:
    """A list that has grown is not a list that is incomplete: on_change decides."""
    cut(office, 3)
    office.apply()
    cut(office, 3, [*PEOPLE, 8, 9], reconcile={"on_change": "forbid"})
    assert quick(office).status == 4
    cut(office, 3, [*PEOPLE, 8, 9], reconcile={"on_change": "added"})
    (action,) = office.plan()
    assert (action["people"], action.get("requests")) == (2, None), "one batch for the two"
    assert quick(office).status == 0
    assert sorted(office.batches()[-1]["people"]) == [8, 9]
    assert len(office.batches()) == 4


def test_a_changed_cut_spec_replaces_all_its_batches(office: Office) -> None:
    """Every old part is paused before, and cancelled after, all new ones are there."""
    cut(office, 3)
    office.apply()
    before = len(calls(office))
    cut(office, 4, PEOPLE[1:], concurrency_limit=2)
    assert quick(office).status == 0
    told = [call.split()[0] for call in calls(office)[before:]]
    assert told == ["pause"] * 3 + ["create"] * 2 + ["cancel"] * 3
    new = [batch for batch in office.batches() if batch["status"] != "cancelled"]
    assert sorted(p for batch in new for p in batch["people"]) == PEOPLE[1:]
    assert office.plan() == []


def test_a_part_that_is_rejected_keeps_the_old_batches_paused(office: Office) -> None:
    """They still hold its people; the next run creates it, and only then cancels them."""
    cut(office, 3)
    office.apply()
    cut(office, 4, concurrency_limit=2)
    office.faults({"operation": "create", "kind": "status", "code": 422, "after": 1})
    assert quick(office, "--parallelism", "1").status == 1
    assert [batch["status"] for batch in office.batches()[:3]] == ["paused"] * 3
    assert quick(office).status == 0
    assert [batch["status"] for batch in office.batches()[:3]] == ["cancelled"] * 3
    assert sorted(p for batch in office.batches()[3:] for p in batch["people"]) == PEOPLE
    assert office.plan() == []


def test_parts_that_are_all_rejected_let_the_old_batches_go_on(office: Office) -> None:
    """Nothing came of the change, so nobody has to wait for it."""
    cut(office, 3)
    office.apply()
    cut(office, 4, concurrency_limit=2)
    office.faults({"operation": "create", "kind": "status", "code": 422, "times": 2})
    assert quick(office).status == 1
    assert [batch["status"] for batch in office.batches()] == ["pending"] * 3
    assert "replacing" not in office.state()
    assert quick(office).status == 0
    assert [batch["status"] for batch in office.batches()[:3]] == ["cancelled"] * 3
    assert sorted(p for batch in office.batches()[3:] for p in batch["people"]) == PEOPLE


def test_a_part_whose_no_was_a_yes_is_created_once(office: Office) -> None:
    """The part is found by its key, though its spec is no new one."""
    cut(office, 3)
    refused = {"operation": "create", "kind": "status", "code": 403, "when": "after", "after": 1}
    office.faults(refused)
    assert quick(office, "--parallelism", "1").status == 0
    assert sorted(p for batch in office.batches() for p in batch["people"]) == PEOPLE
    assert office.plan() == []


def test_a_renamed_cut_spec_moves_whole(office: Office) -> None:
    """Nobody is called by a rename, also when the rename comes before all parts are there."""
    cut(office, 3)
    office.faults({"operation": "create", "kind": "status", "code": 422, "after": 2})
    assert quick(office, "--parallelism", "1").status == 1
    (office.root / "welcome.yaml").rename(office.root / "hello.yaml")
    assert [action["action"] for action in office.plan()] == ["move", "create"]
    assert quick(office).status == 0
    numbers = [person for batch in office.batches() for person in batch["people"]]
    assert sorted(numbers) == PEOPLE
    assert office.plan() == []


def test_a_complaint_points_at_the_line_of_the_spec(office: Office) -> None:
    """The API counts within what it was sent; the person looks for it in the spec."""
    cut(office, 3)
    detail = [{"loc": ["body", "contacts", 1, "phone_number"], "msg": "odd", "type": "x"}]
    office.faults(
        {
            "operation": "create",
            "kind": "status",
            "code": 422,
            "body": {"detail": detail},
            "after": 1,
        }
    )
    said = quick(office, "--parallelism", "1")
    assert [each["field"] for each in said.json["diagnostics"]] == ["contacts[3].phone_number"]


def test_a_part_that_waits_for_another_try_keeps_the_old_batches_paused(office: Office) -> None:
    """One is rejected while the other was told to come back later: nothing is resumed for it."""
    cut(office, 4)
    office.apply()
    cut(office, 4, concurrency_limit=2)
    office.faults(
        {"operation": "create", "kind": "status", "code": 429, "retry_after": 1},
        {"operation": "create", "kind": "status", "code": 422, "after": 1},
    )
    before = len(calls(office))
    assert quick(office, "--parallelism", "1").status == 1
    told = [call.split()[0] for call in calls(office)[before:]]
    assert told == ["pause", "pause", "create", "create", "create"]
    assert [batch["status"] for batch in office.batches()[:2]] == ["paused"] * 2
    assert quick(office).status == 0
    new = [batch for batch in office.batches() if batch["status"] != "cancelled"]
    assert sorted(p for batch in new for p in batch["people"]) == PEOPLE
    assert office.plan() == []

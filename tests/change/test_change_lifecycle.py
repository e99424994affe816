"""Pausing, resuming and ending batches: by their specs, by hand, and because a spec is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.change.test_change_sequence import calls, quick

if TYPE_CHECKING:
    from tests.change.conftest import Office


def begin(office: Office, *names: str, people: int = 3) -> None:
    """Have batches that are calling."""
    for number, name in enumerate(names):
        office.write(list(range(10 * number + 1, 10 * number + 1 + people)), name)
    office.apply()


def with_lifecycle(office: Office, lifecycle: str, name: str = "welcome") -> None:
    """Write the spec again with another lifecycle."""
    office.write([1, 2, 3], name, reconcile={"lifecycle": lifecycle})


def test_a_spec_pauses_and_resumes_its_batch(office: Office) -> None:
    """Each change of lifecycle is done once, and calls nobody who was called."""
    begin(office, "welcome")
    with_lifecycle(office, "paused")
    (action,) = office.plan()
    assert (action["action"], action["people"]) == ("pause", 0)
    assert quick(office).status == 0
    assert office.batches()[0]["status"] == "paused"
    assert office.plan() == []
    with_lifecycle(office, "active")
    assert [action["action"] for action in office.plan()] == ["resume"]
    assert quick(office).status == 0
    assert office.batches()[0]["status"] == "in_progress"
    assert office.plan() == []
    assert calls(office) == ["create", "pause 1", "resume 1"]


def test_a_cancelled_lifecycle_is_for_good(office: Office) -> None:
    """Wanted again, the rest is called by a new batch, and the plan says whom."""
    office.outcomes = {1: "completed"}
    office.write([1, 2, 3], concurrency_limit=1)
    office.apply()
    office.sandbox.advance(seconds=150)
    batch = office.batches()[0]
    reached = {person for person, status in batch["people"].items() if status == "completed"}
    office.write([1, 2, 3], concurrency_limit=1, reconcile={"lifecycle": "cancelled"})
    assert quick(office).status == 0
    assert office.batches()[0]["status"] == "cancelled"
    assert office.plan() == []
    office.sandbox.advance(seconds=600)
    reached |= {p for p, status in office.batches()[0]["people"].items() if status == "completed"}
    office.write([1, 2, 3], concurrency_limit=1)
    (action,) = office.plan()
    assert (action["action"], action["reason"]) == ("replace", "lifecycle")
    assert quick(office).status == 0
    assert sorted(office.batches()[1]["people"]) == sorted({1, 2, 3} - reached)
    assert office.plan() == []


def test_a_pause_that_is_refused_is_told_and_tried_again(office: Office) -> None:
    """What the API does not do is a failure with what it said, and nothing is recorded of it."""
    begin(office, "welcome")
    with_lifecycle(office, "paused")
    office.faults({"operation": "pause", "kind": "status", "code": 409})
    said = quick(office)
    assert said.status == 1
    assert said.json["actions"][0]["hint"]
    assert [action["action"] for action in office.plan()] == ["pause"]
    assert quick(office).status == 0
    assert office.batches()[0]["status"] == "paused"


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_what_an_operator_did_is_told_and_left_alone(office: Office, verb: str) -> None:
    """Drift: neither plan nor apply undoes it, and both say so."""
    begin(office, "welcome")
    office.control(office.batches()[0]["id"], verb)
    before = calls(office)
    said = office.run("plan", "--format", "json")
    assert said.json["actions"] == []
    assert any("drift" in each["message"] for each in said.json["diagnostics"])
    said = office.run("apply", "--yes")
    assert said.status == 0
    assert "drift" in said.out
    assert calls(office) == before


def test_a_paused_campaign_is_no_drift(office: Office) -> None:
    """A batch that is paused because its campaign is, is said to be so: nobody stopped it."""
    office.write([1, 2], campaign_id="cmp_paused")
    office.apply()
    (batch,) = office.batches()
    assert batch["status"] == "paused"
    (told,) = office.run("plan", "--format", "json").json["diagnostics"]
    assert told["message"] == f"batch {batch['id']} is paused, and so is its campaign cmp_paused"
    assert told["hint"].startswith("to go on, resume the campaign")


def test_saying_what_the_operator_did_ends_the_drift(office: Office) -> None:
    """`lifecycle: paused` in the spec makes it official, and `active` goes on."""
    begin(office, "welcome")
    office.control(office.batches()[0]["id"], "pause")
    with_lifecycle(office, "paused")
    assert quick(office).status == 0
    assert office.run("plan", "--format", "json").json["diagnostics"] == []
    with_lifecycle(office, "active")
    assert quick(office).status == 0
    assert office.batches()[0]["status"] == "in_progress"


def test_a_removed_spec_is_told_and_left_alone(office: Office) -> None:
    """Nobody's calls end because a file is gone, unless that is asked for."""
    begin(office, "welcome", "hello")
    (office.root / "hello.yaml").unlink()
    said = office.run("plan", "--format", "json")
    assert said.json["actions"] == []
    assert [each["field"] for each in said.json["diagnostics"]] == ["hello"]
    assert office.run("apply", "--yes").status == 0
    assert [batch["status"] for batch in office.batches()] == ["in_progress", "in_progress"]


def test_prune_cancels_what_the_plan_showed(office: Office) -> None:
    """One of four may go; the others are untouched, and the removed one is not told for ever."""
    begin(office, "a", "b", "c", "d")
    (office.root / "d.yaml").unlink()
    (action,) = office.plan("--prune")
    assert (action["action"], action["reason"], action["name"]) == ("cancel", "removed", "d")
    assert quick(office, "--prune").status == 0
    assert [batch["status"] for batch in office.batches()] == ["in_progress"] * 3 + ["cancelled"]
    said = office.run("plan", "--format", "json")
    assert (said.json["actions"], said.json["diagnostics"]) == ([], [])


def test_more_than_a_third_is_not_pruned_at_once(office: Office) -> None:
    """A wrong directory looks like removed specs: it takes a limit that says how many."""
    begin(office, "a", "b", "c")
    for name in ("b", "c"):
        (office.root / f"{name}.yaml").unlink()
    before = calls(office)
    for words in (("plan", "--prune"), ("apply", "--yes", "--prune")):
        said = office.run(*words)
        assert said.status == 4
        b, c = (batch["id"] for batch in office.batches()[1:])
        assert f"more than a third at once: b ({b}), c ({c})\n" in said.err
        assert f"go: reconciler --batches {office.root} {words[0]} --prune --prune-limit 2\n" in (
            said.err
        )
    assert office.run("apply", "--yes", "--prune", "--prune-limit", "1").status == 4
    assert calls(office) == before
    assert office.run("apply", "--yes", "--prune", "--prune-limit", "2").status == 0
    assert [batch["status"] for batch in office.batches()] == ["in_progress", *["cancelled"] * 2]


def test_a_pruned_spec_that_comes_back_calls_the_rest(office: Office) -> None:
    """Its record was kept, so nobody who was reached is called again."""
    office.write([1, 2, 3], concurrency_limit=1)
    office.write([11], "a")
    office.write([12], "b")
    office.apply()
    office.sandbox.advance(seconds=150)
    spec = (office.root / "welcome.yaml").read_bytes()
    (office.root / "welcome.yaml").unlink()
    assert quick(office, "--prune").status == 0
    (office.root / "welcome.yaml").write_bytes(spec)
    (action,) = office.plan()
    assert action["action"] == "replace"
    assert quick(office).status == 0
    office.sandbox.advance(seconds=6000)
    assert sorted(office.dialled()) == [1, 2, 3, 11, 12]


def test_a_rename_with_a_lifecycle_moves_and_then_pauses(office: Office) -> None:
    """A move calls nobody; what else changed is done in the same run."""
    begin(office, "welcome")
    (office.root / "welcome.yaml").unlink()
    with_lifecycle(office, "paused", "hello")
    assert [action["action"] for action in office.plan()] == ["move", "pause"]
    assert quick(office).status == 0
    assert office.plan() == []
    assert office.batches()[0]["status"] == "paused"
    assert len(office.batches()) == 1

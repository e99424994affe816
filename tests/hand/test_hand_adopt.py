"""`reconciler adopt`: recording a batch that exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.hand.conftest import Bench


def test_a_batch_of_the_console_is_recorded_and_nothing_is_created(bench: Bench) -> None:
    """After adopting, the spec is as recorded, and the decision is kept."""
    batch_id = bench.make()
    status, said = bench.run("adopt", "welcome", batch_id, "--why", "made in the console")
    assert (status, said) == (0, f"welcome is recorded as batch {batch_id}.\n")
    assert [row["batch_id"] for row in bench.rows()] == [batch_id]
    decision = bench.request()["audit"][0]
    assert decision["who"] == "asha"
    assert decision["why"] == "made in the console"
    assert bench.run("apply", "--yes")[0] == 0
    assert len(bench.sandbox.batches()) == 1


def test_a_recorded_batch_is_not_adopted_again(bench: Bench) -> None:
    """One batch is one spec's."""
    bench.run("apply", "--yes")
    batch_id = bench.rows()[0]["batch_id"]
    (bench.root / "other.yaml").write_text((bench.root / "welcome.yaml").read_text())
    status, said = bench.run("adopt", "other", batch_id)
    assert status == 4
    assert "recorded already, under welcome" in said


def test_a_recorded_name_keeps_its_batch(bench: Bench) -> None:
    """A name that has a batch does not take another."""
    bench.run("apply", "--yes")
    before = bench.state()
    status, said = bench.run("adopt", "welcome", bench.make())
    assert status == 4
    assert "has a recorded batch already" in said
    assert bench.state() == before


def test_an_unknown_batch_is_refused(bench: Bench) -> None:
    """The API has to know the batch."""
    status, said = bench.run("adopt", "welcome", "batch_nowhere")
    assert status == 4
    assert "knows no batch batch_nowhere" in said
    assert not (bench.root / "state.json").exists()


def test_a_batch_of_another_campaign_is_refused(bench: Bench) -> None:
    """A batch belongs to the campaign it was created in."""
    status, said = bench.run("adopt", "welcome", bench.make(campaign_id="cmp_other"))
    assert status == 4
    assert "is in campaign cmp_other" in said


def test_a_batch_with_another_number_of_contacts_is_refused(bench: Bench) -> None:
    """A batch that calls others than the spec says is not the spec's."""
    contacts = [
        {"phone_number": f"+9198765432{n}", "call_variables": {"callee_name": "R"}}
        for n in (10, 11)
    ]
    status, said = bench.run("adopt", "welcome", bench.make(contacts=contacts))
    assert status == 4
    assert "has 2 contacts, welcome 1" in said


def test_a_name_without_a_spec_is_refused(bench: Bench) -> None:
    """What is adopted has to say what it is."""
    status, said = bench.run("adopt", "nothing", bench.make())
    assert status == 4
    assert "no spec is called nothing" in said


def test_a_name_in_doubt_is_resolved_not_adopted(bench: Bench) -> None:
    """What was begun is settled, so that its key is not forgotten."""
    bench.sandbox.faults.add({"operation": "create", "kind": "status", "when": "before"})
    bench.run("apply", "--yes", "--verify-for", "0")
    status, said = bench.run("adopt", "welcome", bench.make())
    assert status == 4
    assert "resolve welcome --created BATCH_ID" in said


def test_resolving_keeps_who_decided(bench: Bench) -> None:
    """A decision is kept with its person, time and reason, and the next apply follows it."""
    bench.sandbox.faults.add({"operation": "create", "kind": "status", "when": "before"})
    assert bench.run("apply", "--yes", "--verify-for", "0")[0] == 3
    status, _ = bench.run("resolve", "welcome", "--not-created", "--why", "looked,\nnot there")
    assert status == 0
    decision = bench.request()["audit"][0]
    assert (decision["who"], decision["why"]) == ("asha", "looked, not there")
    assert bench.run("apply", "--yes")[0] == 0
    assert len(bench.sandbox.batches()) == 1
    assert "asha resolved welcome as not created" in bench.run("state", "show", "welcome")[1]

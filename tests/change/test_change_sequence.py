"""What a changed spec does to batches that are calling, over a socket."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.cli import progress

if TYPE_CHECKING:
    from tests.change.conftest import Office

ON_CHANGE = ("remaining", "everyone", "added")


def quick(office: Office, *words: str) -> Any:
    """Apply, with no patience for calls in flight."""
    return office.run("apply", "--yes", "--drain", "0", "--format", "json", *words)


def half_done(office: Office) -> None:
    """Have 1 reached, 2 waiting for a second call, 3 and 4 not called yet; nobody is on the line.

    It is after hours, so that stays so, in newer batches too.
    """
    office.outcomes = {2: "no_answer, completed"}
    write(office, [2, 1, 3, 4], concurrency_limit=1)
    office.apply()
    office.sandbox.advance(seconds=300)
    (batch,) = office.batches()
    assert batch["status"] == "in_progress"
    assert batch["people"] == {1: "completed", 2: "retrying", 3: "pending", 4: "pending"}


def write(office: Office, people: list[int], **fields: Any) -> None:
    """Write the spec, in the campaign that calls for a minute a day."""
    office.write(people, **{"campaign_id": "cmp_minute", **fields})


def calls(office: Office) -> list[str]:
    """Give what was asked of batches, reads left out, as `verb batch-number`."""
    numbers = {batch["id"]: f"{n}" for n, batch in enumerate(office.batches(), start=1)}
    told = []
    for entry in office.sandbox.log():
        if entry.method == "POST" and entry.operation != "create":
            told.append(f"{entry.operation} {numbers[entry.batch_id or '']}")
        elif entry.operation == "create":
            told.append("create")
    return told


def test_the_report_counts_whom_the_new_batch_calls(office: Office) -> None:
    """Not everyone in the spec: some were called already."""
    half_done(office)
    write(office, [1, 2, 3, 5], concurrency_limit=1)
    said = office.run("apply", "--yes", "--drain", "0")
    assert said.status == 0, said
    new = office.batches()[-1]
    assert f"replaced  {new['id']}  3 people" in said.out


def test_remaining_calls_who_is_owed_a_call(office: Office) -> None:
    """The new batch has who waits or was never in the old one; that is cancelled after it."""
    half_done(office)
    write(office, [1, 2, 3, 5], concurrency_limit=1)
    (action,) = office.plan()
    assert (action["action"], action["reason"], action["people"]) == ("replace", "changed", 3)
    before = len(calls(office))
    said = quick(office)
    assert said.status == 0, said
    old, new = office.batches()
    assert calls(office)[before:] == ["pause 1", "create", "cancel 1"]
    assert old["status"] == "cancelled"
    assert sorted(new["people"]) == [2, 3, 5]
    (result,) = said.json["actions"]
    assert (result["outcome"], result["batch_id"]) == ("created", new["id"])
    assert office.plan() == []


def test_everyone_calls_all_of_them_again_and_says_so(office: Office) -> None:
    """Whom the old batch reached is called again, with the number of people on the plan."""
    half_done(office)
    write(office, [1, 2, 3], reconcile={"on_change": "everyone"})
    said = office.run("plan")
    assert "again" in said.out
    (action,) = office.plan()
    assert (action["people"], action["called_again"]) == (3, 1)
    assert quick(office).status == 0
    old, new = office.batches()
    assert (old["status"], sorted(new["people"])) == ("cancelled", [1, 2, 3])
    assert office.plan() == []


def test_added_leaves_the_old_batch_alone(office: Office) -> None:
    """The old batch runs on; the new one has only whom that does not have."""
    half_done(office)
    write(office, [1, 2, 3, 4, 5, 6], concurrency_limit=1, reconcile={"on_change": "added"})
    before = len(calls(office))
    assert quick(office).status == 0
    old, new = office.batches()
    assert calls(office)[before:] == ["create"]
    assert old["status"] == "in_progress"
    assert sorted(new["people"]) == [5, 6]
    assert office.plan() == []


def test_whom_an_old_batch_calls_that_runs_on_is_told(office: Office) -> None:
    """Taken out, or with other variables: the plan counts both, until their calls are over."""
    half_done(office)
    path = office.root / "welcome.yaml"
    write(office, [1, 2, 4], concurrency_limit=1, reconcile={"on_change": "added"})
    path.write_text(path.read_text("utf-8").replace("Person 4", "Person Four"), encoding="utf-8")
    (warning,) = office.run("plan", "--format", "json").json["diagnostics"]
    assert (warning["severity"], warning["field"]) == ("warning", "welcome")
    assert warning["message"] == (
        "1 person who was taken out is still called by the old batch, and 1 person is still called "
        "with old variables: it runs on (on_change: added)"
    )
    assert "`on_change: remaining`" in warning["hint"]
    for words in ((), ("--format", "markdown")):
        assert warning["message"][:60] in office.run("plan", *words).out
    office.control(office.batches()[0]["id"], "cancel")
    assert "still called" not in office.run("plan").out


def test_what_still_runs_is_told_where_nobody_was_left_to_call(office: Office) -> None:
    """`status` counts its people once, and `explain` says why the old batch calls or does not."""
    half_done(office)
    write(office, [1, 2, 3], concurrency_limit=1, reconcile={"on_change": "added"})
    assert quick(office).status == 0
    (old,) = office.batches()
    said = office.run("status").out
    assert "complete     0 of 0" in said
    assert "nobody was left to call: an earlier batch runs on" in said
    assert "2 batches: 1 in_progress, 1 complete. 1 of 4 people done" in said
    said = office.run("explain", "welcome").out
    assert "no batch id: complete" in said
    assert f"generation 1, {old['id']}: in_progress\n  why    it is outside" in said
    nobody, runs = office.run("explain", "welcome", "--format", "json").json["batches"]
    assert "generation" not in nobody
    assert (runs["generation"], runs["batch_id"]) == (1, old["id"])
    office.control(old["id"], "cancel")
    assert "3 of 3" in office.run("status").out
    assert old["id"] not in office.run("explain", "welcome").out


def test_nobody_is_told_of_who_is_called_as_the_spec_says(office: Office) -> None:
    """Only added to, or with those taken out whose calls are over, there is nothing to warn of."""
    half_done(office)
    write(office, [2, 3, 4, 5], concurrency_limit=1, reconcile={"on_change": "added"})
    assert office.run("plan", "--format", "json").json["diagnostics"] == []
    write(office, [1, 2], concurrency_limit=1)
    assert office.run("plan", "--format", "json").json["diagnostics"] == []


def test_forbid_refuses(office: Office) -> None:
    """Nothing is touched, the change is told, and the exit status is that of a refusal."""
    half_done(office)
    write(office, [1, 2], reconcile={"on_change": "forbid"})
    before = calls(office)
    said = quick(office)
    assert said.status == 4
    assert said.json["actions"][0]["outcome"] == "blocked"
    assert calls(office) == before


@pytest.mark.parametrize("on_change", ON_CHANGE)
def test_a_change_of_a_field_only(office: Office, on_change: str) -> None:
    """Fields are part of the batch too; whom it calls is on_change's to say."""
    half_done(office)
    write(office, [1, 2, 3, 4], concurrency_limit=2, reconcile={"on_change": on_change})
    (action,) = office.plan()
    assert [change["field"] for change in action["changes"]] == ["concurrency_limit"]
    assert quick(office).status == 0
    people = [sorted(batch["people"]) for batch in office.batches()[1:]]
    expected: dict[str, list[list[int]]] = {
        "remaining": [[2, 3, 4]],
        "everyone": [[1, 2, 3, 4]],
        "added": [],
    }
    assert people == expected[on_change]
    assert office.plan() == []


def test_nobody_left_makes_no_batch(office: Office) -> None:
    """Everyone in the new spec was reached: it is complete, and the old batch is cancelled."""
    half_done(office)
    write(office, [1], concurrency_limit=1)
    (action,) = office.plan()
    assert action["people"] == 0
    said = quick(office)
    assert said.status == 0
    assert said.json["actions"][0]["outcome"] == "done"
    (old,) = office.batches()
    assert old["status"] == "cancelled"
    current = office.state()["generations"][-1]
    assert [request["status"] for request in current["requests"]] == ["complete"]
    assert office.plan() == []
    said = office.run("status")
    assert said.status == 0
    assert re.search(r"welcome  - +complete  1 of 1 +by earlier batches: nobody was left", said.out)
    assert said.out.endswith("1 batch: 1 complete. 1 of 1 person done.\n")
    assert office.run("explain", "welcome").status == 0
    assert office.run("results", "welcome").status == 0


def test_calls_in_flight_are_waited_for(office: Office) -> None:
    """Who is on the line while the old batch is stopped is reached by it, and not called again."""
    office.write([1, 2, 3], concurrency_limit=1)
    office.apply()
    office.sandbox.advance(seconds=3)
    assert office.batches()[0]["people"][1] in {"dispatched", "in_progress"}
    office.write([1, 2, 3], concurrency_limit=2)
    with office.time_passes(speed=100):
        said = office.run("apply", "--yes", "--drain", "60", "--format", "json")
    assert said.status == 0
    old, new = office.batches()
    assert old["people"][1] == "completed"
    assert 1 not in new["people"]


def test_the_report_counts_who_was_sent(office: Office) -> None:
    """Who was on the line when it was planned, and was not reached, is called by the new batch."""
    office.outcomes = {1: "no_answer, completed"}
    office.write([1, 2, 3], concurrency_limit=1)
    office.apply()
    office.sandbox.advance(seconds=3)
    office.write([1, 2, 3], concurrency_limit=2)
    (action,) = office.plan()
    assert action["people"] == 2
    with office.time_passes(speed=100):
        said = office.run("apply", "--yes", "--drain", "60", "--format", "json")
    assert said.status == 0
    assert 1 in office.batches()[-1]["people"]
    (result,) = said.json["actions"]
    assert result["people"] == len(office.batches()[-1]["people"])


def test_an_interrupted_change_says_how_it_stands(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C the old batch stays paused: the run, the next plan and the journal say so."""
    monkeypatch.setattr(progress, "HEARTBEAT", 0.0)
    office.write([1, 2, 3], concurrency_limit=1)
    office.apply()
    office.sandbox.advance(seconds=3)
    office.write([1, 2, 3], concurrency_limit=2)

    def interrupt() -> None:
        while not any(entry.operation == "pause" and entry.finished for entry in log()):
            time.sleep(0.02)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    log = office.sandbox.log
    thread = threading.Thread(target=interrupt)
    thread.start()
    said = office.run("apply", "--yes", "--drain", "60")
    thread.join()
    (old,) = office.batches()
    assert (said.status, old["status"]) == (1, "paused")
    assert "Stopped early: 1 interrupted" in said.out
    assert f"why       batch {old['id']} is paused for this change, and 2 people wait\n" in said.out
    assert f"hint      run again: reconciler --batches {office.root} apply\n" in said.out
    assert "nothing was sent" not in said.out
    assert re.search(r"\n\.\.\. welcome: 1 call still in flight, \d\d s at most\n", said.err)
    assert f"Recorded in {office.root}/state.json: commit it with the specs.\n" in said.err
    (action,) = office.plan()
    assert f"({old['id']}) is paused for this change already" in action["message"]
    assert quick(office).json["actions"][0]["outcome"] == "created"


def test_a_plan_says_what_an_earlier_run_paused(office: Office) -> None:
    """Whatever ended a run after the pause, the next plan says that the batch is paused already."""
    half_done(office)
    write(office, [1, 2, 3], concurrency_limit=1)
    office.faults({"operation": "contacts", "kind": "status", "code": 403, "times": None})
    assert quick(office).status == 1
    office.sandbox.faults.clear()
    (old,) = office.batches()
    assert old["status"] == "paused"
    (action,) = office.plan()
    assert f"({old['id']}) is paused for this change already" in action["message"]


def test_who_is_on_the_line_too_long_counts_as_called(office: Office) -> None:
    """The wait is bounded, and nobody is called while somebody may be talking to them."""
    office.write([1, 2, 3], concurrency_limit=1)
    office.apply()
    office.sandbox.advance(seconds=3)
    office.write([1, 2, 3], concurrency_limit=1, metadata={"wave": "1"})
    assert quick(office).status == 0
    assert sorted(office.batches()[1]["people"]) == [2, 3]
    # Cancelling made `skipped` of them in the old batch; no later change takes that for owed.
    office.write([1, 2, 3], concurrency_limit=1, metadata={"wave": "2"})
    assert quick(office).status == 0
    assert sorted(office.batches()[2]["people"]) == [3]


def test_who_was_skipped_by_hand_stays_skipped(office: Office) -> None:
    """Skipping somebody in the console is told apart from what our own cancel skips, for ever."""
    half_done(office)
    office.skip(office.batches()[0]["id"], 3)
    write(office, [1, 2, 3], concurrency_limit=1)
    assert quick(office).status == 0
    assert sorted(office.batches()[1]["people"]) == [2]
    # 4 was taken out of the spec while waiting, and comes back: still owed. 3 is not.
    write(office, [1, 2, 3, 4], concurrency_limit=1)
    assert quick(office).status == 0
    assert sorted(office.batches()[2]["people"]) == [2, 4]


def test_a_chain_of_changes_never_calls_the_reached_again(office: Office) -> None:
    """Each generation leaves out whom any of those before has reached."""
    people = list(range(1, 8))
    for limit in range(1, 5):
        office.write(people, concurrency_limit=limit)
        assert quick(office).status == 0
        office.sandbox.advance(seconds=130)
    office.sandbox.advance(seconds=6000)
    assert sorted(office.dialled()) == people


def test_a_rejected_create_resumes_the_old_batch(office: Office) -> None:
    """The API says no to the new batch: the old one goes on calling, as if nothing had been."""
    half_done(office)
    write(office, [1, 2, 3], concurrency_limit=1)
    office.faults({"operation": "create", "kind": "status", "code": 422})
    before = len(calls(office))
    said = quick(office)
    assert said.status == 1
    assert calls(office)[before:] == ["pause 1", "create", "resume 1"]
    (old,) = office.batches()
    assert old["status"] == "in_progress"
    assert "resumed" in " ".join(said.json["actions"][0]["warnings"])
    assert "replacing" not in office.state()
    assert quick(office).status == 0
    assert len(office.batches()) == 2


def test_a_no_that_was_a_yes_takes_the_old_batchs_place(office: Office) -> None:
    """The new batch is there although the API said no: the old one must not go on beside it."""
    half_done(office)
    write(office, [1, 2, 3], concurrency_limit=1)
    office.faults({"operation": "create", "kind": "status", "code": 403, "when": "after"})
    before = len(calls(office))
    assert quick(office).status == 0
    assert calls(office)[before:] == ["pause 1", "create", "cancel 1"]
    assert office.plan() == []


def put_off(office: Office, *, start: str) -> list[str]:
    """Change a batch that waits for its start and cannot be paused; give what was asked."""
    write(office, [1, 2], scheduled_start=start)
    office.apply()
    office.faults({"operation": "pause", "kind": "status", "code": 409, "times": None})
    write(office, [1, 2, 3], scheduled_start="2035-05-16T10:00:00Z")
    before = len(calls(office))
    assert quick(office).status == 0
    assert sorted(office.batches()[1]["people"]) == [1, 2, 3]
    return calls(office)[before:]


def test_a_batch_that_cannot_be_paused_and_starts_later_is_cancelled_after(office: Office) -> None:
    """It waits for tomorrow and refuses to be paused: the new one is made, then it is cancelled."""
    asked = put_off(office, start="2035-05-16T09:00:00Z")
    assert asked == ["pause 1", "create", "cancel 1"]


def test_a_batch_that_cannot_be_paused_and_starts_soon_is_cancelled_first(office: Office) -> None:
    """Two batches with the same people must not begin side by side."""
    asked = put_off(office, start="2035-05-15T06:05:00Z")
    assert asked == ["pause 1", "cancel 1", "create"]
    assert office.plan() == []


@pytest.mark.parametrize("on_change", ON_CHANGE)
def test_a_batch_that_has_ended_needs_neither_pause_nor_cancel(
    office: Office, on_change: str
) -> None:
    """What is over is read, and left as it is."""
    office.write([1, 2])
    office.apply()
    office.sandbox.advance(seconds=3600)
    assert office.batches()[0]["status"] == "completed"
    office.write([1, 2, 3], reconcile={"on_change": on_change})
    before = len(calls(office))
    assert quick(office).status == 0
    assert calls(office)[before:] == ["create"]
    expected = [1, 2, 3] if on_change == "everyone" else [3]
    assert sorted(office.batches()[1]["people"]) == expected


@pytest.mark.parametrize("on_change", ON_CHANGE)
def test_a_batch_that_is_gone_leaves_nobody_to_ask(office: Office, on_change: str) -> None:
    """Without its contacts only `everyone` can be done; the others are refused, and say so."""
    half_done(office)
    office.faults(
        {
            "operation": "get",
            "kind": "status",
            "code": 404,
            "times": None,
            "body": {"detail": "Batch not found"},
        },
        {"operation": "list", "kind": "status", "code": 200, "times": None, "body": []},
    )
    write(office, [1, 2, 3], reconcile={"on_change": on_change})
    said = quick(office)
    if on_change == "everyone":
        assert said.status == 0
        assert len(office.batches()) == 2
    else:
        assert said.status == 4
        assert said.json["actions"][0]["reason"] == "called_unknown"
        assert len(office.batches()) == 1


def test_somebody_paused_it_by_hand(office: Office) -> None:
    """An emergency pause is not undone by going on with a new batch."""
    half_done(office)
    office.control(office.batches()[0]["id"], "pause")
    write(office, [1, 2, 3])
    before = calls(office)
    said = quick(office)
    assert said.status == 4
    assert said.json["actions"][0]["reason"] == "paused_by_hand"
    assert calls(office) == before


def test_a_revert_is_named_and_calls_nobody_again(office: Office) -> None:
    """Going back to what generation 1 said does not take its calls back."""
    half_done(office)
    write(office, [1, 2, 3, 4], concurrency_limit=2)
    assert quick(office).status == 0
    write(office, [1, 2, 3, 4], concurrency_limit=1)
    (action,) = office.plan()
    assert action["reason"] == "reverted"
    assert "generation 1" in action["message"]
    assert quick(office).status == 0
    assert sorted(office.batches()[2]["people"]) == [2, 3, 4]
    assert office.plan() == []


def test_offline_a_plan_says_at_most(office: Office) -> None:
    """Nobody was asked who has been called."""
    half_done(office)
    write(office, [1, 2, 3])
    assert "Up to 3 people" in office.run("plan", "--offline").out


def test_a_plan_that_was_thought_about_for_long_is_made_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody stops the calls while the question waits for its answer: that counts."""
    half_done(office)
    write(office, [1, 2, 3])
    batch_id = office.batches()[0]["id"]

    def answered(*_: object, **__: object) -> str:
        office.control(batch_id, "pause")
        return "yes"

    monkeypatch.setattr("reconciler.cli.apply.LONGEST_THOUGHT", 0.0)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("click.prompt", answered)
    said = office.run("apply", "--drain", "0")
    assert said.status == 4
    assert "somebody stopped" in said.out
    assert len(office.batches()) == 1


class Terminal:
    """What a person types at."""

    def isatty(self) -> bool:
        """Say so."""
        return True

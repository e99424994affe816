"""The way of a change on GitHub, from the pull request to the recorded id: the real workflows."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import httpx

from reconciler.cli import run as reconciler
from tests.github.world import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.github.world import Hub

REVIEWED = "require_reviewed_plan: true\n"


def test_opened_mended_reviewed_merged(hub: Hub) -> None:
    """One comment follows a pull request; merging creates the batch once, records it and tells."""
    hub.branch("first")
    hub.spec("welcome")
    number = hub.open()
    job = hub.plan(number)
    assert job.ok, job.log
    (body,) = hub.bodies(number)
    assert body.startswith("<!-- call-batch-reconciler:plan batches -->\n")
    assert re.search(r"^<!-- call-batch-reconciler:plan-hash batches \S+ -->$", body, re.MULTILINE)
    assert "2 people will be called" in body
    assert "2 people will be called" in job.summary
    assert hub.created() == []

    hub.write("batches/welcome.yaml", "campaign_id: cmp_abc123\ncontact: []\n")
    hub.push_to(number)
    job = hub.plan(number)
    assert not job.ok
    assert re.search(r"^::error file=batches/welcome.yaml,line=2,", job.log, re.MULTILINE)
    (body,) = hub.bodies(number)
    assert "No plan for" in body
    assert "plan-hash" not in body
    hashes = [w for w in hub.github.writes if w[0] == "PATCH" and "plan-outdated" in w[2]["body"]]
    assert len(hashes) == 1, "between the push and its plan the old one was marked"

    hub.spec("welcome", people=3)
    hub.push_to(number)
    assert hub.plan(number).ok
    (body,) = hub.bodies(number)
    assert "3 people will be called" in body

    job = hub.apply(hub.merge(number))
    assert job.ok, job.log
    assert hub.created() == ["welcome"]
    (batch,) = hub.sandbox.batches()
    assert hub.state().batch_ids() == {batch.batch_id: "welcome"}
    _, told = hub.bodies(number)
    assert "1 created" in told
    assert batch.batch_id in told
    assert batch.batch_id in job.summary
    (status,) = hub.github.statuses
    assert status["state"] == "success"
    assert status["sha"] == hub.github.pulls[number].merge_commit
    assert "1 created" in status["description"]
    everything = job.log + "".join(hub.bodies(number)) + job.summary
    assert "1415555" not in everything
    assert KEY not in everything


def test_two_merges_in_a_row_and_an_old_run_again(make_hub: Callable[..., Hub]) -> None:
    """The newest run applies what both pull requests agreed to; the older does nothing, ever."""
    hub = make_hub(settings=REVIEWED)
    numbers = []
    for position, name in enumerate(("one", "two")):
        hub.branch(name)
        hub.spec(name, first=10 * position)
        numbers.append(hub.open())
        assert hub.plan(numbers[-1]).ok
    older, newer = (hub.merge(number) for number in numbers)
    job = hub.apply(older)
    assert job.ok, job.log
    assert hub.created() == []
    assert hub.github.statuses[-1]["description"].startswith("Superseded by")
    assert "newer commit" in hub.bodies(numbers[0])[1]

    job = hub.apply(newer)
    assert job.ok, job.log
    assert hub.created() == ["one", "two"]
    assert "reviewed in #" in job.log
    told = hub.bodies(numbers[1])[1]
    assert "2 created" in told

    for again in (older, newer):
        job = hub.apply(again)
        assert job.ok, job.log
    assert hub.created() == ["one", "two"]
    assert hub.bodies(numbers[1])[1] == told, "what it did is not lost by doing nothing"


def test_what_was_not_reviewed_is_not_applied(make_hub: Callable[..., Hub]) -> None:
    """A spec pushed past the review stops apply, which names it and creates nothing."""
    hub = make_hub(settings=REVIEWED)
    hub.branch("one")
    hub.spec("one")
    number = hub.open()
    assert hub.plan(number).ok
    hub.merge(number)
    hub.spec("smuggled", first=50)
    job = hub.apply(hub.push())
    assert not job.ok
    assert "came in by no merged pull request" not in job.log
    assert re.search(r"error: .*not what was reviewed in #\d+.*: it differs for smuggled", job.log)
    assert "hint: " in job.log
    assert hub.created() == []
    assert hub.github.statuses[-1]["state"] == "failure"
    assert "smuggled" in hub.github.statuses[-1]["description"]


def test_a_fork(hub: Hub) -> None:
    """Without secrets and with a token that only reads, a fork gets its plan in the summary."""
    hub.branch("theirs")
    hub.spec("welcome")
    number = hub.open(fork=True)
    job = hub.plan(number)
    assert job.ok, job.log
    assert "2 people will be called" in job.summary
    assert "::notice::The plan is in the summary" in job.log
    assert "The API was not asked" in job.summary
    assert hub.github.requests == [], "there is nothing it could write"
    assert hub.sandbox.log() == []


def test_a_pull_request_that_edits_the_state(hub: Hub) -> None:
    """It fails, says why on the file, and shows no plan that somebody could agree to."""
    hub.branch("first")
    hub.spec("welcome")
    number = hub.open()
    assert hub.apply(hub.merge(number)).ok
    hub.branch("mending")
    text = (hub.person / "batches/state.json").read_text("utf-8")
    hub.write("batches/state.json", text.replace("batch_", "hctab_"))
    number = hub.open()
    job = hub.plan(number)
    assert not job.ok
    assert "::error file=batches/state.json::" in job.log
    assert "which only the reconciler writes" in job.log
    assert job.step("Plan").outcome == "skipped"
    (body,) = hub.bodies(number)
    assert "No plan" in body
    hub.git("checkout", "-q", "origin/main", "--", "batches/state.json")
    hub.push_to(number)
    assert hub.plan(number).ok


def test_a_pull_request_that_edits_the_ledger(hub: Hub) -> None:
    """Who was called how often is written by the reconciler only."""
    hub.branch("first")
    hub.write("batches/ledger/rk1_0.calls", "somebody was never called")
    hub.spec("welcome")
    number = hub.open()
    job = hub.plan(number)
    assert not job.ok
    assert "edits batches/ledger, which only the reconciler writes" in job.log
    assert job.step("Plan").outcome == "skipped"


def test_a_cancelled_job(make_hub: Callable[..., Hub]) -> None:
    """The signals reach apply itself: it ends what is under way, records it, and it is told."""
    # Shorter than what a cancelled run waits for what is under way: over when the next one looks.
    hub = make_hub(settings="lease: 5s\n")
    hub.branch("many")
    for position in range(3):
        hub.spec(f"spec-{position}", first=10 * position)
    number = hub.open()
    commit = hub.merge(number)
    hub.sandbox.faults.add(operation="create", kind="hold", when="after", times=None)

    def meanwhile() -> None:
        hub.sandbox.faults.wait_held(count=3)

    job = hub.apply(commit, cancel=("Apply", meanwhile))
    step = job.step("Apply")
    assert step.code == 3, "it came to its own end, between SIGINT and SIGTERM"
    assert "SIGINT: nothing more is sent" in step.err
    assert job.step("Tell the outcome").outcome == "success"
    in_doubt = [name for name, _, request in hub.state().requests() if request.in_doubt]
    assert len(in_doubt) == 3
    assert hub.github.statuses[-1]["state"] == "error"
    (told,) = hub.bodies(number)
    assert "3 in doubt" in told
    hub.sandbox.faults.clear()

    job = hub.apply(commit)
    assert job.ok, job.log
    assert len(hub.created()) == 3
    assert set(hub.state().batch_ids()) == {batch.batch_id for batch in hub.sandbox.batches()}
    assert hub.github.statuses[-1]["state"] == "success"
    (told,) = hub.bodies(number)
    assert "in doubt" not in told


def test_what_init_writes_on_a_protected_branch(
    make_hub: Callable[..., Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scaffold's own workflows keep state on its branch where nobody may push to main."""
    hub = make_hub()
    shutil.rmtree(hub.person / "batches")
    monkeypatch.chdir(hub.person)
    assert reconciler(["init", "--protected"]) == 0
    hub.workflows = hub.person / ".github/workflows"
    hub.commit("Set up")
    hub.git("push", "-q", "origin", "HEAD")
    hub.protect()
    hub.branch("first")
    number = hub.open()
    job = hub.plan(number)
    assert job.ok, job.log
    assert "1 person will be called" in hub.bodies(number)[0]
    commit = hub.merge(number)
    job = hub.apply(commit)
    assert job.ok, job.log
    assert hub.created() == ["example"]
    assert list(hub.state("reconciler-state").batches) == ["example"]
    assert hub.git("rev-parse", "refs/heads/main", at=hub.remote) == commit

    hub.write("batches/reconciler.yaml", "state: git\n")
    hub.spec("second", first=30)
    job = hub.apply(hub.push())
    assert not job.ok
    assert "the branch is protected: let state live on a branch of its own" in job.log
    assert hub.created() == ["example"]


def test_the_schedule_settles_and_reports(make_hub: Callable[..., Hub]) -> None:
    """A lost answer is found; a pause by hand is one issue, closed when it is over."""
    hub = make_hub(settings="lease: 4s\n")
    hub.branch("one")
    hub.spec("one", more="scheduled_start: 2035-05-14T09:00:00\n")
    number = hub.open()
    commit = hub.merge(number)
    hub.sandbox.faults.add(operation="create", kind="reset", when="after")
    hub.sandbox.faults.add(operation="create", kind="invisible", seconds=100)
    job = hub.apply(commit)
    assert not job.ok, job.log
    assert "1 in doubt" in hub.github.statuses[-1]["description"]
    hub.spec("two", first=20)
    hub.push()

    job = hub.reconcile()
    assert not job.ok, "it is still in doubt"
    (issue,) = hub.github.issues.values()
    assert issue["state"] == "open"
    assert "`one`" in issue["body"]
    hub.sandbox.faults.clear()
    hub.sandbox.advance(200)
    job = hub.reconcile()
    assert job.ok, job.log
    assert issue["state"] == "closed"
    assert list(hub.state().batch_ids().values()) == ["one"]
    assert hub.created() == ["one"], "what is new is left to apply and its approval"

    (batch,) = hub.sandbox.batches()
    console = httpx.Client(headers={"Authorization": f"Bearer {KEY}"})
    for verb, state in (("pause", "open"), ("resume", "closed")):
        console.post(f"{hub.sandbox.url}/batches/{batch.batch_id}/{verb}").raise_for_status()
        job = hub.reconcile()
        assert job.ok, job.log
        assert issue["state"] == state
    console.close()
    assert len(hub.github.issues) == 1


def test_without_a_token_the_schedule_looks_at_nothing(hub: Hub) -> None:
    """In a fork, or before the secret is set, the job says so and is green."""
    job = hub.reconcile(secrets=False)
    assert job.ok
    assert "nothing was looked at" in job.log
    assert hub.github.requests == []


def test_this_repository_applies_nothing_by_itself(hub: Hub) -> None:
    """Its batches are examples: without the variable, as in a fork, no job begins."""
    hub.runner.variables = {}
    assert hub.apply(hub.push()).steps == []
    assert hub.reconcile().steps == []


def test_what_others_write_stays_text(hub: Hub) -> None:
    """What somebody calls a file, a name or a field is neither run by a shell nor markdown."""
    hostile = ["$(touch pwned)", "`touch pwned`;'\"", "|x|@team<img src=x>"]
    hub.branch("names")
    for position, text in enumerate(hostile):
        more = f"reconcile: {{name: named-{position}}}\nmetadata: {{note: {json.dumps(text)}}}\n"
        hub.spec(text, first=10 * position, more=more)
    number = hub.open()
    job = hub.plan(number)
    assert job.ok, job.log
    (body,) = hub.bodies(number)
    assert "3 to create" in body

    hub.spec("other", first=50, more=f"reconcile: {{name: {json.dumps(hostile[2])}}}\n")
    hub.push_to(number)
    job = hub.plan(number)
    assert not job.ok
    (mistake,) = hub.bodies(number)
    assert "1 mistake" in mistake
    for shown in (body, mistake):
        assert "<img" not in shown
        assert "@team" not in shown
    assert not list(hub.directory.rglob("pwned*"))

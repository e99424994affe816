"""`reconciler stop`: what it stops, what it records, and that no apply undoes it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.model import Lifecycle
from tests.torture.gitworld import KILLED

if TYPE_CHECKING:
    from tests.proof.world import Ended, World
    from tests.torture.gitworld import GitWorld

PAUSED = "reconcile: {lifecycle: paused}\n"
CANCELLED = "reconcile: {lifecycle: cancelled}\n"


def stop(world: World, *names: str, **order: Any) -> Ended:
    """Stop, to its end."""
    return world.start("stop", *names, "--yes", "--format=json", **order).wait()


def outcomes(ended: Ended) -> dict[str, str]:
    """Map each name to what became of its batch."""
    return {each["name"]: each["outcome"] for each in json.loads(ended.out)["batches"]}


def statuses(world: World) -> dict[str | None, str]:
    """Map each name to the status of its only batch."""
    return {batch.name: batch.status for batch in world.sandbox.batches()}


def test_a_stop_and_the_way_back(world: World) -> None:
    """A stopped name stays stopped whatever its spec asks for, until the spec says so too."""
    assert world.apply().code == 0
    ended = stop(world, "spec-1", "--why", "complaint from +15550000001")
    assert (ended.code, outcomes(ended)) == (0, {"spec-1": "paused"})
    assert statuses(world) == {"spec-1": "paused", "spec-2": "in_progress", "spec-3": "in_progress"}
    stopped = world.state().batches["spec-1"].stopped
    assert stopped is not None
    assert (stopped.by.why, stopped.lifecycle) == ("complaint from +15*******01", Lifecycle.PAUSED)
    assert world.apply().code == 0
    plan = world.start("plan", "--format=json", "--detailed-exitcode").wait()
    assert plan.code == 0
    assert "it was paused by hand by" in json.loads(plan.out)["diagnostics"][0]["message"]
    assert "paused by hand" in world.start("status").wait().err
    assert "paused by hand" in world.start("state", "show", "spec-1").wait().out
    world.write("spec-1", people=3)
    changed = world.apply()
    assert (changed.code, changed.outcomes["spec-1"]) == (4, "blocked")
    assert len(world.posts()) == 3
    world.write("spec-1", more=PAUSED)
    assert world.apply().code == 0
    assert world.state().batches["spec-1"].stopped is None
    assert statuses(world)["spec-1"] == "paused"
    world.write("spec-1")
    assert world.apply().code == 0
    assert set(statuses(world).values()) == {"in_progress"}
    world.check()


def test_a_cancel_and_the_way_back(world: World) -> None:
    """What was cancelled by hand is called by nobody until the spec was cancelled and is active."""
    assert world.apply().code == 0
    assert outcomes(stop(world, "spec-1", "--cancel")) == {"spec-1": "cancelled"}
    for people in (2, 3):
        world.write("spec-1", people=people)
        assert world.apply().code == (0 if people == 2 else 4)
    assert len(world.posts()) == 3
    world.write("spec-1", more=CANCELLED)
    assert world.apply().code == 0
    assert len(world.posts()) == 3
    assert world.state().batches["spec-1"].stopped is None
    world.write("spec-1")
    assert world.apply().code == 0
    assert sorted(b.status for b in world.batches("spec-1")) == ["cancelled", "in_progress"]
    (again,) = (b for b in world.batches("spec-1") if b.status != "cancelled")
    assert len(again.phone_numbers) == 2
    world.sandbox.advance(2 * 86_400)
    assert len({d.phone_number for d in world.sandbox.dials()}) == 6


def test_who_stopped_it_first_stays_known(world: World) -> None:
    """A second stop is recorded beside the first one, and pauses nothing that is paused."""
    assert world.apply().code == 0
    assert stop(world, "spec-1", "--why", "complaints").code == 0
    again = world.start("stop", "--all", "--yes").wait()
    assert again.code == 0
    assert f"spec-1: {world.record('spec-1').batch_id} already paused\n" in again.out
    assert "\n2 batches paused, 1 already paused.\n" in again.out
    assert len(world.sandbox.log("pause")) == 3
    stopped = world.state().batches["spec-1"].stopped
    assert stopped is not None
    assert (stopped.by.why, [each.why for each in stopped.audit]) == ("complaints", [""])
    assert "(complaints)" in world.start("status").wait().err
    shown = world.start("state", "show", "spec-1").wait().out
    assert "(complaints)" in shown
    assert "\nalso by hand: " in shown
    assert stop(world, "spec-1", "--cancel", "--why", "for good").code == 0
    stopped = world.state().batches["spec-1"].stopped
    assert stopped is not None
    assert stopped.lifecycle is Lifecycle.CANCELLED
    assert [each.why for each in (stopped.by, *stopped.audit)] == ["for good", "", "complaints"]


def test_everything_with_broken_specs(world: World) -> None:
    """Specs that cannot be read keep nobody from stopping."""
    assert world.apply().code == 0
    for name in world.names:
        (world.root / f"{name}.yaml").write_text("{", "utf-8")
    assert stop(world, "--all").code == 0
    assert set(statuses(world).values()) == {"paused"}
    assert all(record.stopped for record in world.state().batches.values())


def test_broken_settings(world: World) -> None:
    """With settings that cannot be read somebody has to say where the state lives."""
    assert world.apply().code == 0
    (world.root / "reconciler.yaml").write_text("sate: git\n", "utf-8")
    refused = stop(world, "--all")
    assert (refused.code, set(statuses(world).values())) == (4, {"in_progress"})
    assert "say it: --state file or --state git" in refused.err
    assert stop(world, "--all", "--state=file").code == 0
    assert set(statuses(world).values()) == {"paused"}


def test_a_spec_that_is_gone(world: World) -> None:
    """An orphaned name can be stopped; it is left as it is afterwards."""
    assert world.apply().code == 0
    (world.root / "spec-1.yaml").unlink()
    assert stop(world, "spec-1").code == 0
    assert world.apply().code == 0
    assert statuses(world)["spec-1"] == "paused"
    assert len(world.posts()) == 3


def test_a_request_in_doubt_that_is_found(world: World) -> None:
    """A batch whose id nobody recorded is found by its key and stopped; recorded as it is then."""
    world.sandbox.faults.add(
        operation="create", kind="reset", when="after", match={"name": "spec-1"}
    )
    world.sandbox.faults.add(operation="list", kind="status", code=500, times=None)
    assert world.apply().code == 3
    world.sandbox.faults.clear()
    ended = stop(world, "spec-1")
    assert (ended.code, outcomes(ended)) == (0, {"spec-1": "paused"})
    assert world.apply().code == 0
    assert (statuses(world)["spec-1"], len(world.batches("spec-1"))) == ("paused", 1)
    assert [e.operation for e in world.sandbox.log("pause")] == ["pause"]


def test_a_request_in_doubt_that_is_not_found(world: World) -> None:
    """What nobody knows is said and ends with 3; what comes to light later is stopped as well."""
    world.sandbox.faults.add(
        operation="create", kind="reset", when="after", match={"name": "spec-1"}
    )
    world.sandbox.faults.add(operation="list", kind="empty_list", times=None)
    assert world.apply().code == 3
    ended = stop(world, "spec-1")
    assert (ended.code, outcomes(ended)) == (3, {"spec-1": "in_doubt"})
    assert statuses(world)["spec-1"] == "in_progress"
    world.sandbox.faults.clear()
    assert world.apply().code == 0
    assert statuses(world)["spec-1"] == "paused"
    assert world.record("spec-1").batch_id
    before = world.state_file.read_bytes()
    assert world.apply().code == 0
    assert world.state_file.read_bytes() == before


def test_a_request_that_certainly_was_not_created(world: World) -> None:
    """It is not created again under a stopped name."""
    world.sandbox.faults.add(
        operation="create", kind="reset", when="before", match={"name": "spec-1"}
    )
    assert world.apply().code == 3
    assert stop(world, "spec-1").code == 3
    world.pass_time(700)
    ended = world.apply()
    assert (ended.code, ended.outcomes["spec-1"]) == (4, "blocked")
    assert world.batches("spec-1") == []


def test_one_that_does_not_obey(world: World) -> None:
    """One batch that cannot be stopped keeps no other from it; the next apply tries again."""
    assert world.apply().code == 0
    (stubborn,) = world.batches("spec-2")
    world.sandbox.faults.add(
        operation="pause", kind="status", code=409, times=None,
        match={"batch_id": stubborn.batch_id},
    )  # fmt: skip
    ended = stop(world, "--all")
    assert ended.code == 1
    assert outcomes(ended) == {"spec-1": "paused", "spec-2": "failed", "spec-3": "paused"}
    assert statuses(world)["spec-2"] == "in_progress"
    world.sandbox.faults.clear()
    assert world.apply().code == 0
    assert set(statuses(world).values()) == {"paused"}


def test_a_list_that_cannot_be_read(world: World) -> None:
    """What the API does not show is taken for calling, and stopped."""
    assert world.apply().code == 0
    world.sandbox.faults.add(operation="list", kind="status", code=403, times=None)
    assert stop(world, "--all").code == 0
    assert set(statuses(world).values()) == {"paused"}


def test_beside_a_running_apply(world: World) -> None:
    """The calls are stopped while the apply holds the state; recorded, and the rest, after it."""
    world.sandbox.faults.add(operation="create", kind="hold", after=1)
    run = world.begin()
    world.sandbox.faults.wait_held()
    soon = stop(world, "spec-1", "--wait=0")
    assert (soon.code, statuses(world)["spec-1"]) == (1, "paused")
    assert "the calls are stopped, and that is not recorded" in soon.err
    assert json.loads(soon.out)["recorded"] is False
    world.sandbox.faults.add(operation="pause", kind="hold", when="after", times=None)
    waits = world.start("stop", "--all", "--yes", "--format=json")
    world.sandbox.faults.clear()
    world.sandbox.faults.release()
    assert run.wait().code == 0
    ended = waits.wait()
    assert (ended.code, json.loads(ended.out)["recorded"]) == (0, True)
    last = stop(world, "--all")
    assert last.code == 0
    assert set(statuses(world).values()) == {"paused"}
    assert all(record.stopped for record in world.state().batches.values())
    assert world.apply().code == 0
    assert set(statuses(world).values()) == {"paused"}


def test_beside_a_running_apply_with_state_in_git(git_world: GitWorld) -> None:
    """What the apply had not recorded as begun is not created once the stop is on the branch."""
    git_world.sandbox.faults.add(operation="create", kind="hold", match={"name": "spec-2"})
    run = git_world.begin(git_world.clone())
    git_world.sandbox.faults.wait_held()
    clone = git_world.clone()
    ended = git_world.start(
        clone, "stop", "spec-1", "--yes", "--format=json", "--state=git", "--why=stop it"
    ).wait()
    # The apply had begun both of its chunk: of the first the branch does not know the id yet.
    assert (ended.code, outcomes(ended)) == (0, {"spec-1": "paused"})
    git_world.sandbox.faults.release()
    assert run.wait().code == 0
    state = git_world.state()
    assert state.batches["spec-1"].stopped is not None
    assert {b.name: b.status for b in git_world.sandbox.batches()}["spec-1"] == "paused"
    assert len(git_world.posts()) == 4
    assert git_world.apply().code == 0
    assert {b.name: b.status for b in git_world.sandbox.batches()}["spec-1"] == "paused"
    log = git_world.git("log", "--format=%B", "main")
    assert re.search(r"Stop by hand spec-1.*\n\nstopped \(paused\), by .+: stop it\n", log)


def test_from_a_checkout_that_is_out_of_date(git_world: GitWorld) -> None:
    """Stopping goes by the state, not by what is checked out."""
    state = ["--state=git", "--state-branch=reconciler-state"]
    assert git_world.apply(state=state).code == 0
    old = git_world.clone()
    git_world.person.spec("spec-9")
    git_world.person.commit("Newer")
    old.spec("spec-8")
    old.commit("Mine alone", push=False)
    for how in ("--pause", "--cancel"):
        ended = git_world.start(old, "stop", "--all", how, "--yes", "--format=json", *state).wait()
        assert ended.code == 0, ended.err
    assert {b.status for b in git_world.sandbox.batches()} == {"cancelled"}
    record = git_world.state("reconciler-state").batches["spec-1"]
    assert record.stopped is not None
    assert record.lifecycle is Lifecycle.CANCELLED


def test_a_stop_that_cannot_be_pushed(git_world: GitWorld) -> None:
    """The calls are stopped all the same; that it is not recorded is told, and ends with 1."""
    assert git_world.apply().code == 0
    git_world.hook("pre-receive", "exit 1")
    ended = git_world.start(
        git_world.clone(), "stop", "--all", "--yes", "--format=json", "--state=git"
    ).wait()
    assert ended.code == 1
    assert "the calls are stopped, and that is not recorded" in ended.err
    assert {b.status for b in git_world.sandbox.batches()} == {"paused"}
    git_world.hook("pre-receive", "")
    again = git_world.start(
        git_world.clone(), "stop", "--all", "--yes", "--format=json", "--state=git"
    ).wait()
    assert (again.code, json.loads(again.out)["recorded"]) == (0, True)
    assert all(record.stopped for record in git_world.state().batches.values())


def test_a_change_on_its_way(git_world: GitWorld) -> None:
    """A replacement that was begun is not gone on with; the old batch stays paused."""
    assert git_world.apply().code == 0
    git_world.person.git("pull", "-q", "--rebase")
    git_world.person.spec("spec-1", people=3)
    git_world.person.commit("Change")
    assert git_world.apply(None, "--drain=0", at="pause: after").code == KILLED
    ended = git_world.start(
        git_world.clone(), "stop", "spec-1", "--yes", "--format=json", "--state=git"
    ).wait()
    assert ended.code == 0
    git_world.pass_time(700)
    blocked = git_world.apply(None, "--drain=0")
    assert (blocked.code, blocked.outcomes["spec-1"]) == (4, "blocked")
    (old,) = git_world.batches("spec-1")
    assert old.status in {"paused", "completed"}  # calls in flight end by themselves


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("spec-1",), 4, "there is no terminal to ask on"),
        (("--yes",), 64, "Give names of batches, or --all."),
        (("spec-1", "--all", "--yes"), 64, "Give names of batches, or --all."),
        (("nobody", "--yes"), 1, "nobody: nothing is recorded under this name, so nothing"),
    ],
)
def test_what_is_refused(world: World, arguments: tuple[str, ...], code: int, said: str) -> None:
    """Nothing is stopped without a yes, nor without a name."""
    ended = world.start("stop", *arguments).wait()
    assert ended.code == code
    assert said in ended.out + ended.err


def test_both_ways_at_once_are_refused(git_world: GitWorld) -> None:
    """A cancel cannot be undone, so it is not what is guessed."""
    assert git_world.apply().code == 0
    ended = git_world.start(
        git_world.clone(), "stop", "--all", "--pause", "--cancel", "--yes", "--state=git"
    ).wait()
    assert ended.code == 64
    assert "Give --pause or --cancel, not both." in ended.err
    assert {b.status for b in git_world.sandbox.batches()} <= {"in_progress", "completed"}

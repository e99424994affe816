"""Applying with state in git, as separate machines do: real commands in real clones."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.torture.gitworld import KILLED, SETTLED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.torture.gitworld import Ended, GitWorld

LEASE_OVER = 400.0
BOTH = pytest.mark.parametrize(
    "branch", ["main", "reconciler-state"], ids=["same branch", "own branch"]
)


def on(branch: str) -> list[str]:
    """Give the options for a state branch."""
    return ["--state=git"] if branch == "main" else ["--state=git", f"--state-branch={branch}"]


def blocked(ended: Ended) -> dict[str, str]:
    """Map the names that were left alone to what was said about them."""
    actions = ended.report["actions"]
    return {each["name"]: each["message"] for each in actions if each["outcome"] == "blocked"}


# -- chunks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("specs", "chunk", "pushes"), [(3, 8, 2), (8, 8, 2), (20, 8, 4), (3, 1, 4)]
)
def test_what_a_run_pushes(
    make_git_world: Callable[..., GitWorld], specs: int, chunk: int, pushes: int
) -> None:
    """One push a chunk, and one for the last outcomes; `chunk` of reconciler.yaml is the size."""
    world = make_git_world(specs, chunk=chunk)
    before = world.pushes()
    assert world.apply(parallelism=4).code == 0
    assert world.pushes() - before == pushes
    world.check()
    assert world.apply().code == 0
    assert world.pushes() - before == pushes, "nothing to do is nothing to push"


@BOTH
def test_a_death_leaves_only_a_chunk_in_doubt(git_world: GitWorld, branch: str) -> None:
    """A run that dies while it creates leaves its chunk in doubt; the rest was never begun."""
    ended = git_world.apply(None, at="create: before", state=on(branch))
    assert ended.code == KILLED
    state = git_world.state(branch)
    assert [name for name, _, request in state.requests() if request.in_doubt] == [
        "spec-1",
        "spec-2",
    ]
    git_world.check_intents(branch)
    git_world.settle(state=on(branch))
    git_world.check(branch=branch)


# -- supersession ----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("what", ["spec", "readme"])
def test_a_checkout_that_the_branch_has_moved_past(
    git_world: GitWorld, branch: str, what: str
) -> None:
    """It applies nothing and says by what it is superseded; nothing about that is an error."""
    old = git_world.clone()
    if what == "spec":
        git_world.person.spec("spec-1", people=5)
    else:
        (git_world.person.directory / "README.md").write_text("Read me", "utf-8")
    git_world.person.commit("Newer and better")
    ended = git_world.apply(old, state=on(branch))
    assert ended.code == 0
    assert re.search(r"superseded by [0-9a-f]{7,} \(Newer and better\)", ended.err)
    assert "error" not in ended.err
    assert ended.report["actions"] == []
    assert git_world.posts() == []


@BOTH
def test_state_commits_supersede_nothing(git_world: GitWorld, branch: str) -> None:
    """A checkout that only state commits came after is current; even another root's."""
    old = git_world.clone()
    assert git_world.apply(state=on(branch)).code == 0
    git_world.person.git("pull", "-q", "--rebase")
    other = git_world.person.directory / "batches-of-another/state.json"
    other.parent.mkdir()
    other.write_text("{}", "utf-8")
    git_world.person.commit("Record something [skip ci]")
    ended = git_world.apply(old, state=on(branch))
    assert ended.code == 0
    assert "superseded" not in ended.err
    git_world.check(branch=branch)


@BOTH
def test_an_old_workflow_run_again(git_world: GitWorld, branch: str) -> None:
    """After a newer version was applied, nothing of the older one is."""
    old = git_world.clone()
    git_world.person.spec("spec-1", people=3)
    git_world.person.git("rm", "-q", "batches/spec-3.yaml")
    git_world.person.commit("Newer")
    assert git_world.apply(state=on(branch)).code == 0
    made = [batch.batch_id for batch in git_world.sandbox.batches()]
    assert len(made) == 2
    for _ in range(2):
        assert git_world.apply(old, state=on(branch)).code == 0
    assert [batch.batch_id for batch in git_world.sandbox.batches()] == made


@BOTH
def test_a_commit_nobody_else_can_see(git_world: GitWorld, branch: str) -> None:
    """What was committed and not pushed was not reviewed: refused, and nothing is sent."""
    clone = git_world.clone()
    clone.spec("spec-9")
    clone.commit("Mine alone", push=False)
    ended = git_world.apply(clone, state=on(branch))
    assert ended.code == 4
    assert "(Mine alone), checked out here, is not on origin/main" in ended.err
    assert "hint: push or merge it first" in ended.err
    assert git_world.posts() == []


@BOTH
def test_a_checkout_that_went_another_way(git_world: GitWorld, branch: str) -> None:
    """A history that parted from the branch's is refused."""
    clone = git_world.clone()
    clone.spec("spec-9")
    clone.commit("Mine alone", push=False)
    git_world.person.spec("spec-8")
    git_world.person.commit("Theirs")
    ended = git_world.apply(clone, state=on(branch))
    assert ended.code == 4
    assert git_world.posts() == []


@BOTH
def test_superseded_in_the_middle(git_world: GitWorld, branch: str) -> None:
    """A run that is overtaken records what it did, and begins no further chunk."""
    clone = git_world.clone()
    run = git_world.begin(clone, at="create: after", act="stop", state=on(branch))
    assert git_world.wait_stopped(run)
    git_world.person.git("pull", "-q", "--rebase")
    git_world.person.spec("spec-3", people=7)
    merged = git_world.person.commit("Merged meanwhile")
    ended = git_world.go_on(run)
    assert ended.code == 0
    assert "superseded by" in ended.err
    assert len(git_world.posts()) == 2
    assert {n: r.status for n, _, r in git_world.state(branch).requests()} == {
        "spec-1": "created",
        "spec-2": "created",
    }
    assert git_world.git("merge-base", "--is-ancestor", merged, "main") == ""
    changed = git_world.git("diff-tree", "-r", "--name-only", merged, "main")
    assert changed == ("batches/state.json" if branch == "main" else "")
    assert [a["name"] for a in ended.report["actions"] if a["outcome"] == "created"] == [
        "spec-1",
        "spec-2",
    ]
    assert git_world.apply(state=on(branch)).code == 0
    git_world.check(branch=branch)


@BOTH
def test_a_run_whose_state_is_older_than_the_batches_it_sees(
    git_world: GitWorld, branch: str
) -> None:
    """It read the state, a newer run created, it sees batches it does not know: it looks again."""
    old = git_world.clone()
    run = git_world.begin(old, at="listing: before", act="stop", state=on(branch))
    assert git_world.wait_stopped(run)
    git_world.person.spec("spec-1", people=5)
    git_world.person.commit("Newer and better")
    assert git_world.apply(state=on(branch)).code == 0
    ended = git_world.go_on(run)
    assert ended.code == 0, ended.err
    assert "superseded by" in ended.err
    assert ended.outcomes == {"spec-2": "created", "spec-3": "created"}, "recorded, as they are"
    assert len(git_world.posts()) == 3
    git_world.check(branch=branch)


def test_what_is_refused_is_told_beside_the_document(git_world: GitWorld) -> None:
    """Where stdout goes into a file, the log says what was refused, and what to type."""
    assert git_world.apply().code == 0
    git_world.person.git("pull", "-q", "--rebase")
    git_world.person.git("rm", "-q", "batches/state.json")
    git_world.person.spec("spec-1", people=5)
    git_world.person.commit("Lose the state, change a spec")
    ended = git_world.apply()
    assert ended.code == 4
    assert blocked(ended).keys() == {"spec-1"}
    assert "under this name with other contents" in ended.err
    assert "adopt spec-1" in ended.err
    assert len(git_world.posts()) == 3


def test_two_environments_do_not_supersede_each_other(git_world: GitWorld) -> None:
    """Two roots of one commit, applied at the same time by two jobs, are both applied."""
    person = git_world.person
    for root in ("staging", "production"):
        replace(person, batches=root).spec(root)
    person.commit("Two environments")
    staging, production = (
        replace(git_world.clone(), batches=root) for root in ("staging", "production")
    )
    run = git_world.begin(staging, at="git push: before", act="stop")
    assert git_world.wait_stopped(run)
    assert git_world.apply(production).code == 0
    ended = git_world.go_on(run)
    assert ended.code == 0
    assert "superseded" not in ended.err
    assert {batch.name for batch in git_world.sandbox.batches()} == {"staging", "production"}


# -- lease -----------------------------------------------------------------------------------------


@BOTH
def test_the_intent_of_a_run_that_lives_is_its_own(git_world: GitWorld, branch: str) -> None:
    """Another run says who has it and until when, does the rest, and exits 3."""
    first = git_world.begin(git_world.clone(), at="save: after", act="stop", state=on(branch))
    assert git_world.wait_stopped(first)
    begun = time.monotonic()
    ended = git_world.apply(state=on(branch), verify_for=60)
    assert ended.code == 3
    assert time.monotonic() - begun < 20, "it does not wait for what is not its own"
    told = blocked(ended)
    assert set(told) == {"spec-1", "spec-2"}
    run = git_world.state(branch).batches["spec-1"].current.requests[0].run
    for message in told.values():
        assert re.search(rf"run {run[:12]} is creating it and has until \d{{4}}-", message)
    assert [batch.name for batch in git_world.sandbox.batches()] == ["spec-3"]
    assert git_world.go_on(first).code == 0
    git_world.check(branch=branch)


@pytest.mark.parametrize("created", [False, True], ids=["not created", "created"])
def test_the_intent_of_a_run_that_died(git_world: GitWorld, *, created: bool) -> None:
    """It expires; then its batch is found and recorded, or created again when it is certain."""
    assert git_world.apply(None, at=f"create: {'after' if created else 'before'}").code == KILLED
    git_world.let_arrive()
    git_world.pass_time(LEASE_OVER)
    ended = git_world.apply()
    assert ended.code == 3, "the second of the chunk may still appear"
    assert ("spec-1" in blocked(ended)) is not created
    git_world.pass_time(SETTLED)
    assert git_world.apply().code == 0
    git_world.check()


@pytest.mark.parametrize("suspended", [LEASE_OVER, SETTLED + 300])
@pytest.mark.parametrize("rival", [False, True], ids=["alone", "with a rival"])
def test_a_runner_suspended_between_push_and_post(
    git_world: GitWorld, suspended: float, *, rival: bool
) -> None:
    """It wakes up, sees that its intent has expired, and records it anew before it sends."""
    run = git_world.begin(git_world.clone(), at="save: after", act="stop")
    assert git_world.wait_stopped(run)
    git_world.pass_time(suspended)
    if rival:
        assert git_world.apply().code in {0, 3}
    pushes = git_world.pushes()
    sent = len(git_world.posts())
    ended = git_world.go_on(run)
    assert ended.code in {0, 3}
    after = ended.trace[ended.trace.index("save: after") + 1 :]
    if "create: before" in after:
        assert "git push: after" in after[: after.index("create: before")]
    if sent < 3:
        assert git_world.pushes() > pushes
    git_world.settle()
    git_world.check()


def test_a_runner_really_suspended(make_git_world: Callable[..., GitWorld]) -> None:
    """The same with a real clock: SIGSTOP for longer than a lease of one second."""
    world = make_git_world(1)
    run = world.begin(world.clone(), "--lease=1", at="save: after", act="stop")
    assert world.wait_stopped(run)
    time.sleep(1.2)
    ended = world.go_on(run)
    assert ended.code == 0
    assert world.pushes() == 1 + 3, "the specs; an intent, renewed, and its outcome"
    world.check()


@pytest.mark.parametrize("wall", [-7200.0, 7200.0])
@pytest.mark.parametrize("who", ["holder", "other"])
def test_clocks_that_disagree(git_world: GitWorld, who: str, wall: float) -> None:
    """A machine whose clock is wrong neither claims for longer nor ends another's lease earlier."""
    run = git_world.begin(
        git_world.clone(), at="save: after", act="stop", wall=wall if who == "holder" else 0.0
    )
    assert git_world.wait_stopped(run)
    ended = git_world.apply(wall=wall if who == "other" else 0.0)
    assert ended.code == 3
    assert set(blocked(ended)) == {"spec-1", "spec-2"}
    assert git_world.go_on(run).code == 0
    git_world.settle()
    git_world.check()


# -- nobody takes it -------------------------------------------------------------------------------

PROTECTED = """
echo 'error: GH006: Protected branch update failed for refs/heads/main.' >&2
echo 'error: Changes must be made through a pull request.' >&2
exit 1
"""
FORBIDDEN = "echo 'Permission to acme/calls.git denied to github-actions[bot].' >&2; exit 1"


@pytest.mark.parametrize(
    ("hook", "said", "hint"),
    [
        (PROTECTED, "GH006: Protected branch", "with --state-branch reconciler-state"),
        (FORBIDDEN, "Permission to acme/calls.git denied", "`permissions: contents: write`"),
    ],
    ids=["protected", "forbidden"],
)
def test_a_branch_that_takes_no_push(git_world: GitWorld, hook: str, said: str, hint: str) -> None:
    """Nothing is sent; the message says what the server said, the hint what to change."""
    git_world.hook("pre-receive", hook)
    ended = git_world.apply()
    assert ended.code == 4
    assert said in ended.err
    assert {action["outcome"] for action in ended.report["actions"]} == {"skipped"}
    assert git_world.posts() == []
    assert hint in ended.err
    git_world.hook("pre-receive", "")
    assert git_world.apply().code == 0
    git_world.check()


def test_a_protected_branch_and_a_state_branch(git_world: GitWorld) -> None:
    """What the hint says is a way out."""
    git_world.hook("update", 'test "$1" != refs/heads/main')
    assert git_world.apply().code == 4
    options = on("reconciler-state")
    assert git_world.apply(state=options).code == 0
    git_world.check(branch="reconciler-state")


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("remote", 1, "hint: name the remote with --state-remote"),
        ("gone", 1, "hint: name the remote with --state-remote"),
        ("no repository", 1, "hint: run inside a clone, or use --state file"),
        ("no git", 1, "hint: install git, or use --state file"),
        ("offline", 1, "hint: check the connection to the remote"),
    ],
)
def test_nowhere_to_push(git_world: GitWorld, what: str, code: int, said: str) -> None:
    """A remote, repository or program that is not there: said, with a way out, and nothing sent."""
    clone = git_world.clone()
    environment: dict[str, str] = {}
    options = ["--state=git"]
    match what:
        case "remote":
            options.append("--state-remote=upstream")
        case "gone":
            clone.git("remote", "set-url", "origin", str(git_world.directory / "nowhere.git"))
        case "no repository":
            clone.git("config", "core.bare", "false")
            (clone.directory / ".git").rename(git_world.directory / "elsewhere")
        case "no git":
            environment["PATH"] = str(git_world.directory)
        case "offline":
            clone.git("remote", "set-url", "origin", "http://127.0.0.1:9/x.git")
    ended = git_world.apply(clone, state=options, environment=environment)
    assert ended.code == code
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert git_world.posts() == []


def test_a_remote_that_fails_while_creating(git_world: GitWorld) -> None:
    """Outcomes that cannot be pushed are told with their ids; the next run finds them."""
    clone = git_world.clone()
    run = git_world.begin(clone, at="create: before", act="stop")
    assert git_world.wait_stopped(run)
    git_world.hook("pre-receive", PROTECTED)
    ended = git_world.go_on(run)
    assert ended.code == 3
    told = {action["name"]: action for action in ended.report["actions"]}
    assert git_world.sandbox.batches()
    for batch in git_world.sandbox.batches():
        assert f"{batch.name}: {batch.batch_id}" in ended.err
        assert told[batch.name]["outcome"] == "created"
        assert told[batch.name]["batch_id"] == batch.batch_id
    git_world.hook("pre-receive", "")
    git_world.settle()
    git_world.check()


# -- signals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_job(make_git_world: Callable[..., GitWorld], first: int) -> None:
    """After the first signal nothing is sent, what is under way may end, outcomes are pushed."""
    world = make_git_world(4, chunk=4)
    world.sandbox.faults.add(operation="create", kind="hold", when="after", times=1)
    run = world.begin(world.clone(), parallelism=1)
    world.sandbox.faults.wait_held()
    run.kill(first)
    time.sleep(0.2)
    world.sandbox.faults.release()
    ended = run.wait()
    assert ended.code == 1
    assert ended.report["interrupted"] is True
    assert len(world.posts()) == 1
    assert [(n, r.status) for n, _, r in world.state().requests()] == [("spec-1", "created")]
    world.settle()
    world.check()


def test_a_job_cancelled_as_github_does(make_git_world: Callable[..., GitWorld]) -> None:
    """SIGINT, SIGTERM after 7.5 s, SIGKILL 2.5 s later: by then all is pushed, and nothing lost."""
    world = make_git_world(4, chunk=4)
    world.sandbox.faults.add(operation="create", kind="hold", when="after", times=None)
    run = world.begin(world.clone(), parallelism=2)
    world.sandbox.faults.wait_held(count=2)
    begun = time.monotonic()
    run.kill(signal.SIGINT)

    def press() -> None:
        for seconds, number in ((7.5, signal.SIGTERM), (2.5, signal.SIGKILL)):
            if ended.wait(seconds):
                return
            run.kill(number)

    ended = threading.Event()
    presser = threading.Thread(target=press)
    presser.start()
    told = run.wait()
    ended.set()
    presser.join()
    assert told.code == 3, "what was under way is in doubt"
    assert time.monotonic() - begun < 7.5
    assert len(world.posts()) == 2
    requests = {name: request for name, _, request in world.state().requests()}
    assert set(requests) == {"spec-1", "spec-2"}, "what was not begun is withdrawn"
    assert all(request.unknown for request in requests.values())
    world.sandbox.faults.clear()
    world.settle()
    world.check()


# -- what is left to read --------------------------------------------------------------------------


def trailers(world: GitWorld, commit: str) -> list[tuple[str, str]]:
    """Parse a commit's trailers as git does."""
    message = world.git("log", "-1", "--format=%B", commit)
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse"],
        input=message,
        env={**os.environ, **world.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = (line.partition(": ") for line in done.stdout.splitlines())
    return [(name, value) for name, _, value in pairs]


def test_what_the_log_says(git_world: GitWorld) -> None:
    """Each commit: a subject that skips CI, who was called how, and trailers that git can parse."""
    head = git_world.tip()
    assert git_world.apply().code == 0
    commits = git_world.git("rev-list", "--reverse", f"{head}..main").split()
    subjects = [git_world.git("log", "-1", "--format=%s", commit) for commit in commits]
    ids = {b.name: b.batch_id for b in git_world.sandbox.batches()}
    assert subjects == [
        "Intend to create 2 batches [skip ci]",
        "Record 2 batches, intend to create 1 batch [skip ci]",
        f"Record spec-3 as {ids['spec-3']} [skip ci]",
    ]
    for commit in commits:
        found = trailers(git_world, commit)
        assert {name for name, _ in found} == {"Batch", "Campaign", "Key", "Spec-Commit", "Run"}
        assert ("Spec-Commit", head) in found
        assert [n for n, _ in found].count("Run") == 1
        message = git_world.git("log", "-1", "--format=%B", commit)
        assert "+1555" not in message
        assert "Person" not in message
    assert ("Batch", f"spec-1 as {ids['spec-1']}") in trailers(git_world, commits[1])


def test_the_log_of_many(make_git_world: Callable[..., GitWorld]) -> None:
    """A long list is cut, says how many more there are, and its trailers still parse."""
    world = make_git_world(24, chunk=24)
    assert world.apply(parallelism=8).code == 0
    body = world.git("log", "-1", "--format=%b", "main")
    assert "- and 4 more" in body
    assert len([n for n, _ in trailers(world, "main") if n == "Batch"]) == 20
    assert max(len(line) for line in body.splitlines()) < 100


def test_how_many_people(git_world: GitWorld) -> None:
    """The log says how many people each batch calls."""
    assert git_world.apply().code == 0
    assert "spec-1, 2 people" in git_world.git("log", "--format=%B", "main")


# -- reading commands ------------------------------------------------------------------------------


@BOTH
def test_every_reader_sees_the_branch(git_world: GitWorld, branch: str) -> None:
    """`plan`, `state list` and `state show` read the tip, whatever the checkout holds."""
    clone = git_world.clone()
    assert git_world.apply(state=on(branch)).code == 0
    plan = git_world.start(clone, "plan", "--format=json", *on(branch)).wait()
    assert plan.code == 0
    assert json.loads(plan.out)["actions"] == []
    listed: Any = json.loads(
        git_world.start(clone, "state", "list", "--format=json", *on(branch)).wait().out
    )
    assert [row["name"] for row in listed["batches"]] == ["spec-1", "spec-2", "spec-3"]
    shown = git_world.start(clone, "state", "show", "spec-1", *on(branch)).wait()
    assert shown.code == 0
    assert not (clone.root / "state.json").exists()


def test_settings_say_where(make_git_world: Callable[..., GitWorld]) -> None:
    """`state`, `state_remote` and `state_branch` of reconciler.yaml are taken without options."""
    settings = "state: git\nstate_remote: origin\nstate_branch: reconciler-state\n"
    world = make_git_world(1, settings=settings)
    assert world.apply(state=()).code == 0
    world.check(branch="reconciler-state")


def test_settling_by_hand(git_world: GitWorld) -> None:
    """`resolve` is a commit too: who, when and why, and the next run goes by it."""
    assert git_world.apply(None, at="create: before").code == KILLED
    git_world.let_arrive()
    git_world.pass_time(LEASE_OVER)
    clone = git_world.clone()
    for name in ("spec-1", "spec-2"):
        done = git_world.start(clone, "resolve", name, "--not-created", "--state=git").wait()
        assert done.code == 0, done.err
    assert git_world.git("log", "-1", "--format=%s", "main").endswith("[skip ci]")
    assert git_world.apply().code == 0
    git_world.check()


def test_what_a_run_left_in_doubt_is_settled_before_its_lease_is_over(
    make_git_world: Callable[..., GitWorld],
) -> None:
    """That run is over and sends nothing more: the next one need not wait to look."""
    world = make_git_world(1)
    world.sandbox.faults.add(operation="create", kind="status", code=504, when="after")
    blind = world.sandbox.faults.add(operation="list", kind="status", code=503, times=None)
    assert world.apply(None, "--verify-for=0.2").code == 3
    world.sandbox.faults.remove(blind)
    by_hand = world.start(world.clone(), "resolve", "spec-1", "--not-created", "--state=git").wait()
    assert by_hand.code == 4
    assert "may be under way until" in by_hand.err
    assert world.apply().code == 0
    world.check()


def test_a_state_is_not_left_behind_on_another_branch(
    make_git_world: Callable[..., GitWorld],
) -> None:
    """A new state branch that begins empty would forget what the old one recorded."""
    world = make_git_world(2)
    assert world.apply().code == 0
    own = on("reconciler-state")
    refused = world.apply(state=own)
    assert refused.code == 4
    assert "on main 2 names are recorded" in refused.err
    command = refused.err.rpartition("bring it along: git ")[2].splitlines()[0]
    world.clone().git(*command.split())
    assert world.apply(state=own).code == 0
    assert len(world.sandbox.batches()) == 2
